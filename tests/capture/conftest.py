"""Recordings made by code, written the way phones and browsers write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

Recorder = Callable[..., Path]
MILLISECOND = Fraction(1, 1000)


def picture(time_s: float, width: int, height: int) -> np.ndarray:
    """Draw `[H, W, 3]` uint8: the top left corner red, the rest grey, a bright bar moving right with time."""
    image = np.full((height, width, 3), 90, np.uint8)
    image[: height // 3, : width // 3] = (220, 30, 30)
    at = int(time_s * 20) % (width - 8)
    image[-height // 4 :, at : at + 8] = 250
    return image


def click(rate_hz: int, seconds: float, at_s: float, channels: int) -> np.ndarray:
    """Make `[channels, N]` float32 silence with a 20 ms burst of 440 Hz at `at_s`."""
    sound = np.zeros((channels, int(rate_hz * seconds)), np.float32)
    length = int(0.02 * rate_hz)
    sound[:, int(at_s * rate_hz) :][:, :length] = 0.8 * np.sin(2 * np.pi * 440 * np.arange(length) / rate_hz)
    return sound


def record(
    path: Path,
    times_s: Sequence[float],
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    rotation_deg: int = 0,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    rate_hz: int = 48_000,
    delay_s: float = 0.0,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip with a picture at each of `times_s`; the sound's first sample is `delay_s` after time 0.

    `options` are the container's, `codec_options` the picture's.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = MILLISECOND
        stream.options = codec_options or {}
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        voice: Any = None
        if sound is not None:
            voice = container.add_stream(sound_codec, rate=rate_hz, layout="stereo" if len(sound) == 2 else "mono")
        packets: list[Any] = []
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(picture(time_s, *size), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 1000), MILLISECOND
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if sound is not None:
            packets += encode_sound(voice, sound, rate_hz, delay_s)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def encode_sound(voice: Any, sound: np.ndarray, rate_hz: int, delay_s: float) -> list[Any]:
    """Encode `[channels, N]` float32 starting at `delay_s`."""
    resampler = av.AudioResampler(format=voice.codec_context.format, layout=voice.layout, rate=rate_hz)
    packets: list[Any] = []
    for start in range(0, sound.shape[1], 960):
        block = np.ascontiguousarray(sound[:, start : start + 960])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=voice.layout.name)
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = start + round(delay_s * rate_hz)
        for ready in resampler.resample(frame):
            packets += voice.encode(ready)
    return [*packets, *voice.encode(None)]


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Give `record` with the name in a temporary folder as its first argument."""
    return lambda name, *args, **kwargs: record(tmp_path / name, *args, **kwargs)
