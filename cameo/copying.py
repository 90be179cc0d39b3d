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
        self._real = singled_out(vectors_apart(_small(held), self._train))

    def share(self, frames: UInt8) -> float:
        """How often a generated frame singles out a training frame more than a real one does, 0..1; ties are halves."""
        if not len(frames):
            return float("nan")
        return share_below(singled_out(vectors_apart(_small(frames), self._train)), self._real)


def singled_out(apart: Float32) -> Float32:
    """Distance of each of `[N, M]` rows to the nearest column over that to a typical one, `[N]`."""
    return np.asarray(apart.min(1) / np.maximum(np.median(apart, axis=1), 1e-6), np.float32)


def share_below(one: Float32, other: Float32) -> float:
    """How often a value of `one` `[N]` lies below a value of `other` `[M]`, 0..1; ties are halves, NaN without either.

    It is the area under the curve of telling `one` from `other` by how low they are. Source: H. B. Mann and D. R.
    Whitney, "On a test of whether one of two random variables is stochastically larger than the other" (1947).
    """
    if not len(one) or not len(other):
        return float("nan")
    return float(np.mean((one[:, None] < other) + 0.5 * (one[:, None] == other)))


def vectors_apart(one: Float32, other: Float32) -> Float32:
    """Distances of unit vectors `[N, D]` and `[M, D]`, `[N, M]` in 0..2."""
    return np.asarray(np.sqrt(np.maximum(2 - 2 * one @ other.T, 0)), np.float32)


def standardised(grey: UInt8) -> Float32:
    """Turn grey pictures `[N, S, S]` into unit vectors `[N, S * S]`, free of their light and contrast."""
    flat = grey.reshape(len(grey), -1).astype(np.float32)
    flat -= flat.mean(1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)


def _small(frames: UInt8) -> Float32:
    """Small grey pictures of frames as unit vectors `[N, 1024]`."""
    small = np.zeros((len(frames), SIDE, SIDE), np.uint8)
    for to, frame in zip(small, frames, strict=True):
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
        cv2.resize(grey, (SIDE, SIDE), dst=to, interpolation=cv2.INTER_AREA)
    return standardised(small)
