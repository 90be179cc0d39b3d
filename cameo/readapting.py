"""WORKFLOW: tune a double that exists for one more generator, from the recording it keeps or from another one."""

from __future__ import annotations

import datetime
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cameo.embed.face import load_face_encoder
from cameo.embed.voice import load_voice_encoder
from cameo.errors import NotPermitted, OutputError, UsageError
from cameo.files import require_writable
from cameo.generators.shelf import generator_id, load_generator
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
    require_same_encoders,
    require_same_person,
    usable_terms,
)
from cameo.recalling import revoke_all
from cameo.registry.store import Registry
from cameo.report import write_report
from cameo.seal.bundle import Bundle
from cameo.seal.captures import CAPTURES, unpack_captures
from cameo.seal.consent import Method, agree
from cameo.seal.narrowing import require_narrowed
from cameo.seal.reseal import extend_bundle
from cameo.seal.terms import ConsentTerms, allows_generator, today
from cameo.seal.unlock import unlock_as_owner

if TYPE_CHECKING:
    from cameo.adapt.recipe import Recipe
    from cameo.crypto.provider import KeyProvider
    from cameo.records import Enrollment, Observed
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.consent import Agreement
    from cameo.seal.unlock import ContentKeys


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """Choose what a double is tuned for, from what, and with what.

    Attributes:
        generator: which generator to tune for.
        clip: a new video of the same person; None takes the recording that the double keeps.
        voice: a recording of the voice, if it is not in `clip`.
        replace: tune anew for a generator that the double was tuned for already.
        terms: what the person allows from now on; None leaves the consent as it is, which must name the generator.
        method: how they agreed to `terms`; see `EnrollOptions`.
        face_model, voice_model: the encoders; see `EnrollOptions`. With `clip` they must be those of the double.
        recipe: settings of the tuning; without, those of the generator's family.
        report: where to write the report, if anywhere; a name that ends in .html.
    """

    generator: str
    clip: StrPath | None = None
    voice: StrPath | None = None
    replace: bool = False
    terms: ConsentTerms | None = None
    method: Method = "api"
    face_model: str = "embedded"
    voice_model: str = "embedded"
    recipe: Recipe | None = None
    report: StrPath | None = None

    @property
    def generator_id(self) -> str:
        """The id under which consent, grants and parts know the generator."""
        return generator_id(self.generator)


@dataclass(frozen=True, slots=True)
class Adapted:
    """Describe a double that was tuned for one more generator.

    Attributes:
        enrollment: what was found and made, as for an enrolment; `sealed` is the double as it is now.
        replaced: whether it was tuned for this generator before.
        revoked: ids of grants that were revoked, because the new terms allow less than the old.
        outdated: ids of grants that still hold, for copies of the file as it was; not for the file as it is now.
    """

    enrollment: Enrollment
    replaced: bool
    revoked: tuple[str, ...]
    outdated: tuple[str, ...]


def add_generator(
    bundle: StrPath, *, keys: KeyProvider, options: AdaptOptions, progress: Progress | None = None
) -> Adapted:
    """Tune a double for one more generator, and seal it anew with the parts for it.

    The file is replaced in one step, when the new one is complete; until then the old one stands. A run that is broken
    off while tuning goes on where it stopped when it is started again with the same options. Grants are for the very
    file they were made for: those that hold go on opening copies of it, and are issued again for the new one. They are
    revoked only if `options.terms` take something away.

    Args:
        bundle: the `.cameo` file.
        keys: the owner's.
        options: for which generator, from what.
        progress: called with a label and 0..1.

    Raises:
        UsageError: a file or name does not exist, the double keeps no recording and none is given, it was tuned for
            the generator already, or the terms cannot be kept.
        NotVerified: the double is not what the owner of `keys` sealed.
        NotPermitted: the consent does not name the generator ("consent_exceeded"), or was withdrawn; or the double was
            erased.
        ClipError: the recording cannot be read.
        CaptureRejected: it is not good enough, or shows or sounds like somebody else.
        EncoderMismatch: `clip` would be compared by other encoders than the double's.
        OutputError: something cannot be written; the double is as it was, unless the message says otherwise.
        MissingWeights: an encoder's weights are not on this machine.
    """
    steps = Steps(progress)
    # 0. Nothing slow begins that could not end.
    verified = Bundle.open(bundle).verify(keys.public)
    require_writable(bundle)
    require_page(options.report, bundle)
    require_adaptable(verified, options)
    generator = load_generator(options.generator)
    terms = _terms(verified, options)
    content = unlock_as_owner(verified, keys)
    source = _source(verified, content, options)
    face_encoder, voice_encoder = load_face_encoder(options.face_model), load_voice_encoder(options.voice_model)
    if options.clip is not None:
        require_same_encoders(verified, [face_encoder.info, voice_encoder.info])
    # 1. Capture, refuse what is not good enough or somebody else, and embed.
    seen = observe(source, (face_encoder, voice_encoder), steps)
    if options.clip is not None:
        _require_same_person(verified, content, seen)
    # 2. Adapt.
    adapter, store = learn(seen, generator, (face_encoder, voice_encoder), options.recipe, keys, steps)
    # 3. Seal anew.
    agreement = agree(terms, options.method, _liveness(verified, options, seen)) if terms is not None else None
    with steps("sealing"), closing(Registry()) as registry:
        registry.require_living(verified.manifest.bundle_id)  # still: tuning took minutes
        revoked = _revoke_if_less(registry, verified, keys, agreement)
        parts, facts = adapter_parts(adapter), adapter_facts(adapter)
        sealed = extend_bundle(bundle, verified, keys, parts, agreement, facts)
        registry.follow(sealed.manifest.bundle_id, sealed.manifest.owner, sealed.path, sealed.sha256)
        outdated = _still_lent(registry, sealed)
    # 4. Report.
    enrollment = enrollment_of(seen, adapter, sealed, steps.seconds)
    _report(options, enrollment)
    store.clear()
    return Adapted(enrollment, _is_tuned(verified, options), revoked, outdated)


def require_adaptable(verified: VerifiedBundle, options: AdaptOptions) -> None:
    """Check what can be told before anybody is asked for their consent, and before anything slow begins.

    Raises:
        UsageError: it was tuned for the generator already, or there is nothing to tune from.
        NotPermitted: the consent was withdrawn, or the double erased.
    """
    if verified.consent.withdrawn:
        raise NotPermitted("the consent to this double was withdrawn", "enrol again: that stays so", "withdrawn")
    with closing(Registry()) as registry:
        registry.require_living(verified.manifest.bundle_id)
    if _is_tuned(verified, options) and not options.replace:
        hint = "tune it anew, in place of what is there, with --replace"
        raise UsageError(f"the double is tuned for the generator {options.generator_id} already", hint)
    if options.clip is None and options.voice is not None:
        raise UsageError("a voice alone does not show the person", "give the video as well: --clip CLIP")
    if options.clip is None and verified.manifest.part(CAPTURES) is None:
        hint = "give a recording of the same person: --clip CLIP"
        raise UsageError("the double keeps no recording to tune from", hint)


def _is_tuned(verified: VerifiedBundle, options: AdaptOptions) -> bool:
    return any(entry.id == options.generator_id for entry in verified.manifest.generators)


def _terms(verified: VerifiedBundle, options: AdaptOptions) -> ConsentTerms | None:
    """Take new terms, or see that those of the record will do."""
    if options.terms is not None:
        generators = {options.generator_id, *(entry.id for entry in verified.manifest.generators)}
        resolved = usable_terms(options.terms, sorted(generators), options.generator_id)
        if verified.manifest.part(CAPTURES) is not None and not resolved.retention.captures:
            hint = "set captures = true under [retention], or enrol again without it"
            raise UsageError("the double keeps the recording, the new terms do not", hint)
        agree(resolved, options.method)  # what cannot be sealed is found before the work, not after it
        return resolved
    if not allows_generator(verified.consent.record.terms, options.generator_id, today()):
        hint = "say what you allow with --consent, or let cameo adapt ask you"
        message = f"the consent in this double does not allow the generator {options.generator_id}"
        raise NotPermitted(message, hint, "consent_exceeded")
    return None


def _source(verified: VerifiedBundle, content: ContentKeys, options: AdaptOptions) -> Source:
    """Take the recording that was given, or the one that is kept: that one never touches the disk in the clear."""
    if options.clip is not None:
        return Source(options.clip, options.voice)
    return Source(*unpack_captures(verified.read_part(CAPTURES, content)))


def _require_same_person(verified: VerifiedBundle, content: ContentKeys, seen: Observed) -> None:
    for template in (seen.face, seen.voice):
        require_same_person(template, verified.read_part(f"template.{template.encoder.modality}", content))


def _liveness(verified: VerifiedBundle, options: AdaptOptions, seen: Observed) -> str:
    """Say what is known of the recording the consent is given with: the kept one was judged when it was new."""
    return seen.liveness.summary() if options.clip is not None else verified.consent.record.act.liveness


def _revoke_if_less(
    registry: Registry, verified: VerifiedBundle, keys: KeyProvider, agreement: Agreement | None
) -> tuple[str, ...]:
    """Revoke what was lent if the new terms take anything away from the old."""
    if agreement is None:
        return ()
    try:
        require_narrowed(verified.consent.record.terms, agreement.terms)
    except UsageError:
        return revoke_all(registry, verified.manifest.bundle_id, keys, "consent renewed")
    return ()


def _still_lent(registry: Registry, sealed: VerifiedBundle) -> tuple[str, ...]:
    now = datetime.datetime.now(datetime.UTC)
    lent = registry.lent(sealed.manifest.bundle_id, sealed.manifest.owner)
    return tuple(grant.jti for grant in lent if grant.revoked_at is None and grant.expires > now)


def _report(options: AdaptOptions, enrollment: Enrollment) -> None:
    if options.report is None:
        return
    try:
        write_report(options.report, enrollment)
    except OutputError as error:
        done = f"the double is tuned for {options.generator_id}, but its report was not written: {error.message}"
        raise OutputError(done, "run it again with --replace: the tuning is kept") from error
