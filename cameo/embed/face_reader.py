"""Read the faces of single pictures for scores of likeness: the largest one, by a recogniser or two on one alignment.

`FaceReader` looks as well as this package can. `PublishedReader` looks as the scripts behind published FaceSim numbers
do, and no better; what that means is in docs/explanation/what-facesim-measures.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from cameo.embed.crop import aligned_crop, plain_crop
from cameo.embed.face import PointFinder
from cameo.faces.landmarks import find_landmarks

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.embed.face_insightface import InsightFaceEncoder
    from cameo.embed.face_onnx import OnnxFaceEncoder
    from cameo.records import Float32, UInt8

# Where no face is found, the picture is looked at once more with a quarter of its sides added in grey all around.
# Source: pad_np_bgr_image in eval/get_facesim.py, PKU-YuanGroup/OpenS2V-Nexus at d19c2ce, and in
# eval/get_facesim_fid.py, PKU-YuanGroup/ConsisID at 24f6448; so are the next two.
_MARGIN, _GREY = 0.25, (128, 128, 128)
_PUBLISHED_SIDE = 320  # pixels at which the detector looks
_CURRICULAR_CROP = 224  # CurricularFace gets a crop of this size, made smaller for it
_FIVE = 5


@dataclass(frozen=True, slots=True)
class FaceReading:
    """Hold the largest face of a picture.

    Attributes:
        points: `[10, 2]` pixels in `records.LANDMARKS` order, NaN where the detector has no such point.
        vector: `[D]` unit vector of the recogniser.
        curricular: `[D]` unit vector of CurricularFace; None without it.
        crop: `[112, 112, 3]` uint8 RGB, the face cut out upright.
    """

    points: Float32
    vector: Float32
    curricular: Float32 | None
    crop: UInt8


class PictureReader(Protocol):
    """Find and encode the largest face of one picture."""

    def read(self, picture: UInt8) -> FaceReading | None:
        """Read `[H, W, 3]` uint8 RGB; None where there is no face."""


@dataclass(frozen=True, slots=True)
class FaceReader:
    """Look with the encoder's own detector, or with that of the package, and again with a margin."""

    encoder: FaceEncoder
    curricular: OnnxFaceEncoder | None = None

    def read(self, picture: UInt8) -> FaceReading | None:
        """Read `[H, W, 3]` uint8 RGB; None where there is no face."""
        points = self._find(picture)
        if points is None:
            return None
        vectors, _ = self.encoder.embed(picture[None], points[None])
        return _reading(picture, points, vectors[0], self.curricular)

    def _find(self, picture: UInt8) -> Float32 | None:
        if isinstance(self.encoder, PointFinder):  # which has a second look of its own
            points = self.encoder.find_points(picture[None])[0]
            return points if _is_face(points) else None
        points = find_landmarks(picture[None])[0]
        if not _is_face(points):
            wide, shift = _widened(picture)
            points = find_landmarks(wide[None])[0] - shift
        return points if _is_face(points) else None


@dataclass(frozen=True, slots=True)
class PublishedReader:
    """Look once at 320 pixels, once more with a grey margin, and encode what was looked at."""

    encoder: InsightFaceEncoder
    curricular: OnnxFaceEncoder | None = None

    def read(self, picture: UInt8) -> FaceReading | None:
        """Read `[H, W, 3]` uint8 RGB; None where there is no face."""
        seen, shift = picture, np.zeros(2, np.float32)
        face = self.encoder.detector.find_at(seen, _PUBLISHED_SIDE)
        if face is None:
            seen, shift = _widened(picture)
            face = self.encoder.detector.find_at(seen, _PUBLISHED_SIDE)
        if face is None:
            return None
        # The recogniser of the pack is shown the picture with its margin, CurricularFace that without.
        vectors, _ = self.encoder.embed(seen[None], face.points[None])
        points = np.full((10, 2), np.nan, np.float32)
        points[:_FIVE] = face.points - shift
        return _reading(picture, points, vectors[0], self.curricular)


def _reading(picture: UInt8, points: Float32, vector: Float32, curricular: OnnxFaceEncoder | None) -> FaceReading:
    five = points[:_FIVE]
    other = None
    if curricular is not None:
        crop = plain_crop(picture, five, _CURRICULAR_CROP)
        side = curricular.size
        other = curricular.encode([cv2.resize(crop, (side, side), interpolation=cv2.INTER_LINEAR)])[0]
    return FaceReading(points, vector, other, aligned_crop(picture, five))


def _is_face(points: Float32) -> bool:
    return bool(np.isfinite(points[:_FIVE]).all())


def _widened(picture: UInt8) -> tuple[UInt8, Float32]:
    """Add a grey margin: the wider picture, and where the old corner is in it, `[2]` pixels."""
    down, right = int(picture.shape[0] * _MARGIN), int(picture.shape[1] * _MARGIN)
    wide = cv2.copyMakeBorder(picture, down, down, right, right, cv2.BORDER_CONSTANT, value=_GREY)
    return np.asarray(wide, np.uint8), np.array([right, down], np.float32)
