"""Judge the picture: one sharp, well lit, living face of enough size, in enough frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.capture.limits import (
    BRIGHTNESS,
    DYNAMIC_RANGE,
    FACE,
    FACE_SIZE,
    LENGTH,
    LIGHT,
    MOVEMENT,
    ONE_FACE,
    OVER_EXPOSED,
    POSE_SPREAD,
    SHARPNESS,
    UNDER_EXPOSED,
    USABLE,
    Rule,
)

if TYPE_CHECKING:
    from cameo.records import Bool, Check, Clip, FaceTrack, Float32, UInt8


_CROP_PX = 96
_WHITE, _BLACK = 247, 25  # Source: OFIQ 1.0, exposure
_BLURRED_SHARE = 0.1  # of the clip's best decile; a blur of 2 % of the face's width, measured on eight real clips
_TURNED_DEG = 60.0
# Mean change of a 64 x 64 face over 80 ms, in grey levels. Encoded photographs stay below, the stillest of eight
# real clips has 0.1 in its stillest tenth.
_MOVES_LEVELS = 0.06
_MOVES_S = 0.08
_MOVES_PX = 64


@dataclass(frozen=True, slots=True)
class FaceMeasures:
    """Hold what was measured on the face in each frame; NaN where no face was found.

    Attributes:
        eye_gap_px: `[T]` distance between the eyes in pixels of the kept frames, which is what all later steps see.
        sharpness: `[T]` variance of the Laplacian of the face scaled to 96 px, in grey levels squared.
        luminance: `[T]` mean, 0..1.
        white, black: `[T]` share of the face in 247..255 and in 0..25.
        range_bit: `[T]` entropy of the face's luminance, 0..8.
    """

    eye_gap_px: Float32
    sharpness: Float32
    luminance: Float32
    white: Float32
    black: Float32
    range_bit: Float32


def measure_faces(clip: Clip, track: FaceTrack) -> FaceMeasures:
    """Measure the main face in every frame."""
    rows = np.full((len(clip.frames), 6), np.nan, np.float32)
    for index in np.flatnonzero(track.found):
        points = track.points[index]
        rows[index, 0] = np.linalg.norm(points[1] - points[0])
        rows[index, 1:] = _measure(_crop(clip.frames[index], points))
    return FaceMeasures(*rows.T)


def judge_picture(clip: Clip, track: FaceTrack, faces: FaceMeasures, usable: Bool) -> list[Check]:
    """Run the picture's rules, the most telling first; without a face only those that need none."""
    second = float(np.mean(track.faces > 1)) if len(track.faces) else 0.0
    checks = [
        LENGTH.judge(clip.used_s),
        LIGHT.judge(_luminance(clip.frames)),
        FACE.judge(100 * float(np.mean(track.found)) if len(track.found) else 0.0),
        ONE_FACE.judge(100 * second),
    ]
    if not track.found.any():
        return checks
    yaw = track.yaw_deg[track.found]
    return [
        *checks,
        MOVEMENT.judge(100 * _moving_share(clip, track)),
        FACE_SIZE.judge(_middle(faces.eye_gap_px)),
        OVER_EXPOSED.judge(100 * _middle(faces.white)),
        UNDER_EXPOSED.judge(100 * _middle(faces.black)),
        BRIGHTNESS.judge(_middle(faces.luminance)),
        SHARPNESS.judge(_middle(faces.sharpness)),
        DYNAMIC_RANGE.judge(_middle(faces.range_bit)),
        POSE_SPREAD.judge(float(np.subtract(*np.nanpercentile(yaw, [97.5, 2.5])))),
        USABLE.judge(int(usable.sum())),
    ]


def score_frames(track: FaceTrack, faces: FaceMeasures) -> tuple[Float32, tuple[str, ...]]:
    """Score each frame 0..1 and say why a frame must not be used.

    Sharpness relative to the clip's best decile, times cos² of yaw and pitch, times exposure; closed eyes count half.
    Source: OFIQ 1.0 for the pose term; the product is chosen.
    """
    best = np.nanpercentile(faces.sharpness, 90) if track.found.any() else 1.0
    sharpness = np.clip(faces.sharpness / max(float(best), 1e-6), 0, 1)
    pose = (np.cos(np.radians(track.yaw_deg)) * np.cos(np.radians(track.pitch_deg))) ** 2
    exposure = (1 - faces.white) * (1 - faces.black)
    scores = np.sqrt(sharpness) * pose * exposure * (0.5 + 0.5 * np.clip(track.eye_open, 0, 1))
    # The first reason that applies is given: bad light also looks like blur, so it comes first.
    tests = (
        ("no face", ~track.found),
        ("a second face", track.faces > 1),
        ("too small", _fails(FACE_SIZE, faces.eye_gap_px)),
        ("over-exposed", _fails(OVER_EXPOSED, 100 * faces.white)),
        ("too dark", _fails(UNDER_EXPOSED, 100 * faces.black) | _fails(BRIGHTNESS, faces.luminance)),
        ("blurred", _fails(SHARPNESS, faces.sharpness) | (sharpness < _BLURRED_SHARE)),
        ("turned away", np.abs(track.yaw_deg) > _TURNED_DEG),
    )
    reasons = tuple(next((why for why, mask in tests if mask[i]), "") for i in range(len(track.found)))
    usable = np.array([not why for why in reasons], bool)
    return np.where(usable, np.nan_to_num(scores), 0).astype(np.float32), reasons


def _fails(rule: Rule, values: Float32) -> Bool:
    """Where `values` are beyond the rule's failing limit."""
    limit = rule.fail if rule.fail is not None else rule.warn
    return ~(values >= limit) if rule.sense == "at least" else ~(values <= limit)


def _luminance(frames: UInt8) -> float:
    """Median over the clip of a picture's mean, 0..1; every eighth row and column is enough."""
    return float(np.median(frames[:, ::8, ::8].mean((1, 2, 3)))) / 255 if len(frames) else 0.0


def _middle(values: Float32) -> float:
    return float(np.nanmedian(values))


def _face_square(points: Float32) -> tuple[float, float, float]:
    """Centre and side of a square from brow to chin; eyes and mouth set its size, so that a turn does not."""
    eyes, mouth = points[:2].mean(0), points[3:5].mean(0)
    side = 2.4 * max(float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(mouth - eyes)))
    return float((eyes + mouth)[0] / 2), float((eyes + mouth)[1] / 2), max(side, 2.0)


def _crop(image: UInt8, points: Float32, size: int = _CROP_PX) -> UInt8:
    """Cut the face out as `[size, size]` luminance, area filtered; at the border it is cut short."""
    x, y, side = _face_square(points)
    height, width = image.shape[:2]
    left, right = (int(np.clip(x + s * side / 2, 0, width)) for s in (-1, 1))
    top, bottom = (int(np.clip(y + s * side / 2, 0, height)) for s in (-1, 1))
    if right - left < 2 or bottom - top < 2:
        return np.zeros((size, size), np.uint8)
    grey = cv2.cvtColor(np.ascontiguousarray(image[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _measure(face: UInt8) -> tuple[float, float, float, float, float]:
    """Sharpness, luminance, white, black and range of a `[96, 96]` uint8 face."""
    shares = np.bincount(face.ravel(), minlength=256) / face.size
    seen = shares[shares > 0]
    sharpness = float(cv2.Laplacian(face.astype(np.float32), cv2.CV_32F).var())
    white, black = float(shares[_WHITE:].sum()), float(shares[: _BLACK + 1].sum())
    return sharpness, float(face.mean()) / 255, white, black, float(-(seen * np.log2(seen)).sum())


def _moving_share(clip: Clip, track: FaceTrack) -> float:
    """Share of steps of about 80 ms in which the face, at its usual place, changes at all."""
    usual = np.nanmedian(track.points[track.found], axis=0).astype(np.float32)
    every = max(1, round(_MOVES_S / float(np.median(np.diff(clip.times_s))))) if len(clip.times_s) > 1 else 1
    faces = [_crop(frame, usual, _MOVES_PX).astype(np.float32) for frame in clip.frames[::every]]
    steps = [float(np.abs(b - a).mean()) for a, b in zip(faces, faces[1:], strict=False)]
    return float(np.mean(np.array(steps) > _MOVES_LEVELS)) if steps else 0.0
