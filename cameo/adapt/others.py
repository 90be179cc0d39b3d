"""Other people for the judge: rendered, so that nobody's real face has to ship."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo.synthetic.motion import sample_motion
from cameo.synthetic.renderer import draw
from cameo.synthetic.traits import sample_identities

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

COUNT = 48
SIZE = 64  # as small as the reference generator's frames, so that sharpness does not tell them apart


@cache
def rendered_people(count: int = COUNT, seed: int = 20_000) -> tuple[UInt8, Float32]:
    """One frame each of `count` rendered people: `[N, 64, 64, 3]` uint8 and landmarks `[N, 10, 2]` in pixels."""
    g = torch.Generator().manual_seed(seed)
    scene = draw(sample_identities(count, g), sample_motion(count, 1, g), SIZE, g)
    frames = (scene.frames[:, 0] * 255).round().byte().numpy()
    return np.asarray(frames), np.asarray((scene.points[:, 0].numpy() + 1) * SIZE / 2 - 0.5, np.float32)
