"""How the quality gate judges one value: its limits, where they come from, and what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cameo.records import Check


@dataclass(frozen=True, slots=True)
class Rule:
    """Judge one measured value.

    Attributes:
        name: key in reports and `--json`.
        title: what is measured, for people.
        unit: printed after the value; "" for a bare number.
        sense: whether the value must be at least or at most the limits.
        fail: the limit of use, or None when this can only warn.
        warn: the limit of comfort.
        source: where the limits come from.
        problem: the one-line message when it fails, formatted with `value`.
        advice: what to do about it.
        component: what ISO/IEC 29794-5 calls it, "" where it has no name for it.
    """

    name: str
    title: str
    unit: str
    sense: Literal["at least", "at most"]
    fail: float | None
    warn: float
    source: str
    problem: str
    advice: str
    component: str = ""

    def judge(self, value: float) -> Check:
        """Compare `value` with the limits."""
        level = "ok"
        if self._is_beyond(value, self.warn):
            level = "warn"
        if self.fail is not None and self._is_beyond(value, self.fail):
            level = "fail"
        return Check(self.name, self.title, value, self.unit, self.limit, level, self.source, self.advice)

    @property
    def limit(self) -> str:
        """The limits in words."""
        unit = f" {self.unit}" if self.unit else ""
        if self.fail is None or self.fail == self.warn:
            return f"{self.sense} {self.warn:g}{unit}"
        return f"{self.sense} {self.fail:g}{unit}, better {self.warn:g}{unit}"

    def _is_beyond(self, value: float, limit: float) -> bool:
        return not (value >= limit if self.sense == "at least" else value <= limit)


OFIQ = "OFIQ 1.0, the reference implementation of ISO/IEC 29794-5"
CHOSEN = "chosen"
MEASURED = "measured"
