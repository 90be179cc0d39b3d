"""What is measured on a face before any fitting: edge directions and local binary patterns of an aligned crop.

All of it is classical and needs no weights. A crop is `[112, 112]` uint8 grey from `crop.aligned_crop`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cameo.records import Float32, Int64, UInt8

_HOG_LEFT, _HOG_RIGHT = 8, 104
_BLOCK = 36  # 2 x 2 cells of 9 directions
EDGE_BLOCKS = 11 * 13
_PATTERN_TOP, _PATTERN_BOTTOM, _PATTERN_LEFT, _PATTERN_RIGHT = 6, 106, 12, 100
RADII = (1, 2, 3, 5)
_GRID = 8
PATTERN_CELLS = _GRID * _GRID
PATTERNS = 59
_CIRCLE = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def edges(crop: UInt8) -> Float32:
    """Histograms of edge directions, square rooted, `[143, 36]`, unit length over all.

    Source: N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", 2005.
    """
    inner = np.ascontiguousarray(crop[:, _HOG_LEFT:_HOG_RIGHT])
    values = np.sqrt(np.asarray(_hog().compute(inner), np.float32).ravel())
    return (values / max(float(np.linalg.norm(values)), 1e-9)).reshape(EDGE_BLOCKS, _BLOCK).astype(np.float32)


@cache
def _hog() -> cv2.HOGDescriptor:
    return cv2.HOGDescriptor((_HOG_RIGHT - _HOG_LEFT, 112), (16, 16), (8, 8), (8, 8), 9)


def patterns(crop: UInt8) -> Float32:
    """Histograms of uniform local binary patterns, square rooted, `[4, 64, 59]` (radius, cell, pattern), unit length.

    Source: T. Ahonen, A. Hadid and M. Pietikäinen, "Face description with local binary patterns", 2006.
    """
    even = even_light(crop)[_PATTERN_TOP:_PATTERN_BOTTOM, _PATTERN_LEFT:_PATTERN_RIGHT]
    values = np.stack([_pattern_histogram(even, radius) for radius in RADII])
    return values / np.float32(max(float(np.linalg.norm(values)), 1e-9))


def even_light(crop: UInt8) -> Float32:
    """Take shadows and contrast out of a crop, `[112, 112]` float32 in -10..10.

    Source: X. Tan and B. Triggs, "Enhanced local texture feature sets for face recognition under difficult lighting
    conditions", 2010, with their constants (gamma 0.2, sigma 1 and 2, alpha 0.1, tau 10).
    """
    bright = np.power((crop.astype(np.float32) + 1) / 256, np.float32(0.2))
    band = cv2.GaussianBlur(bright, (0, 0), 1) - cv2.GaussianBlur(bright, (0, 0), 2)
    band /= np.mean(np.abs(band) ** 0.1) ** 10 + 1e-9
    band /= np.mean(np.minimum(10, np.abs(band)) ** 0.1) ** 10 + 1e-9
    return np.asarray(10 * np.tanh(band / 10), np.float32)


def _pattern_histogram(picture: Float32, radius: int) -> Float32:
    height, width = picture.shape
    centre = picture[radius : height - radius, radius : width - radius]
    diagonal = round(radius * 0.7071)
    codes = np.zeros(centre.shape, np.uint8)
    for bit, (down, right) in enumerate(_CIRCLE):
        step = diagonal if down and right else radius
        y, x = radius + down * step, radius + right * step
        codes |= (picture[y : y + len(centre), x : x + centre.shape[1]] >= centre).astype(np.uint8) << bit
    cells, sizes = _cells(*centre.shape)
    counts = np.bincount((cells + _uniform()[codes]).ravel(), minlength=PATTERN_CELLS * PATTERNS)
    return np.sqrt(counts.reshape(PATTERN_CELLS, PATTERNS) / sizes[:, None]).astype(np.float32)


@cache
def _uniform() -> Int64:
    """Map each of 256 codes to one of 58 with at most two changes around the circle, or to the rest."""
    table, known = np.full(256, PATTERNS - 1, np.int64), 0
    for code in range(256):
        bits = [(code >> k) & 1 for k in range(8)]
        if sum(bits[k] != bits[(k + 1) % 8] for k in range(8)) <= 2:
            table[code] = known
            known += 1
    return table


@cache
def _cells(height: int, width: int) -> tuple[Int64, Int64]:
    """Where each pixel's histogram starts, `[height, width]`, and how many pixels each has, `[64]`."""
    rows = np.searchsorted(np.linspace(0, height, _GRID + 1).astype(int)[1:], np.arange(height), side="right")
    columns = np.searchsorted(np.linspace(0, width, _GRID + 1).astype(int)[1:], np.arange(width), side="right")
    cells = rows[:, None] * _GRID + columns[None]
    return cells * PATTERNS, np.bincount(cells.ravel(), minlength=PATTERN_CELLS)
