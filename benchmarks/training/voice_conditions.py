"""Make recordings worse on purpose: noise, babble, narrow bands, tilted spectra, rooms, coarse samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000


def _at_snr(samples: Float32, noise: Float32, snr_db: float) -> Float32:
    scale = np.float32(np.sqrt(np.mean(samples**2) / (np.mean(noise**2) + 1e-12) / 10 ** (snr_db / 10)))
    return samples + scale * noise


def coloured_noise(samples: Float32, rng: np.random.Generator) -> Float32:
    """Add noise between white and brown at 5 to 25 dB."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    shape = np.maximum(np.arange(len(spectrum)), 1.0) ** (-rng.uniform(0, 1))
    return _at_snr(samples, np.fft.irfft(spectrum * shape, len(samples)).astype(np.float32), rng.uniform(5, 25))


def narrow_band(samples: Float32, rng: np.random.Generator) -> Float32:
    """Keep a band: a telephone's, or a low or high limit."""
    low, high = ((300, 3400), (rng.uniform(60, 300), 7900), (30, rng.uniform(3000, 7000)))[rng.integers(3)]
    return sosfilt(butter(4, (low, high), "bandpass", fs=RATE_HZ, output="sos"), samples)


def tilt(samples: Float32, rng: np.random.Generator) -> Float32:
    """Bend the spectrum smoothly by up to 9 dB, as another microphone would."""
    spectrum = np.fft.rfft(samples)
    at = np.linspace(0, len(spectrum) - 1, 8)
    gain_db = np.interp(np.arange(len(spectrum)), at, rng.uniform(-9, 9, 8))
    return np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(samples)).astype(np.float32)


def room(samples: Float32, rng: np.random.Generator) -> Float32:
    """Play in a room of 0.15 to 0.6 s reverberation time, direct sound 0 to 10 dB above the echoes."""
    t60 = rng.uniform(0.15, 0.6)
    t = np.arange(int(t60 * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / t60)
    tail[: int(0.003 * RATE_HZ)] = 0
    tail *= np.sqrt(10 ** (-rng.uniform(0, 10) / 10) / np.sum(tail**2))
    tail[0] = 1
    return fftconvolve(samples, tail)[: len(samples)]


def coarse(samples: Float32, rng: np.random.Generator) -> Float32:
    """Quantise to 6 to 8 bits on a mu-law scale, as old telephony does."""
    levels = 2.0 ** rng.integers(5, 8)
    x = samples / (np.abs(samples).max() + 1e-9)
    squeezed = np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)
    squeezed = np.round(squeezed * levels) / levels
    return np.sign(squeezed) * np.expm1(np.abs(squeezed) * np.log(256)) / 255


CONDITIONS: dict[str, Callable[[Float32, np.random.Generator], Float32]] = {
    "noise": coloured_noise,
    "band": narrow_band,
    "tilt": tilt,
    "room": room,
    "coarse": coarse,
}


def degrade(samples: Float32, rng: np.random.Generator) -> Float32:
    """Apply one to three conditions in random order and a random level; peak at most 1."""
    for name in rng.choice(list(CONDITIONS), rng.integers(1, 4), replace=False):
        samples = CONDITIONS[str(name)](samples, rng)
    samples = samples / (np.abs(samples).max() + 1e-9) * rng.uniform(0.1, 0.95)
    return samples.astype(np.float32)
