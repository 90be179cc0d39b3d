"""Bring the sound of any recording to 16 kHz mono on the picture's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from cameo.records import Float32

# Timestamps jitter by a millisecond in Matroska; only steps longer than this are real gaps or overlaps.
_JUMP_S = 0.05


class SoundTrack:
    """Collect decoded audio and lay it out on a clock.

    Decoded blocks are resampled as they come and kept as float32, so memory is bounded by what is fed in.

    Args:
        rate_hz: samples per second of the result.
        limit_s: seconds of the result at most.
    """

    def __init__(self, rate_hz: int, limit_s: float) -> None:
        self.rate_hz, self.limit_s = rate_hz, limit_s
        self.end_s = float("-inf")
        self._resampler = self._new_resampler()
        # Each unbroken run of sound: when it starts, and its samples in blocks.
        self._runs: list[tuple[float, list[Float32]]] = []

    @property
    def start_s(self) -> float:
        """When the first block starts; 0 when there is none."""
        return self._runs[0][0] if self._runs else 0.0

    def add(self, frame: av.AudioFrame) -> None:
        """Take one decoded block; one without a timestamp follows the block before it."""
        follows_s = self.end_s if self._runs else 0.0
        time_s = follows_s if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)
        if not self._runs or abs(time_s - self.end_s) > _JUMP_S:
            self._flush()
            self._runs.append((time_s, []))
            self.end_s = time_s
        self.end_s += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler would otherwise fill gaps by rules of its own
        try:
            self._keep(self._resampler.resample(frame))
        except ValueError:  # layout or rate change midway
            self._flush()
            self._keep(self._resampler.resample(frame))

    def on_clock(self, start_s: float) -> Float32:
        """Lay the sound out from `start_s` on: `[N]` float32 mono in [-1, 1], silence where nothing was recorded.

        What lies before `start_s` or more than `limit_s` after it is dropped.
        """
        self._flush()
        placed = [(round((t - start_s) * self.rate_hz), np.concatenate(blocks)) for t, blocks in self._runs if blocks]
        length = max((at + len(run) for at, run in placed), default=0)
        sound = np.zeros(min(max(length, 0), round(self.limit_s * self.rate_hz)), np.float32)
        for at, run in placed:
            first, last = max(at, 0), min(at + len(run), len(sound))
            if first < last:
                sound[first:last] = run[first - at : last - at]
        # Lossy codecs overshoot full scale, and a broken float track can carry anything.
        return np.clip(np.nan_to_num(sound, posinf=1.0, neginf=-1.0), -1.0, 1.0)

    def _new_resampler(self) -> av.AudioResampler:
        return av.AudioResampler(format="flt", layout="mono", rate=self.rate_hz)

    def _keep(self, blocks: list[av.AudioFrame]) -> None:
        self._runs[-1][1].extend(block.to_ndarray().reshape(-1).astype(np.float32) for block in blocks)

    def _flush(self) -> None:
        """Move the resampler's tail to the current run and start afresh."""
        if self._runs:
            self._keep(self._resampler.resample(None))
        self._resampler = self._new_resampler()
