"""Record people who do not exist as they answer a challenge: they look where they are told, and their lips follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from cameo.synthetic.selfie import FPS, Selfie, act, film

if TYPE_CHECKING:
    from cameo.records import Float64
    from cameo.synthetic.voice import Spoken

SIZE = 160
_TURN_SIGMA_S = 0.18  # a head takes about half a second to turn
_CALM = 0.25  # of the turns that people make when nobody asks


def render_answer(
    seed: int, spoken: Spoken, looks: Sequence[tuple[float, float, float]], fps: float = FPS, size: int = SIZE
) -> Selfie:
    """Film the person of `seed` while they say `spoken` and look where they are told.

    Args:
        seed: who it is, as in `render_selfie`.
        spoken: the sound, and the opening of the lips at `fps`.
        looks: start and end in seconds, and degrees the head is turned; positive to the picture's right, which is
            the person's own left.
        fps: pictures per second.
        size: height in pixels.
    """
    motion = act(seed, spoken.opening, fps)
    told = gaussian_filter1d(_told(looks, len(spoken.opening), fps), _TURN_SIGMA_S * fps)
    yaw = _CALM * motion.yaw + torch.tensor(np.radians(told), dtype=torch.float32)[None]
    motion = replace(motion, yaw=yaw, dx=-0.1 * yaw, roll=0.1 * yaw, gaze=(2.5 * yaw).clamp(-0.9, 0.9))
    return Selfie(film(seed, motion, size), spoken.sound, fps)


def _told(looks: Sequence[tuple[float, float, float]], count: int, fps: float) -> Float64:
    track = np.zeros(count)
    for start_s, end_s, degrees in looks:
        track[round(start_s * fps) : round(end_s * fps)] = degrees
    return track
