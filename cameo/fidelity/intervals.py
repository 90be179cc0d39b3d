"""Bootstrap intervals for means over people: people are drawn anew, and within each what there is of them.

Source: B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, chapters 8 and 13 (percentile intervals
of data with a structure); clips of one person are not independent, people are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cameo.scores import Estimate

if TYPE_CHECKING:
    from cameo.records import Float64, Int64

ROUNDS = 2000
_WITHIN = (2.5, 97.5)  # percent


def drawn_people(count: int, random: np.random.Generator) -> Int64:
    """Draw `count` people out of as many, with replacement, `[ROUNDS, count]`."""
    return random.integers(count, size=(ROUNDS, count))


def bounds(values: Float64) -> tuple[float, float]:
    """95 % of values that were drawn, those that could not be computed left out."""
    low, high = np.nanpercentile(values, _WITHIN)
    return float(low), float(high)


def mean_of_people(values: Sequence[Float64]) -> float:
    """Mean over people of the mean of what there is of each: nobody counts more for having more clips."""
    return float(np.mean([np.mean(one) for one in values])) if values else math.nan


def mean_of_known(values: Sequence[float]) -> float:
    """Mean of those that could be measured; NaN without any."""
    known = [value for value in values if math.isfinite(value)]
    return sum(known) / len(known) if known else math.nan


def drawn_means(values: Sequence[Float64], rows: Int64, random: np.random.Generator) -> Float64:
    """Mean over the people of every row, drawing anew within each, `[ROUNDS]`.

    Args:
        values: for every person `[n]` values, at least one.
        rows: of `drawn_people`; the same rows for two systems pair them by person.
        random: for what is drawn within a person.
    """
    means = np.empty(rows.shape)
    for person, own in enumerate(values):
        times = int((rows == person).sum())
        means[rows == person] = np.asarray(own)[random.integers(len(own), size=(times, len(own)))].mean(1)
    return np.asarray(means.mean(1))


def estimate(values: Sequence[Float64], seed: int = 0) -> Estimate:
    """Estimate a mean over people; those of whom there is nothing are left out."""
    known = _known(values)
    clips = sum(map(len, known))
    if clips < 2:
        return Estimate(mean_of_people(known), people=len(known), clips=clips)
    random = np.random.default_rng(seed)
    low, high = bounds(drawn_means(known, drawn_people(len(known), random), random))
    return Estimate(mean_of_people(known), low, high, len(known), clips)


def estimate_closed(
    own: Sequence[Float64], floor: Sequence[Float64], ceiling: Sequence[Float64], seed: int = 0
) -> Estimate:
    """Estimate the share of the way from floor to ceiling, over people of whom all three are known."""
    whole = [
        three
        for three in zip(*(map(_finite, one) for one in (own, floor, ceiling)), strict=True)
        if all(map(len, three))
    ]
    if not whole:
        return Estimate(math.nan)
    columns = [list(column) for column in zip(*whole, strict=True)]
    middle, low, high = (mean_of_people(column) for column in columns)
    value = (middle - low) / (high - low) if high > low else math.nan
    clips = sum(map(len, columns[0]))
    if clips < 2:
        return Estimate(value, people=len(whole), clips=clips)
    random = np.random.default_rng(seed)
    rows = drawn_people(len(whole), random)
    middles, lows, highs = (drawn_means(column, rows, random) for column in columns)
    way = np.where(highs > lows, highs - lows, np.nan)
    shares = (middles - lows) / way
    if not np.isfinite(shares).any():
        return Estimate(value, people=len(whole), clips=clips)
    return Estimate(value, *bounds(shares), len(whole), clips)


def estimate_difference(
    first: Sequence[Float64], second: Sequence[Float64], paired: Sequence[bool], seed: int = 0
) -> Estimate:
    """Estimate by how much the mean of `first` is above that of `second`, drawing the same people for both.

    Args:
        first: for every person `[n]` values; whoever lacks in either is left out.
        second: the same of the other side.
        paired: for every person, whether the values of both belong together one by one and are drawn together.
        seed: of the drawing.
    """
    left, right = [], []
    for one, other, together in zip(first, second, paired, strict=True):
        if len(_finite(one)) and len(_finite(other)):
            whole = together and len(one) == len(other) and np.isfinite(one).all() and np.isfinite(other).all()
            # The difference of pairs is drawn as one; nothing is left on the other side.
            left.append(np.asarray(one) - np.asarray(other) if whole else _finite(one))
            right.append(np.zeros(1) if whole else _finite(other))
    value = mean_of_people(left) - mean_of_people(right)
    clips = sum(map(len, left))
    if clips < 2:
        return Estimate(value, people=len(left), clips=clips)
    random = np.random.default_rng(seed)
    rows = drawn_people(len(left), random)
    gaps = drawn_means(left, rows, random) - drawn_means(right, rows, random)
    return Estimate(value, *bounds(gaps), len(left), clips)


def _finite(values: Float64) -> Float64:
    own = np.asarray(values, np.float64)
    return own[np.isfinite(own)]


def _known(values: Sequence[Float64]) -> list[Float64]:
    return [own for own in map(_finite, values) if len(own)]
