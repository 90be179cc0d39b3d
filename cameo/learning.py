"""WORKFLOW: learn a person from a recording. What enrolling and adapting a double to another generator share."""

from __future__ import annotations

import datetime
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo import __version__
from cameo.adapt.export import voice_bytes
from cameo.adapt.judge import Judges
from cameo.adapt.others import rendered_people, rendered_voices
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.capture.clip import read_clip
from cameo.capture.liveness import judge_liveness, require_answered
from cameo.capture.liveness_models import weigh_pictures
from cameo.capture.quality import add_voices, assess, require_good
from cameo.capture.speech import find_speech
from cameo.embed.face import see_faces
from cameo.embed.person import pool_face, pool_windows
from cameo.embed.template import compare, unpack_template
from cameo.errors import CaptureRejected, EncoderMismatch, UsageError
from cameo.faces.track import track_faces
from cameo.files import require_writable
from cameo.generators.base import LineSpeaker, taught
from cameo.grants.guard import list_digest
from cameo.recognising import hear_answer
from cameo.records import Enrollment, Observed, Precedents, RecordedFile, SealedFile
from cameo.seal.bundle import Part
from cameo.seal.checkpoint import SealedCheckpoint
from cameo.seal.manifest import part_modality
from cameo.seal.terms import ConsentTerms, allows_generator, resolve_terms, today

if TYPE_CHECKING:
    from cameo.capture.challenge import Challenge
    from cameo.capture.liveness_models import LivenessModel
    from cameo.crypto.provider import KeyProvider
    from cameo.embed.face import FaceEncoder
    from cameo.embed.voice import VoiceEncoder
    from cameo.generators.base import Footage, Generator
    from cameo.records import (
        Adapter,
        Clip,
        EncoderInfo,
        FaceSightings,
        FaceTrack,
        QualityReport,
        Speech,
        Template,
    )
    from cameo.seal.bundle import VerifiedBundle

Progress = Callable[[str, float], None]
StrPath = str | os.PathLike[str]
NOBODY = Precedents("nobody")  # was looked for: a double that is tuned again was compared when it was enrolled
_LIBRARIES = (
    "torch", "diffusers", "peft", "opencv-python", "onnxruntime", "silero-vad", "pyworld-prebuilt", "cryptography",
    "numpy",
)  # fmt: skip


class Steps:
    """Time the steps and report where they are."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self.progress = progress
        self._name = ""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time one step; without an exception it ends done."""
        self._name = name
        self.within("", 0.0)
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start
        self.within("", 1.0)

    def within(self, _label: str, fraction: float) -> None:
        """Report how far the present step is."""
        if self.progress:
            self.progress(self._name, fraction)

    def tell(self, message: str) -> None:
        """Report something worth knowing."""
        if self.progress:
            self.progress(message, 1.0)


@dataclass(frozen=True, slots=True)
class Source:
    """Name what is learned from: a video, and a recording of the voice if that is another file."""

    clip: StrPath | RecordedFile
    voice: StrPath | RecordedFile | None = None


def enrollment_of(
    seen: Observed,
    adapter: Adapter,
    sealed: VerifiedBundle,
    seconds: Mapping[str, float],
    precedents: Precedents = NOBODY,
) -> Enrollment:
    """Add to what a recording showed what was made of it."""
    shown = {member.name: getattr(seen, member.name) for member in fields(seen)}
    consent = sealed.consent.record.act.text
    return Enrollment(**shown, precedents=precedents, adapter=adapter, sealed=_described(sealed), consent=consent,
                      seconds=dict(seconds), versions=_versions())  # fmt: skip


def observe(
    source: Source,
    encoders: tuple[FaceEncoder, VoiceEncoder],
    steps: Steps,
    challenge: Challenge | None = None,
    at: datetime.datetime | None = None,
    looker: LivenessModel | None = None,
) -> Observed:
    """Read a recording, refuse what is not good enough, and embed face and voice.

    Args:
        source: the recording.
        encoders: of face and voice.
        steps: told where it is.
        challenge: what the recording must answer, if anything.
        at: when, with a time zone; now if it is not given.
        looker: a network that is asked whether the face is filmed, or a picture of one.

    Raises:
        UsageError: there is no such file.
        ClipError: the recording cannot be read.
        CaptureRejected: it is not good enough, or does not answer the challenge.
    """
    face_encoder, voice_encoder = encoders
    # 1. Capture, and refuse what is not good enough.
    recording, sightings, track = watch_recording(source, face_encoder, steps)
    with steps("checking the quality"):
        speech = find_speech(recording.sound)
        quality = assess(recording, track, speech)
        require_good(quality)
        more = [*hear_answer(recording, speech, challenge, voice_encoder, track)]
        if looker is not None:
            more.append(weigh_pictures(recording, track, looker))
        now = at or datetime.datetime.now(datetime.UTC)
        liveness = judge_liveness(recording, track, speech, challenge, now, more)
        require_answered(liveness)
    # 2. Embed.
    with steps("embedding face and voice"):
        face, frame_likeness, frames_used = pool_face(face_encoder, recording, track, quality, sightings)
        windows = voice_encoder.embed_windows(speech.samples)
        voice_template, window_likeness = pool_windows(windows, voice_encoder.info)
        quality = add_voices(quality, windows)
    return Observed(
        recording, track, speech, quality, face, voice_template, frame_likeness, frames_used, window_likeness, liveness
    )


def watch_recording(source: Source, encoder: FaceEncoder, steps: Steps) -> tuple[Clip, FaceSightings | None, FaceTrack]:
    """Read a recording and follow the face in it, which the encoder sees with a detector of its own if it has one.

    Raises:
        UsageError: there is no such file.
        ClipError: the recording cannot be read.
    """
    with steps("reading the recording"):
        recording = read_clip(source.clip, source.voice, progress=steps.within)
    with steps("finding the face"):
        sightings = see_faces(encoder, recording.frames, steps.within)
        track = track_faces(recording.frames, steps.within, sightings)
    return recording, sightings, track


def learn(
    seen: Observed,
    generator: Generator,
    encoders: tuple[FaceEncoder, VoiceEncoder],
    recipe: Recipe | None,
    keys: KeyProvider,
    steps: Steps,
) -> tuple[Adapter, SealedCheckpoint]:
    """Tune an adapter for a generator; a run that was broken off goes on where it stopped.

    Args:
        seen: the person.
        generator: what is tuned for.
        encoders: the judges' recognisers.
        recipe: settings; without, those of the generator's family.
        keys: the owner's: an unfinished run is encrypted to them.
        steps: told where it is.

    Returns:
        The adapter, and where its run is kept: clear that when the adapter is safe.

    Raises:
        CameoError: the recording is too short, or the loss is not a number.
        OutputError: the unfinished run cannot be kept.
    """
    # The voice first, because it takes a second and may be refused.
    with steps("learning the voice"):
        voice_parts = _learned_voice(generator, seen.speech)
    with steps("tuning"):
        footage = usable_footage(generator, seen.clip, seen.track, seen.quality)
        footage = replace(footage, speaker=torch.from_numpy(seen.voice.vector))
        chosen = recipe or Recipe.for_generator(generator.id)
        face, voice = encoders
        other_voices = rendered_voices() if "voice" in taught(generator) else ()
        judges = Judges(face.embed, rendered_people(), voice.embed_windows, other_voices)
        # What two runs must share so that one can go on with the other's tuning.
        settings = (repr(_versions()), generator.id, generator.base_digest, face.info.digest, voice.info.digest)
        store = SealedCheckpoint(keys, seen.clip.source.sha256, *settings, repr(chosen), tell=steps.tell)
        adapter = tune(generator, footage, judges, chosen, store, steps.progress)
        adapter = replace(adapter, parts={**adapter.parts, **voice_parts})
    return adapter, store


def usable_footage(generator: Generator, clip: Clip, track: FaceTrack, quality: QualityReport) -> Footage:
    """Cut a recording to what a generator learns from; frames with a reason against them are marked."""
    usable = torch.from_numpy(np.array([not reason for reason in quality.reasons]))
    return generator.footage(clip, track, usable)


def require_same_encoders(verified: VerifiedBundle, encoders: Sequence[EncoderInfo]) -> None:
    """Refuse encoders that the templates in a double cannot be compared by.

    Raises:
        EncoderMismatch: one is not that of the double.
    """
    for encoder in encoders:
        entry = next((e for e in verified.manifest.encoders if e.modality == encoder.modality), None)
        if entry is None or (entry.id, entry.digest) != (encoder.id, encoder.digest):
            made = f"made with {entry.id}" if entry else "missing"
            message = f"the {encoder.modality} template in the double is {made}, and cannot be compared by {encoder.id}"
            raise EncoderMismatch(message, f"give the one it was enrolled with: --{encoder.modality}-model")


def require_same_person(template: Template, kept: bytes) -> None:
    """Refuse a recording of somebody else: compare its template with the sealed one of the same modality.

    Raises:
        CaptureRejected: they lie too far apart.
        EncoderMismatch: they come from different encoders.
    """
    modality, limit = template.encoder.modality, template.encoder.threshold
    likeness = compare(template, unpack_template(kept))
    if likeness <= limit:
        message = f"the {modality} in the recording is another than the double's: likeness {likeness:.2f}"
        hint = f"above {limit:.2f} it is taken for the same: record the double's owner alone, in good light"
        raise CaptureRejected(message, hint)


def adapter_parts(adapter: Adapter) -> list[Part]:
    """Turn an adapter into the parts that are sealed."""
    return [
        Part(name, part_modality(name) or "", data, adapter.generator, adapter.base_digest)
        for name, data in sorted(adapter.parts.items())
    ]


def adapter_facts(adapter: Adapter) -> dict[str, str | int | float | bool]:
    """Say of an adapter what anyone may read in the manifest: which step was kept, and how like the judge found it."""
    kept = next(step for step in reversed(adapter.curve) if step.step == adapter.best_step)
    facts: dict[str, str | int | float | bool] = {f"tuning_step.{adapter.generator}": adapter.best_step}
    if math.isfinite(kept.likeness):
        facts[f"likeness.{adapter.generator}"] = round(kept.likeness, 4)
    return facts


def _learned_voice(generator: Generator, speech: Speech) -> dict[str, bytes]:
    """Learn the voice for a generator that has a closed form for it."""
    if not isinstance(generator, LineSpeaker):
        return {}
    facts = {"generator": generator.id, "base_model_sha256": generator.base_digest}
    return {f"adapter.{generator.id}.voice": voice_bytes(generator.fit_voice(speech.samples), facts)}


def usable_terms(terms: ConsentTerms, generators: Sequence[str], wanted: str) -> ConsentTerms:
    """Take terms that can be kept and that allow some use of what will be made.

    Args:
        terms: what the person allows.
        generators: all that the double is tuned for then.
        wanted: the one of them that is tuned for now.

    Raises:
        UsageError: the terms name another word list, or allow no use with `wanted`.
    """
    resolved = resolve_terms(terms, generators, today(), list_digest())
    if resolved.guard.sha256 != list_digest():
        hint = "leave sha256 out of [guard]"
        raise UsageError("the consent terms name another edition of the word list than this cameo has", hint)
    if not allows_generator(resolved, wanted, today()):
        hint = f"add {wanted} to the generators of a purpose, and look at its dates"
        raise UsageError(f"the consent terms allow no use with {wanted}, now or later", hint)
    return resolved


def require_page(report: StrPath | None, double: StrPath) -> None:
    """Refuse a name by which the report, which may replace an old one, would replace a key, a recording or the double.

    Raises:
        UsageError: the name is none for a web page, or is the double's.
        OutputError: the report cannot be written.
    """
    if report is None:
        return
    if Path(report).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is a web page, {report} is no name for one", "choose a name that ends in .html")
    if Path(report).resolve() == Path(double).resolve():
        raise UsageError(f"{double} cannot be the double and its report", "give them two names")
    require_writable(report)


def _described(sealed: VerifiedBundle) -> SealedFile:
    manifest = sealed.manifest
    return SealedFile(
        path=str(sealed.path),
        sha256=sealed.sha256,
        size=sealed.size,
        bundle_id=manifest.bundle_id,
        owner=manifest.owner,
        assurance=sealed.assurance,
        parts={part.name: part.size for part in manifest.parts},
    )


def _versions() -> dict[str, str]:
    return {"cameo": __version__, **{name: version(name) for name in _LIBRARIES}}
