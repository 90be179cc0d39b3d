"""Keep times in columns that know no zone: UTC, always."""

from __future__ import annotations

import datetime
from typing import overload


def to_column(at: datetime.datetime) -> datetime.datetime:
    """Write a time with a zone as a column holds it."""
    return at.astimezone(datetime.UTC).replace(tzinfo=None)


@overload
def from_column(at: datetime.datetime) -> datetime.datetime: ...
@overload
def from_column(at: None) -> None: ...
def from_column(at: datetime.datetime | None) -> datetime.datetime | None:
    """Read a time from a column, with its zone."""
    return None if at is None else at.replace(tzinfo=datetime.UTC)
