"""WORKFLOW: cast a double. The key reaches it only through an unlocking step; afterwards the generator is as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cameo.errors import UsageError
from cameo.generators.shelf import load_generator
from cameo.records import CastClip
from cameo.staging import CastOptions, StrPath, on_stage, require_clip_name

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.unlocking import Borrowed

Progress = Callable[[str, float], None]
FRAMES = (8, 1500)  # at 25 a second, up to a minute
SIDES = (16, 4097)
MOST_STEPS = 1000  # as many as the noise schedules have
LAST_SEED = 2**31 - 1


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
    _require_possible(options)
    require_clip_name(out)
    report = progress or (lambda _label, _fraction: None)
    report("loading the generator", 0.0)
    engine = load_generator(options.generator)
    with on_stage(engine, bundle, options, keys=keys, borrowed=borrowed) as stage:
        made = stage.generate(report)
        width, height = stage.save(out, made)
        report("writing the clip", 0.0)
    report("writing the clip", 1.0)
    return CastClip(
        path=str(out),
        frames=len(made.frames),
        fps=engine.fps,
        seconds=len(made.frames) / engine.fps,
        width=width,
        height=height,
        seed=options.seed,
        generator=engine.id,
        bundle_id=stage.bundle_id,
        purpose=stage.purpose,
        receipt=stage.receipt_sha256,
    )


def _require_possible(options: CastOptions) -> None:
    if options.frames is not None and not FRAMES[0] <= options.frames <= FRAMES[1]:
        message = f"a clip has {FRAMES[0]} to {FRAMES[1]} frames, not {options.frames}"
        raise UsageError(message, "leave the number out for the generator's own")
    if any(side not in range(*SIDES) for side in options.size or ()):
        raise UsageError(f"a clip is {SIDES[0]} to {SIDES[1] - 1} pixels wide and high", "choose another size")
    if options.steps is not None and not 1 <= options.steps <= MOST_STEPS:
        raise UsageError(f"a clip takes 1 to {MOST_STEPS} steps, not {options.steps}", "choose another number")
    if not 0 <= options.seed <= LAST_SEED:
        raise UsageError(f"a seed is 0 to {LAST_SEED}, not {options.seed}", "choose another seed")
