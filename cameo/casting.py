"""WORKFLOW: cast a double. The key reaches it only through an unlocking step; afterwards the generator is as before."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.condition.plug import plug
from cameo.crypto.encoding import sha256_hex
from cameo.errors import UsageError
from cameo.files import atomic_path, require_writable
from cameo.generators.base import Direction
from cameo.generators.shelf import load_generator
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.media import write_mp4
from cameo.records import CastClip, Use
from cameo.seal.bundle import Bundle
from cameo.unlocking import unlock

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.generators.base import Generator
    from cameo.grants.scope import Scope
    from cameo.records import UInt8
    from cameo.seal.terms import Purpose
    from cameo.unlocking import Borrowed, Opened

Progress = Callable[[str, float], None]
StrPath = str | os.PathLike[str]
FRAMES = (8, 1500)  # at 25 a second, up to a minute
SIDES = (16, 4097)
MOST_STEPS = 1000  # as many as the noise schedules have
LAST_SEED = 2**31 - 1
RECHECK_S = 10.0  # as long as a status list may be kept
SHOWN_PX = 384  # small frames are enlarged to about this side, so that a player shows more than a stamp


@dataclass(frozen=True, slots=True)
class CastOptions:
    """Choose what is generated.

    Attributes:
        purpose: id of a purpose of the consent record; "" takes any that allows this, which only the owner may leave
            open.
        prompt: what the clip shows, in words; judged by the owner's rules, and on record as part of a digest only. The
            reference generator takes no words: the clip does not follow it.
        generator: one that the double was tuned for: "reference", or a family and its weights, such as
            "wan:FOLDER"; see `generators.shelf.read_choice`.
        seed: 0 to 2147483647, gives the motion and the noise; the same seed gives the same clip.
        frames: how many, 8 to 1500, at the generator's rate; None takes the generator's own number.
        size: width and height in pixels; None takes the generator's own.
        steps: of sampling; None takes the generator's own.
        modalities: what of the person is plugged in, of "face" and "voice"; () takes the face, and the voice too where
            the generator speaks, the double holds it, and consent and grant let it be heard.
        commercial: whether the clip is for a commercial end.
    """

    purpose: str = ""
    prompt: str = ""
    generator: str = "reference"
    seed: int = 0
    frames: int | None = None
    size: tuple[int, int] | None = None
    steps: int | None = None
    modalities: tuple[str, ...] = ()
    commercial: bool = False


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
        UsageError: no such file or generator, `out` does not end in .mp4, or `frames` or `seed` is out of range.
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
    direction = engine.settle(
        Direction(options.frames, options.seed, options.prompt, size=options.size, steps=options.steps)
    )
    use = _use(engine, options, direction, _modalities(engine, options, bundle, borrowed))
    # 1. Verify double, grant, proof and consent, spend a use, and only then decrypt.
    with unlock(bundle, use, keys=keys, borrowed=borrowed, generator_parts_only=True) as opened:
        # 2. Plug, generate, unplug: afterwards the generator is as before.
        with plug(engine, opened.parts) as person:
            made = engine.perform(person, direction, _pulse(opened, report))
        # 3. The clip takes its name only when it may still leave.
        report("writing the clip", 0.0)
        shown = _enlarged(made.frames)
        with atomic_path(out) as temporary:
            # What the consent calls sound is the person's: without their voice, the clip is silent.
            sound = made.sound if "audio" in use.outputs else None
            write_mp4(temporary, shown, engine.fps, sound, made.rate_hz)
            opened.release(sha256_hex(temporary.read_bytes()))
    report("writing the clip", 1.0)
    height, width = shown.shape[1:3]
    return CastClip(
        path=str(out),
        frames=len(shown),
        fps=engine.fps,
        seconds=len(shown) / engine.fps,
        width=width,
        height=height,
        seed=options.seed,
        generator=engine.id,
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
        raise UsageError(message, "leave the number out for the generator's own")
    if any(side not in range(*SIDES) for side in options.size or ()):
        raise UsageError(f"a clip is {SIDES[0]} to {SIDES[1] - 1} pixels wide and high", "choose another size")
    if options.steps is not None and not 1 <= options.steps <= MOST_STEPS:
        raise UsageError(f"a clip takes 1 to {MOST_STEPS} steps, not {options.steps}", "choose another number")
    if not 0 <= options.seed <= LAST_SEED:
        raise UsageError(f"a seed is 0 to {LAST_SEED}, not {options.seed}", "choose another seed")
    if Path(out).suffix.lower() != ".mp4":  # so that a wrong word replaces no key, and not the double itself
        raise UsageError(f"the clip is an MP4 file, {out} is no name for one", "choose a name that ends in .mp4")
    require_writable(out)


def _modalities(engine: Generator, options: CastOptions, bundle: StrPath, borrowed: Borrowed | None) -> tuple[str, ...]:
    """Take what was asked for, or as much as the generator, the double and its owner's words seem to allow.

    Nothing is verified yet: unlocking decides about whatever is chosen here.
    """
    if options.modalities:
        return tuple(sorted(set(options.modalities)))
    if "voice" not in engine.modalities or not engine.speaks:
        return ("face",)
    sealed = Bundle.open(bundle)
    purposes = [p for p in sealed.consent_claims().terms.purposes if options.purpose in ("", p.id)]
    said: list[Purpose | Scope] = list(purposes)
    if borrowed is not None:
        said.append(unverified_chain(read_tokens(borrowed.grant)).scope)
    held = any(part.name == f"adapter.{engine.id}.voice" for part in sealed.claims.parts)
    heard = all("voice" in one.modalities and "audio" in one.outputs for one in said)
    return ("face", "voice") if held and heard else ("face",)


def _use(engine: Generator, options: CastOptions, direction: Direction, modalities: tuple[str, ...]) -> Use:
    width, height = direction.area
    times = _times(width)  # as it leaves, not as it is generated
    return Use(
        action="generate",
        purpose=options.purpose,
        prompt=options.prompt,
        generator=engine.id,
        outputs=("video", "audio") if "voice" in modalities else ("video",),
        modalities=modalities,
        seconds=direction.length / engine.fps,
        pixels=width * height * times**2,
        seed=options.seed,
        commercial=options.commercial,
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
