"""Say what to do, and when: a challenge's prompts at their times, or a few lines that make a good recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cameo.capture.challenge import Prompt, prompts

if TYPE_CHECKING:
    from cameo.capture.challenge import Challenge

# Text and share of the time. The turns are those that `limits.POSE_SPREAD` asks for.
_FREE = (
    ("talk", "say what you like, in your usual voice", 0.3),
    ("left", "go on talking, and turn your head slowly to your left", 0.2),
    ("right", "now slowly to your right", 0.2),
    ("centre", "look straight at the camera, and go on talking", 0.3),
)
_READY = "get ready"
_TALK_ON = "well done! now go on talking, until the end"


def free_script(seconds: float) -> tuple[Prompt, ...]:
    """Lay out what to do in a recording of `seconds` in which nothing is asked for."""
    laid, start_s = [], 0.0
    for step, text, share in _FREE:
        laid.append(Prompt(step, text, start_s, start_s + share * seconds))
        start_s += share * seconds
    return tuple(laid)


def challenge_script(challenge: Challenge, seconds: float) -> tuple[Prompt, ...]:
    """Lay out a challenge from its first second on, and what is said after it, to `seconds`."""
    asked = prompts(challenge)
    ready = [Prompt("ready", _READY, 0.0, asked[0].start_s)] if asked[0].start_s > 0 else []
    after = [Prompt("talk", _TALK_ON, asked[-1].end_s, seconds)] if seconds > asked[-1].end_s else []
    return (*ready, *asked, *after)


def prompt_at(script: Sequence[Prompt], time_s: float) -> Prompt:
    """Find what is to be done at a time; after the end it is still the last."""
    return next((prompt for prompt in reversed(script) if prompt.start_s <= time_s), script[0])
