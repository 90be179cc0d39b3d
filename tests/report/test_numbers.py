"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from cameo.report.numbers import duration, likeness, number, size


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.12345, "0.123"), (7.0, "7"), (-15.72, "-15.7"), (99.96, "100"), (1278.4, "1,278"), (math.nan, "–")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (3_041_000, "3.04 MB"),
        (2 * 10**9, "2 GB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0 s"), (0.043, "0.043 s"), (12.34, "12.3 s"), (59.97, "1 min 0 s"), (125, "2 min 5 s")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(0.351, "0.35"), (-0.1, "-0.10"), (math.nan, "–"), (math.inf, "–")])
def test_likeness(value: float, text: str) -> None:
    assert likeness(value) == text
