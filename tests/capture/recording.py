"""Sources and a guide made by code, so that a recording takes no longer than its pictures take to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from cameo.capture.guide import View
from cameo.capture.prompter import free_script
from cameo.capture.recorder import Plan
from cameo.capture.sources import SOUND_HZ, Heard, Shot
from cameo.errors import ClipError

FPS = 20.0


class MadePictures:
    """Give `picture(time_s)` at `fps`; a live one fails after `until_s`, another ends."""

    def __init__(
        self, picture: Callable[[float], np.ndarray], fps: float = FPS, live: bool = False, until_s: float = 1e9
    ) -> None:
        self.name, self.live = "the made camera", live
        self._picture, self._fps, self._until_s, self._count = picture, fps, until_s, 0

    def read(self) -> Shot | None:
        time_s = self._count / self._fps
        if time_s >= self._until_s:
            if self.live:
                raise ClipError("the made camera gives no more pictures", "plug it in")
            return None
        self._count += 1
        return Shot(1000 + time_s, self._picture(time_s))

    def close(self) -> None: ...


class MadeSound:
    """Give a tone of `level`, in blocks of 20 ms that begin with the pictures."""

    name = "the made microphone"

    def __init__(self, level: float = 0.3) -> None:
        self._blocks = self._sing(level)
        self._next = next(self._blocks)

    def take(self, until_s: float) -> list[Heard]:
        found = []
        while self._next.time_s < until_s:
            found.append(self._next)
            self._next = next(self._blocks)
        return found

    def close(self) -> None: ...

    def _sing(self, level: float) -> Iterator[Heard]:
        size, count = SOUND_HZ // 50, 0
        while True:
            at = np.arange(count * size, (count + 1) * size)
            yield Heard(1000 + count / 50, (level * np.sin(at * 2 * np.pi * 440 / SOUND_HZ)).astype(np.float32))
            count += 1


class Watching:
    """Remember every moment; press Ctrl-C at `stop_s` of the recording."""

    def __init__(self, stop_s: float = 1e9) -> None:
        self.views: list[View] = []
        self._stop_s = stop_s

    def show(self, view: View) -> None:
        self.views.append(view)
        if view.phase == "recording" and view.time_s >= self._stop_s:
            raise KeyboardInterrupt

    def texts(self, phase: str = "recording") -> list[str]:
        """What was shown, each text once, in order."""
        return list(dict.fromkeys(view.text for view in self.views if view.phase == phase))


def moving_bar(time_s: float) -> np.ndarray:
    """A grey picture with a bright bar that moves."""
    image = np.full((96, 128, 3), 90, np.uint8)
    at = int(time_s * 20) % 120
    image[:, at : at + 8] = 250
    return image


def plan(seconds: float = 2.0, guided: bool = False, needed_s: float = 0.0) -> Plan:
    return Plan(seconds, free_script(seconds), needed_s, guided)
