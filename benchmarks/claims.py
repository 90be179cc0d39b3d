"""What a benchmark is said to show, and whether its rounds bear it out: ratios only, which other work hardly moves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Relation = Literal["at least", "at most"]
AT_LEAST: Relation = "at least"
AT_MOST: Relation = "at most"

Read = Callable[[Any], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Claim:
    """Say what must hold of what a benchmark found.

    Attributes:
        name: what the table calls it.
        read: takes the benchmark's JSON and gives the values of one round; their median counts.
        relation: to the limit.
        limit: far enough from what was measured that a busy machine does not reach it.
        needs: what the result does not say it without, as `catalogue.lacks` has it; "" for nothing.
        quick: whether the quick mode measures it, too.
    """

    name: str
    read: Read
    relation: Relation
    limit: float
    needs: str = ""
    quick: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Hold what became of a claim: a value for every round, their median, and whether that holds."""

    name: str
    relation: Relation
    limit: float
    values: tuple[float, ...]
    found: float
    low: float
    high: float
    holds: bool


class Unreadable(Exception):
    """A result lacks what a claim reads from it."""


def judge(claim: Claim, rounds: Sequence[Any]) -> Verdict:
    """Hold a claim against the JSON of every round; the median of the rounds decides.

    Raises:
        Unreadable: one of them lacks the numbers.
    """
    values = tuple(_value(claim, found) for found in rounds)
    middle = statistics.median(values)
    holds = middle >= claim.limit if claim.relation == AT_LEAST else middle <= claim.limit
    return Verdict(claim.name, claim.relation, claim.limit, values, middle, min(values), max(values), holds)


def _value(claim: Claim, found: Any) -> float:
    try:
        value = statistics.median(float(one) for one in claim.read(found))
    except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError, StopIteration) as error:
        raise Unreadable(f"{claim.name}: the result lacks its numbers ({type(error).__name__}: {error})") from error
    if not math.isfinite(value):
        raise Unreadable(f"{claim.name}: the result is no number: {value}")
    return value


def at(*path: str | int) -> Read:
    """Read the number, or the list of numbers, at a place of the JSON."""

    def read(found: Any) -> Sequence[float]:
        value = _place(found, path)
        return value if isinstance(value, list) else [value]

    return read


def over(one: Sequence[str | int], other: Sequence[str | int]) -> Read:
    """Read the number, or turn by turn the numbers, at one place divided by those at another."""

    def read(found: Any) -> Sequence[float]:
        above, below = (_place(found, path) for path in (one, other))
        if isinstance(above, list):
            return [a / b for a, b in zip(above, below, strict=True)]
        return [above / below]

    return read


def _place(found: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        found = found[step]
    return found
