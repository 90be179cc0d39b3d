"""Enrolling somebody who was enrolled before: said or refused before anything is sealed, and remembered afterwards."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import cameo
from cameo.custody import erase, rekey
from cameo.embed.face import load_face_encoder
from cameo.enrollment import EnrollOptions, enroll
from cameo.errors import NotPermitted
from cameo.recognising import find_precedents, turn_newcomer
from cameo.records import MATCHED
from cameo.registry.store import Registry
from tests.conftest import Enrolled

COPIED = "ada.cameo"


@pytest.fixture
def ada(enrolled: Enrolled, home: Path, tmp_path: Path) -> cameo.Keys:
    """Have the sample person enrolled here by Ada, as `enroll` would leave it."""
    double = tmp_path / COPIED
    double.write_bytes(enrolled.double.read_bytes())
    owner = enrolled.keys.public.fingerprint
    with closing(Registry(f"sqlite:///{enrolled.home / 'registry.sqlite'}")) as registry:
        (known,) = registry.list()
    newcomer = turn_newcomer(owner, (enrolled.made.face, enrolled.made.voice), "all")
    with closing(Registry()) as registry:
        registry.register(dataclasses.replace(known, path=double), newcomer.vectors)
    return enrolled.keys


@pytest.fixture(autouse=True)
def _tuned_already(enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameo.learning.tune", lambda *_given: enrolled.made.adapter)


@pytest.fixture
def _matched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the face encoder promise what a measured recogniser does."""
    encoder = load_face_encoder()
    sure = dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, assurance=MATCHED))  # type: ignore[type-var]
    monkeypatch.setattr("cameo.enrollment.load_face_encoder", lambda _spec: sure)


def rows_of(home: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(home / "registry.sqlite")) as connection:
        return sorted(connection.execute("SELECT bundle_id, modality FROM vectors"))


@pytest.mark.usefixtures("_matched")
def test_another_owners_face_is_refused_before_tuning(
    ada: cameo.Keys, selfie: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_given: object) -> None:
        pytest.fail("tuned, for nothing")

    monkeypatch.setattr("cameo.learning.tune", never)
    before = rows_of(home)
    with pytest.raises(NotPermitted, match="another owner has enrolled this face") as caught:
        enroll(selfie, keys=cameo.Keys.generate(), out=tmp_path / "bea.cameo")
    assert caught.value.code == "enrolled_by_another"
    assert sorted(path.name for path in tmp_path.iterdir()) == [COPIED, "home"]
    assert rows_of(home) == before


@pytest.mark.usefixtures("_matched")
def test_it_is_refused_too_if_the_other_came_while_tuning(
    enrolled: Enrolled, selfie: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faster(*_given: object) -> object:
        newcomer = turn_newcomer("cd" * 32, (enrolled.made.face,), "all")
        with (
            closing(Registry()) as registry,
            closing(Registry(f"sqlite:///{enrolled.home / 'registry.sqlite'}")) as old,
        ):
            registry.register(dataclasses.replace(old.list()[0], owner="cd" * 32), newcomer.vectors)
        return enrolled.made.adapter

    monkeypatch.setattr("cameo.learning.tune", faster)
    with pytest.raises(NotPermitted) as caught:
        enroll(selfie, keys=cameo.Keys.generate(), out=tmp_path / "bea.cameo")
    assert caught.value.code == "enrolled_by_another"
    assert not (tmp_path / "bea.cameo").exists()


@pytest.mark.usefixtures("_matched")
def test_a_duplicate_that_was_asked_for_is_on_record(ada: cameo.Keys, selfie: Path, home: Path, tmp_path: Path) -> None:
    keys, out, report = cameo.Keys.generate(), tmp_path / "bea.cameo", tmp_path / "bea.html"
    made = enroll(selfie, keys=keys, out=out, options=EnrollOptions(allow_duplicate=True, report=report))
    assert made.precedents.duplicate
    manifest = cameo.Bundle.open(out).verify(keys.public).manifest
    assert manifest.about["duplicate_allowed"] is True
    page = report.read_text()
    assert "Another owner has enrolled this face on this machine" in page
    assert ada.public.fingerprint[:16] not in page and COPIED not in page


def test_ones_own_face_again_is_told_and_kept(
    ada: cameo.Keys, enrolled: Enrolled, selfie: Path, home: Path, tmp_path: Path
) -> None:
    labels: list[str] = []
    made = enroll(selfie, keys=ada, out=tmp_path / "again.cameo", progress=lambda label, _share: labels.append(label))
    (earlier,) = made.precedents.earlier
    assert earlier.bundle_id == enrolled.made.sealed.bundle_id
    assert earlier.path == str(tmp_path / COPIED)
    assert earlier.score == pytest.approx(1, abs=1e-3)
    assert not made.precedents.warnings
    assert "duplicate_allowed" not in cameo.Bundle.open(tmp_path / "again.cameo").claims.about
    names = (earlier.bundle_id, made.sealed.bundle_id)
    assert rows_of(home) == sorted((name, modality) for name in names for modality in ("face", "voice"))
    # Erased, it is not compared with any more, and what was kept of it is gone.
    erase(tmp_path / "again.cameo", keys=ada)
    assert rows_of(home) == [(earlier.bundle_id, "face"), (earlier.bundle_id, "voice")]


def test_a_weak_encoder_says_so_before_sealing(ada: cameo.Keys, selfie: Path, home: Path, tmp_path: Path) -> None:
    labels: list[str] = []
    out = tmp_path / "bea.cameo"
    made = enroll(selfie, keys=cameo.Keys.generate(), out=out, progress=lambda label, _share: labels.append(label))
    (told,) = dict.fromkeys(label for label in labels if label.startswith("Face that no other owner has enrolled?"))
    assert labels.index(told) < labels.index("tuning" if "tuning" in labels else "sealing")
    assert [check.level for check in made.precedents.checks] == ["warn", "warn"]


def test_handed_over_it_is_the_new_keys_own(ada: cameo.Keys, enrolled: Enrolled, tmp_path: Path) -> None:
    new = cameo.Keys.generate()
    rekey(tmp_path / COPIED, keys=ada, new=new)
    templates = (enrolled.made.face, enrolled.made.voice)
    found = find_precedents(turn_newcomer(new.public.fingerprint, templates, "all"))
    assert [check.name for check in found.checks] == ["own_face"]
    assert [double.bundle_id for double in found.earlier] == [enrolled.made.sealed.bundle_id]


def test_switched_off_nothing_is_kept(
    selfie: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_GALLERY", "off")
    made = enroll(selfie, keys=cameo.Keys.generate(), out=tmp_path / "a.cameo")
    assert made.precedents.among == "off"
    assert rows_of(home) == []
    assert not (home / "gallery.secret").exists()
