"""WORKFLOW: enrol a person. Recording in, sealed double out; every stage hands a record to the next."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo import __version__, config
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.capture.challenge import LIMIT as CHALLENGE_LIMIT
from cameo.capture.challenge import ChallengeBook, read_challenge
from cameo.capture.clip import read_clip
from cameo.capture.liveness import judge_liveness
from cameo.capture.liveness_models import load_liveness_model, weigh_pictures
from cameo.capture.quality import add_voices, assess, require_good
from cameo.capture.speech import find_speech
from cameo.embed.face import load_face_encoder
from cameo.embed.person import pool_face, pool_windows
from cameo.embed.template import pack_template
from cameo.embed.voice import load_voice_encoder
from cameo.errors import CaptureRejected, UsageError
from cameo.faces.track import track_faces
from cameo.files import require_free, require_writable
from cameo.generators.shelf import load_generator
from cameo.grants.guard import list_digest
from cameo.records import Enrollment, SealedFile
from cameo.registry.store import Double, Registry
from cameo.report import write_report
from cameo.seal.bundle import Bundle, Part, seal_bundle
from cameo.seal.checkpoint import SealedCheckpoint
from cameo.seal.consent import Method, agree
from cameo.seal.terms import DEFAULT_TERMS, ConsentTerms, resolve_terms, today

if TYPE_CHECKING:
    from cameo.capture.challenge import Challenge
    from cameo.crypto.provider import KeyProvider
    from cameo.generators.base import Generator
    from cameo.records import Adapter, EncoderInfo, Template, Verdict
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.consent import Agreement

Progress = Callable[[str, float], None]
StrPath = str | os.PathLike[str]
_LIBRARIES = ("torch", "diffusers", "peft", "opencv-python", "onnxruntime", "silero-vad", "cryptography", "numpy")


@dataclass(frozen=True, slots=True)
class EnrollOptions:
    """Choose what an enrolment is made with.

    Attributes:
        generator: which generator to tune for.
        face_model, voice_model: the encoders: "embedded"; "insightface:NAME" or a folder, "onnx:FILE" for the face;
            "ecapa:NAME" or a folder for the voice. See `docs/reference/models.md`.
        terms: what the person allows.
        method: how they agreed: "interactive", "flag", or "api" when the calling program asked them.
        recipe: settings of the tuning.
        report: where to write the report, if anywhere; a name that ends in .html.
        challenge: the file of a challenge that was issued on this machine, which the recording answers; see
            `capture.challenge`.
        liveness_model: a network that is asked whether the pictures show a face or a picture of one:
            "minifasnet:FOLDER", "insightface:FILE", "onnx:FILE". What it says is shown and never decides.
    """

    generator: str = "reference"
    face_model: str = "embedded"
    voice_model: str = "embedded"
    terms: ConsentTerms = DEFAULT_TERMS
    method: Method = "api"
    recipe: Recipe = field(default_factory=Recipe)
    report: StrPath | None = None
    challenge: StrPath | None = None
    liveness_model: str | None = None


def enroll(
    clip: StrPath,
    *,
    keys: KeyProvider,
    out: StrPath,
    voice: StrPath | None = None,
    options: EnrollOptions | None = None,
    progress: Progress | None = None,
) -> Enrollment:
    """Turn a recording into a sealed double.

    Whoever calls this answers for the person's consent to `options.terms`, which is sealed with the double. A run that
    is broken off while tuning goes on where it stopped when it is started again with the same recording and options.
    When anything fails, no double is left, and none is registered.

    Args:
        clip: a video of one person talking, 5 to 30 s (the rest is not read).
        keys: the owner's; afterwards they alone open the double.
        out: the `.cameo` file to write; it must not exist.
        voice: a recording of the voice, if it is not in the clip.
        options: encoders, generator, consent, report.
        progress: called with a label and 0..1.

    Raises:
        UsageError: a file or name does not exist, the report has a wrong name, or `terms` ask for what cannot be kept
            yet or leave the generator no use.
        ClipError: the recording cannot be read.
        CaptureRejected: it is not good enough, and `report` of the error says which checks failed; or it does not
            answer the challenge.
        NotPermitted: the challenge has expired, was answered before, or was not issued here.
        OutputError: something cannot be written, or `out` exists.
        MissingWeights: the weights of an encoder or of the liveness model are not on this machine.
    """
    options = options or EnrollOptions()
    steps = _Steps(progress)
    # 0. Nothing slow begins that could not end.
    require_free(out)
    _require_report(options.report, out)
    Registry().close()
    began = datetime.datetime.now(datetime.UTC)
    challenge = _asked(options.challenge, began)
    generator = load_generator(options.generator)
    terms = _resolved(options, generator.id)
    face_encoder, voice_encoder = load_face_encoder(options.face_model), load_voice_encoder(options.voice_model)
    looker = load_liveness_model(options.liveness_model) if options.liveness_model else None
    # 1. Capture, and refuse what is not good enough.
    with steps("reading the recording"):
        recording = read_clip(clip, voice, progress=steps.within)
    with steps("finding the face"):
        track = track_faces(recording.frames, steps.within)
    with steps("checking the quality"):
        speech = find_speech(recording.sound)
        quality = assess(recording, track, speech)
        require_good(quality)
        looked = [weigh_pictures(recording, track, looker)] if looker else []
        liveness = judge_liveness(recording, track, speech, challenge, began, looked)
        _require_answered(liveness)
    # 2. Embed.
    with steps("embedding face and voice"):
        face, frame_likeness, frames_used = pool_face(face_encoder, recording, track, quality)
        windows = voice_encoder.embed_windows(speech.samples)
        voice_template, window_likeness = pool_windows(windows, voice_encoder.info)
        quality = add_voices(quality, windows)
    # 3. Adapt.
    with steps("tuning"):
        usable = torch.from_numpy(np.array([not reason for reason in quality.reasons]))
        footage = generator.footage(recording, track, usable)
        run = (recording.source.sha256, *_settings_of(options.recipe, generator, face_encoder.info))
        store = SealedCheckpoint(keys, *run, tell=steps.tell)
        adapter = tune(generator, footage, face_encoder.embed, rendered_people(), options.recipe, store, progress)
    require_free(out)  # still: tuning took minutes
    if challenge is not None:  # only now, so that a run that was broken off can go on with the same answer
        _challenges().take(challenge, began)
    agreement = agree(terms, options.method, liveness.summary())
    with _all_or_nothing(out):
        # 4. Seal, and read back what was written.
        with steps("sealing"):
            sealed = _seal(out, keys, agreement, (face, voice_template), adapter)
        enrollment = Enrollment(
            recording, track, speech, quality, face, voice_template, frame_likeness, frames_used, window_likeness,
            liveness, adapter, _described(sealed), agreement.act.text, steps.seconds, _versions(),
        )  # fmt: skip
        # 5. Remember and report.
        with _registered(sealed):
            if options.report is not None:
                write_report(options.report, enrollment)
    store.clear()
    return enrollment


class _Steps:
    """Time the steps and report where they are."""

    def __init__(self, progress: Progress | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._name = ""

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._name = name
        self.within("", 0.0)
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start
        self.within("", 1.0)

    def within(self, _label: str, fraction: float) -> None:
        """Report how far the present step is."""
        if self._progress:
            self._progress(self._name, fraction)

    def tell(self, message: str) -> None:
        """Report something worth knowing."""
        if self._progress:
            self._progress(message, 1.0)


def _require_report(report: StrPath | None, out: StrPath) -> None:
    """Refuse a name by which the report, which may replace an old one, would replace a key or a recording."""
    if report is None:
        return
    if Path(report).suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"the report is a web page, {report} is no name for one", "choose a name that ends in .html")
    if Path(report).resolve() == Path(out).resolve():
        raise UsageError(f"{out} cannot be the double and its report", "give them two names")
    require_writable(report)


def _challenges() -> ChallengeBook:
    return ChallengeBook(config.home() / "challenges")


def _asked(file: StrPath | None, now: datetime.datetime) -> Challenge | None:
    """Read the challenge that the recording answers, if there is one."""
    if file is None:
        return None
    try:
        with Path(file).open("rb") as opened:
            challenge = read_challenge(opened.read(CHALLENGE_LIMIT + 1))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {file}: {reason}", "draw one with: cameo challenge --out FILE") from None
    _challenges().require_open(challenge, now)
    return challenge


def _require_answered(verdict: Verdict) -> None:
    if verdict.challenged and not verdict.live:
        missed = "; ".join(piece.measured for piece in verdict.evidence if piece.decides and piece.passed is not True)
        message = f"the recording does not answer the challenge: {missed}"
        raise CaptureRejected(message, "draw another challenge, and follow its prompts as they come")


def _resolved(options: EnrollOptions, generator: str) -> ConsentTerms:
    """Take terms that can be kept and that allow some use of what will be made."""
    terms = resolve_terms(options.terms, [generator], today(), list_digest())
    if terms.guard.sha256 != list_digest():
        hint = "leave sha256 out of [guard]"
        raise UsageError("the consent terms name another edition of the word list than this cameo has", hint)
    if terms.retention.captures:
        hint = "leave captures out of [retention]"
        raise UsageError("keeping the recording inside the double is not supported yet", hint)
    if not any(generator in p.generators and (p.valid_until or today()) >= today() for p in terms.purposes):
        hint = f"add {generator} to the generators of a purpose, and look at its dates"
        raise UsageError(f"the consent terms allow no use with {generator}, now or later", hint)
    return terms


def _settings_of(recipe: Recipe, generator: Generator, judge: EncoderInfo) -> tuple[str, ...]:
    """What two runs must share so that one can go on with the other's tuning."""
    return (repr(_versions()), generator.id, generator.base_digest, judge.digest, repr(recipe))


def _seal(
    out: StrPath, keys: KeyProvider, agreement: Agreement, templates: tuple[Template, Template], adapter: Adapter
) -> VerifiedBundle:
    parts = [Part(f"template.{t.encoder.modality}", t.encoder.modality, pack_template(t)) for t in templates]
    parts += [
        Part(name, "face", data, adapter.generator, adapter.base_digest) for name, data in sorted(adapter.parts.items())
    ]
    kept = next(step for step in reversed(adapter.curve) if step.step == adapter.best_step)
    about: dict[str, str | int | float | bool] = {
        "cameo": __version__,
        "tuning_step": adapter.best_step,
        "likeness": round(kept.likeness, 4),
    }
    seal_bundle(out, keys, agreement, parts, [t.encoder for t in templates], about)
    return Bundle.open(out).verify(keys.public)


@contextmanager
def _all_or_nothing(out: StrPath) -> Iterator[None]:
    """Take the double back when what belongs to it fails, so that the same command can be run again; tuning is kept."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            Path(out).unlink()
        raise


@contextmanager
def _registered(sealed: VerifiedBundle) -> Iterator[None]:
    """Register the double, and take that back when what follows fails.

    The report comes last: it is not encrypted, and must not outlive a double that was taken back.
    """
    manifest = sealed.manifest
    encoders = tuple(encoder.id for encoder in manifest.encoders)
    path = sealed.path.resolve()
    double = Double(
        manifest.bundle_id, manifest.owner, path, sealed.sha256, manifest.created, encoders, manifest.assurance
    )
    with closing(Registry()) as registry:
        registry.register(double)
        try:
            yield
        except BaseException:
            registry.forget(double.bundle_id)
            raise


def _described(sealed: VerifiedBundle) -> SealedFile:
    manifest = sealed.manifest
    return SealedFile(
        path=str(sealed.path),
        sha256=sealed.sha256,
        size=sealed.size,
        bundle_id=manifest.bundle_id,
        owner=manifest.owner,
        assurance=manifest.assurance,
        parts={part.name: part.size for part in manifest.parts},
    )


def _versions() -> dict[str, str]:
    return {"cameo": __version__, **{name: version(name) for name in _LIBRARIES}}
