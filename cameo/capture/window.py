"""Show somebody who records themselves their own picture, with what to do, in a window."""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cameo import config
from cameo.capture.guide import LABELS, fullness

if TYPE_CHECKING:
    from cameo.capture.guide import View
    from cameo.records import Check, UInt8

_TITLE = "cameo capture  -  q or Esc stops"
_WIDTH, _LOWEST = 960, 360  # of what is drawn, in pixels; an upright picture gets dark sides
_ESCAPE = 27
_EVERY_S = 1 / 15  # drawing costs 13 ms of a core, encoding as much again
_LEVELS = {"ok": (92, 200, 120), "warn": (240, 190, 70), "fail": (235, 95, 85)}
_INK, _VEIL, _TRACK = (255, 255, 255), (16, 18, 22, 190), (255, 255, 255, 60)
_RECORDING = (235, 60, 60)
_OVAL = (0.36, 0.34)  # half axes of where the face belongs, as shares of the picture's height: across and down
_METER = 250  # width

_Box = tuple[float, float, float, float]


def has_window() -> bool:
    """Whether a window can be opened: there is a display, and this OpenCV can draw on it.

    Not where PyAV was loaded first: on Linux both bring the same X libraries, and OpenCV then hangs in the first
    window, which nothing can interrupt. Source: https://github.com/opencv/opencv/issues/29195, and seen here.
    """
    loaded = list(sys.modules)
    safe = sys.platform != "linux" or "av" not in loaded or loaded.index("cv2") < loaded.index("av")
    return safe and config.has_display() and bool(cv2.currentUIFramework())


class Window:
    """Draw moments in a window, at most 15 a second; q, Esc and closing it stop the recording."""

    def __init__(self) -> None:
        self._next_s = 0.0
        cv2.namedWindow(_TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)

    def show(self, view: View) -> None:
        """Draw a moment, if it is time to.

        Raises:
            KeyboardInterrupt: q or Esc was pressed, or the window was closed.
        """
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _EVERY_S
        cv2.imshow(_TITLE, cv2.cvtColor(draw_view(view), cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), _ESCAPE) or cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Take the window away."""
        cv2.destroyAllWindows()


def draw_view(view: View) -> UInt8:
    """Draw a moment, `[H, 960, 3]` uint8 RGB: the picture mirrored as in a looking glass, and what to do over it."""
    canvas = _mirrored(view.image)
    pen = ImageDraw.Draw(canvas, "RGBA")
    width, height = canvas.size
    if view.phase != "recording":
        _draw_oval(pen, width, height, _worst(view))
    else:
        _draw_clock(pen, view)
    _draw_meter(pen, width, [check for check in view.checks if check.name in LABELS])
    _draw_text(pen, width, height, view)
    return np.asarray(canvas, np.uint8)


def _mirrored(image: UInt8) -> Image.Image:
    """Scale to the window's width, or to three quarters of it in height, and mirror."""
    height, width = image.shape[:2]
    scale = min(_WIDTH / width, 0.75 * _WIDTH / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = cv2.resize(np.ascontiguousarray(image[:, ::-1]), size, interpolation=method)
    canvas = Image.new("RGB", (_WIDTH, max(size[1], _LOWEST)))
    canvas.paste(
        Image.fromarray(np.asarray(shown, np.uint8)), ((_WIDTH - size[0]) // 2, (canvas.height - size[1]) // 2)
    )
    return canvas


def _worst(view: View) -> str:
    """The worst level of what is seen; what is heard does not change the oval."""
    levels = [check.level for check in view.checks if check.unit not in ("dB", "dBFS")]
    return next((level for level in ("fail", "warn") if level in levels), "ok")


def _draw_oval(pen: ImageDraw.ImageDraw, width: int, height: int, level: str) -> None:
    """Draw where the face belongs."""
    x, y = width / 2, 0.44 * height
    across, down = _OVAL[0] * height * 0.75, _OVAL[1] * height
    pen.ellipse((x - across, y - down, x + across, y + down), outline=_LEVELS[level], width=4)


def _draw_clock(pen: ImageDraw.ImageDraw, view: View) -> None:
    """Draw the red dot, and how far the recording has come."""
    text = f"{view.time_s:.0f} of {view.whole_s:.0f} s"
    font = _font(20)
    pen.rounded_rectangle((16, 16, 60 + pen.textlength(text, font), 52), 8, fill=_VEIL)
    pen.ellipse((28, 27, 42, 41), fill=_RECORDING)
    pen.text((50, 34), text, _INK, font, anchor="lm")


def _draw_meter(pen: ImageDraw.ImageDraw, width: int, checks: list[Check]) -> None:
    """Draw a bar for each check, in the colour of its level."""
    if not checks:
        return
    left, font = width - _METER - 16, _font(16)
    pen.rounded_rectangle((left, 16, width - 16, 32 + 24 * len(checks)), 8, fill=_VEIL)
    for row, check in enumerate(checks):
        y = 36 + 24 * row
        pen.text((left + 12, y), LABELS[check.name], _INK, font, anchor="lm")
        _draw_bar(pen, (left + 128, y - 5, width - 28, y + 5), fullness(check), _LEVELS[check.level])


def _draw_text(pen: ImageDraw.ImageDraw, width: int, height: int, view: View) -> None:
    """Draw what to do in large letters, and over it how much time is left for it."""
    font = _font(40 if view.phase != "framing" else 28)
    lines = _wrap(pen, view.text, font, width - 80)
    tall = int(font.size * 1.3)
    top = height - tall * len(lines) - 40
    pen.rectangle((0, top, width, height), fill=_VEIL)
    if view.phase != "framing":
        _draw_bar(pen, (40, top + 10, width - 40, top + 20), view.left, _INK)
    for row, line in enumerate(lines):
        pen.text((width / 2, top + 26 + tall * (row + 0.5)), line, _INK, font, anchor="mm")


def _draw_bar(pen: ImageDraw.ImageDraw, place: _Box, share: float, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = place
    pen.rounded_rectangle(place, 5, fill=_TRACK)
    end = left + max(0.0, min(1.0, share)) * (right - left)
    if end - left >= 2:
        pen.rounded_rectangle((left, top, end, bottom), 5, fill=colour)


def _wrap(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Break a text into lines that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Load the typeface that comes with Pillow."""
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType")
    return font
