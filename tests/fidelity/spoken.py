"""Sound for tests: voices made by code, as files and as the sound of clips."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from cameo.media import write_mp4
from cameo.synthetic.voice import speak
from tests.fidelity.conftest import frame

RATE_HZ, FPS = 16_000, 8


@cache
def voice(seed: int, seconds: float, take: int = 0) -> np.ndarray:
    return speak(seed, seconds, take=take).sound


def write_wav(path: Path, sound: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, RATE_HZ, sound)
    return path


def write_talk(path: Path, seed: int, sound: np.ndarray) -> Path:
    """Write a clip of somebody of `conftest.frame` with this sound, as long as it lasts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = max(2, round(len(sound) / RATE_HZ * FPS))
    write_mp4(path, np.stack([frame(seed, 3 + k % 3, 4, 160) for k in range(count)]), FPS, sound)
    return path
