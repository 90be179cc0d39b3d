"""Read a sealed LoRA or identity. Its bytes are signed; still, nothing in them is taken on trust."""

from __future__ import annotations

import json
from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from cameo.errors import NotVerified

PREFIX = "transformer"  # diffusers' save_lora_weights puts it and a dot before every key; without it nothing loads
MAX_RANK = 256


def read_tensors(data: bytes, name: str) -> dict[str, Tensor]:
    """Return the tensors of a part.

    Args:
        data: the part, decrypted.
        name: of the part, for messages.

    Raises:
        NotVerified: it is no safetensors file, or holds a value that is not finite.
    """
    try:
        tensors: dict[str, Tensor] = load(data)
    except (SafetensorError, ValueError) as error:
        raise NotVerified(f"{name} is not a safetensors file", "the double is damaged: get it again") from error
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise NotVerified(f"{name} holds a value that is not a number in '{key}'", "tune the double again")
    return tensors


def read_facts(data: bytes) -> dict[str, str]:
    """Return the metadata of a part whose tensors were read."""
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return {str(k): str(v) for k, v in metadata.items()}


def lora_rank(facts: Mapping[str, str]) -> int:
    """Return the rank that the metadata of a LoRA says; the strength must be equal to it.

    Raises:
        KeyError, TypeError, ValueError: it says none, or one out of bounds, or another strength.
    """
    described = json.loads(facts["lora_adapter_metadata"])
    rank, alpha = (described[f"{PREFIX}.{key}"] for key in ("r", "lora_alpha"))
    if type(rank) is not int or not 1 <= rank <= MAX_RANK or alpha != rank:
        raise ValueError("rank or strength out of bounds")
    return rank
