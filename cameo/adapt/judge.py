"""Score how much generated frames look like a person, against held-out frames and against other people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, UInt8

# Frames [N, S, S, 3] and their landmarks in pixels [N, 10, 2], or None to look for them -> unit vectors [N, D], which
# rows are valid.
Embed = Callable[["UInt8", "Float32 | None"], "tuple[Float32, Bool]"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Mean cosine of generated frames to the person's held-out frames and to the nearest of the other people."""

    likeness: float
    impostor: float

    @property
    def margin(self) -> float:
        """How much nearer to the person than to anybody else."""
        return self.likeness - self.impostor


class Judge:
    """Compare with held-out frames of the person and with other people, through one recogniser."""

    def __init__(self, embed: Embed, real: tuple[UInt8, Float32], others: tuple[UInt8, Float32]) -> None:
        self._embed = embed
        self._centre = _mean_direction(self._valid(*real))
        self._others = self._valid(*others)

    def _valid(self, frames: UInt8, points: Float32 | None) -> Float32:
        vectors, found = self._embed(frames, points)
        return vectors[found]

    def score(self, frames: UInt8, points: Float32 | None) -> Verdict:
        """Score frames `[N, S, S, 3]` with landmarks in pixels `[N, 10, 2]` or None.

        Frames without a face count as 0.
        """
        vectors, found = self._embed(frames, points)
        own = np.where(found, vectors @ self._centre, 0.0)
        other = np.where(found, (vectors @ self._others.T).max(1, initial=-1.0), 0.0)
        return Verdict(float(own.mean()), float(other.mean()))


def _mean_direction(vectors: Float32) -> Float32:
    mean = vectors.mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
