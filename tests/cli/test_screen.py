"""Guidance in a terminal."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cameo.capture import picture_limits, sound_limits
from cameo.capture.guide import View
from cameo.cli.screen import guide_by_lines, guide_in_terminal, render_view

IMAGE = np.zeros((9, 16, 3), np.uint8)
CHECKS = (picture_limits.FACE_SIZE.judge(30), sound_limits.SOUND.judge(-20), picture_limits.LIGHT.judge(0.5))


def view(phase: Any = "recording", text: str = "say four (4)", time_s: float = 7.4, box: Any = None) -> View:
    return View(phase, text, 0.5, time_s, 30.0, CHECKS, IMAGE, box)


def printed(moment: View, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(render_view(moment))
    return stream.getvalue().splitlines()


def test_a_moment_in_eighty_columns() -> None:
    lines = printed(view())
    assert "recording  7 of 30 s" in lines[0]
    assert lines[2].strip("│ ") == "say four (4)"
    assert any("face size" in line and "could be better" in line for line in lines)
    assert any("sound level" in line and line.rstrip().endswith("good") for line in lines)
    assert not any("…" in line for line in lines), "nothing is cut off"
    assert max(map(len, lines)) <= 80
    bar = next(line for line in lines if "━" in line)
    assert 30 <= bar.count("━") <= 76
    assert "Ctrl-C" in lines[-1]


def test_before_the_recording_there_is_no_clock() -> None:
    lines = printed(view("framing", "come closer"))
    assert "before the recording" in lines[0] and not any("━" in line for line in lines)


@pytest.mark.parametrize(("left", "side"), [(0.0, slice(13, 25)), (0.6, slice(1, 13))])
def test_the_face_is_shown_as_in_a_mirror(left: float, side: slice) -> None:
    rows = [line for line in printed(view(box=(left, 0.2, 0.35, 0.6))) if line.startswith("│") and "●" in line]
    assert rows
    assert all("●" not in line[:26].replace(line[side], "") and "●" in line[side] for line in rows)


def test_nothing_that_is_shown_can_drive_the_terminal() -> None:
    assert "\x1b" not in "".join(printed(view(text="look \x1b[2J here [bold]x[/bold]")))
    assert any("[bold]x[/bold]" in line for line in printed(view(text="[bold]x[/bold]")))


def test_plain_lines_say_each_thing_once(capsys: pytest.CaptureFixture[str]) -> None:
    for guide in (guide_by_lines, guide_in_terminal):  # stderr is no terminal here
        with guide() as told:
            told.show(view("framing", "come closer", 0.0))
            told.show(view("framing", "come closer", 0.0))
            told.show(view(text="say one (1)", time_s=1.0))
            told.show(view(text="say one (1)", time_s=1.5))
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", "come closer\n  1.0 s  say one (1)\n")


def test_a_terminal_is_drawn_on_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with guide_in_terminal() as told:
        for _ in range(50):
            told.show(view())
    text = stream.getvalue()
    assert 1 <= text.count("say four (4)") <= 5, "not for every picture"
    assert text.rstrip().endswith("\x1b[2K") or "\x1b[2K" in text
