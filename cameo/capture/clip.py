"""Decode a recording once: sampled upright pictures and 16 kHz sound on one clock, in bounded memory.

What is read, and what is refused:

- The first picture is time 0; sound that starts later is preceded by silence, sound before it is dropped.
- At most the first 30 s are used, and reading stops there however long the file is.
- A file that ends before half of the duration it declares is refused as truncated; with more, what is there is used.
- A length of 1 s, silence or a missing sound track are for the quality gate to judge, not for the decoder.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.stream import Disposition

from cameo.capture.picture import PictureTrack
from cameo.capture.sound import SoundTrack
from cameo.errors import ClipError, UsageError
from cameo.records import Clip, ClipSource, RecordedFile

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from cameo.records import Float32

Progress = Callable[[str, float], None]
StrPath = str | os.PathLike[str]

# Plain media files only: a playlist could make the decoder open what it names.
_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,wav,w64,aiff,flac,ogg,mp3,aac",
    "protocol_whitelist": "file",
}
# How far reading goes past the limit for the sake of a track that is stored later in the file.
_OVERRUN_S = 5.0
CLIP_HINT = "give an MP4, MOV or WebM file as a phone or webcam records it"
_VOICE_HINT = "give a WAV, FLAC, M4A, OGG or MP4 file with speech"


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """Bound what is read of a recording.

    Attributes:
        limit_s: seconds of the recording that are used.
        sample_hz: pictures kept per second at most; slower recordings keep their rate.
        long_side: the longer side of kept pictures in pixels; smaller pictures keep their size.
        rate_hz: samples per second of the sound.
        truncated_below: share of the declared duration below which a file that ends early is refused.
    """

    limit_s: float = 30.0
    sample_hz: float = 25.0
    long_side: int = 640
    rate_hz: int = 16_000
    truncated_below: float = 0.5


def hold_file(path: StrPath, limit: int) -> RecordedFile:
    """Take a whole file into memory, so that what is read of it and what is kept of it are the same bytes.

    Raises:
        UsageError: there is no such file, or it is larger than `limit` bytes.
        ClipError: the file cannot be read.
    """
    with _opened(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{path} is larger than the {limit >> 20} MiB a double keeps", "trim it to 30 s")
    return RecordedFile(Path(path).name, data)


def read_clip(
    path: StrPath | RecordedFile,
    voice: StrPath | RecordedFile | None = None,
    settings: ClipSettings | None = None,
    progress: Progress | None = None,
) -> Clip:
    """Read a recording, with the sound of the file `voice` in place of its own when given.

    Raises:
        UsageError: there is no such file.
        ClipError: not a video, truncated, no picture track, or `voice` cannot be read.
    """
    settings = settings or ClipSettings()
    digest = _sha256(path)
    with open_recording(path, CLIP_HINT) as container:
        stream = picture_stream(container)
        own_sound = sound_stream(container) if voice is None else None
        declared_s = _declared_s(container, stream)
        pictures = PictureTrack(settings.limit_s, settings.sample_hz, settings.long_side, stream.sample_aspect_ratio)
        sound = SoundTrack(settings.rate_hz, settings.limit_s)
        _demux(container, [stream, own_sound], pictures, sound, _fraction(progress, declared_s, settings.limit_s))
        if pictures.start_s is None:
            raise ClipError("no picture could be decoded", CLIP_HINT)
        found_s = pictures.end_s if stream.duration else max(pictures.end_s, sound.end_s - pictures.start_s)
        if found_s < settings.truncated_below * min(declared_s, settings.limit_s):
            lost = f"only {found_s:.1f} of {declared_s:.1f} s are there"
            raise ClipError(f"the file is truncated, {lost}", "copy the file again or record anew")
        container_name, video_codec = container.format.name, stream.codec_context.name
        samples, stored = sound.on_clock(pictures.start_s), _stored_sound(own_sound)
    if voice is not None:
        samples, stored = _read_voice(voice, settings)
    source = ClipSource(
        name=_name(path),
        sha256=digest,
        container=container_name,
        video_codec=video_codec,
        audio_codec=stored.codec,
        width=pictures.size[0],
        height=pictures.size[1],
        fps=pictures.fps,
        rotation_deg=pictures.rotation_deg,
        duration_s=max(declared_s, pictures.end_s),
        rate_hz=stored.rate_hz,
        channels=stored.channels,
        voice_name=_name(voice) if voice is not None else "",
    )
    return Clip(pictures.frames, pictures.times_s, samples, pictures.end_s, source, settings.rate_hz)


def read_voice(path: StrPath, settings: ClipSettings | None = None) -> Float32:
    """Read a recording of a voice, `[N]` float32 mono at 16 kHz, from its start.

    Raises:
        UsageError: there is no such file.
        ClipError: the file has no sound that can be decoded.
    """
    return _read_voice(path, settings or ClipSettings())[0]


@dataclass(frozen=True, slots=True)
class _StoredSound:
    """Describe a sound track as the file has it."""

    codec: str = ""
    rate_hz: int = 0
    channels: int = 0


def _stored_sound(stream: AudioStream | None) -> _StoredSound:
    if stream is None:
        return _StoredSound()
    context = stream.codec_context
    return _StoredSound(context.name, context.sample_rate, context.channels)


def _read_voice(path: StrPath | RecordedFile, settings: ClipSettings) -> tuple[Float32, _StoredSound]:
    """Read a separate sound file from its start.

    Raises:
        UsageError: there is no such file.
        ClipError: the file has no sound that can be decoded.
    """
    sound = SoundTrack(settings.rate_hz, settings.limit_s)
    with open_recording(path, _VOICE_HINT) as container:
        stream = sound_stream(container)
        if stream is None:
            raise ClipError("there is no sound track in it", _VOICE_HINT)
        _demux(container, [None, stream], None, sound, None)
        samples = sound.on_clock(sound.start_s)
        if not len(samples):
            raise ClipError("no sound could be decoded", _VOICE_HINT)
        return samples, _stored_sound(stream)


def _name(path: StrPath | RecordedFile) -> str:
    return path.name if isinstance(path, RecordedFile) else Path(path).name


@contextmanager
def open_recording(path: StrPath | RecordedFile, hint: str) -> Iterator[InputContainer]:
    """Open a media file; everything that goes wrong while reading it names the file.

    Raises:
        UsageError: there is no such file.
        ClipError: the file cannot be read.
    """
    place: str | io.BytesIO
    if isinstance(path, RecordedFile):
        shown, place = path.name, io.BytesIO(path.data)
    elif Path(path).exists():
        shown, place = str(path), str(Path(path).resolve())
    else:
        raise UsageError(f"{path}: no such file", "check the name")
    try:
        with av.open(place, "r", options=_OPTIONS, metadata_errors="replace") as container:
            yield container
    except ClipError as error:
        raise ClipError(f"{shown}: {error.message}", error.hint) from error
    except av.FFmpegError as error:
        if _lacks_index(path):
            message = "the recording is truncated or was never finished, its index is missing"
            raise ClipError(f"{shown}: {message}", "copy the file again or record anew") from error
        raise ClipError(f"{shown}: not a recording that can be read", hint) from error


def _lacks_index(path: StrPath | RecordedFile) -> bool:
    """Whether this is an MP4 or MOV file whose `moov` box is missing or cut. Source: ISO/IEC 14496-12, 4.2."""
    ends: dict[bytes, int] = {}
    with _opened(path) as file:
        length = file.seek(0, os.SEEK_END)
        at = 0
        while at + 8 <= length and len(ends) < 64:
            file.seek(at)
            header = file.read(16)
            size = int.from_bytes(header[:4])
            size = int.from_bytes(header[8:]) if size == 1 else size
            at += max(size, 8)
            ends[header[4:8]] = at
    return b"ftyp" in ends and not 0 < ends.get(b"moov", 0) <= length


def _sha256(path: StrPath | RecordedFile) -> str:
    """Digest a file in blocks, hex.

    Raises:
        UsageError: there is no such file.
        ClipError: the file cannot be read.
    """
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(path: StrPath | RecordedFile) -> Iterator[io.BufferedReader | io.BytesIO]:
    """Open a file's bytes, wherever they are.

    Raises:
        UsageError: there is no such file.
        ClipError: the file cannot be read.
    """
    if isinstance(path, RecordedFile):
        yield io.BytesIO(path.data)
        return
    try:
        with Path(path).open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file", "check the name") from error
    except OSError as error:
        raise ClipError(f"{path}: {(error.strerror or 'cannot be read').lower()}", CLIP_HINT) from error


def picture_stream(container: InputContainer) -> VideoStream:
    """Pick the moving picture; cover art is not one.

    Raises:
        ClipError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            stream.thread_type = "AUTO"
            return stream
    raise ClipError("there is no picture in it", "give a video; a sound file alone goes to --voice")


def sound_stream(container: InputContainer) -> AudioStream | None:
    """Pick the sound track that is the default one; None when there is none."""
    best = container.streams.best("audio")
    return next((stream for stream in container.streams.audio if stream is best), None)


def _declared_s(container: InputContainer, picture: VideoStream) -> float:
    """Duration the file declares for its picture, else for the whole; 0 when it does not say."""
    if picture.duration and picture.time_base:
        return float(picture.duration * picture.time_base)
    return container.duration / av.time_base if container.duration else 0.0


def _fraction(progress: Progress | None, declared_s: float, limit_s: float) -> Callable[[float], None] | None:
    """Turn a time in the clip into a call of `progress`."""
    if progress is None:
        return None
    whole_s = min(declared_s or limit_s, limit_s)
    return lambda time_s: progress("reading the clip", min(1.0, time_s / whole_s))


def _demux(
    container: InputContainer,
    streams: Sequence[VideoStream | AudioStream | None],
    pictures: PictureTrack | None,
    sound: SoundTrack,
    report: Callable[[float], None] | None,
) -> None:
    """Run once through the packets of both tracks, to the limit or the end; broken packets are stepped over."""
    origin_s: float | None = None
    limit_s = _OVERRUN_S + (pictures.limit_s if pictures else sound.limit_s)
    for packet in container.demux([stream for stream in streams if stream is not None]):
        if packet.pts is not None:
            time_s = float(packet.pts * packet.time_base)
            origin_s = time_s if origin_s is None else origin_s
            if time_s - origin_s > limit_s:
                break
        try:
            decoded = packet.decode()
        except av.InvalidDataError:
            continue
        for frame in decoded:
            if isinstance(frame, av.AudioFrame):
                sound.add(frame)
            elif pictures is not None and isinstance(frame, av.VideoFrame):
                pictures.add(frame)
        if report is not None and pictures is not None:
            report(pictures.end_s)
