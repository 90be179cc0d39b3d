"""Microphones, with a library made by code in place of sounddevice."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cameo.capture import microphone
from cameo.capture.microphone import Microphone, list_microphones
from cameo.capture.sources import SOUND_HZ
from cameo.errors import ClipError, MissingExtra, UsageError

DEVICES = [
    {"name": "Webcam", "max_input_channels": 2, "hostapi": 0},
    {"name": "Speakers", "max_input_channels": 0, "hostapi": 0},
]


class Library(ModuleType):
    """Stand for the module: a stream that hands its callback to the test, or fails."""

    class PortAudioError(Exception):
        """What PortAudio reports."""

    def __init__(self, devices: list[dict[str, Any]], fails: Exception | None = None) -> None:
        super().__init__("sounddevice")
        self.devices, self.fails, self.closed = devices, fails, False
        self.callback: Callable[..., None] = lambda *_: None

    def query_devices(self) -> list[dict[str, Any]]:
        return self.devices

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}]

    def InputStream(self, rate_hz: int, _block: int, _name: str | None, **options: Any) -> Library:  # noqa: N802
        assert rate_hz == SOUND_HZ and options["channels"] == 1
        if self.fails:
            raise self.fails
        self.callback = options["callback"]
        return self

    def start(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library(DEVICES)
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    return made


def give(library: Library, level: float, current_s: float, taken_s: float) -> None:
    times = SimpleNamespace(currentTime=current_s, inputBufferAdcTime=taken_s)
    library.callback(np.full((960, 1), level, np.float32), 960, times, None)


def test_blocks_are_stamped_with_when_they_were_taken(library: Library) -> None:
    """PortAudio's clock is another one; where the driver gives no time, a block was taken its own length ago."""
    heard = Microphone()
    before_s = time.monotonic()
    give(library, 0.1, 5000.0, 4999.9)
    give(library, 0.2, 5000.0, 0.0)
    give(library, 0.3, 5000.0, 4000.0)
    after_s = time.monotonic()
    blocks = heard.take(after_s + 1)
    for block, age_s in zip(blocks, (0.1, 0.02, 0.02), strict=True):
        assert before_s - age_s - 1e-6 <= block.time_s <= after_s - age_s + 1e-6
    assert [float(block.samples[0]) for block in blocks] == pytest.approx([0.1, 0.2, 0.3])
    heard.close()
    assert library.closed


def test_only_what_was_taken_before_a_picture_goes_with_it(library: Library) -> None:
    heard = Microphone()
    give(library, 0.1, 5000.0, 4999.5)
    give(library, 0.2, 5000.0, 4999.98)
    assert len(heard.take(time.monotonic() - 0.25)) == 1
    assert len(heard.take(time.monotonic() + 1)) == 1
    assert heard.take(time.monotonic() + 1) == []


def test_memory_is_bounded(library: Library) -> None:
    heard = Microphone()
    for _ in range(3100):
        give(library, 0.1, 5000.0, 4999.9)
    assert len(heard.take(time.monotonic() + 1)) == 3000


def test_unplugged_midway(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Microphone()
    give(library, 0.1, 5000.0, 4999.9)
    assert heard.take(time.monotonic() + 1)
    monkeypatch.setattr(microphone, "_SILENCE_S", -1.0)
    with pytest.raises(ClipError, match="gives no more sound"):
        heard.take(time.monotonic())


def test_which_there_are(library: Library) -> None:
    assert list_microphones() == [("Webcam", "2 channels, ALSA")]


@pytest.mark.parametrize(
    ("devices", "fails", "error", "words"),
    [
        (DEVICES, ValueError("No input device matching 'x'"), UsageError, "there is no microphone x"),
        (DEVICES, Library.PortAudioError("Device unavailable"), ClipError, "cannot be opened"),
        (DEVICES[1:], Library.PortAudioError("Error querying device -1"), UsageError, "there is no microphone$"),
    ],
)
def test_what_cannot_be_opened(
    devices: list[dict[str, Any]],
    fails: Exception,
    error: type[Exception],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Library(devices, fails))
    with pytest.raises(error, match=words) as refused:
        Microphone("x")
    assert "--microphone none" in str(refused.value.hint)  # type: ignore[attr-defined]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtra, match="sounddevice") as missing:
        Microphone()
    assert "cameo-double[capture]" in missing.value.hint


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        """Fail as the package does where PortAudio is missing."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr("sys.meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(MissingExtra, match="PortAudio"):
        Microphone()
