"""Somebody made by code who answers a challenge: formant digits, a pose track that turns, pictures that move."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

import numpy as np

from cameo.capture.challenge import Challenge, prompts
from cameo.records import Clip, FaceTrack, Speech
from cameo.synthetic.digits import say_digits
from tests.conftest import clip_of

RATE_HZ, FPS = 16_000, 25.0
NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
YAW_DEG = {"left": 24.0, "right": -24.0, "centre": 0.0}
_WORD_S = 0.75


@dataclass(frozen=True)
class Answering:
    """Hold a recording with its track and speech, ready to be judged."""

    clip: Clip
    track: FaceTrack
    speech: Speech


def fixed_challenge(steps: str = "4 left 7 1 right 9 centre left 0 2", nonce: str = "5eed" * 8) -> Challenge:
    asked = tuple(steps.split())
    end = NOW + datetime.timedelta(minutes=10)
    return Challenge(1, "cameo-challenge", nonce, NOW, end, 1.0, 2.0, asked)  # type: ignore[arg-type]


def answer(
    challenge: Challenge, seed: int = 1, said: Challenge | None = None, turned: Challenge | None = None
) -> Answering:
    """Answer a challenge; `said` and `turned` give other digits or turns than were asked for."""
    seconds = challenge.seconds + 0.5
    spoken_steps = [p for p in prompts(said or challenge) if p.step.isdigit()]
    starts_s = [p.start_s + 0.45 + 0.05 * (index % 4) for index, p in enumerate(spoken_steps)]
    spoken = say_digits(seed, [int(p.step) for p in spoken_steps], starts_s, seconds, FPS)
    sound = spoken.sound
    count = len(spoken.opening)
    yaw = np.zeros(count)
    for prompt in prompts(turned or challenge):
        if not prompt.step.isdigit():
            yaw[int((prompt.start_s + 0.4) * FPS) : int((prompt.end_s + 0.2) * FPS)] = YAW_DEG[prompt.step]
    yaw = np.convolve(np.pad(yaw, 6, "edge"), np.hanning(13) / np.hanning(13).sum(), "valid")
    yaw += 2 * np.sin(np.arange(count) / 17)
    parts = [sound[int(s * RATE_HZ) : int((s + _WORD_S) * RATE_HZ)] for s in starts_s]
    speech = Speech(np.concatenate(parts), np.array([[s, s + _WORD_S] for s in starts_s]))
    return Answering(clip_of(moving(count, seed), sound, FPS), track_of(yaw, spoken.opening), speech)


def moving(count: int, seed: int, size: int = 96) -> np.ndarray:
    """A bright blob that wanders over a ramp, with the noise of a camera, `[count, size, size, 3]`."""
    random = np.random.default_rng(seed)
    way = np.cumsum(random.normal(0, 1.2, (count, 2)), 0)
    way = size / 2 + (size / 4) * np.sin(way / 9)
    y, x = np.mgrid[:size, :size]
    frames = np.empty((count, size, size, 3), np.uint8)
    for k, (cx, cy) in enumerate(way):
        scene = 60 + 0.5 * x + 120 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 14**2))
        frames[k] = (scene[..., None] + random.normal(0, 2, (size, size, 1))).clip(0, 255)
    return frames


def track_of(yaw: np.ndarray, opening: np.ndarray, size: int = 96) -> FaceTrack:
    """What a tracker says of a head in the middle that turns and talks."""
    count = len(yaw)
    zeros, ones = np.zeros(count, np.float32), np.ones(count, np.float32)
    boxes = np.tile(np.array([0.3, 0.3, 0.4, 0.4], np.float32) * size, (count, 1))
    points = np.zeros((count, 10, 2), np.float32)
    mouth = (0.02 + 0.3 * opening + 0.02 * np.random.default_rng(0).standard_normal(count)).clip(0)
    return FaceTrack(
        boxes, points, ones, mouth.astype(np.float32), yaw.astype(np.float32), zeros, zeros,
        np.ones(count, np.int64), np.ones(count, bool),
    )  # fmt: skip


def with_sound(shown: Answering, sound: np.ndarray) -> Answering:
    return replace(shown, clip=replace(shown.clip, sound=sound.astype(np.float32)))


def with_frames(shown: Answering, frames: np.ndarray) -> Answering:
    return replace(shown, clip=replace(shown.clip, frames=frames))
