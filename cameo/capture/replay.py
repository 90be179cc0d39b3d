"""Look for signs of a recording that is played to the camera or edited: frozen or looped pictures, cuts, a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

if TYPE_CHECKING:
    from cameo.records import Bool, Clip, FaceTrack, Float32, UInt8

_SMALL = 16  # pixels of the pictures that are compared
_STILL = 0.06  # grey levels between frames below which nothing moved; the gate's limit for a photograph
_APART_S, _REPEATED_S = 1.5, 1.0  # how far apart and how long a repetition must be
_SAME = 0.5  # of the change from frame to frame: closer than neighbours are is a copy
_CUT, _CUT_LEVELS = 8.0, 12.0  # times the usual change, and grey levels
_SPECTRA = 12  # frames whose spectra are averaged
_FINE = 0.12  # cycles per pixel: coarser patterns are the scene's
_AXIS = 3  # bins beside the axes: there the blocks of the codec show
_EDGE_LEVELS = 12.0


@dataclass(frozen=True, slots=True)
class PlaybackSigns:
    """Hold what was measured.

    Attributes:
        frozen_s: the longest time in which no pixel moves.
        repeated_s: the longest stretch that is shown again later, forwards or backwards.
        repeated_after_s: how much later; 0 when nothing is repeated.
        jump: the largest change from one frame to the next against the usual one, 0 when it is too small to be a cut.
        jump_at_s: when.
        pattern: strength of the finest regular pattern against its surroundings in the spectrum, a ratio.
        frame_share: how much of the picture's height or width straight edges on both sides of the face run along, 0..1.
    """

    frozen_s: float
    repeated_s: float
    repeated_after_s: float
    jump: float
    jump_at_s: float
    pattern: float
    frame_share: float


def find_playback_signs(clip: Clip, track: FaceTrack) -> PlaybackSigns:
    """Measure all signs on `clip`."""
    small = _shrunk(clip.frames)
    if len(small) < 3:
        return PlaybackSigns(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    step_s = float(np.median(np.diff(clip.times_s)))
    change = np.sqrt(np.square(small[1:] - small[:-1]).mean(1))
    fine_change = _fine_change(clip.frames)
    frozen_s = _longest(fine_change < _STILL) * step_s
    repeated, lag = _repetition(small, change, step_s)
    at = int(np.argmax(change))
    usual = float(np.percentile(change, 90)) + 1e-6
    jump = float(change[at]) / usual if change[at] >= _CUT_LEVELS else 0.0
    edges = _frame_share(clip.frames, track)
    return PlaybackSigns(
        frozen_s, repeated * step_s, lag * step_s, jump, float(clip.times_s[at + 1]), _pattern(clip.frames), edges
    )


def is_cut(signs: PlaybackSigns) -> bool:
    """Whether one frame and the next belong to two recordings."""
    return signs.jump >= _CUT


def is_repeated(signs: PlaybackSigns) -> bool:
    """Whether a stretch is shown twice."""
    return signs.repeated_s >= _REPEATED_S


def _shrunk(frames: UInt8) -> Float32:
    """Grey pictures `[T, 16 * 16]`."""
    shrunk = [cv2.resize(frame, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA) for frame in frames]
    return np.stack(shrunk).astype(np.float32).mean(3).reshape(len(frames), -1)


def _fine_change(frames: UInt8) -> Float32:
    """Mean change `[T - 1]` of pictures of 64 pixels, in grey levels."""
    shrunk = [cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32).mean(2) for frame in frames]
    return np.array([np.abs(b - a).mean() for a, b in zip(shrunk, shrunk[1:], strict=False)], np.float32)


def _longest(flags: Bool) -> int:
    """Length of the longest run of True."""
    padded = np.concatenate([[False], flags, [False]]).astype(np.int8)
    starts, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    return int((ends - starts).max()) if len(starts) else 0


def _repetition(small: Float32, change: Float32, step_s: float) -> tuple[int, int]:
    """Find the longest repeated stretch and how much later it comes, in frames.

    A frame is a copy of a later one when they differ by less than half of what neighbouring frames differ by, and
    something moves: nobody comes back to a pose, with the noise of the camera, a second long.
    """
    count = len(small)
    moving = uniform_filter1d(np.append(change, change[-1]), 9)
    squares = np.square(small).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * small @ small.T, 0) / small.shape[1])
    copy = (apart < _SAME * np.minimum(moving[:, None], moving[None])) & (moving > 3 * _STILL)[:, None]
    least, best = round(_APART_S / step_s), (0, 0)
    for lag in range(least, count):
        best = max(best, (_longest(np.diagonal(copy, lag)), lag), key=_length)
    backwards = copy[:, ::-1]
    for offset in range(-count + 1, count):
        place = np.diagonal(backwards, offset)
        first = max(0, -offset) + np.arange(len(place))
        second = count - 1 - (max(0, offset) + np.arange(len(place)))
        run = _longest(place & (second - first >= least))
        best = max(best, (run, least), key=_length)
    return best if best[0] else (0, 0)


def _length(found: tuple[int, int]) -> int:
    return found[0]


def _pattern(frames: UInt8) -> float:
    """Find the strongest narrow peak of the averaged spectrum: moiré of a screen shows there, so do some clothes."""
    chosen = frames[np.linspace(0, len(frames) - 1, min(_SPECTRA, len(frames))).astype(int)]
    height, width = chosen.shape[1:3]
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.zeros((height, width // 2 + 1))
    for frame in chosen:
        grey = frame.astype(np.float64).mean(2)
        power += np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2
    around = median_filter(power, 11, mode="wrap") * 1.45  # the mean of an exponential over its median
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fine = (np.hypot(down, across) >= _FINE) & (np.hypot(down, across) < 0.5)
    fine &= (np.abs(down) * height > _AXIS) & (across * width > _AXIS)
    # Quantisation leaves a floor: what lies below a level of noise of 0.3 is no pattern.
    floor = len(chosen) * 0.3**2 * float((window**2).sum())
    return float((power / np.maximum(around, floor))[fine].max())


def _frame_share(frames: UInt8, track: FaceTrack) -> float:
    """How far straight still edges run on both sides of the face: those of a phone or a sheet of paper, or a door's."""
    if not track.found.any():
        return 0.0
    chosen = frames[np.linspace(0, len(frames) - 1, min(_SPECTRA, len(frames))).astype(int)]
    grey = np.median(chosen.astype(np.float32).mean(3), 0)
    x, y, w, h = np.nanmedian(track.boxes[track.found], 0)
    sideways = _lines(grey, float(x), float(x + w))
    upright = _lines(grey.T, float(y), float(y + h))
    return max(sideways, upright)


def _lines(grey: Float32, low: float, high: float) -> float:
    """Share of rows with an edge in one column left of `low` and in one right of `high`; the lesser of the two."""
    steep: Bool = np.abs(np.diff(grey, axis=1)) > _EDGE_LEVELS
    near = steep[:, :-1] | steep[:, 1:]  # a line may lean by a pixel
    share = near.mean(0)
    left, right = share[2 : max(2, int(low))], share[int(high) : -2]
    return float(min(left.max(), right.max())) if len(left) and len(right) else 0.0
