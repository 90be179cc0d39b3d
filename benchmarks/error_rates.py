"""Error rates of a recogniser from scored pairs, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, Float64, Int64

BOOTSTRAP_ROUNDS = 400


@dataclass(frozen=True, slots=True)
class Pairs:
    """Hold N scored pairs: `score` and `same` `[N]`, and `left`, `right` `[N]`, whose they are.

    Where owners are not known, the pair's own number stands on both sides.
    """

    score: Float32
    same: Bool
    left: Int64
    right: Int64


@dataclass(frozen=True, slots=True)
class Rates:
    """Hold error rates: `eer` in 0..1, `auc` in 0..1, `threshold` where misses and false matches are equal."""

    eer: float
    auc: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Hold rates, their 95 % intervals and what was compared."""

    rates: Rates
    eer_interval: tuple[float, float]
    auc_interval: tuple[float, float]
    genuine: int
    impostor: int
    genuine_mean: float
    impostor_mean: float


def rates(pairs: Pairs, weight: Float64 | None = None) -> Rates:
    """Find where misses and false matches are equally frequent, each pair counting `weight` `[N]` times."""
    order = np.argsort(-pairs.score, kind="stable")
    same = pairs.same[order]
    count = np.ones(len(order)) if weight is None else weight[order]
    hit = np.cumsum(count * same) / (count * same).sum()
    false = np.cumsum(count * ~same) / (count * ~same).sum()
    k = int(np.argmin(np.abs(1 - hit - false)))
    area = float(np.trapezoid(np.r_[0, hit], np.r_[0, false]))
    return Rates(float((1 - hit[k] + false[k]) / 2), area, float(pairs.score[order[k]]))


def measured(pairs: Pairs, seed: int = 0) -> Measured:
    """Measure rates and 95 % percentile intervals by drawing the owners anew.

    Source: R. M. Bolle, N. K. Ratha and S. Pankanti, "Error analysis of pattern recognition systems: the subsets
    bootstrap", 2004: pairs of one person are not independent, people are.
    """
    rng = np.random.default_rng(seed)
    people = int(max(pairs.left.max(), pairs.right.max())) + 1
    known = np.unique(np.concatenate([pairs.left, pairs.right]))
    drawn = []
    for _ in range(BOOTSTRAP_ROUNDS):
        times = np.bincount(rng.choice(known, len(known)), minlength=people).astype(np.float64)
        weight = np.where(pairs.left == pairs.right, times[pairs.left], times[pairs.left] * times[pairs.right])
        if (weight * pairs.same).sum() > 0 and (weight * ~pairs.same).sum() > 0:
            drawn.append(rates(pairs, weight))
    eer = np.percentile([r.eer for r in drawn], [2.5, 97.5])
    auc = np.percentile([r.auc for r in drawn], [2.5, 97.5])
    return Measured(
        rates=rates(pairs),
        eer_interval=(float(eer[0]), float(eer[1])),
        auc_interval=(float(auc[0]), float(auc[1])),
        genuine=int(pairs.same.sum()),
        impostor=int((~pairs.same).sum()),
        genuine_mean=float(pairs.score[pairs.same].mean()),
        impostor_mean=float(pairs.score[~pairs.same].mean()),
    )


def threshold_at(pairs: Pairs, false_match: float) -> float:
    """Find the score that only the share `false_match` of pairs of two people reaches."""
    return float(np.quantile(pairs.score[~pairs.same], 1 - false_match))


def share_above(pairs: Pairs, threshold: float) -> tuple[float, float]:
    """Share of pairs of one person and of two people whose score reaches `threshold`."""
    above = pairs.score >= threshold
    return float(above[pairs.same].mean()), float(above[~pairs.same].mean())


def all_pairs(rows: Float32, people: Int64, sessions: Int64 | None = None) -> Pairs:
    """Score every pair of unit rows `[N, D]`; with sessions given, pairs of one person's same session are left out."""
    first, second = np.triu_indices(len(rows), 1)
    same = people[first] == people[second]
    if sessions is not None:
        use = ~(same & (sessions[first] == sessions[second]))
        first, second, same = first[use], second[use], same[use]
    return Pairs((rows @ rows.T)[first, second], same, people[first], people[second])


def cross_pairs(left: Float32, right: Float32, left_people: Int64, right_people: Int64) -> Pairs:
    """Score every left row against every right row."""
    a, b = np.repeat(left_people, len(right)), np.tile(right_people, len(left))
    return Pairs((left @ right.T).ravel(), a == b, a, b)
