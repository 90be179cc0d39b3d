"""Readings of many speakers, and which of them are kept out of every fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Float32

RATE_HZ = 16_000
HELD_OUT_EVERY = 5


def read_speakers(folder: Path) -> list[Float32]:
    """Read each speaker's readings, joined, in the order of the folders' names.

    Raises:
        SystemExit: there are none, or they are not at 16 kHz.
    """
    speakers = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        parts = [soundfile.read(file, dtype="float32") for file in sorted(place.glob("**/*.flac"))]
        if any(rate != RATE_HZ for _, rate in parts):
            raise SystemExit(f"{place} is not at 16 kHz")
        if parts:
            speakers.append(np.concatenate([sound for sound, _ in parts]))
    if not speakers:
        raise SystemExit(f"no folders of *.flac in {folder}")
    return speakers


def held_out(speakers: list[Float32]) -> list[Float32]:
    """Every fifth speaker, for measuring."""
    return speakers[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]


def fitted(speakers: list[Float32]) -> list[Float32]:
    """The others, for fitting."""
    return [reading for k, reading in enumerate(speakers) if k % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]
