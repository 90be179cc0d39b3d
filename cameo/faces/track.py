"""Follow the main face through a clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from cameo.faces.detect import count_faces, find_faces, to_grey
from cameo.faces.landmarks import box_frames, frame_boxes, locate, point_frames
from cameo.records import FaceTrack

if TYPE_CHECKING:
    from cameo.records import Bool, FaceSightings, Float32, Int64, UInt8

Progress = Callable[[str, float], None]
EVERY = 5  # frames between detections; landmarks bridge the gap
COUNT_EVERY = 3  # detections between stricter counts of faces
SMOOTH_FRAMES = 1.0  # sigma of the filter over landmarks
LIP_SMOOTH_FRAMES = 0.6  # lips move faster


def track_faces(frames: UInt8, progress: Progress | None = None, seen: FaceSightings | None = None) -> FaceTrack:
    """Track the main face (the largest one over the clip) in `[T, H, W, 3]` RGB frames about 25 a second.

    With `seen` given, the face is where it was seen, and turned as was seen where that is known; landmarks, eyes and
    lips are read in any case.
    """
    boxes, points, found, faces = _detected(frames, progress) if seen is None else _given(seen)
    if not found.any():
        return _empty(len(frames), faces)
    points = gaussian_filter1d(points, 2.0, axis=0).astype(np.float32)
    points, eyes, gaps = locate(frames, point_frames(points))
    if progress:
        progress("following the face", 1.0)
    found = found & _plausible(points)
    points = _smoothed(points)
    pose = np.stack(head_pose(points), 1)
    if seen is not None:
        pose = np.where(np.isfinite(seen.pose_deg), seen.pose_deg, pose)
    hide = np.where(found, 1.0, np.nan).astype(np.float32)
    yaw, pitch, roll = (pose * hide[:, None]).T
    return FaceTrack(
        boxes * hide[:, None], points * hide[:, None, None], eyes * hide, gaps * hide, yaw, pitch, roll, faces, found
    )


def _detected(frames: UInt8, progress: Progress | None) -> tuple[Float32, Float32, Bool, Int64]:
    """Find the face with the detector in the package: boxes, points `[T, 10, 2]`, where found, and counts of faces."""
    anchors, boxes, faces = _detect(frames, progress)
    if not anchors.any():
        return boxes, np.zeros((len(frames), 10, 2), np.float32), anchors, faces
    at = np.flatnonzero(anchors)
    nearest = np.abs(np.arange(len(frames))[:, None] - at[None]).min(1)
    full = gaussian_filter1d(_bridged(boxes, anchors), 2.0, axis=0).astype(np.float32)
    return full, locate(frames, box_frames(full))[0], nearest <= EVERY, faces


def _given(seen: FaceSightings) -> tuple[Float32, Float32, Bool, Int64]:
    """Take over where the face was seen; frames without it get points between, so that all can be looked at.

    Boxes are those that the detector in the package would draw around such points: what is measured on them is
    measured with it.
    """
    found: Bool = np.asarray(np.isfinite(seen.points[:, :5]).all((1, 2)))
    if not found.any():
        return seen.boxes, seen.points, found, seen.faces
    points = _bridged(seen.points.reshape(len(found), -1), found).reshape(-1, 10, 2)
    return frame_boxes(point_frames(points)), points, found, seen.faces


def _bridged(values: Float32, known: Bool) -> Float32:
    """Bridge rows of `[T, K]` that are not known by straight lines."""
    at, t = np.flatnonzero(known), np.arange(len(values))
    return np.stack([np.interp(t, at, column[at]) for column in values.T], 1).astype(np.float32)


def _empty(t: int, faces: Int64) -> FaceTrack:
    nan = np.full(t, np.nan, np.float32)
    boxes, points = np.full((t, 4), np.nan, np.float32), np.full((t, 10, 2), np.nan, np.float32)
    return FaceTrack(boxes, points, nan, nan, nan, nan, nan, faces, np.zeros(t, bool))


def _detect(frames: UInt8, progress: Progress | None) -> tuple[Bool, Float32, Int64]:
    """Detect at intervals; follow the face nearest to the last one. Returns where detected, boxes, face counts."""
    t = len(frames)
    anchors, boxes, faces = np.zeros(t, bool), np.zeros((t, 4), np.float32), np.zeros(t, np.int64)
    last: Float32 | None = None
    count = 0
    for n, i in enumerate(range(0, t, EVERY)):
        grey = to_grey(frames[i])
        candidates = find_faces(grey)
        if len(candidates):
            box = candidates[0]
            if last is not None:
                centres = candidates[:, :2] + candidates[:, 2:] / 2
                offset = np.linalg.norm(centres - (last[:2] + last[2:] / 2), axis=1) / last[2]
                change = np.abs(np.log(candidates[:, 2] / last[2]))
                box = candidates[int(np.argmin(offset + change))]
            anchors[i], boxes[i], last = True, box, box
        if n % COUNT_EVERY == 0:
            count = count_faces(grey) if len(candidates) > 1 else len(candidates)
        faces[i : i + EVERY] = max(count, int(anchors[i])) if len(candidates) else 0
        if progress:
            progress("following the face", 0.9 * min(1.0, (i + EVERY) / t))
    return anchors, boxes, faces


def _plausible(points: Float32) -> Bool:
    """Reject frames whose points cannot be a face: eyes in order, mouth below the eyes."""
    left, right, mouth = points[:, 0], points[:, 1], points[:, 3:5].mean(1)
    across = right[:, 0] - left[:, 0]
    down = mouth[:, 1] - (left[:, 1] + right[:, 1]) / 2
    return (across > 4) & (down > 0.4 * across) & (down < 3 * across) & (points[:, 4, 0] > points[:, 3, 0])


def _smoothed(points: Float32) -> Float32:
    slow = gaussian_filter1d(points, SMOOTH_FRAMES, axis=0)
    slow[:, 5:7] = gaussian_filter1d(points[:, 5:7], LIP_SMOOTH_FRAMES, axis=0)
    return slow.astype(np.float32)


def head_pose(points: Float32) -> tuple[Float32, Float32, Float32]:
    """Coarse yaw, pitch, roll in degrees from points `[T, 10, 2]`.

    The nose tip stands about 0.6 inter-eye distances before the eyes, so its sideways offset from the line between
    the eyes' and the mouth's middle is 0.6 sin(yaw) of that distance; pitch from how far down the nose lies between
    eyes and mouth (0.6 when straight). Source: similar triangles on the landmarks of the renderer; coarse by design.
    """
    left, right, nose, mouth = points[:, 0], points[:, 1], points[:, 2], points[:, 3:5].mean(1)
    eyes = (left + right) / 2
    roll = np.arctan2(right[:, 1] - left[:, 1], right[:, 0] - left[:, 0])
    down = mouth - eyes
    length = np.linalg.norm(down, axis=1).clip(1e-3)
    unit = np.maximum(np.linalg.norm(right - left, axis=1), 0.9 * length)
    along = ((nose - eyes) * down).sum(1) / length**2
    aside = (down[:, 0] * (nose - eyes)[:, 1] - down[:, 1] * (nose - eyes)[:, 0]) / -length
    yaw = np.degrees(np.arcsin((aside / unit / 0.6).clip(-1, 1)))
    pitch = np.degrees(np.arcsin(((along - 0.6) / 0.6).clip(-1, 1)))
    return yaw.astype(np.float32), pitch.astype(np.float32), np.degrees(roll).astype(np.float32)
