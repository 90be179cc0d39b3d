"""Take sound from a microphone with PortAudio, by way of the optional package `sounddevice`.

Not with PyAV, whose wheels for Linux look for ALSA's configuration in a folder of the machine they were built on, and
so find no device by its name; see docs/how-to/record-with-a-webcam.md.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from cameo.capture.sources import SOUND_HZ, Heard
from cameo.errors import ClipError, MissingExtra, UsageError

if TYPE_CHECKING:
    from cameo.records import Float32

_SILENCE_S = 2.0  # without a block, a microphone is gone
_HELD_S = 60.0  # seconds of sound that wait at most
_BLOCK = 960  # samples, 20 ms
_LATE_S = 1.0  # a stamp that is further from now is none
_OTHERS = "see which there are: cameo capture --list; without sound: --microphone none"


def list_microphones() -> list[tuple[str, str]]:
    """Name the microphones of this machine and say what they are.

    Raises:
        MissingExtra: sounddevice or PortAudio is not installed.
    """
    library = _load()
    apis = library.query_hostapis()
    return [
        (str(device["name"]), f"{device['max_input_channels']} channels, {apis[device['hostapi']]['name']}")
        for device in library.query_devices()
        if device["max_input_channels"] > 0
    ]


class Microphone:
    """Give the sound of a microphone as it comes.

    Args:
        name: of the device, or a part of it; "" for the one the system uses.

    Raises:
        MissingExtra: sounddevice or PortAudio is not installed.
        UsageError: there is no such microphone.
        ClipError: it cannot be opened.
    """

    def __init__(self, name: str = "") -> None:
        self.name = f"microphone {name}".rstrip()
        self._blocks: deque[Heard] = deque(maxlen=int(_HELD_S * SOUND_HZ / _BLOCK))
        self._lock = threading.Lock()
        self._last_s = time.monotonic()
        library = _load()
        try:
            self._stream = library.InputStream(
                SOUND_HZ, _BLOCK, name or None, channels=1, dtype="float32", callback=self._hear
            )
            self._stream.start()
        except ValueError as error:  # no such device, or more than one
            raise UsageError(f"there is no {self.name}, or more than one", _OTHERS) from error
        except library.PortAudioError as error:
            if not list_microphones():
                raise UsageError("there is no microphone", f"plug one in, or {_OTHERS}") from error
            raise ClipError(f"the {self.name} cannot be opened", f"close programs that use it, or {_OTHERS}") from error

    def take(self, until_s: float) -> list[Heard]:
        """Give what came since the last call.

        Raises:
            ClipError: nothing comes any more.
        """
        if time.monotonic() - self._last_s > _SILENCE_S:
            raise ClipError(f"the {self.name} gives no more sound", "is it still plugged in? then record again")
        found = []
        with self._lock:
            while self._blocks and self._blocks[0].time_s < until_s:
                found.append(self._blocks.popleft())
        return found

    def close(self) -> None:
        """Switch the microphone off."""
        self._stream.close()

    def _hear(self, samples: Float32, _count: int, times: Any, _status: Any) -> None:
        """Keep a block `[N, 1]`; PortAudio calls this from a thread of its own."""
        now_s = time.monotonic()
        # PortAudio's clock may be another one; some drivers leave the time at which a block was taken at 0.
        age_s = times.currentTime - times.inputBufferAdcTime
        if times.inputBufferAdcTime <= 0 or not 0 <= age_s <= _LATE_S:
            age_s = len(samples) / SOUND_HZ
        with self._lock:
            self._blocks.append(Heard(now_s - age_s, np.array(samples[:, 0], np.float32)))
        self._last_s = now_s


def _load() -> Any:  # sounddevice has no types
    """Load sounddevice.

    Raises:
        MissingExtra: it is not installed, or the library behind it is not.
    """
    without = "; or record without sound: --microphone none"
    try:
        import sounddevice
    except ImportError as error:
        hint = f"install it: pip install 'cameo-double[capture]'{without}"
        raise MissingExtra("the package sounddevice is needed for a microphone", hint) from error
    except OSError as error:
        hint = f"install it, for example: apt install libportaudio2{without}"
        raise MissingExtra("the library PortAudio is needed for a microphone", hint) from error
    return sounddevice
