"""WORKFLOW: probe how much of the footage it was tuned on an adapter gives back.

Only its owner can: the double is opened with their keys, for a use that goes on record like a cast. What is generated
shows the person, and so do the pictures that are written; they are as private as the recording.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load

from cameo.adapt.recipe import Recipe
from cameo.adapt.train import split
from cameo.capture.quality import assess
from cameo.capture.speech import find_speech
from cameo.crypto.encoding import sha256_hex
from cameo.eliciting import Exhibit, Probed, ProbeSettings, probe_adapter
from cameo.embed.face import load_face_encoder
from cameo.embed.person import pool_face
from cameo.errors import NotPermitted, OutputError, UsageError
from cameo.fidelity.leakage import summarise
from cameo.fidelity.nearness import closest_pairs
from cameo.files import atomic_path, require_writable
from cameo.generators.shelf import generator_id, load_generator
from cameo.learning import (
    Progress,
    Source,
    Steps,
    StrPath,
    require_same_encoders,
    require_same_person,
    usable_footage,
    watch_recording,
)
from cameo.records import Use
from cameo.registry.store import Registry
from cameo.report.leakage_plot import draw_leakage
from cameo.report.sheet import draw_sheet
from cameo.seal.bundle import Bundle
from cameo.seal.captures import CAPTURES, unpack_captures
from cameo.seal.unlock import unlock_as_owner
from cameo.unlocking import unlock

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.fidelity.leakage import Leakage
    from cameo.fidelity.nearness import Nearness
    from cameo.generators.base import Footage, Generator
    from cameo.records import UInt8
    from cameo.seal.bundle import VerifiedBundle
    from cameo.unlocking import Opened

PAIRS = 6  # on the sheet, of each kind
# Mean difference in grey levels (0..255) up to which a sealed reference is taken for a frame of the recording.
SAME_FRAME = 2.5
NUMBERS, PLOT, SHEET = WRITTEN = ("leakage.json", "leakage.png", "nearest.png")
_PRIVATE = 0o600  # they show the person


@dataclass(frozen=True, slots=True)
class LeakageOptions:
    """Choose what is probed.

    Attributes:
        generator: the one whose adapter is probed; see `CastOptions`.
        footage: the recording it was tuned on; None takes the one that the double keeps.
        face_model: the encoder that measures; it must be the one the double was enrolled with.
        held_out: share of the recording that tuning did not see; None takes that of the family's recipe.
        out: a folder for numbers, plot and the nearest pairs (`WRITTEN`), if they are wanted; it is made.
        settings: how thoroughly.
    """

    generator: str = "reference"
    footage: StrPath | None = None
    face_model: str = "embedded"
    held_out: float | None = None
    out: StrPath | None = None
    settings: ProbeSettings = ProbeSettings()


@dataclass(frozen=True)
class LeakageReport:
    """Say what the adapter in a double gives back.

    Attributes:
        bundle_id, generator: what was probed.
        scorer: the encoder that measured.
        receipt: of the use it took; SHA-256 (hex).
        leakage: what was found.
        written: the files.
    """

    bundle_id: str
    generator: str
    scorer: str
    receipt: str
    leakage: Leakage
    written: tuple[str, ...]


def probe_leakage(
    bundle: StrPath, *, keys: KeyProvider, options: LeakageOptions | None = None, progress: Progress | None = None
) -> LeakageReport:
    """Probe how much of the recording it was tuned on the adapter in a double gives back.

    Args:
        bundle: the `.cameo` file.
        keys: the owner's.
        options: which generator, which recording.
        progress: called with a label and 0..1.

    Raises:
        UsageError: a file or name does not exist, the double was not tuned for the generator, it keeps no recording and
            none is given, or the recording is another than it was tuned on.
        NotVerified: the double is not what the owner of `keys` sealed.
        NotPermitted: the consent does not allow to generate with it, or was withdrawn; or the double was erased.
        ClipError: the recording cannot be read.
        CaptureRejected: it shows somebody else.
        EncoderMismatch: the double was enrolled with another encoder than `face_model`.
        OutputError: a file cannot be written.
        CameoError: the recording is too short, or the ledger cannot be written.
        MissingWeights: the encoder's or the generator's weights are not on this machine.
    """
    chosen, steps = options or LeakageOptions(), Steps(progress)
    # 0. Nothing slow begins that could not end.
    verified = Bundle.open(bundle).verify(keys.public)
    _require_possible(verified, chosen)
    generator, encoder = load_generator(chosen.generator), load_face_encoder(chosen.face_model)
    require_same_encoders(verified, [encoder.info])
    # 1. The recording, cut as it was for tuning.
    recording, sightings, track = watch_recording(_source(verified, keys, chosen), encoder, steps)
    quality = assess(recording, track, find_speech(recording.sound))
    exhibit = _exhibit(usable_footage(generator, recording, track, quality), generator.id, chosen.held_out)
    template = pool_face(encoder, recording, track, quality, sightings)[0]
    # 2. Open the double, and see that it is of this person, and of this recording.
    with unlock(bundle, _use(generator, exhibit, chosen.settings), keys=keys) as opened:
        require_same_person(template, opened.parts["template.face"])
        _require_same_recording(opened.parts, generator.id, exhibit.train)
        # 3. Probe it.
        probed = probe_adapter(generator, opened.parts, exhibit, encoder, chosen.settings, steps.progress)
        report = LeakageReport(
            opened.bundle_id, generator.id, encoder.info.id, opened.receipt_sha256, probed.leakage, _names(chosen.out)
        )
        _let_out(opened, report, probed)
    return report


def describe_leakage(report: LeakageReport) -> dict[str, object]:
    """Put a report into values that JSON has."""
    facts = {name: getattr(report, name) for name in ("bundle_id", "generator", "scorer", "receipt")}
    return {**facts, **summarise(report.leakage), "written": list(report.written)}


def _require_possible(verified: VerifiedBundle, options: LeakageOptions) -> None:
    """Refuse what can be refused before anything slow begins."""
    if verified.consent.withdrawn:
        raise NotPermitted("the consent to this double was withdrawn", "it must not be used any more", "withdrawn")
    with closing(Registry()) as registry:
        registry.require_living(verified.manifest.bundle_id)
    wanted = generator_id(options.generator)
    tuned = [entry.id for entry in verified.manifest.generators]
    if wanted not in tuned:
        hint = f"it was tuned for: {', '.join(tuned) or 'none'}"
        raise UsageError(f"the double was not tuned for the generator {wanted}", hint)
    if options.footage is None and verified.manifest.part(CAPTURES) is None:
        hint = "give the recording it was enrolled from: --footage CLIP"
        raise UsageError("the double keeps no recording to hold its adapter against", hint)
    if options.held_out is not None and not 0 < options.held_out < 1:
        raise UsageError(f"a share is between 0 and 1, not {options.held_out}", "leave it out for the recipe's own")
    options.settings.require_possible()
    _make_folder(options.out)


def _make_folder(out: StrPath | None) -> None:
    if out is None:
        return
    try:
        Path(out).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot make the folder {out}: {reason}", "choose another folder") from error
    for name in _names(out):
        require_writable(name)


def _names(out: StrPath | None) -> tuple[str, ...]:
    return () if out is None else tuple(str(Path(out) / name) for name in WRITTEN)


def _source(verified: VerifiedBundle, keys: KeyProvider, options: LeakageOptions) -> Source:
    """Take the recording that was given, or the one that is kept: that one never touches the disk in the clear."""
    if options.footage is not None:
        return Source(options.footage)
    return Source(*unpack_captures(verified.read_part(CAPTURES, unlock_as_owner(verified, keys))))


def _exhibit(footage: Footage, generator: str, held_out: float | None) -> Exhibit:
    """Part footage as tuning did."""
    share = Recipe.for_generator(generator).held_out if held_out is None else held_out
    train, held = split(footage, share)
    return Exhibit(footage, len(train), len(footage) - len(held))


def _use(generator: Generator, exhibit: Exhibit, settings: ProbeSettings) -> Use:
    """Ask to generate: what is made shows the person, whatever it is made for."""
    height, width = exhibit.footage.frames.shape[1:3]
    seconds = 4 * settings.seeds * min(settings.pictures, len(exhibit.held_out)) / generator.fps
    return Use("generate", "", "", generator.id, ("video",), ("face",), seconds, width * height)


def _require_same_recording(parts: Mapping[str, bytes], generator: str, train: Footage) -> None:
    """Refuse another recording of the person: what was not learned from cannot be given back.

    Only identities that hold frames of the recording can tell; the reference generator's does.
    """
    sealed = load(parts[f"identity.{generator}.face"]) if f"identity.{generator}.face" in parts else {}
    for kept in sealed.values():
        if kept.dtype != torch.uint8 or kept.shape[1:] != train.frames.shape[1:]:
            continue
        frames = train.frames.float()
        apart = torch.stack([(frames - one.float()).abs().flatten(1).mean(1).min() for one in kept])
        if float(apart.median()) > SAME_FRAME:
            message = "the double was not tuned on this recording: the frames in it are not among the recording's"
            raise UsageError(message, "give the recording it was enrolled from, or tuned on last")


def _let_out(opened: Opened, report: LeakageReport, probed: Probed) -> None:
    """Write everything that was asked for, and let it take its names once the use was found to stand."""
    if not report.written:
        opened.release()
        return
    text = json.dumps(describe_leakage(report), indent=1).encode()
    drawn = {NUMBERS: text, PLOT: _plot(probed.leakage), SHEET: _sheet(probed)}
    with ExitStack() as files:
        for name in report.written:
            files.enter_context(atomic_path(name, _PRIVATE)).write_bytes(drawn[Path(name).name])
        opened.release(sha256_hex(drawn[SHEET]))


def _plot(leakage: Leakage) -> bytes:
    alone, aided = leakage.ways
    likeness = {
        "other people": leakage.floor,
        "the adapter alone": alone.likeness.value,
        "with references": aided.likeness.value,
        "new real frames": leakage.ceiling,
    }
    distances = {}
    for k, near in enumerate(alone.nearness):
        groups = {"new real frames": near.real, "the adapter alone": near.made}
        groups["with references"] = aided.nearness[k].made
        if alone.retold:
            groups["alone, retold"] = alone.retold[k].made
        distances[near.measure] = groups
    scores = {
        name: (way.membership.members, way.membership.others)
        for name, way in (("alone", alone), ("with references", aided))
    }
    return draw_leakage(likeness, distances, scores)


def _sheet(probed: Probed) -> bytes:
    """Show the generated frames that lie nearest to one that was learned from, above that one; and real ones alike."""
    alone, aided = probed.leakage.ways
    shown = [
        ("the adapter alone, along new moments", alone.nearness, probed.alone.told),
        ("the adapter alone, along moments it learned from", alone.retold, probed.alone.retold),
        ("with references, along moments it learned from", aided.retold, probed.aided.retold),
    ]
    rows = [row for name, nearness, made in shown for row in _pairs(name, _by_structure(nearness), made, probed.train)]
    near = _by_structure(alone.nearness)
    real = near and replace(near, made=near.real[None], nearest=near.nearest_real[None])
    return draw_sheet([*rows, *_pairs("new real frames", real, probed.held[None], probed.train)])


def _by_structure(nearness: Sequence[Nearness]) -> Nearness | None:
    return next((near for near in nearness if near.measure == "structure"), None)


def _pairs(name: str, near: Nearness | None, made: UInt8, train: UInt8) -> list[tuple[str, UInt8]]:
    """Two rows of the sheet; `made` is `[seeds, N, H, W, 3]`. No row where nothing was made, or no face was found."""
    pairs = closest_pairs(near, PAIRS) if near is not None else []
    if near is None or not pairs:
        return []
    told = ", ".join(f"{distance:.2f}" for *_, distance in pairs)
    return [
        (f"{name}; distance by {near.measure}: {told}", np.stack([made[seed, k] for seed, k, _, _ in pairs])),
        ("    nearest to these, which it learned from", train[[k for _, _, k, _ in pairs]]),
    ]
