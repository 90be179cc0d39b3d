"""Record somebody who is guided: first into the picture, then through what there is to say and do.

1. Frame: until the face is in the picture, near, lit and sharp. Files and unguided recordings have no such phase; an
   unguided camera only gets a second to find its exposure.
2. Start: three seconds to get ready. The first picture after them is time 0 of clip and challenge.
3. Record: every picture and all sound go to the file at their own times, while the guide shows what to do.

A recording that fails or is stopped leaves nothing.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import av
import numpy as np

from cameo.capture import picture_limits, sound_limits
from cameo.capture.clip_writer import ClipWriter
from cameo.capture.guide import Guide, View
from cameo.capture.live_meter import FRAMING, PictureMeter, SoundMeter
from cameo.capture.picture_checks import picture_luminance
from cameo.capture.prompter import prompt_at
from cameo.errors import CaptureRejected, ClipError, OutputError
from cameo.files import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cameo.capture.challenge import Prompt
    from cameo.capture.rule import Rule
    from cameo.capture.sources import FrameSource, Heard, Shot, SoundSource

SLOWEST_HZ = 10.0  # fewer pictures a second show neither lips nor turns
_RATE_WINDOW_S = 4.0  # a hiccup is no harm
_WARM_UP_S = 1.0
_STEADY_S = 1.0  # all must be well for so long
_EASY_S, _PATIENCE_S = 15.0, 60.0  # from then on warnings do not hold anybody up; and then nobody waits any more
_COUNTDOWN_S = 3
_DARK_S = 1.0
# The first of a challenge's digits may come after four turns: 9 s.
_SILENT_S = 10.0
_NAMES = {rule.name for rule in FRAMING}


@dataclass(frozen=True, slots=True)
class Plan:
    """Say what shall be recorded.

    Attributes:
        seconds: how long.
        script: what is shown when, from second 0 on.
        needed_s: how much of it there must be; a source that ends before that has failed.
        guided: whether quality is measured live, and a camera first shows whether all is well.
    """

    seconds: float
    script: Sequence[Prompt]
    needed_s: float = 0.0
    guided: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """Say what was recorded; `fps` is the mean rate."""

    seconds: float
    fps: float
    width: int
    height: int
    sound: bool


def record_clip(
    path: str | os.PathLike[str], pictures: FrameSource, sound: SoundSource | None, plan: Plan, guide: Guide
) -> Recorded:
    """Record a clip, in one step: an MP4 file that `read_clip` reads.

    Raises:
        ClipError: a source fails, ends too early, or gives fewer than 10 pictures a second.
        CaptureRejected: the picture stays black, no face comes into it, or nothing is heard.
        OutputError: the file cannot be written.
        KeyboardInterrupt: somebody wants to stop.
    """
    session = _Session(pictures, sound, plan, guide)
    first = session.frame()
    with atomic_path(path) as temporary:
        try:
            with ClipWriter(temporary, first, sound is not None) as writer:
                session.record(first, writer)
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OutputError(f"cannot write {path}: {error}", "check the disk, or try another folder") from error
    rate_hz = (writer.pictures - 1) / writer.seconds
    return Recorded(writer.seconds, rate_hz, writer.width, writer.height, sound is not None)


class _Session:
    """Hold what goes on between the first picture and the last."""

    def __init__(self, pictures: FrameSource, sound: SoundSource | None, plan: Plan, guide: Guide) -> None:
        self._pictures, self._sound, self._plan, self._guide = pictures, sound, plan, guide
        self._meter, self._ear = PictureMeter(), SoundMeter()
        self._times: deque[float] = deque()
        self._first_s: float | None = None

    def frame(self) -> Shot:
        """Wait until all is well, and return the first picture to record.

        Raises:
            ClipError: the source fails.
            CaptureRejected: the picture is not fit to be recorded.
        """
        shot = self._next()
        if not self._pictures.live:
            return shot
        began_s = shot.time_s
        if not self._plan.guided:
            while shot.time_s - began_s < _WARM_UP_S:
                shot = self._next()
            return shot
        well_s = began_s
        while shot.time_s - well_s < _STEADY_S or shot.time_s - began_s < _WARM_UP_S:
            shot = self._next()
            self._hear(shot)
            self._meter.see(shot)
            text = self._wanting(shot.time_s - began_s)
            if text:
                well_s = shot.time_s
            self._show(shot, "framing", text or "good, stay like this", 1.0)
        return self._count_down(shot)

    def record(self, first: Shot, writer: ClipWriter) -> None:
        """Record from `first` on, to the plan's end or the source's.

        Raises:
            ClipError: a source fails or ends too early.
            CaptureRejected: the picture is black, or nothing is heard.
        """
        shot: Shot | None = first
        lights: list[float] = []
        while shot is not None and shot.time_s - first.time_s < self._plan.seconds:
            time_s = shot.time_s - first.time_s
            writer.add_picture(shot)
            for heard in self._hear(shot):
                writer.add_sound(heard)
            if time_s < _DARK_S:
                lights.append(picture_luminance(shot.image[None]))
            elif lights:
                _require(picture_limits.LIGHT, float(np.median(lights)))
                lights.clear()
            if time_s >= _SILENT_S:
                self._require_heard()
            if self._plan.guided:
                self._meter.see(shot)
            prompt = prompt_at(self._plan.script, time_s)
            left = (prompt.end_s - time_s) / (prompt.end_s - prompt.start_s)
            self._show(shot, "recording", prompt.text, left, time_s)
            shot = self._read()
        needed_s = max(self._plan.needed_s, 1 / SLOWEST_HZ)
        if writer.seconds < needed_s - 1 / SLOWEST_HZ or writer.pictures < 2:
            message = f"{self._pictures.name} ends after {writer.seconds:.1f} s, {needed_s:g} s are needed"
            raise ClipError(message, "give a longer one")
        self._require_heard()

    def _count_down(self, shot: Shot) -> Shot:
        began_s = shot.time_s
        while (left_s := _COUNTDOWN_S - (shot.time_s - began_s)) > 0:
            self._hear(shot)
            self._meter.see(shot)
            text = f"{self._plan.script[0].text}: {int(np.ceil(left_s))}"
            self._show(shot, "starting", text, left_s / _COUNTDOWN_S)
            shot = self._next()
        return shot

    def _wanting(self, waited_s: float) -> str:
        """Say what to do before the recording may begin; "" when all is well.

        Raises:
            CaptureRejected: it took too long, and something is beyond a limit of use.
        """
        easy = waited_s >= _EASY_S
        levels = ("fail",) if easy else ("fail", "warn")
        wanting = [check for check in self._meter.checks if check.name in _NAMES and check.level in levels]
        if not wanting:
            return "" if self._meter.checks else "one moment"
        if waited_s >= _PATIENCE_S:
            rule = next(rule for rule in FRAMING if rule.name == wanting[0].name)
            raise CaptureRejected(rule.problem.format(value=wanting[0].value), rule.advice)
        return wanting[0].advice

    def _hear(self, shot: Shot) -> list[Heard]:
        """Take the sound up to a picture."""
        if self._sound is None:
            return []
        pieces = self._sound.take(shot.time_s)
        self._ear.hear(pieces)
        return pieces

    def _require_heard(self) -> None:
        if self._sound is not None:
            _require(sound_limits.SOUND, self._ear.loudest_db)

    def _show(
        self,
        shot: Shot,
        phase: Literal["framing", "starting", "recording"],
        text: str,
        left: float,
        time_s: float = 0.0,
    ) -> None:
        checks = (*self._meter.checks, *self._ear.checks)
        self._guide.show(View(phase, text, left, time_s, self._plan.seconds, checks, shot.image, self._meter.box))

    def _next(self) -> Shot:
        """Read a picture that must be there."""
        shot = self._read()
        if shot is None:
            raise ClipError(f"{self._pictures.name} has no picture", "give a video")
        return shot

    def _read(self) -> Shot | None:
        """Read a picture, and see that they come fast enough.

        Raises:
            ClipError: they do not.
        """
        shot = self._pictures.read()
        if shot is None:
            return None
        self._times.append(shot.time_s)
        self._first_s = shot.time_s if self._first_s is None else self._first_s
        while self._times[-1] - self._times[0] > _RATE_WINDOW_S and len(self._times) > 2:
            self._times.popleft()
        if shot.time_s - self._first_s >= _RATE_WINDOW_S:
            rate_hz = (len(self._times) - 1) / (self._times[-1] - self._times[0])
            if rate_hz < SLOWEST_HZ:
                message = f"{self._pictures.name} gives only {rate_hz:.0f} pictures a second, {SLOWEST_HZ:g} are needed"
                raise ClipError(message, "use more light, close other programs, or take another camera")
        return shot


def _require(rule: Rule, value: float) -> None:
    """Refuse what is beyond a limit of use.

    Raises:
        CaptureRejected: it is.
    """
    if rule.judge(value).level == "fail":
        raise CaptureRejected(rule.problem.format(value=value), rule.advice)
