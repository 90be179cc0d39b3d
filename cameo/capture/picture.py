"""Sample a picture track as it streams: upright, scaled down, on its own clock."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import Interpolation

from cameo.errors import ClipError

if TYPE_CHECKING:
    from cameo.records import Float64, UInt8

_MAX_PIXELS = 8192 * 8192
_EARLY_S = 1e-3  # a picture this little before its turn is taken; containers round times to a millisecond


class PictureTrack:
    """Keep every picture whose turn has come; the others cost neither conversion nor memory.

    Args:
        limit_s: pictures from this time on are ignored.
        sample_hz: pictures kept per second.
        long_side: the longer side of kept pictures in pixels; smaller pictures keep their size.
        aspect: width over height of one stored pixel.
    """

    def __init__(self, limit_s: float, sample_hz: float, long_side: int, aspect: Fraction | None = None) -> None:
        self.limit_s, self.sample_hz, self.long_side, self.aspect = limit_s, sample_hz, long_side, aspect or Fraction(1)
        self.start_s: float | None = None
        self.size = (0, 0)
        self.rotation_deg = 0
        self._frames = np.empty((0, 0, 0, 3), np.uint8)
        self._times: list[float] = []
        self._seen = 0
        self._last_s = 0.0
        self._next_s = 0.0

    @property
    def fps(self) -> float:
        """Measured mean rate of the track; 0 for a single picture."""
        return (self._seen - 1) / self._last_s if self._last_s > 0 else 0.0

    @property
    def end_s(self) -> float:
        """When the last picture seen ends, at most `limit_s`."""
        return min(self._last_s + (1 / self.fps if self.fps else 0.0), self.limit_s)

    @property
    def frames(self) -> UInt8:
        """The kept pictures, `[T, H, W, 3]` uint8 RGB."""
        return self._frames[: len(self._times)]

    @property
    def times_s(self) -> Float64:
        """`[T]` times of the kept pictures, the first at 0."""
        return np.asarray(self._times, np.float64)

    def add(self, frame: av.VideoFrame) -> None:
        """Take one decoded picture, in order of presentation.

        Raises:
            ClipError: the picture is too large or changes its shape.
        """
        pts = frame.dts if frame.pts is None else frame.pts
        if pts is None or frame.time_base is None:
            return
        time_s = float(pts * frame.time_base)
        if self.start_s is None:
            self.start_s = time_s
        time_s -= self.start_s
        if time_s >= self.limit_s or (self._seen and time_s <= self._last_s):
            return
        self._seen += 1
        self._last_s = time_s
        if time_s < self._next_s - _EARLY_S:
            return
        self._next_s = (math.floor((time_s + _EARLY_S) * self.sample_hz) + 1) / self.sample_hz
        self._keep(frame, time_s)

    def _keep(self, frame: av.VideoFrame, time_s: float) -> None:
        """Scale, turn and store a picture; later ones of another size are scaled to the first."""
        quarter_turns = round(frame.rotation / 90) % 4
        shown = (max(1, round(frame.width * self.aspect)), frame.height)
        upright = shown[::-1] if quarter_turns % 2 else shown
        if not self._times:
            self._begin(upright, quarter_turns)
        height, width = self._frames.shape[1:3]
        if abs(upright[0] / upright[1] * height / width - 1) > 0.02 + 1 / min(height, width):
            raise ClipError("the picture changes its shape midway", "record without turning the phone")
        if quarter_turns % 2:
            height, width = width, height
        image = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=Interpolation.AREA)
        self._frames[len(self._times)] = np.rot90(image, quarter_turns)
        self._times.append(time_s)

    def _begin(self, upright: tuple[int, int], quarter_turns: int) -> None:
        """Learn the size from the first picture and reserve room; pages are used only once written."""
        if upright[0] * upright[1] > _MAX_PIXELS:
            raise ClipError(f"pictures of {upright[0]}x{upright[1]} are too large", "record in 4K or less")
        self.size, self.rotation_deg = upright, quarter_turns * 90
        scale = min(1.0, self.long_side / max(upright))
        width, height = (max(1, round(side * scale)) for side in upright)
        room = math.ceil(self.limit_s * self.sample_hz) + 1
        self._frames = np.empty((room, height, width, 3), np.uint8)
