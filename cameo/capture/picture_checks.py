"""Judge the picture: one sharp, well lit, living face of enough size, in enough frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.capture import picture_limits as limits
from cameo.capture.artefacts import blockiness, directional_detail, smeared_share
from cameo.capture.face_regions import measure_regions

if TYPE_CHECKING:
    from cameo.capture.rule import Rule
    from cameo.records import Bool, Check, Clip, FaceTrack, Float32, UInt8


_CROP_PX = 96
_WHITE, _BLACK = 247, 25  # Source: OFIQ 1.0, exposure
_BLURRED_SHARE = 0.1  # of the clip's best decile; a blur of 2 % of the face's width, measured on eight real clips
_TURNED_DEG, _FRONTAL_DEG = 60.0, 15.0
_CLOSED = 0.2  # Source: OFIQ 1.0, mouth closed: where its score is half
_WIDEST = 95.0  # percentile of the opening of the eyes: one person's open eyes are another's half closed ones
_TOLD = 0.3  # of the widest opening of the eyes; in three of eight real clips of narrow eyes or dark light it is less
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
        detail: `[T, 4]` detail along four directions, in grey levels squared.
    """

    eye_gap_px: Float32
    sharpness: Float32
    luminance: Float32
    white: Float32
    black: Float32
    range_bit: Float32
    detail: Float32


def measure_faces(frames: UInt8, track: FaceTrack) -> FaceMeasures:
    """Measure the main face in each of `[T, H, W, 3]` RGB frames."""
    rows = np.full((len(frames), 6), np.nan, np.float32)
    detail = np.full((len(frames), 4), np.nan, np.float32)
    for index in np.flatnonzero(track.found):
        points = track.points[index]
        face = _crop(frames[index], points)
        rows[index] = float(np.linalg.norm(points[1] - points[0])), *_measure(face)
        detail[index] = directional_detail(face)
    gap, sharpness, luminance, white, black, range_bit = rows.T
    return FaceMeasures(gap, sharpness, luminance, white, black, range_bit, detail)


def judge_picture(clip: Clip, track: FaceTrack, faces: FaceMeasures, usable: Bool) -> list[Check]:
    """Run the picture's rules, the most telling first; without a face only those that need none."""
    second = float(np.mean(track.faces > 1)) if len(track.faces) else 0.0
    checks = [
        limits.LENGTH.judge(clip.used_s),
        limits.LIGHT.judge(picture_luminance(clip.frames)),
        limits.FACE.judge(100 * float(np.mean(track.found)) if len(track.found) else 0.0),
        limits.ONE_FACE.judge(100 * second),
    ]
    if not track.found.any():
        return checks
    yaw = track.yaw_deg[track.found]
    return [
        *checks,
        limits.MOVEMENT.judge(100 * _moving_share(clip, track)),
        limits.FACE_SIZE.judge(_middle(faces.eye_gap_px)),
        limits.OVER_EXPOSED.judge(100 * _middle(faces.white)),
        limits.UNDER_EXPOSED.judge(100 * _middle(faces.black)),
        limits.BRIGHTNESS.judge(_middle(faces.luminance)),
        limits.SHARPNESS.judge(_middle(faces.sharpness)),
        limits.DYNAMIC_RANGE.judge(_middle(faces.range_bit)),
        limits.POSE_SPREAD.judge(float(np.subtract(*np.nanpercentile(yaw, [97.5, 2.5])))),
        limits.USABLE.judge(int(usable.sum())),
        limits.BRIGHT.judge(_middle(faces.luminance)),
        *_judge_pose(track),
        *_judge_parts(clip, track),
        limits.MOTION_BLUR.judge(100 * smeared_share(faces.detail)),
        *([limits.COMPRESSION.judge(blocks)] if (blocks := blockiness(clip)) is not None else []),
    ]


def _judge_pose(track: FaceTrack) -> list[Check]:
    """Judge how the head is held."""
    found = track.found
    return [
        limits.FRONTAL.judge(100 * float(np.mean(np.abs(track.yaw_deg[found]) <= _FRONTAL_DEG))),
        limits.PITCH.judge(abs(_middle(track.pitch_deg))),
        limits.ROLL.judge(abs(_middle(track.roll_deg))),
    ]


def _judge_parts(clip: Clip, track: FaceTrack) -> list[Check]:
    """Judge light, eyes and mouth; whether eyes are open is left out where even the widest look half closed.

    The landmarks tell narrow eyes badly from closed ones, so eyes are only compared with themselves.
    """
    regions = measure_regions(clip, track)
    points, eyes, lips = (values[track.found] for values in (track.points, track.eye_open, track.mouth_open))
    told = float(np.percentile(eyes, _WIDEST)) >= _TOLD
    gap = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
    length = np.linalg.norm(points[:, 7] - points[:, :2].mean(1), axis=1)
    closed = lips * gap < _CLOSED * length
    half_open = _own_opening(track)[track.found] >= 0.5
    open_eyes = [limits.EYES_OPEN.judge(100 * float(np.mean(half_open)))] if told else []
    return [
        limits.EVENNESS.judge(regions.evenness),
        *open_eyes,
        limits.MOUTH_CLOSED.judge(100 * float(np.mean(closed))),
        limits.MOUTH_MOVES.judge(float(np.subtract(*np.percentile(lips, [95, 5])))),
        limits.EYES_VISIBLE.judge(regions.eyes_light),
        limits.MOUTH_VISIBLE.judge(regions.lips_red),
    ]


def score_frames(track: FaceTrack, faces: FaceMeasures) -> tuple[Float32, tuple[str, ...]]:
    """Score each frame 0..1 and say why a frame must not be used.

    Sharpness relative to the clip's best decile, times cos² of yaw and pitch, times exposure; eyes that are closed, for
    this person, count half.
    Source: OFIQ 1.0 for the pose term; the product is chosen.
    """
    best = np.nanpercentile(faces.sharpness, 90) if track.found.any() else 1.0
    sharpness = np.clip(faces.sharpness / max(float(best), 1e-6), 0, 1)
    pose = (np.cos(np.radians(track.yaw_deg)) * np.cos(np.radians(track.pitch_deg))) ** 2
    exposure = (1 - faces.white) * (1 - faces.black)
    scores = np.sqrt(sharpness) * pose * exposure * (0.5 + 0.5 * _own_opening(track))
    # The first reason that applies is given: bad light also looks like blur, so it comes first.
    tests = (
        ("no face", ~track.found),
        ("a second face", track.faces > 1),
        ("too small", _fails(limits.FACE_SIZE, faces.eye_gap_px)),
        ("over-exposed", _fails(limits.OVER_EXPOSED, 100 * faces.white)),
        ("too dark", _fails(limits.UNDER_EXPOSED, 100 * faces.black) | _fails(limits.BRIGHTNESS, faces.luminance)),
        ("blurred", _fails(limits.SHARPNESS, faces.sharpness) | (sharpness < _BLURRED_SHARE)),
        ("turned away", np.abs(track.yaw_deg) > _TURNED_DEG),
    )
    reasons = tuple(next((why for why, mask in tests if mask[i]), "") for i in range(len(track.found)))
    usable = np.array([not why for why in reasons], bool)
    return np.where(usable, np.nan_to_num(scores), 0).astype(np.float32), reasons


def _own_opening(track: FaceTrack) -> Float32:
    """How open the eyes are against the widest that this person opens them in the clip, `[T]` 0..1."""
    if not track.found.any():
        return track.eye_open
    widest = float(np.nanpercentile(track.eye_open, _WIDEST))
    return np.clip(track.eye_open / max(widest, 1e-6), 0, 1)


def _fails(rule: Rule, values: Float32) -> Bool:
    """Where `values` are beyond the rule's failing limit."""
    limit = rule.fail if rule.fail is not None else rule.warn
    return ~(values >= limit) if rule.sense == "at least" else ~(values <= limit)


def picture_luminance(frames: UInt8) -> float:
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
