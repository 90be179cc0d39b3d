"""Motion for a cast: from a seed, from a spoken sound, or borrowed from somebody else's recording.

A person's habits (`ReferenceIdentity.neutral`, `.habits`) say around which look they move and how; a seeded motion
stays within them, so that the references cover it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from cameo.generators.base import Motion
from cameo.generators.reference_net import FPS
from cameo.generators.warp import CHIN, LIP_BOTTOM, LIP_TOP, UPPER_SHARE

if TYPE_CHECKING:
    from cameo.generators.references import ReferenceIdentity
    from cameo.records import Float32, Float64

SWAY_S = 0.45  # heads drift over about this time
REACH = 1.8  # at most this many standard deviations from the neutral look
BLINK_EVERY_S, BLINK_S = 3.6, 0.09
SYLLABLE_HZ, PHRASE_S = 4.0, 2.2
CHIN_SHARE = 0.55  # how far the chin follows the lower lip


def wander(identity: ReferenceIdentity, frames: int, seed: int) -> Motion:
    """Sway, blink and mouth some syllables, all from the seed; `frames` at 25 a second."""
    random = np.random.default_rng(seed)
    t = np.arange(frames) / FPS
    phrase = gaussian_filter1d(random.standard_normal(frames + 200), PHRASE_S * FPS / 3)[100:-100]
    speaking = 1 / (1 + np.exp(-8 * phrase / (phrase.std() + 1e-9)))
    beat = np.cumsum(SYLLABLE_HZ * (1 + 0.25 * gaussian_filter1d(random.standard_normal(frames), 5) * 2) / FPS)
    loud = 0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t + random.uniform(0, 6.28))
    opening = speaking * loud * (0.5 - 0.5 * np.cos(2 * np.pi * beat))
    return _move(identity, opening, random)


def speak(identity: ReferenceIdentity, sound: Float32, rate_hz: int, frames: int, seed: int) -> Motion:
    """Sway and blink from the seed, open the mouth with the sound's envelope (`[N]` float32)."""
    return _move(identity, mouth_envelope(sound, rate_hz, frames), np.random.default_rng(seed))


def mouth_envelope(sound: Float32, rate_hz: int, frames: int) -> Float64:
    """Loudness per video frame, 0 silent .. 1 loud (95th percentile), compressed by a square root."""
    step = rate_hz / FPS
    padded = np.pad(np.asarray(sound, np.float64), (0, max(0, int(frames * step) + 1 - len(sound))))
    power = np.array([np.mean(padded[int(i * step) : int((i + 1) * step)] ** 2) for i in range(frames)])
    level = gaussian_filter1d(np.sqrt(power), 0.8)
    return np.sqrt((level / max(float(np.percentile(level, 95)), 1e-4)).clip(0, 1))


def borrow(identity: ReferenceIdentity, motion: Motion) -> Motion:
    """Carry another person's motion over: own neutral look plus their offsets, scaled to the size of the face."""
    own = identity.neutral[:20].view(10, 2)
    theirs = motion.points.mean(0)
    scale = _face_size(own) / _face_size(theirs)
    points = own + (motion.points - theirs) * scale
    gap = (motion.points[:, LIP_BOTTOM] - motion.points[:, LIP_TOP]).norm(dim=-1) / _face_size(theirs)
    points = _with_gap(points, gap * _face_size(own))
    eyes = motion.eye_open - motion.eye_open.median() + identity.neutral[20] / 0.4
    return Motion(points, eyes.clamp(0, 1))


def _face_size(points: Tensor) -> Tensor:
    eyes, mouth = points[:2].mean(0), points[3:5].mean(0)
    return torch.maximum((points[1] - points[0]).norm(), (mouth - eyes).norm())


def _with_gap(points: Tensor, gap: Tensor) -> Tensor:
    """Set the lips' parting `[T]` around where they meet; the points are otherwise kept."""
    points = points.clone()
    top, bottom = points[:, LIP_TOP, 1].clone(), points[:, LIP_BOTTOM, 1].clone()
    meet = top + UPPER_SHARE * (bottom - top)
    points[:, LIP_TOP, 1], points[:, LIP_BOTTOM, 1] = meet - UPPER_SHARE * gap, meet + (1 - UPPER_SHARE) * gap
    return points


def _smooth_noise(random: np.random.Generator, frames: int, seconds: float) -> Float64:
    """One slow curve of unit variance, `[T]`, bounded by `REACH`."""
    sigma = seconds * FPS
    noise = gaussian_filter1d(random.standard_normal(frames + int(8 * sigma)), sigma)[int(4 * sigma) :][:frames]
    return np.asarray(noise * np.sqrt(2 * sigma * np.sqrt(np.pi))).clip(-REACH, REACH)


def _move(identity: ReferenceIdentity, opening: Float64, random: np.random.Generator) -> Motion:
    frames = len(opening)
    amounts = np.stack([_smooth_noise(random, frames, SWAY_S) for _ in range(len(identity.habits))], 1)
    flat = identity.neutral + torch.from_numpy(amounts.astype(np.float32)) @ identity.habits
    points = flat[:, :20].view(frames, 10, 2)
    gaps = (identity.points[:, LIP_BOTTOM] - identity.points[:, LIP_TOP])[:, 1]
    closed, widest = float(gaps.quantile(0.05)), float(gaps.quantile(0.95))
    gap = closed + torch.from_numpy(opening.astype(np.float32)) * max(0.0, widest - closed)
    change = gap - (points[:, LIP_BOTTOM] - points[:, LIP_TOP])[:, 1]
    points = _with_gap(points, gap)
    points[:, CHIN, 1] += CHIN_SHARE * change
    eyes = torch.full((frames,), float(identity.eye_open.quantile(0.6)))
    at = random.uniform(0, BLINK_EVERY_S)
    while at < frames / FPS:
        eyes = eyes * (1 - torch.exp(-(((torch.arange(frames) / FPS - at) / BLINK_S) ** 2)))
        at += random.uniform(0.5, 1.5) * BLINK_EVERY_S
    return Motion(points, eyes)
