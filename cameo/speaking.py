"""WORKFLOW: direct a generator to say a line that somebody recorded."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo.capture.line import read_line
from cameo.errors import NotVerified, UsageError
from cameo.generators.base import RATE_HZ, Direction, LineSpeaker
from cameo.seal.bundle import Bundle

if TYPE_CHECKING:
    from cameo.generators.base import Generator
    from cameo.records import Float32

StrPath = str | os.PathLike[str]
LONGEST = 1500  # frames
FADE_S = 0.03


def add_line(direction: Direction, say: StrPath, engine: Generator, bundle: StrPath) -> tuple[Direction, str]:
    """Have a line said: the clip is as long as it lasts, or as the frames that were asked for.

    Returns:
        The direction with the line, and the SHA-256 (hex) of its sound.

    Raises:
        UsageError: it is no speech, or generator or double have no voice.
        ClipError: it cannot be read.
    """
    if not isinstance(engine, LineSpeaker):
        hint = "leave the line out, or choose another generator"
        raise UsageError(f"the {engine.id} generator does not speak", hint)
    line = read_line(say)
    _require_voice(bundle, engine.id)
    lasts = math.ceil(len(line) / RATE_HZ * engine.fps)
    frames = min(lasts, direction.frames or LONGEST, LONGEST)
    sound = line.sound[: round(frames / engine.fps * RATE_HZ)]
    if frames < lasts:
        sound = _faded_out(sound)
    return replace(direction, frames=frames, line=torch.from_numpy(sound)), line.sha256


def _faded_out(sound: Float32) -> Float32:
    """Let a line that is cut off end without a click."""
    count = min(len(sound), round(FADE_S * RATE_HZ))
    ramp = np.ones(len(sound), np.float32)
    ramp[len(sound) - count :] = np.linspace(1, 0, count)
    return np.asarray(sound * ramp, np.float32)


def _require_voice(bundle: StrPath, generator: str) -> None:
    """Refuse a double without a voice before a use is spent; what is no double, unlocking refuses."""
    name = f"adapter.{generator}.voice"
    with suppress(NotVerified):
        if Bundle.open(bundle).claims.part(name) is None:
            message = f"this double holds no {name}: it was made before doubles could speak, or without a voice"
            raise UsageError(message, "enrol again, or leave the line out")
