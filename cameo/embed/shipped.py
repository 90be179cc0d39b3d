"""Read the weights that ship inside the package, together with the facts written beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeVar

from safetensors import SafetensorError
from safetensors.numpy import load

from cameo.errors import MissingWeights
from cameo.records import CONSISTENCY_ONLY, EncoderInfo

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Space = TypeVar("Space")

LICENCE = "Apache-2.0"
_HINT = "the installation is damaged: install cameo-double again"


def read_weights(name: str, kind: type[Space], folder: Traversable | None = None) -> tuple[Space, EncoderInfo]:
    """Read `<name>.safetensors` into a dataclass of float32 tensors, and what `<name>.json` says of the encoder.

    Args:
        name: `face` or `voice`.
        kind: the dataclass, one tensor for each field.
        folder: where to look; the package's own folder by default.

    Raises:
        MissingWeights: a file is missing or cannot be read, or the weights differ from the digest in the facts.
    """
    place = folder or files("cameo.embed") / "weights"
    try:
        data = (place / f"{name}.safetensors").read_bytes()
        facts = json.loads((place / f"{name}.json").read_bytes())
        tensors = load(data)
        described: Any = kind
        space = kind(**{field.name: tensors[field.name].astype("float32") for field in fields(described)})
        digest = hashlib.sha256(data).hexdigest()
        known, limit = facts["encoder"], facts["threshold"]
        if known["sha256"] != digest:
            raise MissingWeights(f"the weights of the embedded {name} encoder differ from their digest", _HINT)
        info = EncoderInfo(
            id=known["id"],
            modality=name,
            digest=digest,
            dimension=known["dimension"],
            assurance=CONSISTENCY_ONLY,
            licence=LICENCE,
            threshold=limit["value"],
            threshold_source=limit["source"],
        )
    except OSError as error:
        raise MissingWeights(f"the weights of the embedded {name} encoder are not there", _HINT) from error
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise MissingWeights(f"the weights of the embedded {name} encoder cannot be read", _HINT) from error
    return space, info
