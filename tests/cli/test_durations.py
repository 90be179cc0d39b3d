"""How long something shall hold, as people write it."""

from __future__ import annotations

import datetime

import pytest

from cameo.cli.durations import seconds_until
from cameo.errors import UsageError

NOON = datetime.datetime(2026, 3, 5, 12, 0, tzinfo=datetime.UTC)
DAY = 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90min", 5400),
        ("12h", 12 * 3600),
        ("30d", 30 * DAY),
        ("2w", 14 * DAY),
        (" 30D ", 30 * DAY),
        ("2026-03-05", DAY // 2 - 1),
        ("2026-03-06", DAY + DAY // 2 - 1),
        ("3660d", 3660 * DAY),
    ],
)
def test_lengths_and_days(text: str, seconds: int) -> None:
    assert seconds_until(text, NOON) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "1.5d", "-1d", "1 d", "1y", "30days", "soon", "2026-13-01", "2026-02-30"]
)
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(UsageError, match="is no length of time") as caught:
        seconds_until(text, NOON)
    assert caught.value.hint == "write 30d, 12h, 90min, 2w, or a day like 2027-01-31"


@pytest.mark.parametrize(
    "text", ["0s", "0d", "2026-03-04", "1999-01-01", "3661d", "999999999w", "2036-03-20", "9999-12-31"]
)
def test_the_past_and_the_far_future(text: str) -> None:
    with pytest.raises(UsageError, match="is past, or more than ten years ahead"):
        seconds_until(text, NOON)
