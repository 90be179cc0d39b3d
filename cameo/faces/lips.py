"""Compare the opening of the mouth with the level of the speech: do they belong together, and at this time?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cameo.records import Bool, Clip, FaceTrack, Float64, Speech

LAG_S = 0.16  # sound and picture of a phone may be apart by this much
_APART_S = 0.8  # shifts that are counted as wrong
_SLOW_S = 3.0  # slower changes are the camera's or the mood's
LEAST_S = 4.0
LEAST_SPEECH_S, _LEAST_SEEN = 2.0, 0.6
_TURNED_DEG = 30.0  # the mouth is not measured well beyond


@dataclass(frozen=True, slots=True)
class LipSync:
    """Say how mouth and sound go together.

    Attributes:
        agreement: their correlation at the best of the small lags, -1..1.
        chance: share of wrong shifts of the sound that agree as well: the significance of the agreement, 0..1.
        best_s: the shift of the sound that agrees best, in seconds; near 0 when nothing was moved.
        best_agreement: the correlation there.
    """

    agreement: float
    chance: float
    best_s: float
    best_agreement: float


def compare_lips(clip: Clip, track: FaceTrack, speech: Speech, least_s: float = LEAST_S) -> LipSync | None:
    """Correlate the mouth with the envelope at all circular shifts; None when there is too little of either.

    A generated clip may be shorter than a recording that is weighed as evidence: `least_s` says how short.

    The shifts are the test's permutations: they keep the rhythm of both and break only what ties them together.
    Source: circular-shift surrogates, as used for lip and sound by J. S. Chung and A. Zisserman, "Out of time", 2016,
    who learn the features that are measured here.
    """
    times_s = clip.times_s
    seen = track.found & np.isfinite(track.mouth_open) & (np.abs(np.nan_to_num(track.yaw_deg)) < _TURNED_DEG)
    length_s = float(times_s[-1] - times_s[0]) if len(times_s) > 1 else 0.0
    if length_s < least_s or speech.seconds < LEAST_SPEECH_S or seen.mean() < _LEAST_SEEN:
        return None
    fps = (len(times_s) - 1) / length_s
    mouth = _levelled(np.interp(times_s, times_s[seen], track.mouth_open[seen]), fps)
    sound = _levelled(envelope(clip, times_s), fps)
    agreement = _shifted_correlations(mouth, sound, seen)
    if agreement is None:
        return None
    count, reach = len(agreement), round(LAG_S * fps)
    # The same liberty for right and wrong shifts: the best within the small lags.
    widened = np.max([np.roll(agreement, lag) for lag in range(-reach, reach + 1)], axis=0)
    offset = np.minimum(np.arange(count), count - np.arange(count))
    wrong = widened[offset >= _APART_S * fps]
    if not len(wrong):
        return None
    chance = float((1 + (wrong >= widened[0]).sum()) / (1 + len(wrong)))
    best = int(np.argmax(agreement))
    shift_s = (best if best <= count // 2 else best - count) / fps
    return LipSync(float(widened[0]), chance, float(shift_s), float(agreement[best]))


def envelope(clip: Clip, times_s: Float64) -> Float64:
    """Level of the sound around each of `times_s`, square root of the amplitude over 60 ms."""
    step = clip.rate_hz // 100
    usable = len(clip.sound) // step * step
    if not usable:
        return np.zeros(len(times_s))
    level = np.sqrt(np.square(clip.sound[:usable].astype(np.float64)).reshape(-1, step).mean(1))
    level = np.convolve(level, np.hanning(9)[1:-1] / np.hanning(9).sum(), "same")
    level = np.sqrt(level / (np.percentile(level, 95) + 1e-9))
    return np.interp(times_s, (np.arange(len(level)) + 0.5) / 100, level, right=0.0)


def _levelled(track: Float64, fps: float) -> Float64:
    """Take out what changes slowly."""
    width = min(len(track), round(_SLOW_S * fps)) | 1
    padded = np.pad(track, width // 2, "edge")
    return track - np.convolve(padded, np.ones(width) / width, "valid")[: len(track)]


def _shifted_correlations(mouth: Float64, sound: Float64, seen: Bool) -> Float64 | None:
    """Correlation over the frames `seen` with the sound moved by 0..T-1 frames, circularly; None without movement."""
    weight = seen.astype(np.float64)
    mouth = (mouth - mouth[seen].mean()) * weight
    turned = np.conj(np.fft.rfft(mouth))
    masks = np.conj(np.fft.rfft(weight))
    spectrum, count = np.fft.rfft(sound), len(sound)
    cross = np.fft.irfft(np.conj(turned * spectrum), count)
    total = np.fft.irfft(np.conj(masks * spectrum), count)
    squares = np.fft.irfft(np.conj(masks * np.fft.rfft(sound**2)), count)
    spread = squares - total**2 / weight.sum()
    power = float((mouth**2).sum())
    if power < 1e-9 or float(spread.max()) < 1e-9:
        return None
    return np.asarray(cross / np.sqrt(power * np.maximum(spread, 1e-3 * spread.max())))
