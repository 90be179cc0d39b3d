"""Find the main face of pictures with a pack's detector, and follow it through a clip without looking each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cameo.embed.crop import plain_crop
from cameo.errors import MissingWeights

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Float32, UInt8

POINTS = 10
_FIVE = 5
# A face that passes the gate has eyes 60 px apart at a long side of 640, so it is some 70 px wide at 320: detectors
# find that, at a quarter of the cost. A smaller face is looked for again. Source: capture/limits.py, eye_distance.
_SIDES = (320, 640)
# SCRFD misses faces that fill the frame; half a frame more on each side finds them.
# Source: shared/sketches/README.md, 18 of 18 frames of a selfie-like clip instead of 1.
_MARGIN = 0.5
EVERY = 8  # frames; a third of a second at 25 per second
_AROUND = 1.0  # how far around the points the picture is looked at, in distances between the eyes
_EYES_PX, _WINDOW_PX = 64, 21  # a larger face is followed at this distance between the eyes
_MOST_DRIFT = 0.02  # of the distance between the eyes: how far a point may miss its way back
_LEAST_ALIKE = 0.9  # correlation of the crops of two frames; below it the face has changed too much to be followed


@dataclass(frozen=True, slots=True)
class Face:
    """Hold a found face: `box` `[4]` left, top, right, bottom and `points` `[5, 2]`, both in pixels."""

    box: Float32
    points: Float32


@dataclass(frozen=True, slots=True)
class FaceDetector:
    """Look for the largest face; `sides` are the input sizes that are tried, one after the other."""

    sides: tuple[tuple[int, int], ...]
    _model: Any

    @classmethod
    def over(cls, model: Any, path: Path, hint: str) -> FaceDetector:
        """Take a detector that InsightFace opened, at the input size the file fixes, or at those for selfies.

        Raises:
            MissingWeights: it gives no landmarks.
        """
        if not getattr(model, "use_kps", False):
            raise MissingWeights(f"the detector {path.name} gives no landmarks", hint)
        height, width = model.session.get_inputs()[0].shape[2:4]
        fixed = isinstance(height, int) and isinstance(width, int)
        return cls(((width, height),) if fixed else tuple((side, side) for side in _SIDES), model)

    def find(self, frame: UInt8) -> Face | None:
        """Find the largest face of `[H, W, 3]` RGB, also one that fills the frame."""
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        for size in self.sides:
            if face := self._largest(picture, size):
                return face
        h, w = int(frame.shape[0] * _MARGIN), int(frame.shape[1] * _MARGIN)
        padded = cv2.copyMakeBorder(picture, h, h, w, w, cv2.BORDER_CONSTANT)
        face = self._largest(padded, self.sides[0])
        return _shifted(face, w, h) if face else None

    def follow(self, frames: UInt8, every: int = EVERY) -> Float32:
        """Find the landmarks of the main face in frames of one clip.

        The detector looks at every `every`-th frame; between, points move with the picture (pyramidal Lucas-Kanade),
        and where they do not find their way back, or the face no longer looks the same, it looks again.

        Args:
            frames: `[N, H, W, 3]` uint8 RGB, in the order of time.
            every: 1 looks at every frame.

        Returns:
            `[N, 10, 2]` pixels in `records.LANDMARKS` order: eyes, nose and mouth corners; the rest is NaN.

        Source: Z. Kalal et al., "Forward-backward error: automatic detection of tracking failures", 2010.
        """
        points = np.full((len(frames), POINTS, 2), np.nan, np.float32)
        before: UInt8 | None = None
        last: Float32 | None = None
        since = 0
        for i, frame in enumerate(frames):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            since += 1
            moved = None
            if before is not None and last is not None and since < every:
                moved = _move(before, grey, last)
            if moved is None:
                face, since = self.find(frame), 0
                moved = face.points if face else None
            if moved is not None:
                points[i, :_FIVE] = moved
            before, last = grey, moved
        return points

    def _largest(self, picture: UInt8, size: tuple[int, int]) -> Face | None:
        boxes, points = self._model.detect(picture, input_size=size)
        if not len(boxes):
            return None
        best = int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))
        return Face(boxes[best, :4].astype(np.float32), points[best].astype(np.float32))


def _shifted(face: Face, right: int, down: int) -> Face:
    corner = np.array([right, down], np.float32)
    return Face(face.box - np.tile(corner, 2), face.points - corner)


def _move(before: UInt8, after: UInt8, points: Float32) -> Float32 | None:
    """Move `[5, 2]` points from one grey frame to the next; None where they cannot be followed."""
    apart = float(np.linalg.norm(points[0] - points[1]))
    low = np.maximum(np.floor(points.min(0) - _AROUND * apart), 0).astype(int)
    high = np.ceil(points.max(0) + _AROUND * apart).astype(int)
    part = slice(low[1], high[1]), slice(low[0], high[0])
    scale = min(1.0, _EYES_PX / max(apart, 1.0))
    first, second = _scaled(before[part], scale), _scaled(after[part], scale)
    if min(first.shape) < 2 * _WINDOW_PX:
        return None
    start: Any = ((points - low + 0.5) * scale - 0.5)[:, None].astype(np.float32)
    nothing: Any = None
    size = (_WINDOW_PX, _WINDOW_PX)
    there, reached, _ = cv2.calcOpticalFlowPyrLK(first, second, start, nothing, winSize=size, maxLevel=2)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(second, first, there, nothing, winSize=size, maxLevel=2)
    if not (reached.all() and returned.all()):
        return None
    if float(np.linalg.norm(back - start, axis=2).max()) > _MOST_DRIFT * apart * scale:
        return None
    moved = ((there[:, 0] + 0.5) / scale - 0.5 + low).astype(np.float32)
    alike = cv2.matchTemplate(plain_crop(before, points), plain_crop(after, moved), cv2.TM_CCOEFF_NORMED)
    return moved if float(alike[0, 0]) >= _LEAST_ALIKE else None


def _scaled(picture: UInt8, scale: float) -> UInt8:
    if scale == 1 or not picture.size:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
