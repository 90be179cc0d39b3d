"""Find faces with the Haar cascades that ship inside OpenCV 4 (P. Viola, M. Jones 2001; R. Lienhart 2002)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from cv2.data import haarcascades

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

LONG_SIDE = 320  # detection is done at this size: about 20 ms a frame on one core
SMALLEST = 0.12  # smallest face looked for, as a share of the picture's short side
# (cascade, how many overlapping hits make a face); the second is tried where the first finds nothing.
CASCADES = (("haarcascade_frontalface_alt2.xml", 3), ("haarcascade_frontalface_default.xml", 5))
STRICT_HITS = 8  # asked of a second face: background texture seldom reaches it


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(haarcascades) / name))


def to_grey(frame: UInt8) -> UInt8:
    """`[H, W, 3]` RGB to `[H, W]`."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def _shrink(grey: UInt8) -> tuple[UInt8, float]:
    scale = LONG_SIDE / max(grey.shape)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method), np.uint8), scale


def find_faces(grey: UInt8) -> Float32:
    """Return `[N, 4]` boxes x, y, width, height in pixels of a grey picture `[H, W]`, largest first."""
    small, scale = _shrink(grey)
    side = int(min(small.shape) * SMALLEST)
    for name, hits in CASCADES:
        boxes = _cascade(name).detectMultiScale(small, 1.1, hits, minSize=(side, side))
        if len(boxes):
            found = np.asarray(boxes, np.float32) / np.float32(scale)
            return found[np.argsort(-found[:, 2])]
    return np.zeros((0, 4), np.float32)


def count_faces(grey: UInt8) -> int:
    """Count faces that are hard to mistake: many overlapping hits and at least a third of the largest one's width."""
    small, _ = _shrink(grey)
    side = int(min(small.shape) * SMALLEST)
    boxes = _cascade(CASCADES[0][0]).detectMultiScale(small, 1.1, STRICT_HITS, minSize=(side, side))
    if not len(boxes):
        return 0
    widths = np.asarray(boxes)[:, 2]
    return int((widths >= widths.max() / 3).sum())
