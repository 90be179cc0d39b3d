"""What the window shows, as pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from cameo.capture import picture_limits, sound_limits, window
from cameo.capture.guide import View
from cameo.capture.window import Window, draw_view, has_window

CHECKS = (picture_limits.FACE_SIZE.judge(80), picture_limits.BRIGHTNESS.judge(0.05))
GREEN, RED, WHITE = (92, 200, 120), (235, 95, 85), (255, 255, 255)


def view(phase: Any = "recording", left: float = 0.5, checks: Any = CHECKS, text: str = "say four (4)") -> View:
    image = np.full((180, 320, 3), 60, np.uint8)
    image[80:100, :40] = (200, 120, 40)
    return View(phase, text, left, 7.0, 30.0, checks, image)


def count(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((image == colour).all(-1).sum())


def test_it_is_a_mirror() -> None:
    """What is at the left of the picture is shown at the right, as one sees oneself."""
    moment = view()
    drawn = draw_view(moment)
    assert drawn.shape == (540, 960, 3) and drawn.dtype == np.uint8
    assert abs(drawn[270, 930].astype(int) - (200, 120, 40)).max() < 3
    assert abs(drawn[270, 30].astype(int) - 60).max() < 3
    assert (moment.image[90, 10] == (200, 120, 40)).all(), "what is recorded is not mirrored"


def test_the_time_that_is_left_is_a_bar() -> None:
    full, half, none = (count(draw_view(view(left=left))[440:470], WHITE) for left in (1.0, 0.5, 0.0))
    assert full > 1.9 * half > 1.9 * 0.9 * (full - none) / 2 and none < 100


def test_the_text_is_there_and_large() -> None:
    with_text, without = draw_view(view()), draw_view(view(text=" "))
    changed = np.abs(with_text[-90:].astype(int) - without[-90:]).max(-1) > 60
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert np.ptp(rows) > 25 and np.ptp(columns) > 180
    assert abs(columns.mean() - 480) < 40, "in the middle"


def test_long_advice_is_wrapped() -> None:
    long = "come closer, so that the head fills at least a third of the picture's height " * 2
    drawn = draw_view(view("framing", text=long))
    short = draw_view(view("framing", text="come closer"))
    assert count(drawn[300:], WHITE) > 3 * count(short[300:], WHITE)


def test_meters_have_the_colour_of_their_level() -> None:
    drawn = draw_view(view())
    assert count(drawn, GREEN) > 500 and count(drawn, RED) > 100
    assert count(draw_view(view(checks=())), GREEN) == 0
    unnamed = draw_view(view(checks=(picture_limits.LIGHT.judge(0.5),)))
    assert (unnamed == draw_view(view(checks=()))).all(), "what has no meter"


def test_the_oval_is_only_for_framing() -> None:
    good = CHECKS[:1]
    assert count(draw_view(view("framing", checks=good)), GREEN) > count(draw_view(view(checks=good)), GREEN) + 1000
    assert count(draw_view(view("framing")), RED) > 1000
    faint = (*good, sound_limits.SOUND.judge(-90))
    assert count(draw_view(view("framing", checks=faint)), GREEN) > 1000, "silence does not change it"


def test_upright_pictures_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    upright = View("recording", "talk", 1.0, 1.0, 15.0, (), np.full((640, 360, 3), 200, np.uint8))
    drawn = draw_view(upright)
    assert drawn.shape == (720, 960, 3)
    assert (drawn[100, :200] < 60).all() and (drawn[100, 400:500] == 200).all()


@pytest.mark.parametrize(
    ("key", "visible", "stops"), [(-1, 1.0, False), (ord("q"), 1.0, True), (27, 1.0, True), (-1, 0.0, True)]
)
def test_keys_stop(monkeypatch: pytest.MonkeyPatch, key: int, visible: float, stops: bool) -> None:
    shown: list[np.ndarray] = []
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _ms: key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: visible)
    if stops:
        with pytest.raises(KeyboardInterrupt):
            Window().show(view())
    else:
        Window().show(view())
    assert (shown[0] == draw_view(view())[..., ::-1]).all(), "BGR for OpenCV"


def test_not_every_picture_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []
    monkeypatch.setattr(window, "_EVERY_S", 1e6)
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda *words: drawn.append(words))
    monkeypatch.setattr(cv2, "waitKey", lambda _ms: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    shown = Window()
    for _ in range(5):
        shown.show(view())
    assert len(drawn) == 1


def test_where_a_window_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("sys.modules", {"cv2": cv2, "av": None})
    assert has_window()
    monkeypatch.setattr("sys.modules", {"av": None, "cv2": cv2})
    assert not has_window(), "it would hang"
    monkeypatch.setattr("sys.modules", {"cv2": cv2})
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    assert not has_window()
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT")
    monkeypatch.delenv("DISPLAY")
    assert not has_window()
