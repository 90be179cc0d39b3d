"""Find the main face of pictures with a pack's detector, and follow it through a clip without looking each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cameo.embed.crop import TEMPLATE, plain_crop, similarity
from cameo.errors import MissingWeights
from cameo.onnx_files import first_line
from cameo.records import FaceSightings

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Float32, UInt8

Progress = Callable[[str, float], None]
POINTS = 10
_FIVE = 5
# A face that passes the gate has eyes 60 px apart at a long side of 640, so it is some 70 px wide at 320: detectors
# find that, at a quarter of the cost. A smaller face is looked for again. Source: capture/limits.py, eye_distance.
_SIDES = (320, 640)
# SCRFD misses faces that fill the frame; half a frame more on each side finds them.
# Source: shared/sketches/README.md, 18 of 18 frames of a selfie-like clip instead of 1.
_MARGIN = 0.5
# Frames between looks, a second at 25 per second; while there is no face, fewer. Source: on two real clips templates
# have a cosine of 0.999 to those of a look at every frame (0.9997 with a look at every 12th, 0.998 at every 50th).
EVERY, EVERY_LOST = 25, 5
_COUNTED = 1 / 3  # of the largest face's width; what is smaller is no second person. Source: faces/detect.py

# Between looks a grid of points on the face is followed, and the better half says how the face moved.
# Source: Z. Kalal et al., "Forward-backward error: automatic detection of tracking failures", 2010.
_GRID = np.stack(np.meshgrid(np.linspace(22, 90, 6), np.linspace(30, 100, 6)), -1).reshape(-1, 2)  # in a crop of 112
_AROUND = 1.0  # how far around the points the picture is looked at, in distances between the eyes
_EYES_PX, _WINDOW_PX = 48, 15  # a larger face is followed at this distance between the eyes
_MOST_DRIFT = 0.02  # of the distance between the eyes: how far a point of the better half may miss its way back
_LEAST_ALIKE = 0.6  # correlation of the crops of two frames; a quickly moving real face keeps 0.78 in 99 of 100


@dataclass(frozen=True, slots=True)
class Face:
    """Hold a found face: `box` `[4]` left, top, right, bottom and `points` `[5, 2]`, both in pixels."""

    box: Float32
    points: Float32

    @property
    def area(self) -> float:
        """Of the box, in pixels."""
        return float(np.prod(self.box[2:] - self.box[:2]))


@dataclass(frozen=True, slots=True)
class FaceDetector:
    """Look for the largest face; `sides` are the input sizes that are tried, one after the other."""

    sides: tuple[tuple[int, int], ...]
    _model: Any

    @classmethod
    def over(cls, model: Any, path: Path, hint: str) -> FaceDetector:
        """Take a detector that InsightFace opened, at the input size the file fixes, or at those for selfies.

        Raises:
            MissingWeights: it gives no landmarks, or something that are no faces.
        """
        if not getattr(model, "use_kps", False):
            raise MissingWeights(f"the detector {path.name} gives no landmarks", hint)
        height, width = model.session.get_inputs()[0].shape[2:4]
        fixed = isinstance(height, int) and isinstance(width, int)
        made = cls(((width, height),) if fixed else tuple((side, side) for side in _SIDES), model)
        made._detect(np.zeros((_SIDES[0], _SIDES[0], 3), np.uint8), made.sides[0])
        return made

    def find(self, frame: UInt8) -> Face | None:
        """Find the largest face of `[H, W, 3]` RGB, also one that fills the frame."""
        return max(self.find_all(frame), key=lambda face: face.area, default=None)

    def find_all(self, frame: UInt8) -> list[Face]:
        """Find the faces of `[H, W, 3]` RGB at the first input size, or in the wider frame, at which there are any."""
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        for size in self.sides:
            if faces := self._detect(picture, size):
                return faces
        h, w = int(frame.shape[0] * _MARGIN), int(frame.shape[1] * _MARGIN)
        padded = cv2.copyMakeBorder(picture, h, h, w, w, cv2.BORDER_CONSTANT)
        return [_shifted(face, w, h) for face in self._detect(padded, self.sides[0])]

    def find_at(self, picture: UInt8, side: int) -> Face | None:
        """Find the largest face of `[H, W, 3]` RGB by one look at `side` pixels, or at the size the file fixes."""
        fixed = len(self.sides) == 1
        size = self.sides[0] if fixed else (side, side)
        faces = self._detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), size)
        return max(faces, key=lambda face: face.area, default=None)

    def follow(self, frames: UInt8, every: int = EVERY, progress: Progress | None = None) -> FaceSightings:
        """Find the main face in the frames of one clip: the largest at first, then the one nearest to where it was.

        The detector looks at every `every`-th frame. Between, the face moves with the picture; where it cannot be
        followed, the detector looks again. What following missed by, as the next look shows, is taken back evenly.

        Args:
            frames: `[T, H, W, 3]` uint8 RGB, in the order of time.
            every: 1 looks at every frame.
            progress: called with a label and 0..1.
        """
        points = np.full((len(frames), POINTS, 2), np.nan, np.float32)
        boxes = np.full((len(frames), 4), np.nan, np.float32)
        counts = np.zeros(len(frames), np.int64)
        before: UInt8 | None = None
        last: Face | None = None
        looked = -every
        count = 0
        for i, frame in enumerate(frames):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            moved = None if before is None or last is None or every == 1 else _move(before, grey, last)
            if i - looked >= every or (moved is None and (last is not None or i - looked >= EVERY_LOST)):
                faces = self.find_all(frame)
                face, count = _main(faces, last if moved is None else moved), _count(faces)
                if face and moved is not None and _is_drift(face, moved):
                    share = np.linspace(0, 1, i - looked + 1, dtype=np.float32)[1:-1, None, None]
                    points[looked + 1 : i, :_FIVE] += share * (face.points - moved.points)
                moved, looked = face, i
            if moved is not None:
                points[i, :_FIVE], boxes[i] = moved.points, np.r_[moved.box[:2], moved.box[2:] - moved.box[:2]]
            counts[i] = count
            before, last = grey, moved
            if progress:
                progress("finding the face", (i + 1) / len(frames))
        return FaceSightings(boxes, points, counts, np.full((len(frames), 3), np.nan, np.float32))

    def _detect(self, picture: UInt8, size: tuple[int, int]) -> list[Face]:
        hint = "use another pack"
        try:
            boxes, points = (np.asarray(found, np.float32) for found in self._model.detect(picture, input_size=size))
        except Exception as error:  # onnxruntime's classes derive from nothing else, and wrong shapes end in any
            raise MissingWeights(f"cannot run the detector: {first_line(error)}", hint) from error
        if boxes.ndim != 2 or boxes.shape[1] < 4 or points.shape != (len(boxes), _FIVE, 2):
            raise MissingWeights(f"the detector gives {list(points.shape)}, not [N, 5, 2] landmarks", hint)
        sound = np.isfinite(boxes[:, :4]).all(1) & np.isfinite(points).all((1, 2))
        return [Face(box[:4], five) for box, five in zip(boxes[sound], points[sound], strict=True)]


def _main(faces: list[Face], last: Face | None) -> Face | None:
    """Choose the face whose points are nearest to the last one's; the largest when there is none."""
    if last is None:
        return max(faces, key=lambda face: face.area, default=None)
    return min(faces, key=lambda face: float(np.abs(face.points - last.points).mean()), default=None)


def _is_drift(face: Face, moved: Face) -> bool:
    """Whether a look found the face that was followed, and not somebody else's: within half the eyes' distance."""
    apart = float(np.linalg.norm(face.points[0] - face.points[1]))
    return float(np.abs(face.points - moved.points).mean()) < apart / 2


def _count(faces: list[Face]) -> int:
    widths = [float(face.box[2] - face.box[0]) for face in faces]
    return sum(width >= _COUNTED * max(widths) for width in widths)


def _shifted(face: Face, right: int, down: int) -> Face:
    corner = np.array([right, down], np.float32)
    return Face(face.box - np.tile(corner, 2), face.points - corner)


def _move(before: UInt8, after: UInt8, face: Face) -> Face | None:
    """Move a face from one grey frame to the next; None where it cannot be followed."""
    points = face.points
    apart = float(np.linalg.norm(points[0] - points[1]))
    low = np.maximum(np.floor(points.min(0) - _AROUND * apart), 0).astype(int)
    high = np.ceil(points.max(0) + _AROUND * apart).astype(int)
    part = slice(low[1], high[1]), slice(low[0], high[0])
    scale = min(1.0, _EYES_PX / max(apart, 1.0))
    first, second = _scaled(before[part], scale), _scaled(after[part], scale)
    if min(first.shape) < 2 * _WINDOW_PX:
        return None
    place = similarity(TEMPLATE, points)
    start: Any = (((_GRID @ place[:, :2].T + place[:, 2]) - low + 0.5) * scale - 0.5)[:, None].astype(np.float32)
    nothing: Any = None
    size = (_WINDOW_PX, _WINDOW_PX)
    there, reached, _ = cv2.calcOpticalFlowPyrLK(first, second, start, nothing, winSize=size, maxLevel=2)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(second, first, there, nothing, winSize=size, maxLevel=2)
    missed = np.where(reached.ravel() & returned.ravel(), np.linalg.norm(back - start, axis=2).ravel(), np.inf)
    better = np.argsort(missed)[: len(missed) // 2]
    if missed[better[-1]] > _MOST_DRIFT * apart * scale:
        return None
    step = similarity(*((at[better, 0] + 0.5) / scale - 0.5 + low for at in (start, there)))
    moved = _turned(face, step)
    alike = cv2.matchTemplate(plain_crop(before, points), plain_crop(after, moved.points), cv2.TM_CCOEFF_NORMED)
    return moved if float(alike[0, 0]) >= _LEAST_ALIKE else None


def _turned(face: Face, step: Float32) -> Face:
    """Turn, scale and shift a face by a matrix `[2, 3]`; its box stays upright."""
    turn, shift = step[:, :2], step[:, 2]
    middle, half = (face.box[:2] + face.box[2:]) / 2 @ turn.T + shift, (face.box[2:] - face.box[:2]) / 2
    half = half * np.float32(np.hypot(turn[0, 0], turn[1, 0]))
    return Face(np.r_[middle - half, middle + half], face.points @ turn.T + shift)


def _scaled(picture: UInt8, scale: float) -> UInt8:
    if scale == 1 or not picture.size:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
