"""Other people for the judge: rendered, so that nobody's real face or voice has to ship."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo.synthetic.motion import sample_motion
from cameo.synthetic.renderer import draw
from cameo.synthetic.traits import sample_identities
from cameo.synthetic.voice import speak

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

COUNT = 48
VOICES, SPEECH_S = 12, 4.0
SIZE = 64  # as small as the reference generator's frames, so that sharpness does not tell them apart


@cache
def rendered_people(count: int = COUNT, seed: int = 20_000) -> tuple[UInt8, Float32]:
    """One frame each of `count` rendered people: `[N, 64, 64, 3]` uint8 and landmarks `[N, 10, 2]` in pixels."""
    g = torch.Generator().manual_seed(seed)
    scene = draw(sample_identities(count, g), sample_motion(count, 1, g), SIZE, g)
    frames = (scene.frames[:, 0] * 255).round().byte().numpy()
    return np.asarray(frames), np.asarray((scene.points[:, 0].numpy() + 1) * SIZE / 2 - 0.5, np.float32)


@cache
def rendered_voices(count: int = VOICES, seed: int = 20_000) -> tuple[Float32, ...]:
    """Let `count` rendered people speak, `[N]` float32 mono at 16 kHz each."""
    return tuple(speak(seed + k, SPEECH_S).sound for k in range(count))
