"""Guide somebody who records themselves in the terminal: what to do, where the face is, and meters."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cameo import config
from cameo.capture.guide import LABELS, fullness
from cameo.cli.terminal import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cameo.capture.guide import Guide, View

_EVERY_S = 0.1
_NEW_STEP = 0.5  # of a step's time: what is left of it jumps up by more when the next begins
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_WORDS = {"ok": "good", "warn": "could be better", "fail": "not good"}
_BAR = 16
_ACROSS, _DOWN = 24, 8  # characters of the frame in which the face is shown


@contextmanager
def guide_in_terminal() -> Iterator[Guide]:
    """Guide in the terminal; where stderr is none, by a line for each new text."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    console = Console(stderr=True, no_color=not config.wants_colour())
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield _Screen(live)


@contextmanager
def guide_by_lines() -> Iterator[Guide]:
    """Print each new text once."""
    yield _Lines()


def render_view(view: View) -> RenderableType:
    """Lay a moment out for a terminal."""
    title = {"framing": "before the recording", "starting": "ready", "recording": "recording"}[view.phase]
    if view.phase == "recording":
        title += f"  {view.time_s:.0f} of {view.whole_s:.0f} s"
    words = Text(printable(view.text), style="bold", justify="center")
    parts: list[RenderableType] = [Text(), words, Text()]
    if view.phase != "framing":
        parts.append(ProgressBar(total=1.0, completed=max(0.0, min(1.0, view.left))))
    colour = "red" if view.phase == "recording" else "cyan"
    head = Panel(Group(*parts), title=title, border_style=colour, padding=(0, 2))
    body = Table.grid(padding=(0, 2))
    body.add_row(Text(_frame(view.box)), _meters(view))
    return Group(head, body, Text("Ctrl-C stops, and keeps nothing", style="dim"))


def _meters(view: View) -> Table:
    """A bar for each check, its level in words: colour alone does not say it."""
    table = Table.grid(padding=(0, 2))
    for check in view.checks:
        if check.name in LABELS:
            filled = round(fullness(check) * _BAR)
            bar = Text("█" * filled, style=_COLOURS[check.level]) + Text("░" * (_BAR - filled), style="dim")
            table.add_row(LABELS[check.name], bar, Text(_WORDS[check.level], style=_COLOURS[check.level]))
    return table


def _frame(box: tuple[float, float, float, float] | None) -> str:
    """Draw where the face is in the picture, mirrored as in a looking glass."""
    inside = [[" "] * _ACROSS for _ in range(_DOWN)]
    if box is not None:
        x, y, width, height = box
        for row in range(_DOWN):
            for column in range(_ACROSS):
                across = (1 - (column + 0.5) / _ACROSS - x - width / 2) / (width / 2)
                down = ((row + 0.5) / _DOWN - y - height / 2) / (height / 2)
                if across * across + down * down <= 1:
                    inside[row][column] = "●"
    edge = "─" * _ACROSS
    return "\n".join([f"┌{edge}┐", *(f"│{''.join(line)}│" for line in inside), f"└{edge}┘"])


class _Screen:
    """Draw on the terminal, at most ten times a second."""

    def __init__(self, live: Live) -> None:
        self._live, self._next_s = live, 0.0

    def show(self, view: View) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self._live.update(render_view(view), refresh=True)


class _Lines:
    """Print what to do, once for each step: two in a row may be the same."""

    def __init__(self) -> None:
        self._said, self._left = "", 0.0

    def show(self, view: View) -> None:
        again = view.phase == "recording" and view.left > self._left + _NEW_STEP
        self._left = view.left
        if view.text != self._said or again:
            self._said = view.text
            at = f"{view.time_s:5.1f} s  " if view.phase == "recording" else ""
            print(printable(at + view.text), file=sys.stderr, flush=True)
