"""The face encoder that needs no download: classical features, made less sensitive to pose and light.

What it measures is fixed (`face_features`). Fitted, on rendered people only, are the means, the few directions kept of
every cell, and which directions change within one person and are therefore turned down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.embed.crop import aligned_crop
from cameo.embed.face_features import edges, patterns
from cameo.embed.shipped import read_weights
from cameo.errors import UsageError
from cameo.faces.detect import to_grey
from cameo.faces.landmarks import find_landmarks

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from cameo.records import Bool, EncoderInfo, Float32, UInt8

POINTS = 10


@dataclass(frozen=True, slots=True)
class FaceSpace:
    """Hold what was fitted; B edge blocks, C pattern cells, R radii.

    Attributes:
        edge_mean: `[B, 36]`; edge_basis: `[36, E]`.
        pattern_mean: `[R, C, 59]`; pattern_basis: `[R, 59, P]`.
        nuisance: `[D, K]` orthonormal directions that vary within one person, D = B E + R C P.
        gain: `[K]` what is left of each, 0..1.
    """

    edge_mean: Float32
    edge_basis: Float32
    pattern_mean: Float32
    pattern_basis: Float32
    nuisance: Float32
    gain: Float32

    def reduce(self, edge: Float32, pattern: Float32) -> Float32:
        """Centre features `[N, B, 36]` and `[N, R, C, 59]` and keep the fitted directions of each cell: `[N, D]`."""
        edge = _unit(edge - self.edge_mean) @ self.edge_basis
        pattern = _unit(pattern - self.pattern_mean) @ self.pattern_basis
        return np.concatenate([edge.reshape(len(edge), -1), pattern.reshape(len(pattern), -1)], 1)

    def steady(self, reduced: Float32) -> Float32:
        """Turn the nuisance directions of `[N, D]` down.

        Source: nuisance attribute projection (W. M. Campbell et al., 2006), softened: a direction of within-person
        variance w keeps (w_K / w) ** 0.5 of its size instead of nothing.
        """
        return np.asarray(reduced - ((reduced @ self.nuisance) * (1 - self.gain)) @ self.nuisance.T, np.float32)


@dataclass(frozen=True, slots=True)
class EmbeddedFaceEncoder:
    """Encode with the weights in the package; implements `FaceEncoder`."""

    info: EncoderInfo
    space: FaceSpace

    @classmethod
    def load(cls, folder: Traversable | None = None) -> EmbeddedFaceEncoder:
        """Load the weights that ship with the package, or those in `folder`.

        Raises:
            MissingWeights: they are not there, cannot be read, or differ from their digest.
        """
        space, info = read_weights("face", FaceSpace, folder)
        return cls(info, space)

    def embed(self, frames: UInt8, points: Float32 | None = None) -> tuple[Float32, Bool]:
        """Encode the main face of every frame; see `FaceEncoder.embed`.

        The crop and its mirror image are encoded and added, so that a head turned left looks like one turned right.

        Raises:
            UsageError: frames or points are not of the shape the protocol asks for.
        """
        _check_shapes(frames, points)
        if points is None:
            points = find_landmarks(frames)
        found = np.asarray(np.isfinite(points[:, :5]).all((1, 2)))
        vectors = np.zeros((len(frames), self.info.dimension), np.float32)
        crops = [aligned_crop(to_grey(frames[i]), points[i, :5]) for i in np.flatnonzero(found)]
        if crops:
            both = [self._encode(crops), self._encode([cv2.flip(crop, 1) for crop in crops])]
            vectors[found] = _unit(both[0] + both[1])
        return vectors, found

    def _encode(self, crops: list[UInt8]) -> Float32:
        """Encode grey crops `[112, 112]`: `[N, D]`, length not normalised."""
        edge, pattern = np.stack([edges(c) for c in crops]), np.stack([patterns(c) for c in crops])
        return self.space.steady(self.space.reduce(edge, pattern))


def _check_shapes(frames: UInt8, points: Float32 | None) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise UsageError(f"frames of shape {frames.shape} and type {frames.dtype}", "give [N, H, W, 3] uint8 RGB")
    if points is not None and points.shape != (len(frames), POINTS, 2):
        raise UsageError(f"points of shape {points.shape} for {len(frames)} frames", "give [N, 10, 2], one per frame")


def _unit(rows: Float32) -> Float32:
    """Scale each row to unit length over all its axes."""
    length = np.sqrt((rows**2).sum(tuple(range(1, rows.ndim)), keepdims=True))
    return np.asarray(rows / np.maximum(length, 1e-9), np.float32)
