"""WORKFLOW: cast a double. The key reaches it only through an unlocking step; afterwards the generator is as before."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.condition.plug import plug
from cameo.errors import NotPermitted, UsageError
from cameo.files import require_writable
from cameo.generators.shelf import load_generator
from cameo.media import write_mp4
from cameo.records import CastClip
from cameo.seal.bundle import Bundle
from cameo.seal.consent import permits
from cameo.seal.unlock import unlock_as_owner

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.records import UInt8

Progress = Callable[[str, float], None]
FRAMES = (8, 1500)  # at 25 a second, up to a minute
LAST_SEED = 2**31 - 1
SHOWN_PX = 384  # small frames are enlarged to about this side, so that a player shows more than a stamp


def cast(
    bundle: str | os.PathLike[str],
    *,
    keys: KeyProvider,
    out: str | os.PathLike[str],
    generator: str = "reference",
    seed: int = 0,
    frames: int = 100,
    progress: Progress | None = None,
) -> CastClip:
    """Generate a clip of a double, with its owner's keys.

    Args:
        bundle: the `.cameo` file.
        keys: the owner's.
        out: the MP4 file to write; an old one is replaced only when the new one is complete.
        generator: one that the double was tuned for.
        seed: 0 to 2147483647, gives the motion and the noise; the same seed gives the same clip.
        frames: how many, 8 to 1500, at the generator's rate (25 a second).
        progress: called with a label and 0..1.

    Raises:
        UsageError: no such file or generator, `out` does not end in .mp4, or `frames` or `seed` is out of range.
        NotVerified: the file is not what the owner of `keys` sealed, or was tuned for other weights.
        NotPermitted: the keys do not open it, or the consent does not reach this use.
        OutputError: the clip cannot be written.
    """
    if not FRAMES[0] <= frames <= FRAMES[1]:
        raise UsageError(f"a clip has {FRAMES[0]} to {FRAMES[1]} frames, not {frames}", "25 frames are a second")
    if not 0 <= seed <= LAST_SEED:
        raise UsageError(f"a seed is 0 to {LAST_SEED}, not {seed}", "choose another seed")
    if Path(out).suffix.lower() != ".mp4":  # so that a wrong word replaces no key, and not the double itself
        raise UsageError(f"the clip is an MP4 file, {out} is no name for one", "choose a name that ends in .mp4")
    require_writable(out)
    # 1. Read and verify.
    verified = Bundle.open(bundle).verify(keys.public)
    # 2. The consent reaches this use.
    if verified.consent.withdrawn:
        raise NotPermitted("the consent to this double was withdrawn", "it must not be cast any more")
    if not permits(verified.consent.record.terms, generator, datetime.date.today()):
        raise NotPermitted(
            f"the consent in this double does not allow video with {generator} today",
            "see what it allows with cameo inspect; enrol again with other terms",
        )
    # 3. Unlock.
    content = unlock_as_owner(verified, keys)
    names = [part.name for part in verified.manifest.parts if part.name.split(".")[1:2] == [generator]]
    parts = {name: verified.read_part(name, content) for name in names}
    # 4. Plug, generate, unplug.
    report = progress or (lambda _label, _fraction: None)
    report("loading the generator", 0.0)
    engine = load_generator(generator)
    with plug(engine, parts) as person:
        report("generating", 0.0)
        made = engine.sample(person, engine.wander(person, frames, seed), seed)
    # 5. Only now, the generator being as it was, the clip leaves.
    report("writing the clip", 0.0)
    shown = _enlarged(made)
    write_mp4(out, shown, engine.fps)
    report("writing the clip", 1.0)
    height, width = shown.shape[1:3]
    seconds = frames / engine.fps
    return CastClip(str(out), frames, engine.fps, seconds, width, height, seed, generator, verified.manifest.bundle_id)


def _enlarged(frames: UInt8) -> UInt8:
    times = max(1, round(SHOWN_PX / frames.shape[2]))
    if times == 1:
        return frames
    size = (frames.shape[2] * times, frames.shape[1] * times)
    shown = np.empty((len(frames), size[1], size[0], 3), np.uint8)  # filled in place: a minute of it is 0.7 GB
    for to, frame in zip(shown, frames, strict=True):
        cv2.resize(frame, size, dst=to, interpolation=cv2.INTER_CUBIC)
    return shown
