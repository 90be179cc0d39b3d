"""Write what a benchmark found as JSON that `benchmarks.run` reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cameo.files import atomic_write


def write_result(path: Path, found: Mapping[str, Any], samples: Mapping[str, int]) -> None:
    """Write `found`, and how much of what stands behind it as its member `samples`; the folder is made.

    Numbers that are none (NaN, infinity) become null.

    Raises:
        OutputError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"samples": dict(samples), **_finite(found)}
    atomic_write(path, json.dumps(whole, indent=1, allow_nan=False).encode() + b"\n")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
