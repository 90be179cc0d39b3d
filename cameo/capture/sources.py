"""What a recording is made from: something that gives pictures, and something that gives sound, on one clock.

A source stamps what it gives with the time at which it was taken. The recorder goes by these times alone and never
asks the machine's clock, so a camera, a file and a test are recorded by the same lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

SOUND_HZ = 48_000  # of every source of sound; what microphones give, and AAC takes


@dataclass(frozen=True, slots=True)
class Shot:
    """Hold one picture.

    Attributes:
        time_s: when it was taken, on the clock that pictures and sound share.
        image: `[H, W, 3]` uint8 RGB, upright, not mirrored.
    """

    time_s: float
    image: UInt8


@dataclass(frozen=True, slots=True)
class Heard:
    """Hold a piece of sound.

    Attributes:
        time_s: when its first sample was taken, on the clock that pictures and sound share.
        samples: `[N]` float32 mono in [-1, 1], `SOUND_HZ` a second.
    """

    time_s: float
    samples: Float32


class FrameSource(Protocol):
    """Give pictures one after the other.

    Attributes:
        name: of the source, for people.
        live: whether somebody is there who can still move, wait and be told what to do.
    """

    name: str
    live: bool

    def read(self) -> Shot | None:
        """Wait for the next picture; None when there will be no more.

        Raises:
            ClipError: the source fails.
        """
        ...

    def close(self) -> None:
        """Let the source go."""
        ...


class SoundSource(Protocol):
    """Give the sound that goes with the pictures.

    Attributes:
        name: of the source, for people.
    """

    name: str

    def take(self, until_s: float) -> list[Heard]:
        """Give what was taken since the last call and before `until_s`, as far as it is there; never wait.

        Raises:
            ClipError: the source fails.
        """
        ...

    def close(self) -> None:
        """Let the source go."""
        ...
