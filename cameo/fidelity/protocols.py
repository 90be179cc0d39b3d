"""The published ways to score likeness: which frames of a clip, and how their cosines become one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.errors import UsageError
from cameo.scores import CURRICULAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cameo.records import Float64


@dataclass(frozen=True, slots=True)
class Protocol:
    """Describe a protocol.

    Attributes:
        frames: looked at in a clip, evenly from the first to the last.
        source: the script that published numbers are made by.
        drops_zeros: measures whose frames of likeness 0 that script leaves out of the mean, by a slip.
    """

    name: str
    frames: int
    source: str
    drops_zeros: tuple[str, ...]


OPENS2V = Protocol("opens2v", 32, "PKU-YuanGroup/OpenS2V-Nexus, eval/get_facesim.py at d19c2ce", (CURRICULAR,))
CONSISID = Protocol("consisid", 16, "PKU-YuanGroup/ConsisID, eval/get_facesim_fid.py at 24f6448", ())
PROTOCOLS = {protocol.name: protocol for protocol in (OPENS2V, CONSISID)}


def known_protocol(name: str) -> Protocol:
    """Look a protocol up.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in PROTOCOLS:
        raise UsageError(f"there is no protocol {name!r}", f"the protocols are: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def frame_numbers(total: int, count: int, start: float = 0.0, end: float = 1.0) -> list[int]:
    """Spread `count` frame numbers evenly over a part of a clip of `total` frames, its ends included.

    A clip with fewer frames has some of them twice, as published.

    Args:
        total: frames of the clip, at least 1.
        count: how many numbers.
        start: where the part begins, as a share of the clip.
        end: where it ends.

    Source: both scripts of `PROTOCOLS`, `np.linspace(0, total - 1, count, dtype=int)`.
    """
    first, last = int(round(start * total)), max(int(round(end * total)) - 1, int(round(start * total)))
    return np.linspace(min(first, total - 1), min(last, total - 1), count, dtype=int).tolist()


def facesim(cosines: Float64 | Sequence[float], drops_zeros: bool = False) -> float:
    """Score a clip from the cosine of each frame, NaN where there is no face: mean of max(0, cosine), 0.0 without any.

    Source: `process_video` in both scripts of `PROTOCOLS`; with `drops_zeros` as its line `if cur_score != 0.0` does.
    """
    values = np.asarray(cosines, np.float64)
    kept = np.maximum(values[np.isfinite(values)], 0.0)
    if drops_zeros:
        kept = kept[kept != 0.0]
    return float(kept.mean()) if len(kept) else 0.0


def strict_facesim(cosines: Float64 | Sequence[float]) -> float:
    """Score a clip with every frame without a face counted as 0, so that nothing is gained by showing none."""
    values = np.asarray(cosines, np.float64)
    return float(np.maximum(np.nan_to_num(values), 0.0).mean()) if len(values) else 0.0
