"""A line is read from any sound file, and refused when nobody speaks in it for a second."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cameo.capture.line import LONGEST_S, read_line
from cameo.errors import ClipError, UsageError
from cameo.synthetic.voice import speak

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return np.asarray(speak(4, 3.0, 25.0).sound, np.float32)


@pytest.mark.parametrize("name", ["line.wav", "line.flac", "line.ogg"])
def test_a_line(tmp_path: Path, spoken: np.ndarray, name: str) -> None:
    soundfile.write(tmp_path / name, np.repeat(spoken, 3), 3 * RATE_HZ)
    line = read_line(tmp_path / name)
    assert line.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert len(line) == pytest.approx(len(spoken), abs=200)
    assert line.sound.dtype == np.float32


def test_a_clip_has_a_line_in_it(selfie: Path) -> None:
    assert len(read_line(selfie)) == pytest.approx(5 * RATE_HZ, rel=0.02)


def test_what_is_no_line_is_refused(tmp_path: Path, spoken: np.ndarray) -> None:
    def write(name: str, sound: np.ndarray) -> Path:
        soundfile.write(tmp_path / name, sound, RATE_HZ)
        return tmp_path / name

    with pytest.raises(UsageError, match="0.0 s of speech"):
        read_line(write("silent.wav", np.zeros(3 * RATE_HZ)))
    with pytest.raises(UsageError, match="s of speech"):
        read_line(write("short.wav", spoken[: RATE_HZ // 2]))
    with pytest.raises(UsageError, match="longer than 60 s"):
        read_line(write("long.wav", np.zeros(round((LONGEST_S + 0.5) * RATE_HZ))))
    with pytest.raises(UsageError, match="no such file"):
        read_line(tmp_path / "missing.wav")


@pytest.mark.parametrize("data", [b"", b"words, not sound", b"RIFF\x00\x00\x00\x00WAVE"])
def test_what_is_no_sound_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "line.wav").write_bytes(data)
    with pytest.raises(ClipError):
        read_line(tmp_path / "line.wav")


def test_a_folder_is_no_line(tmp_path: Path) -> None:
    with pytest.raises(ClipError):
        read_line(tmp_path)
