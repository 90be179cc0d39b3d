"""WORKFLOW: film: several doubles in one scene, and one scene after the other, all of them opened together or none.

A film is one use of every double in it. What was said of `staging` holds for each: the key reaches it only through an
unlocking step, and the film takes its name only when everybody's may still leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cameo.casting import FRAMES, LAST_SEED
from cameo.condition.plug import plug as load_into
from cameo.condition.regions import masks_for, plug_together, side_by_side
from cameo.crypto.encoding import sha256_hex
from cameo.embed.face import load_face_encoder
from cameo.embed.shots import ShotScores, score_shots
from cameo.embed.template import unpack_template
from cameo.errors import UsageError
from cameo.files import atomic_path, require_writable
from cameo.generators.base import Direction, Performance
from cameo.generators.shelf import generator_for, load_generator
from cameo.generators.together import SharedGenerator
from cameo.media import write_mp4
from cameo.records import Use
from cameo.report.sheet import draw_sheet
from cameo.screenplay import CastMember, Film, FilmedPerson, FilmedShot, FilmOptions, Shot
from cameo.seal.bundle import Bundle
from cameo.staging import RECHECK_S, StrPath, enlarged, require_clip_name, times_shown
from cameo.unlocking import Asking, release_together, unlock_together

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.embed.face import FaceEncoder
    from cameo.generators.base import Generator
    from cameo.records import UInt8
    from cameo.unlocking import Opened

Progress = Callable[[str, float], None]
MOST_SHOTS = 64
_TEMPLATE = "template.face"


@dataclass(frozen=True)
class _Plan:
    """Hold what will be made, once everything about it was checked that can be checked without opening a double."""

    engine: Generator
    members: Sequence[CastMember]
    directions: Sequence[Direction]
    masks: Tensor | None
    judge: FaceEncoder
    options: FilmOptions
    times: int


def film(
    members: Sequence[CastMember],
    shots: Sequence[Shot] = (),
    *,
    out: StrPath,
    options: FilmOptions | None = None,
    pipe: Any = None,
    progress: Progress | None = None,
) -> Film:
    """Cast one double or several together, shot by shot, into one clip.

    Everybody's right is looked at before anything is opened or counted: if one refuses, nothing runs. It is one use of
    each: with all prompts, a line each, and the length of all shots together. The identity is the same in all shots.

    Args:
        members: who is in it. With more than one, each acts in a region of the picture.
        shots: what is shown, one after the other; none given is one with the defaults.
        out: the MP4 file to write; an old one is replaced only when the new one is complete.
        options: what holds for all shots.
        pipe: a diffusers pipeline to cast in, in place of `options.generator`.
        progress: called with a label and 0..1.

    Raises:
        UsageError: no such file or generator; a length, size, seed or region is out of range; or a double is in it
            twice.
        NotVerified: a file, grant or proof is not what its signer signed, or was tuned for other weights.
        NotPermitted: somebody's keys or grant do not open it for this use; `code` says why. No clip is left then.
        OutputError: the clip cannot be written.
        CameoError: a ledger of uses cannot be written.
    """
    chosen = options or FilmOptions()
    shots = shots or (Shot(),)
    _require_possible(members, shots)
    require_clip_name(out)
    if chosen.sheet is not None:
        require_writable(chosen.sheet)
    report = progress or (lambda _label, _share: None)
    report("loading the generator", 0.0)
    plan = _planned(members, shots, chosen, load_generator(chosen.generator) if pipe is None else generator_for(pipe))
    asked = [Asking(m.bundle, _use(plan, m), m.keys, m.borrowed, m.keys is None) for m in members]
    with unlock_together(asked) as opened:
        with _plugged(plan, opened) as perform:
            made = list(_performed(plan, opened, perform, report))
        report("scoring the shots", 0.0)
        scores = _scored(plan, opened, made)
        report("writing the clip", 0.0)
        _let_out(plan, opened, made, out)
    report("writing the clip", 1.0)
    return _described(plan, opened, scores, out)


def _require_possible(members: Sequence[CastMember], shots: Sequence[Shot]) -> None:
    if not members:
        raise UsageError("there is nobody in this film", "name at least one double")
    if len(shots) > MOST_SHOTS:
        raise UsageError(f"a film has up to {MOST_SHOTS} shots, not {len(shots)}", "make two films of it")
    for shot in shots:
        if shot.frames is not None and shot.frames < 1:
            raise UsageError(f"a shot of {shot.frames} frames is none", "25 frames are a second")
        if not 0 <= shot.seed <= LAST_SEED:
            raise UsageError(f"a seed is 0 to {LAST_SEED}, not {shot.seed}", "choose another seed")
    placed = [member.region is not None for member in members]
    if any(placed) and not all(placed):
        who = members[placed.index(False)].bundle
        raise UsageError(f"{who} has no region, others have", "give everybody one, or nobody: then side by side")
    if len(members) == 1 and placed[0]:
        raise UsageError("one person alone has the whole picture", "leave the region out")


def _planned(members: Sequence[CastMember], shots: Sequence[Shot], options: FilmOptions, engine: Generator) -> _Plan:
    wanted = [Direction(shot.frames, shot.seed, shot.prompt, options.size, options.steps) for shot in shots]
    judge, masks = load_face_encoder(options.face_model), None
    _require_same_encoder(members, judge)
    if len(members) == 1:
        directions = [engine.settle(one) for one in wanted]
    elif not isinstance(engine, SharedGenerator):
        raise UsageError(f"{engine.id} takes one person at a time", "film them one by one, or choose another generator")
    else:
        directions = [engine.settle_together(one, len(members)) for one in wanted]
        regions = [member.region for member in members if member.region] or side_by_side(len(members))
        masks = masks_for(regions, engine.cells(directions[0]), [str(member.bundle) for member in members])
        engine.require_room(masks)
    whole = sum(one.length for one in directions)
    if whole > FRAMES[1]:
        raise UsageError(f"a film has up to {FRAMES[1]} frames, not {whole}", "make it shorter, or two films of it")
    times = times_shown(min(directions[0].area))
    return _Plan(engine, members, directions, masks, judge, options, times)


def _require_same_encoder(members: Sequence[CastMember], judge: FaceEncoder) -> None:
    """Find out before a use is spent whether the scores can be had; what the file claims is enough for that."""
    for member in members:
        if member.keys is None:
            continue
        made = [e for e in Bundle.open(member.bundle).claims.encoders if e.modality == "face"]
        if any((e.id, e.digest) != (judge.info.id, judge.info.digest) for e in made):
            hint = "choose the recogniser that it was enrolled with: face_model, --face-model"
            raise UsageError(f"{member.bundle} was enrolled with {made[0].id}, and {judge.info.id} scores", hint)


def _use(plan: _Plan, member: CastMember) -> Use:
    width, height = plan.directions[0].area
    return Use(
        action="generate",
        purpose=member.purpose,
        prompt="\n".join(one.prompt for one in plan.directions if one.prompt),
        generator=plan.engine.id,
        outputs=("video",),
        modalities=("face",),
        seconds=sum(one.length for one in plan.directions) / plan.engine.fps,
        pixels=width * height * plan.times**2,
        seed=plan.directions[0].seed,
        commercial=plan.options.commercial,
    )


Perform = Callable[[Direction, Callable[[float], None]], Performance]


@contextmanager
def _plugged(plan: _Plan, opened: Sequence[Opened]) -> Iterator[Perform]:
    """Plug everybody in, and yield what makes a shot of them."""
    engine, masks = plan.engine, plan.masks
    if masks is None or not isinstance(engine, SharedGenerator):
        with load_into(engine, opened[0].parts) as person:
            yield lambda direction, pulse: engine.perform(person, direction, pulse)
        return
    shared = engine
    with plug_together(shared, [one.parts for one in opened], masks) as people:
        yield lambda direction, pulse: shared.perform_together(people, masks, direction, pulse)


def _performed(plan: _Plan, opened: Sequence[Opened], perform: Perform, report: Progress) -> Iterator[UInt8]:
    """Make one shot after the other, asking now and then whether everybody's use still stands."""
    asked = time.monotonic()
    for k, direction in enumerate(plan.directions):

        def pulse(share: float, done: int = k) -> None:
            nonlocal asked
            report("generating", (done + share) / len(plan.directions))
            if time.monotonic() - asked > RECHECK_S:
                for one in opened:
                    one.recheck()
                asked = time.monotonic()

        yield perform(direction, pulse).frames


def _scored(plan: _Plan, opened: Sequence[Opened], made: Sequence[UInt8]) -> list[ShotScores]:
    """Score everybody in their part of the picture; against the template only where its owner asks.

    A grant is for generating: comparing with the template is another use of it, and none was granted.
    """
    scores = []
    for k, (one, member) in enumerate(zip(opened, plan.members, strict=True)):
        template = unpack_template(one.parts[_TEMPLATE]) if member.keys and _TEMPLATE in one.parts else None
        scores.append(score_shots(plan.judge, [_part(frames, plan.masks, k) for frames in made], template))
    return scores


def _part(frames: UInt8, masks: Tensor | None, person: int) -> UInt8:
    """Cut the box around a person's region out of frames `[T, H, W, 3]`."""
    if masks is None:
        return frames
    inside = np.asarray(masks[person] > 0.5)
    spans = []
    for axis, side in enumerate(frames.shape[1:3]):
        at = np.flatnonzero(inside.any(1 - axis)) * side / inside.shape[axis]
        spans.append(slice(int(at[0]), int(at[-1] + side / inside.shape[axis])))
    return frames[:, spans[0], spans[1]]


def _let_out(plan: _Plan, opened: Sequence[Opened], made: Sequence[UInt8], out: StrPath) -> None:
    """Write clip and sheet, and let both take their names once everybody's use was found to stand."""
    sheet = plan.options.sheet
    with ExitStack() as files:
        temporary = files.enter_context(atomic_path(out))
        write_mp4(temporary, enlarged(np.concatenate(made), plan.times), plan.engine.fps)
        if sheet is not None:
            labels = [f"shot {k + 1}, seed {one.seed}" for k, one in enumerate(plan.directions)]
            files.enter_context(atomic_path(sheet)).write_bytes(draw_sheet(list(zip(labels, made, strict=True))))
        release_together(opened, sha256_hex(temporary.read_bytes()))


def _described(plan: _Plan, opened: Sequence[Opened], scores: Sequence[ShotScores], out: StrPath) -> Film:
    fps, (width, height) = plan.engine.fps, plan.directions[0].area
    people = [
        FilmedPerson(
            bundle_id=one.bundle_id,
            purpose=one.purpose,
            receipt=one.receipt_sha256,
            likeness=tuple(round(value, 4) for value in score.likeness),
            found=tuple(round(value, 4) for value in score.found),
            consistency=tuple(None if np.isnan(value) else round(value, 4) for value in score.consistency),
        )
        for one, score in zip(opened, scores, strict=True)
    ]
    return Film(
        path=str(out),
        sheet="" if plan.options.sheet is None else str(plan.options.sheet),
        fps=fps,
        seconds=sum(one.length for one in plan.directions) / fps,
        width=width * plan.times,
        height=height * plan.times,
        generator=plan.engine.id,
        scorer=plan.judge.info.id,
        shots=tuple(FilmedShot(one.length, one.length / fps, one.seed) for one in plan.directions),
        people=tuple(people),
    )
