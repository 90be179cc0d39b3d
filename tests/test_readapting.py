"""One enrolment, many generators: what is added, what stays, who may go on, and what is left when it breaks off."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cameo
from cameo import files
from cameo.errors import CaptureRejected, EncoderMismatch, NotPermitted, NotVerified, OutputError, UsageError
from cameo.readapting import Adapted, AdaptOptions, add_generator
from cameo.records import RecordedFile, Template
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle, Part, VerifiedBundle
from cameo.seal.captures import CAPTURES
from cameo.seal.consent import agree
from cameo.seal.reseal import extend_bundle
from cameo.seal.terms import parse_terms, resolve_terms, today
from cameo.seal.unlock import unlock_as_owner
from tests.conftest import Enrolled, quick_recipe
from tests.keeping import BOTH, TERMS, seal_kept, second_adapter, shelve_second, stand_in
from tests.lendable import Lendable, People, a_use

REFERENCE = {"adapter.reference.face", "adapter.reference.voice", "identity.reference.face"}
SECOND = {"adapter.second.face", "adapter.second.voice", "identity.second.face"}
TEMPLATES = {"template.face", "template.voice"}


@pytest.fixture(autouse=True)
def _second(monkeypatch: pytest.MonkeyPatch) -> None:
    shelve_second(monkeypatch)


@pytest.fixture
def kept(
    home: Path, people: People, tmp_path: Path, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path
) -> Lendable:
    """The enrolled person as a double that keeps the recording, and whose consent names both generators."""
    return seal_kept(tmp_path, people, enrolled.made, enrolled_parts, selfie, BOTH)


def verified(double: Lendable) -> VerifiedBundle:
    return Bundle.open(double.double).verify(double.people.ada.public)


def opened(double: Lendable) -> dict[str, bytes]:
    bundle = verified(double)
    content = unlock_as_owner(bundle, double.people.ada)
    return {part.name: bundle.read_part(part.name, content) for part in bundle.manifest.parts}


def adapt(double: Lendable, **options: Any) -> Adapted:
    return add_generator(double.double, keys=double.people.ada, options=AdaptOptions("second", **options))


def refused(double: Lendable, error: type[Exception], message: str, **options: Any) -> Any:
    """Expect a refusal that leaves the double as it is."""
    before = double.double.read_bytes()
    with pytest.raises(error, match=message) as caught:
        adapt(double, **options)
    assert double.double.read_bytes() == before
    assert sorted(path.name for path in double.folder.glob("*.cameo")) == ["ada.cameo"]
    return caught.value


def test_one_enrolment_two_generators(kept: Lendable, enrolled: Enrolled, selfie: Path) -> None:
    """Nothing stands in for anything: the kept recording is decoded and tuned on, and both generators cast."""
    before = opened(kept)
    report = kept.folder / "ada.html"
    done = adapt(kept, recipe=quick_recipe(), report=report)
    after, bundle = opened(kept), verified(kept)
    assert set(after) == TEMPLATES | REFERENCE | SECOND | {CAPTURES}
    assert {name: after[name] for name in before} == before
    assert [entry.id for entry in bundle.manifest.generators] == ["reference", "second"]
    assert bundle.manifest.bundle_id == kept.bundle_id
    assert {"tuning_step.second", "likeness.second"} <= set(bundle.manifest.about)
    assert (done.enrollment.sealed.sha256, done.replaced) == (bundle.sha256, False)
    assert np.array_equal(done.enrollment.clip.frames, enrolled.made.clip.frames), "the very recording"
    assert done.enrollment.clip.source.name == "selfie.mp4"
    with closing(Registry()) as registry:
        assert registry.get(kept.bundle_id).sha256 == bundle.sha256
    assert "second" in report.read_text()
    for number, generator in enumerate(("reference", "second")):
        out = kept.folder / f"{number}.mp4"
        options = cameo.CastOptions(generator=generator, frames=8)
        assert cameo.cast(kept.double, keys=kept.people.ada, out=out, options=options).generator == generator
    assert not list(kept.folder.rglob("*.tuning"))


def test_the_kept_recording_is_read_from_memory(
    kept: Lendable, enrolled: Enrolled, selfie: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = stand_in(monkeypatch, enrolled.made)
    adapt(kept)
    (source,) = sources
    assert source.clip == RecordedFile("selfie.mp4", selfie.read_bytes())
    assert source.voice is None
    piece = selfie.read_bytes()[-512:-256]
    assert not [path for path in kept.folder.rglob("*") if path.is_file() and piece in path.read_bytes()]


def test_a_consent_that_names_the_generator_is_renewed_as_it_is(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = verified(kept).consent.record
    stand_in(monkeypatch, enrolled.made)
    adapt(kept)
    consent = verified(kept).consent
    assert [event.kind for event in consent.events] == ["given", "renewed"]
    assert (consent.record.terms, consent.record.act) == (before.terms, before.act)
    assert {item.part for item in consent.record.items} == TEMPLATES | REFERENCE | SECOND | {CAPTURES}


def test_a_consent_that_does_not_name_it(
    home: Path, people: People, tmp_path: Path, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    double = seal_kept(tmp_path, people, enrolled.made, enrolled_parts, selfie)
    sources = stand_in(monkeypatch, enrolled.made)
    error = refused(double, NotPermitted, "does not allow the generator second")
    assert error.code == "consent_exceeded"
    refused(double, UsageError, "allow no use with second", terms=parse_terms(BOTH.replace("second", "other")))
    forgetful = parse_terms(BOTH.partition("[retention]")[0])
    refused(double, UsageError, "keeps the recording, the new terms do not", terms=forgetful)
    assert not sources, "it is said before any work"
    adapt(double, terms=parse_terms(TERMS), method="flag")
    record = verified(double).consent.record
    assert record.terms.purposes[0].generators == ("reference", "second")
    assert record.act.method == "flag"
    assert "with reference, second" in "".join(record.act.text)


def test_a_generator_it_was_tuned_for_is_replaced_only_when_told_to(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, enrolled.made)
    adapt(kept)
    refused(kept, UsageError, "tuned for the generator second already")
    adapter = second_adapter(enrolled.made)
    other = dict.fromkeys(adapter.parts, enrolled.made.adapter.parts["identity.reference.face"])
    monkeypatch.setattr("cameo.learning.tune", lambda *_given: dataclasses.replace(adapter, parts=other))
    before = opened(kept)
    assert adapt(kept, replace=True).replaced
    after = opened(kept)
    assert {name for name in after if after[name] != before[name]} == {"adapter.second.face"}
    assert set(after) == set(before)


def test_without_a_kept_recording_one_is_given(
    home: Path, people: People, tmp_path: Path, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    double = seal_kept(tmp_path, people, enrolled.made, enrolled_parts, None, BOTH)
    sources = stand_in(monkeypatch, enrolled.made)
    refused(double, UsageError, "keeps no recording")
    refused(double, UsageError, "a voice alone", voice=selfie)
    adapt(double, clip=selfie)
    assert [source.clip for source in sources] == [selfie]
    assert CAPTURES not in opened(double), "it is not kept"


def turned(template: Template) -> Template:
    """Make the template of somebody else."""
    return dataclasses.replace(template, vector=np.roll(template.vector, 7))


@pytest.mark.parametrize("modality", ["face", "voice"])
def test_somebody_else_is_refused(
    kept: Lendable, enrolled: Enrolled, selfie: Path, monkeypatch: pytest.MonkeyPatch, modality: str
) -> None:
    stand_in(monkeypatch, enrolled.made, **{modality: turned(getattr(enrolled.made, modality))})
    refused(kept, CaptureRejected, f"the {modality} in the recording is another than the double's", clip=selfie)


def test_another_encoder_compares_nothing(
    home: Path, people: People, tmp_path: Path, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = enrolled.made
    other = dataclasses.replace(made.face, encoder=dataclasses.replace(made.face.encoder, digest="0" * 64))
    double = seal_kept(tmp_path, people, dataclasses.replace(made, face=other), enrolled_parts, selfie, BOTH)
    stand_in(monkeypatch, made)
    error = refused(double, EncoderMismatch, "the face template in the double", clip=selfie)
    assert "--face-model" in error.hint
    adapt(double)  # from what it keeps: there is nothing to compare


def test_grants_hold_for_the_file_as_it_was(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, enrolled.made)
    made = kept.grant()
    copy = kept.folder / "copy" / "ada.cameo"
    copy.parent.mkdir()
    copy.write_bytes(kept.double.read_bytes())
    old = verified(kept).manifest
    done = adapt(kept)
    assert (done.revoked, done.outdated) == ((), (made.id,))
    with pytest.raises(NotPermitted, match="sealed again since") as caught:
        kept.open()
    assert caught.value.code == "wrong_double"
    assert dataclasses.replace(kept, double=copy).open()
    # And what the grant carries opens nothing in the new file: every key of it is another.
    new = verified(kept).manifest
    assert not {key.commitment for key in old.keys} & {key.commitment for key in new.keys}
    kept.grant(out="again.grant")
    assert set(kept.open("again.grant", a_use(generator="second"))) >= SECOND - {"adapter.second.voice"}


def test_terms_that_take_something_away_revoke(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, enrolled.made)
    made = kept.grant()
    wider = parse_terms(BOTH.replace("[retention]", '[[purposes]]\nid = "comedy"\n[retention]'))
    assert adapt(kept, terms=wider).outdated == (made.id,)
    done = adapt(kept, terms=parse_terms(BOTH.replace("birthday", "comedy")), replace=True)
    assert (done.revoked, done.outdated) == ((made.id,), ())


def test_what_has_ended_is_not_adapted(kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, enrolled.made)
    copy = kept.double.read_bytes()
    cameo.withdraw(kept.double, keys=kept.people.ada)
    assert refused(kept, NotPermitted, "withdrawn").code == "withdrawn"
    kept.double.write_bytes(copy)
    assert refused(kept, NotPermitted, "withdrawn").code == "withdrawn"
    with pytest.raises(NotVerified):
        add_generator(kept.double, keys=kept.people.eve, options=AdaptOptions("second"))


def test_erased_while_tuning_stays_so(kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, enrolled.made)

    def tuned(*_given: Any) -> Any:
        cameo.erase(kept.double, keys=kept.people.ada)
        return second_adapter(enrolled.made)

    monkeypatch.setattr("cameo.learning.tune", tuned)
    with pytest.raises(NotPermitted) as caught:
        adapt(kept)
    assert caught.value.code == "erased"
    assert not kept.double.exists()


def test_a_file_that_changed_while_tuning_is_not_replaced(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, enrolled.made)

    def tuned(*_given: Any) -> Any:
        cameo.amend(kept.double, keys=kept.people.ada, terms=parse_terms(BOTH))
        return second_adapter(enrolled.made)

    monkeypatch.setattr("cameo.learning.tune", tuned)
    with pytest.raises(OutputError, match="is not the double that was verified"):
        adapt(kept)
    assert SECOND.isdisjoint(opened(kept))


def test_killed_while_writing_and_run_again(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file stands, tuning is not done again, and the same call ends well."""
    stand_in(monkeypatch, enrolled.made)
    states: list[bytes | None] = []

    def tuned(*given: Any) -> Any:
        states.append(given[4].load())
        given[4].save(b"where tuning is")
        return second_adapter(enrolled.made)

    def killed(path: Path) -> None:
        if path.suffix == ".cameo":
            raise KeyboardInterrupt
        flush(path)

    flush = files._flush
    monkeypatch.setattr("cameo.learning.tune", tuned)
    before = kept.double.read_bytes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "_flush", killed)
        adapt(kept)
    assert kept.double.read_bytes() == before
    assert sorted(path.name for path in kept.folder.iterdir()) == ["ada.cameo", "home"]
    assert len(list(kept.folder.rglob("*.tuning"))) == 1
    adapt(kept)
    assert states == [None, b"where tuning is"]
    assert set(opened(kept)) >= SECOND
    assert not list(kept.folder.rglob("*.tuning"))


def test_a_report_that_cannot_be_written_says_what_was_done(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object) -> None:
        raise OutputError("cannot write it: no space left", "free some disk space and run the command again")

    stand_in(monkeypatch, enrolled.made)
    monkeypatch.setattr("cameo.readapting.write_report", fail)
    with pytest.raises(OutputError, match="is tuned for second, but its report was not written") as caught:
        adapt(kept, report=kept.folder / "ada.html")
    assert "--replace" in caught.value.hint
    assert set(opened(kept)) >= SECOND


def test_wrong_names_are_said_before_any_work(
    kept: Lendable, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = stand_in(monkeypatch, enrolled.made)
    refused(kept, UsageError, "no name for one", report=kept.folder / "ada.key")
    refused(kept, UsageError, "unknown face model", face_model="facenet")
    with pytest.raises(UsageError, match="no generator 'sora'"):
        add_generator(kept.double, keys=kept.people.ada, options=AdaptOptions("sora", terms=parse_terms(TERMS)))
    assert not sources


def test_only_parts_for_a_generator_are_added(kept: Lendable, enrolled_parts: list[Part]) -> None:
    bundle, ada = verified(kept), kept.people.ada
    template = next(part for part in enrolled_parts if part.name == "template.face")
    with pytest.raises(UsageError, match="only parts for a generator"):
        extend_bundle(kept.double, bundle, ada, [template])
    with pytest.raises(UsageError, match="only parts for a generator"):
        extend_bundle(kept.double, bundle, ada, [Part(CAPTURES, CAPTURES, b"other")])
    (part,) = [part for part in enrolled_parts if part.name == "adapter.reference.face"]
    forgetful = agree(resolve_terms(parse_terms('[[purposes]]\nid = "birthday"'), ["reference"], today()), "api")
    with pytest.raises(UsageError, match="the new terms do not"):
        extend_bundle(kept.double, bundle, ada, [part], forgetful)
    with pytest.raises(NotPermitted):
        extend_bundle(kept.double, bundle, kept.people.eve, [part])
