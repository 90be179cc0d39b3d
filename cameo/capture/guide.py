"""What is shown to somebody who records themselves, whichever way it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from cameo.capture.limits import RULES
from cameo.capture.live_meter import CENTRED

if TYPE_CHECKING:
    from cameo.records import Check, UInt8

# What each check is called on a meter; the others are not shown there.
LABELS = {
    "face": "face found",
    "face_size": "face size",
    "centred": "in the middle",
    "brightness": "light on face",
    "sharpness": "sharpness",
    "motion_blur": "stillness",
    "sound": "sound level",
    "speech_over_noise": "over noise",
}
_RULES = {**RULES, CENTRED.name: CENTRED}
_AT_COMFORT = 0.8
_FAINTEST_DB = -60.0  # where the bar of the sound begins


@dataclass(frozen=True, slots=True)
class View:
    """Hold one moment.

    Attributes:
        phase: before the recording begins, just before it, or in it.
        text: what to do, in large letters.
        left: how much of the time for it is left, 1..0.
        time_s, whole_s: how far the recording has come, and how long it is.
        checks: what was measured last.
        image: `[H, W, 3]` uint8 RGB, as it is recorded: not mirrored.
        box: the face's x, y, width and height as shares of the picture's sides; None where none was found.
    """

    phase: Literal["framing", "starting", "recording"]
    text: str
    left: float
    time_s: float
    whole_s: float
    checks: Sequence[Check]
    image: UInt8
    box: tuple[float, float, float, float] | None = None


class Guide(Protocol):
    """Show what to do; a window, a terminal, or plain lines."""

    def show(self, view: View) -> None:
        """Draw a moment; it is called for every picture.

        Raises:
            KeyboardInterrupt: the person wants to stop.
        """
        ...


def fullness(check: Check) -> float:
    """How much of a meter's bar is filled, 0..1: four fifths at the limit of comfort, less on its worse side."""
    rule = _RULES[check.name]
    floor = _FAINTEST_DB if check.unit == "dBFS" else 0.0
    value, comfort = check.value - floor, rule.warn - floor
    ratio = value / comfort if rule.sense == "at least" else comfort / max(value, 1e-6)
    return min(1.0, max(0.0, _AT_COMFORT * ratio))
