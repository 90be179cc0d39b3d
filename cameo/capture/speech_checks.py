"""Judge the sound: enough speech, loud enough, not clipped, well over the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.room import halves_alike, reverberation_s
from cameo.capture.sound_limits import BANDWIDTH, CLIPPING, NOISE, ONE_VOICE, REVERBERATION, SOUND, SPEECH

if TYPE_CHECKING:
    from cameo.records import Bool, Check, Clip, Float32, Float64, Speech


SILENT_DB = -120.0  # what nothing but zeros measures
_CLIPPED = 0.99
_FRAME, _HOP = 400, 160  # 25 ms and 10 ms at 16 kHz
_CAP_DB = 60.0
_SPECTRUM = 512
_BAND_DB = 50.0  # below the loudest band; what lies lower is coding noise


def judge_sound(clip: Clip, speech: Speech) -> list[Check]:
    """Run the sound's rules, the most telling first; without speech only those that need none."""
    checks = [SOUND.judge(peak_level_db(clip.sound)), SPEECH.judge(speech.seconds)]
    if len(clip.sound) < _FRAME or speech.seconds == 0:
        return checks
    return [
        *checks,
        NOISE.judge(speech_over_noise_db(speech.samples)),
        CLIPPING.judge(100 * clipped_share(clip.sound)),
        BANDWIDTH.judge(bandwidth_hz(speech.samples, speech.rate_hz)),
        *([REVERBERATION.judge(fading)] if (fading := reverberation_s(clip.sound)) is not None else []),
    ]


def judge_voices(windows: Float32) -> list[Check]:
    """Judge whether one voice speaks, from `[K, D]` unit rows of a voice encoder; nothing where there are too few."""
    alike = halves_alike(windows)
    return [] if alike is None else [ONE_VOICE.judge(alike)]


def peak_level_db(sound: Float32) -> float:
    """Level of the loudest 25 ms, in dB below a full-scale square wave."""
    if len(sound) < _FRAME:
        return SILENT_DB
    return max(SILENT_DB, 10 * float(np.log10(_energies(sound).max() + 1e-12)))


def speech_over_noise_db(sound: Float32) -> float:
    """Estimate how far speech lies over the noise in it, in dB, at most 60.

    Frames are split at the geometric mean of their 10th and 95th percentile of energy, and the quiet part is taken
    for the noise. The gate asks it of the speech alone, with the short pauses the detector leaves in: what is heard
    before and after never reaches the voice template. Good to 2 dB from 0 to 15 dB, saturates near 15 dB.
    Source: benchmarks/noise_estimate.py.

    Args:
        sound: `[N]` float32 mono at 16 kHz, at least 25 ms.
    """
    energy = _energies(sound) + 1e-12
    split = np.sqrt(np.percentile(energy, 10) * np.percentile(energy, 95))
    loud, quiet = energy[energy > split], energy[energy <= split]
    if not len(loud) or not len(quiet):
        return 0.0
    signal = max(float(loud.mean() - quiet.mean()), 1e-12)
    return min(_CAP_DB, 10 * float(np.log10(signal / quiet.mean())))


def clipped_share(sound: Float32) -> float:
    """Share of samples within runs of three or more at full scale, 0..1."""
    full: Bool = np.abs(sound) >= _CLIPPED
    middle = full[:-2] & full[1:-1] & full[2:]
    run = np.zeros(len(sound), bool)
    for shift in range(3):
        run[shift : len(run) - 2 + shift] |= middle
    return float(run.mean()) if len(sound) >= 3 else 0.0


def bandwidth_hz(samples: Float32, rate_hz: int) -> float:
    """Highest frequency at which the mean spectrum is within 50 dB of its peak."""
    if len(samples) < _SPECTRUM:
        return 0.0
    blocks = np.lib.stride_tricks.sliding_window_view(samples, _SPECTRUM)[:: _SPECTRUM // 2]
    power = (np.abs(np.fft.rfft(blocks * np.hanning(_SPECTRUM))) ** 2).mean(0)
    above = np.flatnonzero(power > power.max() * 10 ** (-_BAND_DB / 10))
    return float(above[-1] * rate_hz / _SPECTRUM)


def _energies(sound: Float32) -> Float64:
    """Mean square of every 25 ms frame, each 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
    return np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / _FRAME
