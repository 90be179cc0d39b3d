"""Cut a face out of a picture, upright and at the size recognisers expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

SIZE = 112

# Where eyes, nose tip and mouth corners lie in a crop, `[5, 2]` pixels. Source: ArcFace's template,
# insightface.utils.face_align.arcface_dst.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)


def similarity(source: Float32, target: Float32) -> Float32:
    """Find the rotation, scale and shift `[2, 3]` that bring points `[K, 2]` closest to others.

    Source: least squares over complex numbers, the planar case of S. Umeyama, "Least-squares estimation of
    transformation parameters between two point patterns", 1991.
    """
    from_mean, to_mean = source.mean(0), target.mean(0)
    a = (source - from_mean) @ np.array([1, 1j])
    b = (target - to_mean) @ np.array([1, 1j])
    turn = (np.conj(a) * b).sum() / max(float((np.abs(a) ** 2).sum()), 1e-9)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, to_mean - matrix @ from_mean]).astype(np.float32)


def aligned_crop(frame: UInt8, points: Float32) -> UInt8:
    """Cut the face with the five points `[5, 2]` (eyes, nose tip, mouth corners) out of `[H, W, ...]` uint8.

    A face that shrinks is blurred first, so that fine texture does not alias.
    """
    matrix = similarity(points, TEMPLATE)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.7:
        frame = cv2.GaussianBlur(frame, (0, 0), 0.4 / scale)
    return cv2.warpAffine(frame, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def plain_crop(frame: UInt8, points: Float32, size: int = SIZE) -> UInt8:
    """Cut a face `[size, size, ...]` exactly as InsightFace does for its recognisers: not blurred, black outside.

    Source: insightface.utils.face_align.norm_crop; sizes that 112 does not divide have 8 / 128 more on either side.
    """
    scale, shift = (size / 112, 0.0) if size % 112 == 0 else (size / 128, 8 * size / 128)
    target = TEMPLATE * np.float32(scale) + np.array([shift, 0], np.float32)
    return cv2.warpAffine(frame, similarity(points, target), (size, size), borderValue=0)
