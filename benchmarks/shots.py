"""Likeness of shown frames to a person's real ones, by row of a table, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cameo.directions import mean_direction
from cameo.fidelity.intervals import bounds, drawn_people

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.records import Bool, Float32, UInt8

RUN = 8  # frames that are drawn together: neighbours are alike


@dataclass(frozen=True)
class Shot:
    """Hold one row for one person and seed: likeness and detection per frame `[N]`, mouth correlation (NaN: none)."""

    row: str
    person: str
    seed: int
    likeness: Float32
    detected: Bool
    mouth: float


class Scorer:
    """Compare frames with one person's real test frames."""

    def __init__(self, encoder: FaceEncoder, real: UInt8) -> None:
        self.encoder = encoder
        vectors, found = encoder.embed(real)
        self.centre = mean_direction(vectors[found])

    def score(self, frames: UInt8) -> tuple[Float32, Bool]:
        """Cosine per frame, at least 0, and whether a face was found, both `[N]`."""
        vectors, found = self.encoder.embed(frames)
        return np.where(found, np.maximum(vectors @ self.centre, 0), 0).astype(np.float32), found


def interval(shots: list[Shot], of: Callable[[list[Shot]], float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of a statistic: people are drawn anew, and within each, runs of eight frames."""
    random = np.random.default_rng(seed)
    people = sorted({s.person for s in shots})
    values = []
    for row in drawn_people(len(people), random):
        drawn: list[Shot] = []
        for k in row:
            drawn += [replace(s, likeness=_redrawn(s.likeness, random)) for s in shots if s.person == people[k]]
        values.append(of(drawn))
    return bounds(np.array(values))


def _redrawn(likeness: Float32, random: np.random.Generator) -> Float32:
    runs = np.array_split(likeness, max(1, len(likeness) // RUN))
    return np.concatenate([runs[i] for i in random.integers(0, len(runs), len(runs))])


def mean_of(row: str) -> Callable[[list[Shot]], float]:
    """Mean likeness of a row, every person and seed counting alike."""
    return lambda shots: float(np.mean([s.likeness.mean() for s in shots if s.row == row]))
