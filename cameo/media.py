"""Write clips that every player opens."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np

from cameo.errors import OutputError, UsageError
from cameo.files import atomic_path

if TYPE_CHECKING:
    from av.container import OutputContainer

    from cameo.records import Float32, UInt8

# Of 0 (lossless) .. 51; people stop seeing the difference at 17 to 18. Source: FFmpeg's H.264 encoding guide.
_CRF = "16"
_BT709 = 1  # ISO/IEC 23091-2, for matrix, primaries and transfer alike
_SOUND_BIT_RATE = 96_000
_SOUND_BLOCK = 1024
_LAYOUTS = {1: "mono", 2: "stereo"}


def write_mp4(
    path: str | os.PathLike[str], frames: UInt8, fps: float, sound: Float32 | None = None, rate_hz: int = 16_000
) -> None:
    """Write a clip as MP4 (H.264 4:2:0 and AAC, index first), in one step.

    Args:
        path: the file to write; an old one is replaced only when the new one is complete.
        frames: `[T, H, W, 3]` uint8 RGB; odd sides are padded by one repeated row or column.
        fps: pictures per second.
        sound: `[N]` or `[C, N]` float32 in [-1, 1], mono or stereo, starting with the first picture, or None.
        rate_hz: samples per second of `sound`.

    Raises:
        UsageError: the arrays do not describe a clip.
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise UsageError(f"frames must be [T, H, W, 3] uint8, not {list(frames.shape)} {frames.dtype}")
    if not 0 < fps <= 1000:
        raise UsageError(f"fps must be in 0..1000, not {fps}")
    if sound is not None and (sound.ndim not in (1, 2) or (sound.ndim == 2 and len(sound) not in _LAYOUTS)):
        raise UsageError(f"sound must be [N], [1, N] or [2, N], not {list(sound.shape)}")
    with atomic_path(path) as temporary:
        try:
            heard = None if sound is None or not sound.size else np.atleast_2d(sound)
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container:
                _encode(container, frames, fps, heard, rate_hz)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise OutputError(f"cannot write {path}: {error}", "check the disk, or try another folder") from error


def _encode(container: OutputContainer, frames: UInt8, fps: float, sound: Float32 | None, rate_hz: int) -> None:
    """Encode and mux the pictures and, if there is any, sound `[C, N]`."""
    height, width = frames.shape[1] + frames.shape[1] % 2, frames.shape[2] + frames.shape[2] % 2
    picture = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(60_000))
    picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
    picture.options = {"crf": _CRF, "preset": "medium"}
    tags = picture.codec_context
    tags.color_primaries = tags.color_trc = tags.colorspace = _BT709
    voice = None
    if sound is not None:
        voice = container.add_stream("aac", rate=rate_hz, layout=_LAYOUTS[len(sound)])
        voice.bit_rate = _SOUND_BIT_RATE
    pad = ((0, height - frames.shape[1]), (0, width - frames.shape[2]), (0, 0))
    for image in frames:
        frame = av.VideoFrame.from_ndarray(np.pad(image, pad, mode="edge"), format="rgb24")
        container.mux(picture.encode(frame.reformat(format="yuv420p", dst_colorspace="itu709")))
    container.mux(picture.encode(None))
    if sound is not None and voice is not None:
        samples = np.clip(np.nan_to_num(sound), -1, 1).astype(np.float32)
        for start in range(0, samples.shape[1], _SOUND_BLOCK):
            piece = np.ascontiguousarray(samples[:, start : start + _SOUND_BLOCK])
            block = av.AudioFrame.from_ndarray(piece, format="fltp", layout=_LAYOUTS[len(sound)])
            block.sample_rate, block.pts = rate_hz, start
            block.time_base = Fraction(1, rate_hz)
            container.mux(voice.encode(block))
        container.mux(voice.encode(None))
