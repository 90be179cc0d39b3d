"""Take pictures and sound from a file, as if a camera and a microphone gave them now."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from cameo.capture.clip import CLIP_HINT, open_recording, picture_stream, sound_stream
from cameo.capture.sources import SOUND_HZ, Heard, Shot
from cameo.errors import ClipError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from cameo.records import UInt8

_LONG_SIDE = 1280  # what is asked of a camera, too


class Pace:
    """Let a file take as long as it takes to watch.

    Args:
        now: the clock to go by, in seconds.
        sleep: how to wait.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now, self._sleep = now, sleep
        self._start_s: float | None = None

    def wait(self, time_s: float) -> None:
        """Wait until `time_s` of the file is due; the first call is due at once."""
        if self._start_s is None:
            self._start_s = self._now() - time_s
        early_s = self._start_s + time_s - self._now()
        if early_s > 0:
            self._sleep(early_s)


class FilePictures:
    """Give the pictures of a file at the times they have in it.

    Args:
        path: a video file.
        pace: how fast; None is as fast as they can be read.

    Raises:
        UsageError: there is no such file.
        ClipError: it is no video.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str], pace: Pace | None = None) -> None:
        self.name = Path(path).name
        self._pace = pace
        self._container, self._closing = _opened(path)
        try:
            stream = picture_stream(self._container)
        except ClipError as error:
            self.close()
            raise ClipError(f"{path}: {error.message}", error.hint) from error
        self._aspect = stream.sample_aspect_ratio or Fraction(1)
        self._frames = _decoded(self._container, stream, self.name)

    def read(self) -> Shot | None:
        """Give the next picture when it is due."""
        for frame in self._frames:
            if isinstance(frame, av.VideoFrame) and frame.time is not None:
                if self._pace is not None:
                    self._pace.wait(frame.time)
                return Shot(frame.time, self._upright(frame))
        return None

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def _upright(self, frame: av.VideoFrame) -> UInt8:
        """Turn a picture as it is shown, and scale large ones down."""
        width, height = max(1, round(frame.width * self._aspect)), frame.height
        scale = min(1.0, _LONG_SIDE / max(width, height))
        width, height = max(2, round(width * scale)), max(2, round(height * scale))
        image = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.rot90(image, round(frame.rotation / 90) % 4)


class FileSound:
    """Give the sound of a file, at the times it has in it.

    Args:
        path: a file with a sound track; see `has_sound`.

    Raises:
        UsageError: there is no such file.
        ClipError: there is no sound in it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = Path(path).name
        self._container, self._closing = _opened(path)
        stream = sound_stream(self._container)
        if stream is None:
            self.close()
            raise ClipError(f"{path}: there is no sound track in it", "record the picture alone: --microphone none")
        self._blocks = self._heard(stream)
        self._held: Heard | None = None

    def take(self, until_s: float) -> list[Heard]:
        """Read on to `until_s`."""
        found = []
        while (block := self._held or next(self._blocks, None)) is not None:
            self._held = block if block.time_s >= until_s else None
            if self._held is not None:
                break
            found.append(block)
        return found

    def close(self) -> None:
        """Close the file."""
        self._closing.close()

    def _heard(self, stream: AudioStream) -> Iterator[Heard]:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_HZ)
        for frame in _decoded(self._container, stream, self.name):
            if not isinstance(frame, av.AudioFrame) or frame.time is None:
                continue
            time_s = frame.time
            frame.pts = None  # the resampler would otherwise fill gaps by rules of its own
            for block in resampler.resample(frame):
                samples = block.to_ndarray().reshape(-1).astype(np.float32)
                yield Heard(time_s, samples)
                time_s += len(samples) / SOUND_HZ


def has_sound(path: str | os.PathLike[str]) -> bool:
    """Whether there is a sound track in a file.

    Raises:
        UsageError: there is no such file.
        ClipError: it cannot be read.
    """
    with open_recording(path, CLIP_HINT) as container:
        return sound_stream(container) is not None


def _opened(path: str | os.PathLike[str]) -> tuple[InputContainer, ExitStack]:
    stack = ExitStack()
    return stack.enter_context(open_recording(path, CLIP_HINT)), stack


def _decoded(
    container: InputContainer, stream: VideoStream | AudioStream, name: str
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Decode a track; broken packets are stepped over, as `read_clip` does.

    Raises:
        ClipError: the file cannot be read any further.
    """
    try:
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.InvalidDataError:
                continue
            for frame in decoded:
                if isinstance(frame, av.VideoFrame | av.AudioFrame):
                    yield frame
    except av.FFmpegError as error:
        raise ClipError(f"{name}: cannot be read any further", "copy the file again or record anew") from error
