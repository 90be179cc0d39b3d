"""Read how long something shall hold, as people write it."""

from __future__ import annotations

import datetime
import re

from cameo.errors import UsageError

_UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"(\d{1,9})(s|min|h|d|w)")
_LONGEST_S = 10 * 366 * 86_400


def seconds_until(text: str, now: datetime.datetime) -> int:
    """Read `30d`, `12h`, `90min`, `2w`, or a day like `2027-01-31` (its end, UTC), as seconds from `now`.

    Raises:
        UsageError: it is none of these, or past, or more than ten years ahead.
    """
    hint = "write 30d, 12h, 90min, 2w, or a day like 2027-01-31"
    found = _DURATION.fullmatch(text.strip().lower())
    if found:
        seconds = int(found[1]) * _UNITS_S[found[2]]
    else:
        try:
            day = datetime.date.fromisoformat(text.strip())
        except ValueError:
            raise UsageError(f"{text!r} is no length of time", hint) from None
        end = datetime.datetime.combine(day, datetime.time.max, datetime.UTC)
        seconds = int((end - now).total_seconds())
    if not 0 < seconds <= _LONGEST_S:
        raise UsageError(f"{text} is past, or more than ten years ahead", hint)
    return seconds
