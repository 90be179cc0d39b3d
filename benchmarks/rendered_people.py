"""Rendered people for fitting and measuring face encoders: several scenes each, several poses per scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo.synthetic.renderer import render
from cameo.synthetic.traits import sample_identities

if TYPE_CHECKING:
    from cameo.records import Float32, Int64, UInt8

_BATCH = 8


@dataclass(frozen=True, slots=True)
class Sessions:
    """Hold rendered frames of several people.

    `frames` `[N, S, S, 3]` uint8 RGB; `points` `[N, 10, 2]` pixels; `people` and `scenes` `[N]`.
    """

    frames: UInt8
    points: Float32
    people: Int64
    scenes: Int64


def render_sessions(people: int, scenes: int, poses: int, size: int, seed: int) -> Iterator[Sessions]:
    """Render `people` in batches; every scene has its own light, background and exposure."""
    g = torch.Generator().manual_seed(seed)
    for first in range(0, people, _BATCH):
        identities = sample_identities(min(_BATCH, people - first), g)
        owners = np.repeat(np.arange(first, first + len(identities)), poses)
        for scene in range(scenes):
            drawn = render(identities, poses, 1, size, g)
            yield Sessions(
                frames=(drawn.frames * 255).round().byte().flatten(0, 1).numpy(),
                points=((drawn.points + 1) * size / 2 - 0.5).flatten(0, 1).numpy().astype(np.float32),
                people=owners,
                scenes=np.full(len(owners), scene),
            )


def joined(parts: Iterator[Sessions]) -> Sessions:
    """Put batches into one."""
    rows = list(parts)
    return Sessions(
        np.concatenate([r.frames for r in rows]),
        np.concatenate([r.points for r in rows]),
        np.concatenate([r.people for r in rows]),
        np.concatenate([r.scenes for r in rows]),
    )
