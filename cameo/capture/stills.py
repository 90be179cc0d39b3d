"""Read photographs, and single pictures of clips, one at a time: what is scored need not fit into memory.

Pictures of a clip are counted as the file lists them, without decoding, and then decoded once from the first to the
last that is wanted. A packet that is broken is stepped over; what could not be decoded is missing from what is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation
from PIL import Image, ImageOps

from cameo.capture.clip import CLIP_HINT, StrPath, open_recording, picture_stream
from cameo.errors import ClipError, UsageError

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from cameo.records import UInt8

# Of one picture, and of a clip: far beyond what is generated or filmed for this, far below what stops a machine.
MOST_PIXELS, MOST_PICTURES = 8192 * 8192, 50_000
LONG_SIDE = 4096  # larger pictures are shrunk to it; detectors look at a tenth of it
_PHOTO_HINT = "give a JPEG, PNG or WebP file"
_TOO_LARGE = "use pictures of 4K or less"


class ClipPicture(NamedTuple):
    """Hold one picture of a clip: its number from 0, its time from the first one, and `[H, W, 3]` uint8 RGB."""

    number: int
    time_s: float
    picture: UInt8


def read_photo(path: StrPath) -> UInt8:
    """Read a photograph, upright, `[H, W, 3]` uint8 RGB, its longer side at most `LONG_SIDE`.

    Raises:
        UsageError: there is no such file.
        ClipError: it is no photograph, or too large.
    """
    if not Path(path).is_file():
        raise UsageError(f"{path}: no such file", "check the name")
    try:
        with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ClipError(f"{path}: {image.width}x{image.height} pixels are too many", _TOO_LARGE)
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except ClipError:
        raise
    except Exception as error:  # a broken file makes Pillow raise a dozen unrelated classes
        raise ClipError(f"{path}: not a picture that can be read", _PHOTO_HINT) from error
    upright.thumbnail((LONG_SIDE, LONG_SIDE))
    return np.asarray(upright, np.uint8)


def count_pictures(path: StrPath) -> int:
    """Count the pictures of a clip that are shown.

    Raises:
        UsageError: there is no such file.
        ClipError: it cannot be read, has no picture, fewer than it declares, or more than `MOST_PICTURES`.
    """
    count = stored = 0
    with open_recording(path, CLIP_HINT) as container:
        stream = picture_stream(container)
        _require_size(stream)
        for packet in container.demux(stream):
            stored += bool(packet.size)
            count += bool(packet.size) and not packet.is_discard
            if stored > MOST_PICTURES:
                raise ClipError(f"it has more than {MOST_PICTURES} pictures", "cut it into shorter clips")
        if stored < stream.frames:
            raise ClipError(f"the file is truncated, {stored} of {stream.frames} pictures are there", "copy it again")
    if not count:
        raise ClipError(f"{path}: there is no picture in it", CLIP_HINT)
    return count


def read_pictures(path: StrPath, wanted: Sequence[int]) -> Iterator[ClipPicture]:
    """Decode the pictures with the given numbers, in their order; a number that stands twice is read once.

    Raises:
        UsageError: there is no such file.
        ClipError: it cannot be read, or none of them can be decoded.
    """
    left = sorted(set(wanted), reverse=True)
    found = False
    with open_recording(path, CLIP_HINT) as container:
        stream = picture_stream(container)
        _require_size(stream)
        first_s: float | None = None
        for index, frame in enumerate(_decoded(container, stream)):
            time_s = frame.time if frame.time is not None else index / float(stream.average_rate or 25)
            first_s = time_s if first_s is None else first_s
            if index == left[-1]:
                left.pop()
                found = True
                yield ClipPicture(index, time_s - first_s, _upright(frame, stream))
            if not left:
                break
        if not found:
            raise ClipError("no picture could be decoded", CLIP_HINT)


def _decoded(container: av.container.InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                yield frame


def _upright(frame: av.VideoFrame, stream: VideoStream) -> UInt8:
    """Convert to RGB with square pixels, turned as the file says."""
    _require_pixels(frame.width, frame.height)
    width, height = max(1, round(frame.width * float(stream.sample_aspect_ratio or 1))), frame.height
    scale = min(1.0, LONG_SIDE / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    picture = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=Interpolation.AREA)
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90) % 4))


def _require_size(stream: VideoStream) -> None:
    _require_pixels(stream.codec_context.width, stream.codec_context.height)


def _require_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ClipError(f"pictures of {width}x{height} are too large", _TOO_LARGE)
