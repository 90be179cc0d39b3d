"""Tell whether generated frames are copies of training frames, rather than new frames of the person.

A real frame that was held out lies about as far from every training frame of a like pose. A copy lies much nearer to
one than to the rest. So each frame is measured by how far the nearest training frame is, over how far a typical one is;
dividing makes a blurred frame, which is near to all, no copy. Then generated frames are compared with real held-out
ones: `share` is how often a generated frame singles one out more than a real frame does. New real frames have 0.5,
training frames handed out again 1 (tests/test_copying.py).

Source: the three-sample test of C. Meehan, K. Chaudhuri and S. Dasgupta, "A non-parametric test to detect data-copying
in generative models" (2020), whose statistic is this share; the distance relative to other training data of N. Carlini
et al., "Extracting training data from diffusion models" (2023), section 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

SIDE = 32  # pixels of the small grey pictures that are compared


class CopyControl:
    """Compare generated frames with the training frames and with real frames `[N, H, W, 3]` that were held out."""

    def __init__(self, train: UInt8, held: UInt8) -> None:
        self._train = _small(train)
        self._real = self._singled(held)

    def _singled(self, frames: UInt8) -> Float32:
        """Distance of each frame to the nearest training frame over that to a typical one, `[N]`."""
        apart = np.sqrt(np.maximum(2 - 2 * _small(frames) @ self._train.T, 0))
        ratio = apart.min(1) / np.maximum(np.median(apart, axis=1), 1e-6)
        return np.asarray(ratio, np.float32)

    def share(self, frames: UInt8) -> float:
        """How often a generated frame singles out a training frame more than a real one does, 0..1; ties are halves."""
        if not len(frames) or not len(self._real):
            return float("nan")
        made = self._singled(frames)[:, None]
        return float(np.mean((made < self._real) + 0.5 * (made == self._real)))


def _small(frames: UInt8) -> Float32:
    """Small grey pictures as unit vectors `[N, 1024]`, free of how light they are and of their contrast."""
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
    size = (SIDE, SIDE)
    flat = np.stack([cv2.resize(g, size, interpolation=cv2.INTER_AREA).astype(np.float32).ravel() for g in grey])
    flat -= flat.mean(1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)
