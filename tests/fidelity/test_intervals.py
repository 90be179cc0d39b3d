"""Intervals over people hold what was drawn by hand, and behave where there is little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameo.fidelity.intervals import (
    ROUNDS,
    bounds,
    drawn_means,
    drawn_people,
    estimate,
    estimate_closed,
    estimate_difference,
    mean_of_people,
)

PEOPLE = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5).map(np.array), min_size=2, max_size=6)


@given(PEOPLE)
def test_value_is_the_mean_over_people_and_lies_within(people: list[np.ndarray]) -> None:
    found = estimate(people)
    assert found.value == pytest.approx(np.mean([one.mean() for one in people]))
    assert min(map(np.min, people)) - 1e-9 <= found.low <= found.high <= max(map(np.max, people)) + 1e-9
    assert (found.people, found.clips) == (len(people), sum(map(len, people)))


def test_against_a_bootstrap_written_out() -> None:
    """Draw people, then clips, in plain loops: the ends of the interval agree."""
    random = np.random.default_rng(5)
    people = [random.uniform(0.2 * k, 0.2 * k + 0.3, size=3) for k in range(4)]
    drawn = []
    for _ in range(20_000):
        chosen = [people[k] for k in random.integers(4, size=4)]
        drawn.append(np.mean([one[random.integers(3, size=3)].mean() for one in chosen]))
    found = estimate(people)
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.02)


def test_nobody_counts_more_for_more_clips() -> None:
    assert mean_of_people([np.zeros(1), np.ones(99)]) == 0.5


def test_too_little_has_no_interval() -> None:
    one = estimate([np.array([0.4])])
    assert one.value == 0.4 and math.isnan(one.low) and math.isnan(one.high)
    none = estimate([np.array([math.nan]), np.zeros(0)])
    assert math.isnan(none.value) and none.people == 0


def test_what_is_not_known_is_left_out() -> None:
    assert estimate([np.array([0.2, math.nan]), np.array([0.4]), np.array([math.nan])]).people == 2


def test_share_of_the_way() -> None:
    own, floor, ceiling = ([np.full(2, value) for value in some] for some in ((0.5, 0.5), (0.1, 0.1), (0.9, 0.9)))
    found = estimate_closed(own, floor, ceiling)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert math.isnan(estimate_closed(own, [np.zeros(0)] * 2, ceiling).value)
    assert math.isnan(estimate_closed(own, ceiling, floor).value)


def test_pairs_are_drawn_together() -> None:
    """Clips that differ widely, and by the same: paired, the difference is sure; apart, it is not."""
    base = np.linspace(0, 1, 6)
    better = [base + 0.05, base + 0.05]
    paired = estimate_difference(better, [base, base], [True, True])
    apart = estimate_difference(better, [base, base], [False, False])
    assert (paired.value, paired.low, paired.high) == pytest.approx((0.05, 0.05, 0.05))
    assert apart.value == pytest.approx(0.05) and apart.low < 0 < apart.high


def test_people_who_lack_on_one_side_are_not_compared() -> None:
    found = estimate_difference([np.ones(2), np.ones(2)], [np.zeros(2), np.zeros(0)], [True, False])
    assert (found.people, found.value) == (1, 1.0)


def test_drawn_means_of_one_value_each() -> None:
    random = np.random.default_rng(0)
    rows = drawn_people(3, random)
    values = [np.array([float(k)]) for k in range(3)]
    assert rows.shape == (ROUNDS, 3)
    assert np.allclose(drawn_means(values, rows, random), rows.mean(1))
    assert bounds(np.array([math.nan, 1.0, 1.0])) == (1.0, 1.0)
