"""Error rates of a recogniser from its genuine and impostor scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cameo.records import Float32, Int64


@dataclass(frozen=True, slots=True)
class Rates:
    """Hold error rates: `eer` and `miss_at_1pct` in 0..1, `threshold` where both errors are equal."""

    eer: float
    auc: float
    threshold: float
    miss_at_1pct: float
    genuine: int
    impostor: int


def rates(genuine: Float32, impostor: Float32) -> Rates:
    """Find where misses and false matches are equally frequent.

    Args:
        genuine: `[G]` scores of pairs of one person.
        impostor: `[I]` scores of pairs of two people.
    """
    scores = np.concatenate([genuine, impostor])
    same = np.concatenate([np.ones(len(genuine)), np.zeros(len(impostor))])
    order = np.argsort(-scores, kind="stable")
    hit = np.cumsum(same[order]) / len(genuine)
    false = np.cumsum(1 - same[order]) / len(impostor)
    k = int(np.argmin(np.abs(1 - hit - false)))
    allowed = np.searchsorted(false, 0.01, side="right") - 1
    return Rates(
        eer=float((1 - hit[k] + false[k]) / 2),
        auc=float(np.trapezoid(np.r_[0, hit], np.r_[0, false])),
        threshold=float(scores[order[k]]),
        miss_at_1pct=float(1 - hit[allowed]) if allowed >= 0 else 1.0,
        genuine=len(genuine),
        impostor=len(impostor),
    )


def all_pairs(rows: Float32, people: Int64, sessions: Int64 | None = None) -> tuple[Float32, Float32]:
    """Score every pair of unit rows `[N, D]`; with sessions given, pairs of one person's same session are left out."""
    scores = rows @ rows.T
    upper = np.triu(np.ones_like(scores, bool), 1)
    same = people[:, None] == people[None]
    use = upper if sessions is None else upper & ~(same & (sessions[:, None] == sessions[None]))
    return scores[use & same], scores[use & ~same]


def cross_pairs(left: Float32, right: Float32, left_people: Int64, right_people: Int64) -> tuple[Float32, Float32]:
    """Score every left row against every right row."""
    scores = left @ right.T
    same = left_people[:, None] == right_people[None]
    return scores[same], scores[~same]
