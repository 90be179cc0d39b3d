"""Write a recording while it is made: H.264 and AAC in MP4, each picture at its own time, in bounded memory."""

from __future__ import annotations

import os
from fractions import Fraction
from types import TracebackType
from typing import TYPE_CHECKING, cast

import av
import numpy as np

from cameo.capture.sources import SOUND_HZ, Heard, Shot
from cameo.errors import ClipError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from cameo.records import Float32

_TICKS_HZ = 90_000
# Fast enough for a camera beside all else. Source: FFmpeg's H.264 encoding guide; 18 is where differences vanish.
_H264 = {"crf": "18", "preset": "veryfast"}
_CODECS = ("libx264", "libopenh264", "mpeg4")  # the first that this FFmpeg has
_BIT_RATE = 6_000_000  # for the two that know no constant quality
_SOUND_BIT_RATE = 128_000
_NOMINAL_HZ = 30  # a hint for the encoder only
_BT709 = 1  # ISO/IEC 23091-2, for matrix, primaries and transfer alike
# Stamps of sound jitter by some milliseconds; only steps longer than this are real gaps or overlaps.
_JUMP_S = 0.1


class ClipWriter:
    """Write pictures and sound; the first picture is time 0, and sound before it is left out.

    Leaving the `with` block by an error leaves a file that nobody shall read.

    Args:
        path: the file to write; see `files.atomic_path`.
        first: the first picture, which sets the size; odd sides lose a row or column.
        sound: whether there will be sound.
    """

    def __init__(self, path: str | os.PathLike[str], first: Shot, sound: bool) -> None:
        height, width = (side - side % 2 for side in first.image.shape[:2])
        self.start_s, self.end_s = first.time_s, first.time_s
        self.width, self.height, self.pictures = width, height, 0
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._picture = _picture_stream(self._container, width, height)
        self._sound: AudioStream | None = None
        if sound:
            self._sound = self._container.add_stream("aac", rate=SOUND_HZ, layout="mono")
            self._sound.bit_rate = _SOUND_BIT_RATE
        self._samples = 0
        self._last_tick = -1

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._picture.encode(None))
                if self._sound is not None:
                    self._container.mux(self._sound.encode(None))
        finally:
            self._container.close()

    @property
    def seconds(self) -> float:
        """From the first picture to the last."""
        return self.end_s - self.start_s

    def add_picture(self, shot: Shot) -> None:
        """Write a picture at its time; one that is not later than the one before is left out.

        Raises:
            ClipError: the picture changes its shape.
        """
        tick = round((shot.time_s - self.start_s) * _TICKS_HZ)
        if tick <= self._last_tick:
            return
        height, width = shot.image.shape[:2]
        if abs(width / height * self.height / self.width - 1) > 0.02 + 2 / self.height:
            raise ClipError("the picture changes its shape midway", "leave the camera as it is while you record")
        image = np.ascontiguousarray(shot.image[: height - height % 2, : width - width % 2])
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = frame.reformat(self.width, self.height, format="yuv420p", dst_colorspace="itu709")
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS_HZ)
        self._container.mux(self._picture.encode(frame))
        self._last_tick, self.end_s = tick, shot.time_s
        self.pictures += 1

    def add_sound(self, heard: Heard) -> None:
        """Write a piece of sound at its time: silence fills a gap before it, and an overlap is dropped."""
        at = round((heard.time_s - self.start_s) * SOUND_HZ)
        samples, ahead = heard.samples, at - self._samples
        if self._samples and abs(ahead) <= _JUMP_S * SOUND_HZ:
            ahead = 0
        if ahead > 0:
            self._encode(np.zeros(ahead, np.float32))
        self._encode(samples[max(0, -ahead) :])

    def _encode(self, samples: Float32) -> None:
        if self._sound is None or not len(samples):
            return
        block = av.AudioFrame.from_ndarray(np.clip(np.nan_to_num(samples), -1, 1)[None], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = SOUND_HZ, self._samples, Fraction(1, SOUND_HZ)
        self._container.mux(self._sound.encode(block))
        self._samples += len(samples)


def _picture_stream(container: OutputContainer, width: int, height: int) -> VideoStream:
    """Add the track of the picture, with the best encoder there is."""
    codec = next(name for name in _CODECS if name in av.codecs_available)
    stream = cast("VideoStream", container.add_stream(codec, rate=_NOMINAL_HZ))
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _TICKS_HZ)
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    if codec == _CODECS[0]:
        stream.options = dict(_H264)
    else:
        context.time_base = Fraction(1, 1000)  # MPEG-4 counts at most 65,535 to the second
        stream.bit_rate = _BIT_RATE
    return stream
