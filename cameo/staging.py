"""WORKFLOW: put a double on stage for one clip, in a generator of ours or in a pipeline that somebody already has.

The key reaches it only through an unlocking step; one clip may be made, the one that was asked for; afterwards the
generator is as before.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from cameo.condition.plug import plug as load_into
from cameo.crypto.encoding import sha256_hex
from cameo.errors import NotPermitted, UsageError
from cameo.files import atomic_path, require_writable
from cameo.generators.base import RATE_HZ, Direction, Performance
from cameo.generators.pipeline import as_frames
from cameo.generators.shelf import generator_for
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.media import write_mp4
from cameo.records import Use
from cameo.seal.bundle import Bundle
from cameo.speaking import add_line
from cameo.unlocking import unlock

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.generators.base import Generator
    from cameo.grants.scope import Scope
    from cameo.records import UInt8
    from cameo.seal.terms import Purpose
    from cameo.unlocking import Borrowed, Opened

StrPath = str | os.PathLike[str]
Report = Callable[[str, float], None]
RECHECK_S = 10.0  # as long as a status list may be kept
SHOWN_PX = 384  # small frames are enlarged to about this side, so that a player shows more than a stamp
_HINT = "a use is for one clip: ask for it in the options, and again for another"
# What would be told to the generator without having been judged.
_UNJUDGED = (
    "prompt_embeds", "prompt_attention_mask", "pooled_prompt_embeds", "prompt_template", "enable_prompt_enhancement",
    "system_prompt", "image",
)  # fmt: skip
_COUNTS = ("num_videos_per_prompt", "num_images_per_prompt")


@dataclass(frozen=True, slots=True)
class CastOptions:
    """Choose what is generated.

    Attributes:
        purpose: id of a purpose of the consent record; "" takes any that allows this, which only the owner may leave
            open.
        prompt: what the clip shows, in words; judged by the owner's rules, and on record as part of a digest only. The
            reference generator takes no words: the clip does not follow it.
        generator: one that the double was tuned for: "reference", or a family and its weights, such as "wan:FOLDER";
            see `generators.shelf.read_choice`. Not used where a pipeline is given.
        seed: 0 to 2147483647, gives the motion and the noise; the same seed gives the same clip.
        frames: how many, at the generator's rate; None takes the generator's own number.
        size: width and height in pixels; None takes the generator's own.
        steps: of sampling; None takes the generator's own.
        modalities: what of the person is plugged in, of "face" and "voice"; () takes the face, and the voice too where
            the generator speaks, the double holds it, and consent and grant let it be heard.
        weights: of a modality's LoRA, 0 to 2; 1 where nothing is said, 0 leaves it out.
        commercial: whether the clip is for a commercial end.
        say: a sound file, 1 to 60 s of somebody speaking; the double says the same, in the owner's voice. The line is
            cut off where `frames` ends. Nobody judges its words: the prompt's rules do not hear it.
    """

    purpose: str = ""
    prompt: str = ""
    generator: str = "reference"
    seed: int = 0
    frames: int | None = None
    size: tuple[int, int] | None = None
    steps: int | None = None
    modalities: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    commercial: bool = False
    say: StrPath | None = None


class Stage:
    """Hold an opened double in its generator, for one clip. Made by `plug`, and by `casting.cast`.

    Attributes:
        engine: the generator.
        direction: what may be made, with length, size and steps filled in.
        bundle_id, purpose: of the double, and under which it was opened.
        receipt_sha256: of the payload of the receipt that allows this use.
    """

    def __init__(self, engine: Generator, direction: Direction, opened: Opened, person: Any, heard: bool) -> None:
        self.engine, self.direction, self._heard = engine, direction, heard
        self.bundle_id, self.purpose = opened.bundle_id, opened.purpose
        self.receipt_sha256 = opened.receipt_sha256
        self._opened, self._person = opened, person
        self._asked = time.monotonic()
        self._made = self._generating = False
        self._clip: tuple[StrPath, Performance] | None = None

    def generate(self, report: Report | None = None) -> Performance:
        """Generate the clip.

        Raises:
            NotPermitted: it was made already, or the use was revoked meanwhile.
        """
        self.begin()
        told = report or (lambda _label, _share: None)

        def pulse(share: float) -> None:
            told("generating", share)
            self.look_again()

        self._generating = True
        try:
            made = self.engine.perform(self._person, self.direction, pulse)
        finally:
            self._generating = False
        self.recheck()
        return made

    def save(self, out: StrPath, made: Performance | Any) -> tuple[int, int]:
        """Have the clip written as MP4 when the block ends: once the generator is as before, and if it may still leave.

        Then an old file of that name is replaced, in one step.

        Args:
            out: a name that ends in .mp4.
            made: what `generate` returned, or the frames that the pipeline returned, as NumPy, PIL or torch.

        Returns:
            Width and height of the clip.

        Raises:
            UsageError: the frames are none, or `out` is no name for a clip.
        """
        require_clip_name(out)
        clip = made if isinstance(made, Performance) else Performance(as_frames(made))
        self._clip = out, replace(clip, frames=enlarged(clip.frames, times_shown(clip.frames.shape[2])))
        height, width = self._clip[1].frames.shape[1:3]
        return width, height

    def let_out(self) -> None:
        """Write the clip that was saved, if any.

        Raises:
            NotPermitted: the use was revoked meanwhile; nothing is left of the clip.
            OutputError: it cannot be written.
        """
        if self._clip is None:
            return
        out, clip = self._clip
        with atomic_path(out) as temporary:
            # What the consent calls sound is the person's: without their voice, the clip is silent.
            sound = clip.sound if self._heard else None
            write_mp4(temporary, clip.frames, self.engine.fps, sound, clip.rate_hz or RATE_HZ)
            self._opened.release(sha256_hex(temporary.read_bytes()))

    def begin(self) -> None:
        """Take note that the clip is being made; `generate` calls the pipeline, too.

        Raises:
            NotPermitted: it was made already.
        """
        if self._generating:
            return
        if self._made:
            raise NotPermitted("the clip of this use was made already", _HINT, "request_changed")
        self._made = True

    def look_again(self) -> None:
        """Ask now and then whether the use still stands.

        Raises:
            NotPermitted: it does not.
        """
        if time.monotonic() - self._asked > RECHECK_S:
            self._opened.recheck()
            self._asked = time.monotonic()

    def recheck(self) -> None:
        """Ask whether the use still stands, now.

        Raises:
            NotPermitted: it does not.
        """
        self._opened.recheck()


@contextmanager
def on_stage(
    engine: Generator,
    bundle: StrPath,
    options: CastOptions,
    *,
    keys: KeyProvider | None = None,
    borrowed: Borrowed | None = None,
) -> Iterator[Stage]:
    """Open a double for one clip and load it into a generator; see `plug` and `casting.cast`."""
    wanted = Direction(options.frames, options.seed, options.prompt, options.size, options.steps)
    line_sha256 = ""
    if options.say is not None:
        wanted, line_sha256 = add_line(wanted, options.say, engine, bundle)
    direction = engine.settle(wanted)
    use = _use(engine, options, direction, line_sha256, _modalities(engine, options, bundle, borrowed))
    # 1. Verify double, grant, proof and consent, spend a use, and only then decrypt.
    with unlock(bundle, use, keys=keys, borrowed=borrowed, generator_parts_only=True) as opened:
        # 2. Plug, generate, unplug: afterwards the generator is as before.
        with load_into(engine, opened.parts, options.weights) as person:
            stage = Stage(engine, direction, opened, person, "audio" in use.outputs)
            yield stage
        # 3. The clip takes its name only when it may still leave.
        stage.let_out()


@contextmanager
def plug(
    pipe: Any,
    bundle: StrPath,
    *,
    keys: KeyProvider | None = None,
    borrowed: Borrowed | None = None,
    options: CastOptions | None = None,
) -> Iterator[Stage]:
    """Put a double into a diffusers pipeline that you already have, for one clip.

    Inside the block, `pipe(...)` shows the person: call it once, with the prompt, length and size of `options`, or call
    `generate` of what this yields. Every other call is refused. After the block the pipeline is bit for bit as before.

    Args:
        pipe: a pipeline object of a family that cameo knows, with no other LoRA in it.
        bundle: the `.cameo` file.
        keys: the owner's, if the owner casts.
        borrowed: the grant, its holder and the host, if somebody else does. One of the two must be given.
        options: what will be generated; it is what the grant is held against.

    Raises:
        UsageError: the pipeline is of no known family or holds other LoRAs, or it cannot make such a clip.
        NotVerified: the file, the grant or the proof is not what its signer signed, or was tuned for other weights.
        NotPermitted: the keys or the grant do not open it for this use; `code` says why.
    """
    engine = generator_for(pipe)
    chosen = options or CastOptions()
    with on_stage(engine, bundle, chosen, keys=keys, borrowed=borrowed) as stage:
        watched = engine.denoiser.register_forward_pre_hook(lambda *_: stage.look_again())
        try:
            with _guarded(pipe, stage):
                yield stage
        finally:
            watched.remove()


@contextmanager
def _guarded(pipe: Any, stage: Stage) -> Iterator[None]:
    """Hold every call of the pipeline against what was asked for; an instance cannot have a `__call__` of its own."""
    plain = type(pipe)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = dict(inspect.signature(plain.__call__).bind(self, *args, **kwargs).arguments)
        given.pop("self")
        known = set(inspect.signature(plain.__call__).parameters)
        held = _as_asked_for(given, stage.direction, stage.engine.fps, known)
        stage.begin()
        made = plain.__call__(self, **held)
        stage.recheck()
        return made

    pipe.__class__ = type(plain.__name__, (plain,), {"__call__": call, "__module__": plain.__module__})
    try:
        yield
    finally:
        pipe.__class__ = plain


def _as_asked_for(given: dict[str, Any], asked: Direction, fps: float, known: set[str]) -> dict[str, Any]:
    """Check the arguments of a call, and fill in from what was asked for what it leaves open, or gives as None.

    Raises:
        NotPermitted: "request_changed".
    """
    stray = [name for name in _UNJUDGED if given.get(name) is not None and given[name] is not False]
    if stray:
        raise _changed(f"{stray[0]} goes past the owner's rules for words")
    filled = {"prompt": asked.prompt, "width": asked.area[0], "height": asked.area[1], "num_frames": asked.length}
    filled |= {"num_inference_steps": asked.steps, "frame_rate": fps}
    said = {name: value for name, value in given.items() if value is not None}
    held = {**{name: value for name, value in filled.items() if name in known}, **said}
    if held["prompt"] not in (asked.prompt, [asked.prompt]) or said.get("prompt_2", asked.prompt) != asked.prompt:
        raise _changed("another prompt than the one that was judged")
    if held["width"] * held["height"] > asked.area[0] * asked.area[1]:
        raise _changed(f"{held['width']} x {held['height']} pixels, {asked.area[0]} x {asked.area[1]} were asked for")
    if held.get("num_frames", 1) > asked.length:
        raise _changed(f"{held['num_frames']} frames, {asked.length} were asked for")
    if held.get("frame_rate", fps) != fps:  # the sound would be longer than the clip that was asked for
        raise _changed(f"{held['frame_rate']:g} frames a second, {fps:g} are the generator's")
    if any(said.get(name, 1) > 1 for name in _COUNTS):
        raise _changed("more than one clip")
    noise = held.setdefault("generator", torch.Generator().manual_seed(asked.seed))
    if not isinstance(noise, torch.Generator) or noise.initial_seed() != asked.seed:
        raise _changed(f"another seed than {asked.seed}")
    return held


def _changed(what: str) -> NotPermitted:
    return NotPermitted(f"the pipeline is called for something else than was asked: {what}", _HINT, "request_changed")


def require_clip_name(out: StrPath) -> None:
    """Check that a clip can be written there, so that a wrong word replaces no key, and not the double itself.

    Raises:
        UsageError: it does not end in .mp4, or its folder is missing.
    """
    if Path(out).suffix.lower() != ".mp4":
        raise UsageError(f"the clip is an MP4 file, {out} is no name for one", "choose a name that ends in .mp4")
    require_writable(out)


def _modalities(engine: Generator, options: CastOptions, bundle: StrPath, borrowed: Borrowed | None) -> tuple[str, ...]:
    """Take what was asked for, or as much as the generator, the double and its owner's words seem to allow.

    Nothing is verified yet: unlocking decides about whatever is chosen here.
    """
    if options.say is not None:
        return tuple(sorted({*(options.modalities or ("face",)), "voice"}))
    if options.modalities:
        return tuple(sorted(set(options.modalities)))
    if not engine.speaks:
        return ("face",)
    return offered_modalities(bundle, engine.id, options.purpose, borrowed)


def offered_modalities(bundle: StrPath, generator: str, purpose: str, borrowed: Borrowed | None) -> tuple[str, ...]:
    """Take the face, and the voice too where the double holds one and its owner's words let it be heard."""
    sealed = Bundle.open(bundle)
    said: list[Purpose | Scope] = [p for p in sealed.consent_claims().terms.purposes if purpose in ("", p.id)]
    if borrowed is not None:
        said.append(unverified_chain(read_tokens(borrowed.grant)).scope)
    held = any(part.name == f"adapter.{generator}.voice" for part in sealed.claims.parts)
    heard = all("voice" in one.modalities and "audio" in one.outputs for one in said)
    return ("face", "voice") if held and heard else ("face",)


def _use(
    engine: Generator, options: CastOptions, direction: Direction, line_sha256: str, modalities: tuple[str, ...]
) -> Use:
    width, height = direction.area
    times = times_shown(width)  # as it leaves, not as it is generated
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
        line_sha256=line_sha256,
    )


def times_shown(side: int) -> int:
    """By which whole number frames of this side are enlarged."""
    return max(1, round(SHOWN_PX / side))


def enlarged(frames: UInt8, times: int) -> UInt8:
    """Enlarge frames `[T, H, W, 3]` by a whole number."""
    if times == 1:
        return frames
    size = (frames.shape[2] * times, frames.shape[1] * times)
    shown = np.empty((len(frames), size[1], size[0], 3), np.uint8)  # filled in place: a minute of it is 0.7 GB
    for to, frame in zip(shown, frames, strict=True):
        cv2.resize(frame, size, dst=to, interpolation=cv2.INTER_CUBIC)
    return shown
