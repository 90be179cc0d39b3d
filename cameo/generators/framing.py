"""Frame a face as a generator sees it: a square that follows the head slowly.

The renderer puts eyes at y = -0.20 and the mouth at y = 0.46 of a picture in -1..1, 0.66 apart, as far as the eyes are
from each other; real faces are framed alike, so that the base sees them where it expects them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from cameo.generators.base import Footage, Motion

if TYPE_CHECKING:
    from cameo.records import Bool, Clip, FaceTrack, Float32, Float64, UInt8

EYE_MOUTH = 0.66  # of the half extent
MIDDLE_Y = 0.13  # where the middle between eyes and mouth lies
FOLLOW_S = 0.5  # the frame follows the head this slowly
ZOOM_S = 2.0


def _filled(values: Float32, found: Bool) -> Float32:
    """Bridge frames without a face by straight lines, `[T, K]`."""
    at = np.flatnonzero(found)
    t = np.arange(len(values))
    return np.stack([np.interp(t, at, values[at, k]) for k in range(values.shape[1])], 1).astype(np.float32)


def follow_frames(points: Float32, fps: float) -> Float32:
    """Centre x, y and half extent `[T, 3]` in pixels of a frame that follows points `[T, 10, 2]`."""
    eyes, mouth = points[:, :2].mean(1), points[:, 3:5].mean(1)
    across = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
    length = np.maximum(across, np.linalg.norm(mouth - eyes, axis=1))
    half = np.median(length) / EYE_MOUTH * np.ones(len(points))
    drift = gaussian_filter1d(length, ZOOM_S * fps) / np.median(length)
    half = half * drift
    middle = gaussian_filter1d((eyes + mouth) / 2, FOLLOW_S * fps, axis=0)
    middle[:, 1] -= MIDDLE_Y * half
    return np.column_stack([middle, half]).astype(np.float32)


def cut_frame(frame: UInt8, place: Float32, size: int) -> UInt8:
    """Cut and scale one square, blurring first so that shrinking does not alias."""
    cx, cy, half = (float(v) for v in place)
    step = 2 * half / size
    if step > 1:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.4 * step), np.uint8)
    matrix = np.array([[step, 0, cx - half + step / 2 - 0.5], [0, step, cy - half + step / 2 - 0.5]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(frame, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def at_rate(times_s: Float64, fps: float) -> Tensor:
    """Indices of the frames nearest to a steady clock of `fps`."""
    clock = np.arange(times_s[0], times_s[-1] + 1e-6, 1 / fps)
    after = np.searchsorted(times_s, clock).clip(1, len(times_s) - 1)
    before = after - 1
    return torch.from_numpy(np.where(clock - times_s[before] <= times_s[after] - clock, before, after))


@dataclass(frozen=True, slots=True)
class Frame:
    """Say how a face is framed: `side_px` of the square, frames per second, `zoom` against the renderer's framing."""

    side_px: int
    fps: float
    zoom: float = 1.0


def frame_face(clip: Clip, track: FaceTrack, usable: Tensor, frame: Frame) -> Footage:
    """Cut a clip to `Footage`; `usable` `[T]` bool speaks of the clip's own frames."""
    found = np.asarray(track.found)
    points = _filled(track.points.reshape(len(found), -1), found).reshape(-1, 10, 2)
    eyes = _filled(track.eye_open[:, None], found)[:, 0]
    index = at_rate(clip.times_s, frame.fps)
    places = follow_frames(points[index], frame.fps)
    places[:, 2] /= frame.zoom
    frames = np.stack(
        [cut_frame(clip.frames[i], p, frame.side_px) for i, p in zip(index.tolist(), places, strict=True)]
    )
    inside = (points[index] - places[:, None, :2]) / places[:, None, 2:]
    motion = Motion(torch.from_numpy(inside.astype(np.float32)), torch.from_numpy(eyes[index].astype(np.float32)))
    return Footage(
        frames=torch.from_numpy(frames),
        motion=motion,
        usable=(usable & torch.from_numpy(found))[index],
        fps=frame.fps,
        sound=torch.from_numpy(clip.sound[max(0, round(float(clip.times_s[0]) * clip.rate_hz)) :]),
    )
