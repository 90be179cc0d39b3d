"""WORKFLOW: cast a double. The key reaches it only through an unlocking step; afterwards the generator is as before."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from cameo.capture.line import Line, read_line
from cameo.condition.plug import plug
from cameo.crypto.encoding import sha256_hex
from cameo.errors import NotVerified, UsageError
from cameo.files import atomic_path, require_writable
from cameo.generators.base import RATE_HZ, Direction
from cameo.generators.shelf import load_generator
from cameo.media import write_mp4
from cameo.records import CastClip, Use
from cameo.seal.bundle import Bundle
from cameo.unlocking import unlock

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.generators.base import Generator, Performance
    from cameo.records import Float32, UInt8
    from cameo.unlocking import Borrowed, Opened

Progress = Callable[[str, float], None]
StrPath = str | os.PathLike[str]
FRAMES = (8, 1500)  # at 25 a second, up to a minute
USUAL_FRAMES = 100
LAST_SEED = 2**31 - 1
RECHECK_S = 10.0  # as long as a status list may be kept
FADE_S = 0.03
SHOWN_PX = 384  # small frames are enlarged to about this side, so that a player shows more than a stamp


@dataclass(frozen=True, slots=True)
class CastOptions:
    """Choose what is generated.

    Attributes:
        purpose: id of a purpose of the consent record; "" takes any that allows this, which only the owner may leave
            open.
        prompt: what the clip shows, in words; judged by the owner's rules, and on record as part of a digest only. The
            reference generator takes no words: the clip does not follow it.
        generator: one that the double was tuned for.
        seed: 0 to 2147483647, gives the motion and the noise; the same seed gives the same clip.
        frames: how many, 8 to 1500, at the generator's rate (25 a second); None takes 100, or as long as the line.
        commercial: whether the clip is for a commercial end.
        say: a sound file, 1 to 60 s of somebody speaking; the double says the same, in the owner's voice. The line is
            cut off where `frames` ends. Nobody judges its words: the prompt's rules do not hear it.
    """

    purpose: str = ""
    prompt: str = ""
    generator: str = "reference"
    seed: int = 0
    frames: int | None = None
    commercial: bool = False
    say: StrPath | None = None


def cast(
    bundle: StrPath,
    *,
    keys: KeyProvider | None = None,
    borrowed: Borrowed | None = None,
    out: StrPath,
    options: CastOptions | None = None,
    progress: Progress | None = None,
) -> CastClip:
    """Generate a clip of a double: with its owner's keys, or with a grant.

    Args:
        bundle: the `.cameo` file.
        keys: the owner's, if the owner casts.
        borrowed: the grant, its holder and the host, if somebody else does. One of the two must be given.
        out: the MP4 file to write; an old one is replaced only when the new one is complete.
        options: what to generate.
        progress: called with a label and 0..1.

    Raises:
        UsageError: no such file or generator, `out` does not end in .mp4, `frames` or `seed` is out of range, or there
            is a line to say that is no speech, or that the double or the generator has no voice for.
        ClipError: the line cannot be read.
        NotVerified: the file, the grant or the proof is not what its signer signed, or was tuned for other weights.
        NotPermitted: the keys or the grant do not open it for this use; `code` says why. No clip is left then.
        OutputError: the clip cannot be written.
        CameoError: the ledger of uses cannot be written.
    """
    options = options or CastOptions()
    _require_possible(options, out)
    report = progress or (lambda _label, _fraction: None)
    report("loading the generator", 0.0)
    engine = load_generator(options.generator)
    line = None if options.say is None else read_line(options.say)
    direction = engine.settle(_directed(engine, options, line))
    if line is not None:
        _require_voice(bundle, engine)
    # 1. Verify double, grant, proof and consent, spend a use, and only then decrypt.
    with unlock(
        bundle, _use(engine, options, direction, line), keys=keys, borrowed=borrowed, generator_parts_only=True
    ) as opened:
        # 2. Plug, generate, unplug: afterwards the generator is as before.
        with plug(engine, opened.parts) as person:
            made = engine.perform(person, direction, _pulse(opened, report))
        # 3. The clip takes its name only when it may still leave.
        report("writing the clip", 0.0)
        shown = _enlarged(made.frames)
        with atomic_path(out) as temporary:
            write_mp4(temporary, shown, engine.fps, _mono(made), made.rate_hz or RATE_HZ)
            opened.release(sha256_hex(temporary.read_bytes()))
    report("writing the clip", 1.0)
    height, width = shown.shape[1:3]
    return CastClip(
        path=str(out),
        frames=direction.frames,
        fps=engine.fps,
        seconds=direction.frames / engine.fps,
        width=width,
        height=height,
        seed=options.seed,
        generator=options.generator,
        bundle_id=opened.bundle_id,
        purpose=opened.purpose,
        receipt=opened.receipt_sha256,
    )


def _pulse(opened: Opened, report: Progress) -> Callable[[float], None]:
    """Report how far the generation is, and ask now and then whether it may go on."""
    asked = time.monotonic()

    def pulse(share: float) -> None:
        nonlocal asked
        report("generating", share)
        if time.monotonic() - asked > RECHECK_S:
            opened.recheck()
            asked = time.monotonic()

    return pulse


def _require_possible(options: CastOptions, out: StrPath) -> None:
    if options.frames is not None and not FRAMES[0] <= options.frames <= FRAMES[1]:
        message = f"a clip has {FRAMES[0]} to {FRAMES[1]} frames, not {options.frames}"
        raise UsageError(message, "25 frames are a second")
    if not 0 <= options.seed <= LAST_SEED:
        raise UsageError(f"a seed is 0 to {LAST_SEED}, not {options.seed}", "choose another seed")
    if Path(out).suffix.lower() != ".mp4":  # so that a wrong word replaces no key, and not the double itself
        raise UsageError(f"the clip is an MP4 file, {out} is no name for one", "choose a name that ends in .mp4")
    require_writable(out)


def _directed(engine: Generator, options: CastOptions, line: Line | None) -> Direction:
    """Say what is generated: with a line, as long as it lasts, or as many frames of it as are asked for."""
    if line is None:
        return Direction(options.frames or USUAL_FRAMES, options.seed, options.prompt)
    if "voice" not in engine.modalities:
        hint = "leave the line out, or choose another generator"
        raise UsageError(f"the {engine.id} generator does not speak", hint)
    lasts = math.ceil(len(line) / RATE_HZ * engine.fps)
    frames = min(lasts, options.frames or FRAMES[1], FRAMES[1])
    sound = line.sound[: round(frames / engine.fps * RATE_HZ)]
    if frames < lasts:
        sound = _faded_out(sound)
    return Direction(frames, options.seed, options.prompt, line=torch.from_numpy(sound))


def _faded_out(sound: Float32) -> Float32:
    """Let a line that is cut off end without a click."""
    count = min(len(sound), round(FADE_S * RATE_HZ))
    ramp = np.ones(len(sound), np.float32)
    ramp[len(sound) - count :] = np.linspace(1, 0, count)
    return np.asarray(sound * ramp, np.float32)


def _require_voice(bundle: StrPath, engine: Generator) -> None:
    """Refuse a double without a voice before a use is spent; what is no double, unlocking refuses."""
    name = f"adapter.{engine.id}.voice"
    with suppress(NotVerified):
        if Bundle.open(bundle).claims.part(name) is None:
            message = f"this double holds no {name}: it was made before doubles could speak, or without a voice"
            raise UsageError(message, "enrol again, or leave the line out")


def _mono(made: Performance) -> Float32 | None:
    return None if made.sound is None else np.asarray(made.sound.mean(0), np.float32)


def _use(engine: Generator, options: CastOptions, direction: Direction, line: Line | None) -> Use:
    width, height = direction.size or (0, 0)
    times = _times(width)  # as it leaves, not as it is generated
    return Use(
        action="generate",
        purpose=options.purpose,
        prompt=options.prompt,
        generator=options.generator,
        outputs=("video",) if line is None else ("video", "audio"),
        modalities=("face",) if line is None else ("face", "voice"),
        seconds=direction.frames / engine.fps,
        pixels=width * height * times**2,
        seed=options.seed,
        commercial=options.commercial,
        line_sha256="" if line is None else line.sha256,
    )


def _times(side: int) -> int:
    """By which whole number frames of this side are enlarged."""
    return max(1, round(SHOWN_PX / side))


def _enlarged(frames: UInt8) -> UInt8:
    times = _times(frames.shape[2])
    if times == 1:
        return frames
    size = (frames.shape[2] * times, frames.shape[1] * times)
    shown = np.empty((len(frames), size[1], size[0], 3), np.uint8)  # filled in place: a minute of it is 0.7 GB
    for to, frame in zip(shown, frames, strict=True):
        cv2.resize(frame, size, dst=to, interpolation=cv2.INTER_CUBIC)
    return shown
