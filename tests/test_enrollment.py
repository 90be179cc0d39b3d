"""Enrolment from a recording to a sealed double: what is in it, and what is left behind when it breaks off."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cameo
from cameo import files
from cameo.capture.clip import read_clip
from cameo.embed.face import load_face_encoder, see_faces
from cameo.embed.template import compare, unpack_template
from cameo.enrollment import EnrollOptions, enroll
from cameo.errors import OutputError, UsageError
from cameo.faces.track import track_faces
from cameo.records import RecordedFile
from cameo.registry.store import Double, Registry
from cameo.seal.captures import unpack_captures
from cameo.seal.terms import ConsentTerms, Purpose, Retention
from tests.conftest import Enrolled, quick_recipe
from tests.embed.packs import write_recogniser, write_steady_detector

PARTS = {
    "template.face", "template.voice", "adapter.reference.face", "adapter.reference.voice", "identity.reference.face",
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def registered(home: Path) -> list[Double]:
    registry = Registry(f"sqlite:///{home / 'registry.sqlite'}")
    try:
        return registry.list()
    finally:
        registry.close()


def test_what_is_sealed(enrolled: Enrolled) -> None:
    made = enrolled.made
    verified = cameo.Bundle.open(enrolled.double).verify(enrolled.keys.public)
    assert {part.name for part in verified.manifest.parts} == PARTS == set(made.sealed.parts)
    assert verified.manifest.assurance == made.sealed.assurance == "consistency-only"
    assert made.sealed.sha256 == verified.sha256
    assert made.sealed.size == enrolled.double.stat().st_size < 4_500_000
    content = cameo.unlock_as_owner(verified, enrolled.keys)
    opened = unpack_template(verified.read_part("template.face", content))
    assert compare(opened, made.face) == pytest.approx(1, abs=1e-5)
    assert verified.read_part("adapter.reference.face", content) == made.adapter.parts["adapter.reference.face"]


def test_nothing_of_the_person_lies_open(enrolled: Enrolled) -> None:
    data = enrolled.double.read_bytes()
    assert enrolled.made.face.vector.tobytes() not in data
    for part in enrolled.made.adapter.parts.values():
        assert part[-4096:] not in data


def test_what_is_returned_agrees_with_itself(enrolled: Enrolled) -> None:
    made = enrolled.made
    frames = len(made.clip.frames)
    assert made.frame_likeness.shape == made.frames_used.shape == (frames,)
    assert np.array_equal(np.isfinite(made.frame_likeness), made.frames_used)
    assert made.face.count >= 12
    assert made.frames_used.sum() >= made.face.count
    assert (made.quality.frame_scores[made.frames_used] > 0).all()
    assert np.nanmean(made.frame_likeness) > 0.8
    assert len(made.window_likeness) >= 1
    assert list(made.seconds) == [
        "reading the recording", "finding the face", "checking the quality", "embedding face and voice",
        "comparing with earlier doubles", "learning the voice", "tuning", "sealing",
    ]  # fmt: skip
    assert made.consent[0].startswith("I am 18 or older")
    assert made.versions["cameo"] == cameo.__version__


def test_a_pack_s_own_detector_finds_the_face(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cameo.learning.tune", lambda *_given: enrolled.made.adapter)
    clip = read_clip(selfie)
    middle = np.nanmedian(track_faces(clip.frames).points[:, :5], axis=0)
    write_steady_detector(tmp_path / "det.onnx", middle * 320 / max(clip.frames.shape[1:3]))
    write_recogniser(tmp_path / "rec.onnx")
    model = f"insightface:{tmp_path}"
    options = EnrollOptions(face_model=model)
    made = enroll(selfie, keys=cameo.Keys.generate(), out=tmp_path / "a.cameo", options=options)
    assert made.face.encoder.id == "insightface:det+rec"
    assert made.track.found.all()
    assert (made.track.faces == 1).all()
    encoder = load_face_encoder(model)
    seen = see_faces(encoder, made.clip.frames)
    assert seen is not None
    used = made.frames_used
    rows, _ = encoder.embed(made.clip.frames[used], seen.points[used])
    assert made.frame_likeness[used] == pytest.approx(rows @ made.face.vector, abs=1e-5)
    assert np.isfinite(made.track.points).all(), "and the landmarks that it does not give are there"


def test_it_is_registered_and_reported(enrolled: Enrolled) -> None:
    (known,) = registered(enrolled.home)
    assert known.bundle_id == enrolled.made.sealed.bundle_id
    assert known.path == enrolled.double.resolve()
    assert known.sha256 == enrolled.made.sealed.sha256
    assert "consistency-only" in enrolled.report.read_text()
    assert not list(enrolled.home.rglob("*.tuning")), "a finished run keeps no checkpoint"


def test_an_old_double_is_not_replaced(enrolled: Enrolled, selfie: Path, home: Path) -> None:
    before = enrolled.double.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        enroll(selfie, keys=enrolled.keys, out=enrolled.double)
    assert enrolled.double.read_bytes() == before


@pytest.mark.parametrize("name", ["ada.key", "selfie.mp4", "ada"])
def test_a_report_never_takes_the_place_of_a_key_or_a_recording(
    enrolled: Enrolled, selfie: Path, home: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(UsageError, match="no name for one"):
        enroll(
            selfie, keys=enrolled.keys, out=tmp_path / "a.cameo", options=EnrollOptions(report=tmp_path / name)
        )  # fmt: skip
    assert (tmp_path / name).read_bytes() == b"precious"


def test_the_double_and_its_report_are_two_files(enrolled: Enrolled, selfie: Path, home: Path, tmp_path: Path) -> None:
    options = EnrollOptions(report=tmp_path / "." / "a.html")
    with pytest.raises(UsageError, match="cannot be the double and its report"):
        enroll(selfie, keys=enrolled.keys, out=tmp_path / "a.html", options=options)


@pytest.mark.parametrize(
    "purpose",
    [
        Purpose("birthday", generators=("wan",)),
        Purpose("birthday", valid_from=datetime.date(2020, 1, 1), valid_until=datetime.date(2020, 2, 1)),
    ],
)
def test_terms_that_leave_the_double_no_use_are_refused(
    enrolled: Enrolled, selfie: Path, home: Path, tmp_path: Path, purpose: Purpose
) -> None:
    options = EnrollOptions(terms=ConsentTerms((purpose,)))
    with pytest.raises(UsageError, match="allow no use with reference"):
        enroll(selfie, keys=enrolled.keys, out=tmp_path / "a.cameo", options=options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator": "sora"}, "no generator 'sora'"),
        ({"face_model": "facenet"}, "unknown face model"),
        ({"voice_model": "whisper"}, "unknown voice model"),
        ({"liveness_model": "deepfake"}, "unknown liveness model"),
    ],
)
def test_wrong_names_are_said_before_any_work(
    selfie: Path, home: Path, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    labels: list[str] = []
    with pytest.raises(UsageError, match=message):
        enroll(
            selfie,
            keys=cameo.Keys.generate(),
            out=tmp_path / "a.cameo",
            options=EnrollOptions(**change),  # type: ignore[arg-type]
            progress=lambda label, _share: labels.append(label),
        )
    assert not labels
    assert not (tmp_path / "a.cameo").exists()


def test_terms_are_what_gets_sealed(enrolled: Enrolled) -> None:
    record = cameo.Bundle.open(enrolled.double).verify(enrolled.keys.public).consent.record
    assert record.act.method == "api"
    assert record.act.text == enrolled.made.consent
    assert record.terms.purposes[0].generators == ("reference",)


def test_a_run_broken_off_while_tuning_goes_on(selfie: Path, home: Path, tmp_path: Path) -> None:
    keys, out = cameo.Keys.generate(), tmp_path / "a.cameo"
    options = EnrollOptions(
        recipe=dataclasses.replace(quick_recipe(), steps=6, patience=9),
        report=tmp_path / "a.html",
        terms=ConsentTerms((Purpose("birthday"),)),
    )

    def stop_at_four(label: str, share: float) -> None:
        if label.startswith("tuning: ") and share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        enroll(selfie, keys=keys, out=out, options=options, progress=stop_at_four)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home"], "no double, no report, no temporary file"
    (kept,) = home.rglob("*.tuning")
    assert kept.stat().st_mode & 0o077 == 0
    # Somebody else's run does not open it, the owner's goes on.
    shares: list[float] = []

    def note(label: str, share: float) -> None:
        if label.startswith("tuning: "):
            shares.append(share)

    made = enroll(selfie, keys=keys, out=out, options=options, progress=note)
    assert min(shares) > 0.5, "the first steps were not taken again"
    assert [step.step for step in made.adapter.curve] == [0, 1, 2, 4, 6]
    assert cameo.Bundle.open(out).verify(keys.public)
    assert not list(home.rglob("*.tuning"))


def test_a_full_disk_leaves_nothing(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything up to sealing works; the double's last bytes do not fit."""
    monkeypatch.setattr("cameo.learning.tune", lambda *_args: enrolled.made.adapter)
    flush = files._flush

    def full(path: Path) -> None:
        if path.suffix == ".cameo":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(path)

    monkeypatch.setattr(files, "_flush", full)
    out = tmp_path / "a.cameo"
    with pytest.raises(OutputError, match="no space left") as caught:
        enroll(selfie, keys=cameo.Keys.generate(), out=out, options=EnrollOptions(report=tmp_path / "a.html"))
    assert "free some disk space" in caught.value.hint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home"]
    monkeypatch.undo()
    assert registered(home) == [], "nothing half-registered"


@pytest.mark.parametrize("failing", ["cameo.enrollment.write_report", "cameo.registry.store.Registry.register"])
def test_what_fails_after_sealing_takes_the_double_back(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """The same command then works, and has no tuning to do again."""

    def tuned(*given: Any) -> object:
        given[4].save(b"where tuning is")
        return enrolled.made.adapter

    def fail(*_given: object) -> None:
        raise OutputError("cannot write it: no space left", "free some disk space and run the command again")

    monkeypatch.setattr("cameo.learning.tune", tuned)
    out, options = tmp_path / "a.cameo", EnrollOptions(report=tmp_path / "a.html")
    with monkeypatch.context() as patch:
        patch.setattr(failing, fail)
        with pytest.raises(OutputError, match="no space left"):
            enroll(selfie, keys=enrolled.keys, out=out, options=options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home"], "nor a page with pictures of the person"
    assert registered(home) == []
    assert len(list(home.rglob("*.tuning"))) == 1
    enroll(selfie, keys=enrolled.keys, out=out, options=options)
    assert cameo.Bundle.open(out).verify(enrolled.keys.public)
    assert len(registered(home)) == 1
    assert not list(home.rglob("*.tuning"))


def test_a_double_that_came_while_tuning_is_not_replaced(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.cameo"

    def tuned(*_given: object) -> object:
        out.write_bytes(b"another run was faster")
        return enrolled.made.adapter

    monkeypatch.setattr("cameo.learning.tune", tuned)
    with pytest.raises(OutputError, match="exists already"):
        enroll(selfie, keys=enrolled.keys, out=out)
    assert out.read_bytes() == b"another run was faster"
    assert registered(home) == []


def note_states(monkeypatch: pytest.MonkeyPatch, then: Sequence[object]) -> list[object]:
    """Stand in for tuning: note what it would go on with, keep a state, then raise or return one of `then` in turn."""
    states: list[object] = []
    turns = iter(then)

    def tuned(*given: Any) -> object:
        states.append(given[4].load())
        given[4].save(b"where tuning is")
        outcome = next(turns)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr("cameo.learning.tune", tuned)
    return states


def test_a_damaged_checkpoint_is_said_and_tuning_starts_anew(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = note_states(monkeypatch, then=[KeyboardInterrupt(), enrolled.made.adapter])
    with pytest.raises(KeyboardInterrupt):
        enroll(selfie, keys=enrolled.keys, out=tmp_path / "a.cameo")
    (kept,) = home.rglob("*.tuning")
    kept.write_bytes(kept.read_bytes()[:-1])
    labels: list[str] = []
    enroll(selfie, keys=enrolled.keys, out=tmp_path / "a.cameo", progress=lambda label, _share: labels.append(label))
    assert states == [None, None]
    assert "the unfinished run does not open, so tuning starts anew" in labels


def test_another_clips_checkpoint_is_not_gone_on_with(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = note_states(monkeypatch, then=[KeyboardInterrupt()] * 4)
    other = tmp_path / "other.mp4"
    other.write_bytes(selfie.read_bytes() + (8).to_bytes(4, "big") + b"free")  # the same pictures in another file
    recipe = dataclasses.replace(quick_recipe(), seed=1)
    for clip, options in ((selfie, None), (other, None), (selfie, EnrollOptions(recipe=recipe)), (selfie, None)):
        with pytest.raises(KeyboardInterrupt):
            enroll(clip, keys=enrolled.keys, out=tmp_path / "a.cameo", options=options)
    assert states == [None, None, None, b"where tuning is"]


def test_the_judge_and_the_recipe_reach_the_tuning(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def note(*given: object) -> object:
        seen.extend(given)
        return enrolled.made.adapter

    monkeypatch.setattr("cameo.learning.tune", note)
    recipe = dataclasses.replace(quick_recipe(), seed=9)
    enroll(selfie, keys=enrolled.keys, out=tmp_path / "a.cameo", options=EnrollOptions(recipe=recipe))
    assert recipe in seen


def test_the_recording_is_kept_only_when_consented_to(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cameo.learning.tune", lambda *_given: enrolled.made.adapter)
    terms = ConsentTerms((Purpose("birthday"),), retention=Retention(captures=True))
    out = tmp_path / "a.cameo"
    made = enroll(selfie, keys=enrolled.keys, out=out, options=EnrollOptions(terms=terms))
    assert np.array_equal(made.clip.frames, enrolled.made.clip.frames)
    assert any("the recording itself is kept in the double" in line for line in made.consent)
    verified = cameo.Bundle.open(out).verify(enrolled.keys.public)
    assert {part.name for part in verified.manifest.parts} == PARTS | {"captures"}
    clip, voice = unpack_captures(verified.read_part("captures", cameo.unlock_as_owner(verified, enrolled.keys)))
    assert (clip, voice) == (RecordedFile("selfie.mp4", selfie.read_bytes()), None)
    assert selfie.read_bytes()[-512:-256] not in out.read_bytes()
    assert any("the recording itself is not kept" in line for line in enrolled.made.consent)


def test_a_recording_too_large_to_be_kept_is_refused_before_any_work(
    selfie: Path, home: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = ConsentTerms((Purpose("birthday"),), retention=Retention(captures=True))
    labels: list[str] = []
    for module in ("cameo.enrollment", "cameo.seal.captures"):
        monkeypatch.setattr(f"{module}.CAPTURES_LIMIT", selfie.stat().st_size + 9)
    for voice, limit in ((None, selfie.stat().st_size - 1), (selfie, selfie.stat().st_size + 9)):
        monkeypatch.setattr("cameo.enrollment.CAPTURES_LIMIT", limit)
        with pytest.raises(UsageError, match="larger than the"):
            enroll(
                selfie,
                voice=voice,
                keys=enrolled.keys,
                out=tmp_path / "a.cameo",
                options=EnrollOptions(terms=terms),
                progress=lambda label, _share: labels.append(label),
            )
    assert not labels
