"""Voices made by code: a train of pulses through three formants, one vocal tract and pitch per speaker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000
# First three formants of five vowels, Hz. Source: G. E. Peterson and H. L. Barney, "Control methods used in a study of
# the vowels", 1952, means of the men.
VOWELS = ((270, 2290, 3010), (530, 1840, 2480), (730, 1090, 2440), (570, 840, 2410), (300, 870, 2240))


def speak(speaker: int, sentence: int, seconds: float = 6.0) -> Float32:
    """Let one of many speakers say one of many sentences: `[N]` float32 at 16 kHz, peak 0.5."""
    who, what = np.random.default_rng(speaker), np.random.default_rng(1000 + 100 * speaker + sentence)
    pitch_hz, tract, breath = who.uniform(90, 240), who.uniform(0.82, 1.2), who.uniform(0.01, 0.05)
    shift = who.uniform(0.9, 1.1, 3)
    parts: list[np.ndarray] = []
    while sum(len(part) for part in parts) < seconds * RATE_HZ:
        n = int(what.uniform(0.12, 0.3) * RATE_HZ)
        bend = 1 + 0.12 * np.sin(np.linspace(0, np.pi * what.uniform(0.5, 2), n) + what.uniform(0, 6))
        phase = np.cumsum(pitch_hz * bend / RATE_HZ)
        source = (np.diff(np.floor(phase), prepend=0) > 0).astype(float) + breath * what.standard_normal(n)
        sound = lfilter([1], [1, -0.95], source)
        for formant_hz, moved, width_hz in zip(VOWELS[what.integers(5)], shift, (60, 90, 150), strict=True):
            r, angle = np.exp(-np.pi * width_hz / RATE_HZ), 2 * np.pi * formant_hz * tract * moved / RATE_HZ
            sound = lfilter([1 - r], [1, -2 * r * np.cos(angle), r * r], sound)
        parts.append(sound * np.hanning(n))
    joined = np.concatenate(parts)[: int(seconds * RATE_HZ)]
    return (0.5 * joined / np.abs(joined).max()).astype(np.float32)
