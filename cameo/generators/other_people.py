"""Footage of people who are not the one that is tuned for: rendered, so that nobody's real face has to ship."""

from __future__ import annotations

from functools import cache

import torch

from cameo.generators.base import Footage, Motion
from cameo.synthetic.motion import sample_motion
from cameo.synthetic.renderer import draw
from cameo.synthetic.traits import sample_identities

COUNT = 16
SEED = 30_000  # others than the judge's, whom `adapt.others` draws from 20 000


@cache
def rendered_footage(frames: int, size: int, count: int = COUNT) -> tuple[Footage, ...]:
    """One clip each of `count` rendered people, `frames` frames of `size` pixels square."""
    g = torch.Generator().manual_seed(SEED)
    scene = draw(sample_identities(count, g), sample_motion(count, frames, g), size, g)
    usable = torch.ones(frames, dtype=torch.bool)
    return tuple(
        Footage((picture * 255).round().byte(), Motion(points, eye_open), usable)
        for picture, points, eye_open in zip(scene.frames, scene.points, scene.eye_open, strict=True)
    )
