"""Take speech apart into pitch, spectral envelope and breath, and put it together again.

Source: M. Morise, F. Yokomori and K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications", 2016, through the package pyworld-prebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyworld
from scipy.signal import butter, sosfiltfilt

from cameo.generators.base import RATE_HZ

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, Float64

STEP_MS = 5.0
CEPSTRA = 32  # of the envelope on the mel scale; fewer blur the formants of high voices
PITCH_HZ = (65.0, 450.0)  # where it is looked for; below lies the hum of the mains
_FFT = 1024  # as WORLD chooses for 16 kHz
_LOUD_DB = 35.0  # frames within this range of the loudest count as speech


@dataclass(frozen=True, slots=True)
class VocoderFrames:
    """Describe speech every 5 ms, T times.

    Attributes:
        pitch_hz: `[T]`, 0 where nothing vibrates.
        cepstra: `[T, 32]` of the natural logarithm of the power envelope on the mel scale; the first is the level.
        breath: `[T, 1]` share of noise in the sound, in dB, at most 0.
    """

    pitch_hz: Float64
    cepstra: Float64
    breath: Float64

    @property
    def voiced(self) -> Bool:
        """Whether there is pitch, `[T]`."""
        return self.pitch_hz > 0

    @property
    def loudness_db(self) -> Float64:
        """Power of the envelope, `[T]`."""
        power = pyworld.decode_spectral_envelope(np.ascontiguousarray(self.cepstra), RATE_HZ, _FFT).sum(1)
        return np.asarray(10 * np.log10(power + 1e-12))

    @property
    def loud(self) -> Bool:
        """Whether there is speech at all, `[T]`: within 35 dB of the 95th percentile of the loudness."""
        return np.asarray(self.loudness_db > np.percentile(self.loudness_db, 95) - _LOUD_DB)

    def as_loud_as(self, other: VocoderFrames) -> VocoderFrames:
        """Give every frame the loudness it has in `other`."""
        cepstra = self.cepstra.copy()
        cepstra[:, 0] += (other.loudness_db - self.loudness_db) * _level_of_a_db()
        return replace(self, cepstra=cepstra)


def take_apart(sound: Float32) -> VocoderFrames:
    """Analyse `[N]` float32 mono at 16 kHz; deterministic."""
    clean = np.ascontiguousarray(sosfiltfilt(_without_hum(), np.asarray(sound, np.float64)))
    pitch_hz, times_s = pyworld.harvest(clean, RATE_HZ, f0_floor=PITCH_HZ[0], f0_ceil=PITCH_HZ[1], frame_period=STEP_MS)
    envelope = pyworld.cheaptrick(clean, pitch_hz, times_s, RATE_HZ, fft_size=_FFT)
    noise = pyworld.d4c(clean, pitch_hz, times_s, RATE_HZ, fft_size=_FFT)
    return VocoderFrames(
        pitch_hz,
        pyworld.code_spectral_envelope(envelope, RATE_HZ, CEPSTRA),
        pyworld.code_aperiodicity(noise, RATE_HZ),
    )


def put_together(frames: VocoderFrames, samples: int) -> Float32:
    """Synthesise `[samples]` float32 mono at 16 kHz."""
    envelope = pyworld.decode_spectral_envelope(np.ascontiguousarray(frames.cepstra), RATE_HZ, _FFT)
    noise = pyworld.decode_aperiodicity(np.ascontiguousarray(frames.breath), RATE_HZ, _FFT)
    made = pyworld.synthesize(np.ascontiguousarray(frames.pitch_hz), envelope, noise, RATE_HZ, STEP_MS)
    made = np.pad(made, (0, max(0, samples - len(made))))[:samples]
    return np.asarray(made, np.float32)


@cache
def _level_of_a_db() -> float:
    """By how much the first of the cepstra rises when the envelope is one dB louder; the coding is linear in dB."""
    louder = np.full((1, _FFT // 2 + 1), 10**0.1)
    return float(pyworld.code_spectral_envelope(louder, RATE_HZ, CEPSTRA)[0, 0])


@cache
def _without_hum() -> Any:
    """A high pass at 60 Hz: pitch is not looked for below."""
    return butter(4, 60, "highpass", fs=RATE_HZ, output="sos")
