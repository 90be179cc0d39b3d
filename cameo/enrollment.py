"""WORKFLOW: enrol a person. Recording in, sealed double out; every stage hands a record to the next."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cameo import __version__, config
from cameo.capture.challenge import LIMIT as CHALLENGE_LIMIT
from cameo.capture.challenge import ChallengeBook, read_challenge
from cameo.capture.clip import hold_file
from cameo.capture.liveness_models import load_liveness_model
from cameo.embed.face import load_face_encoder
from cameo.embed.template import pack_template
from cameo.embed.voice import load_voice_encoder
from cameo.errors import UsageError
from cameo.files import require_free
from cameo.generators.shelf import load_generator
from cameo.learning import (
    Progress,
    Source,
    Steps,
    StrPath,
    adapter_facts,
    adapter_parts,
    enrollment_of,
    learn,
    observe,
    require_page,
    usable_terms,
)
from cameo.recognising import find_precedents, require_first, turn_newcomer
from cameo.registry.store import Double, Registry
from cameo.report import write_report
from cameo.seal.bundle import Bundle, Part, seal_bundle
from cameo.seal.captures import CAPTURES, CAPTURES_LIMIT, pack_captures
from cameo.seal.consent import Method, agree
from cameo.seal.terms import DEFAULT_TERMS, ConsentTerms

if TYPE_CHECKING:
    from cameo.adapt.recipe import Recipe
    from cameo.capture.challenge import Challenge
    from cameo.crypto.provider import KeyProvider
    from cameo.recognising import Newcomer
    from cameo.records import Adapter, Enrollment, Precedents, Template
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.consent import Agreement


@dataclass(frozen=True, slots=True)
class EnrollOptions:
    """Choose what an enrolment is made with.

    Attributes:
        generator: which generator to tune for: "reference", or a family and its weights, such as "wan:FOLDER"; see
            `generators.shelf.read_choice`.
        face_model, voice_model: the encoders: "embedded"; "insightface:NAME" or a folder, "onnx:FILE" for the face;
            "ecapa:NAME" or a folder for the voice. See `docs/reference/models.md`.
        terms: what the person allows; with `retention.captures`, the recording is kept in the double, encrypted.
        method: how they agreed: "interactive", "flag", or "api" when the calling program asked them.
        recipe: settings of the tuning; without, those of the generator's family.
        report: where to write the report, if anywhere; a name that ends in .html.
        challenge: the file of a challenge that was issued on this machine, which the recording answers; see
            `capture.challenge`.
        allow_duplicate: enrol even if another owner has enrolled this face on this machine; the double then says so.
        liveness_model: a network that is asked whether the pictures show a face or a picture of one:
            "minifasnet:FOLDER", "insightface:FILE", "onnx:FILE". What it says is shown and never decides.
    """

    generator: str = "reference"
    face_model: str = "embedded"
    voice_model: str = "embedded"
    terms: ConsentTerms = DEFAULT_TERMS
    method: Method = "api"
    recipe: Recipe | None = None
    report: StrPath | None = None
    challenge: StrPath | None = None
    allow_duplicate: bool = False
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
        UsageError: a file or name does not exist, the report has a wrong name, the recording is larger than what a
            double keeps, or `terms` leave the generator no use.
        ClipError: the recording cannot be read.
        CaptureRejected: it is not good enough, and `report` of the error says which checks failed; or it does not
            answer the challenge.
        NotPermitted: the challenge has expired, was answered before, or was not issued here; "enrolled_by_another":
            another owner has enrolled this face on this machine.
        OutputError: something cannot be written, or `out` exists.
        MissingWeights: the weights of an encoder or of the liveness model are not on this machine.
    """
    options = options or EnrollOptions()
    steps = Steps(progress)
    # 0. Nothing slow begins that could not end.
    require_free(out)
    require_page(options.report, out)
    Registry().close()
    among = config.gallery()
    began = datetime.datetime.now(datetime.UTC)
    challenge = _asked(options.challenge, began)
    generator = load_generator(options.generator)
    terms = usable_terms(options.terms, [generator.id], generator.id)
    face_encoder, voice_encoder = load_face_encoder(options.face_model), load_voice_encoder(options.voice_model)
    looker = load_liveness_model(options.liveness_model) if options.liveness_model else None
    source, captures = _source(clip, voice, terms.retention.captures)
    # 1. Capture, refuse what is not good enough, and embed.
    seen = observe(source, (face_encoder, voice_encoder), steps, challenge, began, looker)
    with steps("comparing with earlier doubles"):
        newcomer = turn_newcomer(keys.public.fingerprint, (seen.face, seen.voice), among)
        for warning in _precedents(newcomer, options).warnings:
            steps.tell(f"{warning.title}? see the result")
    # 2. Adapt.
    adapter, store = learn(seen, generator, (face_encoder, voice_encoder), options.recipe, keys, steps)
    require_free(out)  # still: tuning took minutes, in which others may have enrolled as well
    precedents = _precedents(newcomer, options)
    if challenge is not None:  # only now, so that a run that was broken off can go on with the same answer
        _challenges().take(challenge, began)
    agreement = agree(terms, options.method, seen.liveness.summary())
    with _all_or_nothing(out):
        # 3. Seal, and read back what was written.
        with steps("sealing"):
            sealed = _seal(out, keys, agreement, (seen.face, seen.voice), adapter, captures, precedents)
        enrollment = enrollment_of(seen, adapter, sealed, steps.seconds, precedents)
        # 4. Remember and report.
        with _registered(sealed, newcomer):
            if options.report is not None:
                write_report(options.report, enrollment)
    store.clear()
    return enrollment


def _source(clip: StrPath, voice: StrPath | None, kept: bool) -> tuple[Source, list[Part]]:
    """Say what is learned from; if it is kept, hold the very bytes of it, and make the part of them."""
    if not kept:
        return Source(clip, voice), []
    files = [hold_file(path, CAPTURES_LIMIT) for path in (clip, voice) if path is not None]
    return Source(*files), [Part(CAPTURES, CAPTURES, pack_captures(*files))]


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


def _precedents(newcomer: Newcomer, options: EnrollOptions) -> Precedents:
    found = find_precedents(newcomer)
    require_first(found, options.allow_duplicate)
    return found


def _seal(
    out: StrPath,
    keys: KeyProvider,
    agreement: Agreement,
    templates: tuple[Template, Template],
    adapter: Adapter,
    captures: list[Part],
    precedents: Precedents,
) -> VerifiedBundle:
    parts = [Part(f"template.{t.encoder.modality}", t.encoder.modality, pack_template(t)) for t in templates]
    parts += adapter_parts(adapter) + captures
    about = {"cameo": __version__, **adapter_facts(adapter)}
    if precedents.duplicate:
        about["duplicate_allowed"] = True
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
def _registered(sealed: VerifiedBundle, newcomer: Newcomer) -> Iterator[None]:
    """Register the double with the turned templates of its owner, and take that back when what follows fails.

    The report comes last: it is not encrypted, and must not outlive a double that was taken back.
    """
    manifest = sealed.manifest
    encoders = tuple(encoder.id for encoder in manifest.encoders)
    path = sealed.path.resolve()
    double = Double(
        manifest.bundle_id, manifest.owner, path, sealed.sha256, manifest.created, encoders, sealed.assurance
    )
    with closing(Registry()) as registry:
        registry.register(double, newcomer.vectors)
        try:
            yield
        except BaseException:
            registry.forget(double.bundle_id)
            raise
