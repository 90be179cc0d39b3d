"""Filming: everybody is asked before anything runs, every owner gets receipts, and one use is one film."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import cameo
from cameo.condition.regions import Region, plug_together
from cameo.crypto.encoding import sha256_hex
from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotPermitted, UsageError
from cameo.filming import film
from cameo.generators.digest import weights_digest
from cameo.generators.reference import load_reference
from cameo.recalling import revoke
from cameo.screenplay import CastMember, FilmOptions, Shot
from cameo.seal.bundle import Part
from tests.conftest import Enrolled
from tests.generators.lora_parts import random_parts
from tests.generators.tiny_pipelines import FAMILIES
from tests.lendable import Lendable, People, seal_lendable
from tests.seal.conftest import ENCODER

SHOTS = [Shot("a cake with candles", 1, 8), Shot("a garden", 2, 12)]


@pytest.fixture(scope="session")
def others(people: People) -> People:
    """Another owner, with the same friend and the same host."""
    return replace(people, ada=Keys.generate())


@pytest.fixture
def pair(lendable: Lendable, others: People, enrolled_parts: list[Part]) -> list[Lendable]:
    """Two doubles of two owners, each lent to Bob at the studio."""
    folder = lendable.folder / "other"
    folder.mkdir()
    both = [lendable, seal_lendable(folder, others, enrolled_parts, ENCODER)]
    for one in both:
        one.grant(max_uses=1)
    return both


def members(pair: list[Lendable], **changes: Any) -> list[CastMember]:
    return [CastMember(one.double, borrowed=one.borrowed(), purpose="birthday", **changes) for one in pair]


def by_double(pair: list[Lendable]) -> list[list[tuple[str, str]]]:
    receipts = pair[0].receipts()
    return [[(r.decision, r.code) for r in receipts if r.bundle_id == one.bundle_id] for one in pair]


def test_two_people_in_two_shots(pair: list[Lendable], tmp_path: Path) -> None:
    engine, out, sheet = load_reference(), tmp_path / "duet.mp4", tmp_path / "duet.png"
    digest = weights_digest(engine.denoiser)
    made = film(members(pair), SHOTS, out=out, options=FilmOptions(sheet=sheet))
    with av.open(str(out)) as clip:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)])
    assert frames.shape == (20, made.height, made.width, 3) == (20, 384, 720, 3)
    assert (made.seconds, [shot.seconds for shot in made.shots]) == (0.8, [0.32, 0.48])
    assert np.asarray(cv2.imread(str(sheet))).std() > 10
    assert by_double(pair) == [[("allow", ""), ("released", "")]] * 2
    released = [receipt for receipt in pair[0].receipts() if receipt.decision == "released"]
    assert {receipt.output_sha256 for receipt in released} == {sha256_hex(out.read_bytes())}
    assert {receipt.seconds for receipt in released} == {0.8}, "one use is the whole film"
    for person in made.people:
        assert person.likeness == (), "nobody granted a comparison with the template"
        assert len(person.consistency) == 1
    assert weights_digest(engine.denoiser) == digest


def test_if_one_refuses_nothing_runs_and_nothing_is_spent(pair: list[Lendable], tmp_path: Path) -> None:
    first, second = members(pair)
    labels: list[str] = []
    with pytest.raises(NotPermitted) as caught:
        film([first, replace(second, purpose="comedy")], SHOTS, out=tmp_path / "duet.mp4",
             progress=lambda label, _share: labels.append(label))  # fmt: skip
    assert caught.value.code == "wrong_purpose"
    assert by_double(pair) == [[], [("deny", "wrong_purpose")]]
    assert "generating" not in labels
    assert not list(tmp_path.glob("*.mp4"))
    film([first, second], SHOTS[:1], out=tmp_path / "duet.mp4")


def test_words_that_one_owner_forbids_are_forbidden_in_every_shot(pair: list[Lendable], tmp_path: Path) -> None:
    shots = [SHOTS[0], Shot("go vote at the polling station")]
    with pytest.raises(NotPermitted) as caught:
        film(members(pair), shots, out=tmp_path / "duet.mp4")
    assert caught.value.code == "prompt_refused"
    assert by_double(pair)[1] == []


def test_a_last_use_that_is_gone_withholds_everybody(pair: list[Lendable], tmp_path: Path) -> None:
    film(members(pair[1:]), SHOTS[:1], out=tmp_path / "solo.mp4")
    with pytest.raises(NotPermitted) as caught:
        film(members(pair), SHOTS, out=tmp_path / "duet.mp4")
    assert caught.value.code == "uses_exhausted"
    assert by_double(pair)[0] == [("allow", ""), ("withheld", "uses_exhausted")]
    assert not (tmp_path / "duet.mp4").exists()


@pytest.mark.parametrize("label", ["generating", "writing the clip"])
def test_revoked_by_one_owner_meanwhile(
    pair: list[Lendable], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    def take_back(said: str, share: float) -> None:
        if said == label and share < 1:
            revoke(pair[1].folder / "bob.grant", keys=pair[1].people.ada)

    monkeypatch.setattr("cameo.filming.RECHECK_S", -1.0)
    sheet = tmp_path / "duet.png"
    with pytest.raises(NotPermitted) as caught:
        film(members(pair), SHOTS[:1], out=tmp_path / "duet.mp4", options=FilmOptions(sheet=sheet), progress=take_back)
    assert caught.value.code == "revoked"
    assert by_double(pair) == [[("allow", ""), ("withheld", "revoked")]] * 2
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob("*.png")) and not list(tmp_path.glob(".duet*"))


def test_one_double_twice(pair: list[Lendable], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="asked for twice"):
        film(members([pair[0], pair[0]]), SHOTS, out=tmp_path / "duet.mp4")
    assert pair[0].receipts() == []


def test_the_owner_sees_how_alike_every_shot_is(enrolled: Enrolled, home: Path, tmp_path: Path) -> None:
    made = film([CastMember(enrolled.double, enrolled.keys)], SHOTS, out=tmp_path / "film.mp4")
    (person,) = made.people
    assert len(person.likeness) == 2 and min(person.likeness) > 0.2
    assert person.consistency[0] is not None and person.consistency[0] > 0.5
    assert (made.width, made.height) == (384, 384)
    assert person.purpose == "personal"


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"members": []}, "nobody in this film"),
    "many shots": ({"shots": [Shot()] * 65}, "up to 64 shots"),
    "seed": ({"shots": [Shot(seed=-1)]}, "a seed is 0 to"),
    "frames": ({"shots": [Shot(frames=0)]}, "0 frames is none"),
    "long": ({"shots": [Shot(frames=800)] * 2}, "up to 1500 frames"),
    "generator": ({"options": FilmOptions("sora")}, "no generator 'sora'"),
    "size": ({"options": FilmOptions(size=(100, 64))}, "multiple of 8"),
    "face model": ({"options": FilmOptions(face_model="onnx:none.onnx")}, "none.onnx"),
}


@pytest.mark.parametrize("name", BAD)
def test_films_that_cannot_be_made(pair: list[Lendable], tmp_path: Path, name: str) -> None:
    changes, said = BAD[name]
    asked: dict[str, Any] = {"members": members(pair), "shots": SHOTS, "out": tmp_path / "duet.mp4", **changes}
    with pytest.raises(CameoError, match=said):
        film(asked.pop("members"), asked.pop("shots"), **asked)
    assert pair[0].receipts() == [], "nothing was asked for"


def test_regions_are_for_everybody_or_nobody(pair: list[Lendable], tmp_path: Path) -> None:
    first, second = members(pair)
    out, left = tmp_path / "duet.mp4", Region((0, 0, 0.5, 1))
    with pytest.raises(UsageError, match="has no region, others have"):
        film([replace(first, region=left), second], out=out)
    with pytest.raises(UsageError, match="overlap"):
        film([replace(first, region=left), replace(second, region=left)], out=out)
    with pytest.raises(UsageError, match="one person alone"):
        film([replace(first, region=left)], out=out)
    assert pair[0].receipts() == []


def test_scores_need_the_recogniser_of_the_enrolment(lendable: Lendable, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="was enrolled with") as caught:
        film([CastMember(lendable.double, lendable.people.ada)], out=tmp_path / "film.mp4")
    assert "--face-model" in caught.value.hint
    assert lendable.receipts(lendable.people.ada) == [], "no use was spent to find that out"


@pytest.mark.parametrize("family", ["wan", "ltx2.0", "ltx2.3"])
def test_in_a_pipeline(
    home: Path, people: People, others: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """Where doubles have voices, too, these are not opened: one soundtrack is nobody's."""
    generator, pair = FAMILIES[family](), list[Lendable]()
    plugged: list[list[str]] = []
    monkeypatch.setattr(type(generator), "shape", generator.shape)
    parts = [
        Part(part, part.rpartition(".")[2], data, generator.id, generator.base_digest)
        for part, data in sorted(random_parts(generator).items())
    ]
    for name, owner in (("ada", people), ("eve", others)):
        (tmp_path / name).mkdir()
        pair.append(seal_lendable(tmp_path / name, owner, parts, ENCODER))
        pair[-1].grant()

    def noted(engine: Any, opened: list[dict[str, bytes]], masks: Any) -> Any:
        plugged.extend(sorted(one) for one in opened)
        return plug_together(engine, opened, masks)

    monkeypatch.setattr("cameo.filming.plug_together", noted)
    pipe, shots = FAMILIES[family]().pipe, [Shot("a person dancing", 3, generator.shape.frames)]
    options = FilmOptions(size=(128, 64), steps=1)
    before = weights_digest(pipe.transformer)
    made = cameo.film(members(pair), shots, out=tmp_path / "duet.mp4", options=options, pipe=pipe)
    assert (made.generator, made.width, made.height) == (generator.id, 128 * 6, 64 * 6)
    assert plugged == [[f"adapter.{generator.id}.face", f"identity.{generator.id}.face"]] * 2
    assert by_double(pair) == [[("allow", ""), ("released", "")]] * 2
    with av.open(str(tmp_path / "duet.mp4")) as clip:
        assert not clip.streams.audio
    assert weights_digest(pipe.transformer) == before and "encode_prompt" not in vars(pipe)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in pipe.transformer.modules())
