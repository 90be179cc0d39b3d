"""Read a line that a double is to say, and refuse what cannot be one before anything is spent on it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.capture.clip import ClipSettings, read_voice
from cameo.capture.speech import find_speech
from cameo.errors import ClipError, UsageError

if TYPE_CHECKING:
    from cameo.records import Float32

LONGEST_S = 60.0  # as the longest clip
LEAST_SPEECH_S = 1.0  # what is known of a shorter line's own voice is too little to move it from
_HINT = "give a WAV, FLAC, M4A, OGG or MP4 file in which somebody speaks, 1 to 60 s"


@dataclass(frozen=True, slots=True)
class Line:
    """Hold a line: sound `[N]` float32 mono at 16 kHz, and the SHA-256 (hex) of the file."""

    sound: Float32
    sha256: str

    def __len__(self) -> int:
        return len(self.sound)


def read_line(path: str | os.PathLike[str]) -> Line:
    """Read a spoken line from any file with sound.

    Raises:
        UsageError: there is no such file, or it is too long, silent or no speech.
        ClipError: it has no sound that can be decoded.
    """
    if not Path(path).exists():
        raise UsageError(f"{path}: no such file", "check the name")
    try:
        with Path(path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ClipError(f"{path}: {(error.strerror or 'cannot be read').lower()}", _HINT) from error
    settings = ClipSettings(limit_s=LONGEST_S + 1)
    sound = read_voice(path, settings)
    seconds = len(sound) / settings.rate_hz
    if seconds > LONGEST_S:
        raise UsageError(f"{path}: the line is longer than {LONGEST_S:.0f} s", "cut it, or say it in several clips")
    spoken_s = find_speech(sound).seconds
    if spoken_s < LEAST_SPEECH_S:
        message = f"{path}: {spoken_s:.1f} s of speech in {seconds:.1f} s of sound, {LEAST_SPEECH_S:.0f} s are needed"
        raise UsageError(message, _HINT)
    return Line(sound, sha256)
