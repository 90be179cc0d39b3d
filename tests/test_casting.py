"""Casting: a valid key opens the double, the clip is written, and the generator is as before."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import cameo
from cameo.casting import cast
from cameo.crypto.encoding import sha256_hex
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.generators.digest import weights_digest
from cameo.generators.reference import load_reference
from cameo.recalling import revoke
from cameo.records import Use
from cameo.seal.terms import DEFAULT_TERMS, any_purpose, resolve_terms
from cameo.staging import CastOptions
from tests.conftest import Enrolled
from tests.lendable import Lendable


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path_factory.mktemp("home")))


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_a_clip_comes_out_and_the_generator_is_as_before(enrolled: Enrolled, tmp_path: Path) -> None:
    engine = load_reference()
    digest, names = weights_digest(engine.denoiser), set(engine.denoiser.state_dict())
    out = tmp_path / "clip.mp4"
    made = cast(enrolled.double, keys=enrolled.keys, out=out, options=CastOptions(frames=20, seed=4))
    shown = frames_of(out)
    assert shown.shape == (20, made.height, made.width, 3)
    assert made.seconds == pytest.approx(0.8)
    assert made.bundle_id == enrolled.made.sealed.bundle_id
    assert shown.std() > 10
    assert np.abs(np.diff(shown.astype(float), axis=0)).mean() > 0.1, "it moves"
    assert weights_digest(engine.denoiser) == digest
    assert set(engine.denoiser.state_dict()) == names
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]


def test_it_shows_the_person(enrolled: Enrolled, tmp_path: Path) -> None:
    """Nearer to the person's own frames than to another rendered person's."""
    from cameo.adapt.others import rendered_people
    from cameo.embed.face import load_face_encoder

    out = tmp_path / "clip.mp4"
    cast(enrolled.double, keys=enrolled.keys, out=out, options=CastOptions(frames=40))
    encoder = load_face_encoder()
    vectors, found = encoder.embed(frames_of(out)[::5])
    assert found.mean() > 0.8
    others, other_found = encoder.embed(*rendered_people())
    own = vectors[found] @ enrolled.made.face.vector
    strangers = others[other_found] @ enrolled.made.face.vector
    assert own.mean() > strangers.mean() + 0.2


def test_another_seed_moves_otherwise(enrolled: Enrolled, tmp_path: Path) -> None:
    for seed in (1, 2):
        options = CastOptions(frames=16, seed=seed)
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / f"{seed}.mp4", options=options)
    assert not np.array_equal(frames_of(tmp_path / "1.mp4"), frames_of(tmp_path / "2.mp4"))


def test_a_strangers_key_opens_nothing(enrolled: Enrolled, tmp_path: Path) -> None:
    with pytest.raises(NotVerified):
        cast(enrolled.double, keys=cameo.Keys.generate(), out=tmp_path / "clip.mp4")
    assert not list(tmp_path.iterdir())


def test_a_changed_double_is_refused(enrolled: Enrolled, tmp_path: Path) -> None:
    data = bytearray(enrolled.double.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.cameo").write_bytes(data)
    with pytest.raises(NotVerified):
        cast(tmp_path / "bad.cameo", keys=enrolled.keys, out=tmp_path / "clip.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.cameo"]


@pytest.mark.parametrize("name", ["ada.key", "ada.cameo", "clip", "clip.mov"])
def test_a_clip_never_takes_the_place_of_a_key_or_a_double(enrolled: Enrolled, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(UsageError, match="no name for one"):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"precious"


@pytest.mark.parametrize("seed", [-1, 2**31, 2**70])
def test_seeds_out_of_range_are_refused(enrolled: Enrolled, tmp_path: Path, seed: int) -> None:
    with pytest.raises(UsageError, match="a seed is 0 to"):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=CastOptions(seed=seed))


@pytest.mark.parametrize("frames", [7, 1501, -1])
def test_lengths_out_of_range_are_refused(enrolled: Enrolled, tmp_path: Path, frames: int) -> None:
    with pytest.raises(UsageError, match="8 to 1500"):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=CastOptions(frames=frames))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (CastOptions(purpose="birthday"), "wrong_purpose"),
        (CastOptions(commercial=True), "consent_exceeded"),
        (CastOptions(prompt="go vote at the polling station"), "prompt_refused"),
    ],
)
def test_what_the_consent_does_not_reach_is_not_cast(
    enrolled: Enrolled, tmp_path: Path, options: CastOptions, code: str
) -> None:
    with pytest.raises(NotPermitted) as caught:
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=options)
    assert caught.value.code == code
    assert not list(tmp_path.iterdir())


def test_a_generator_that_is_not_there(enrolled: Enrolled, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no generator 'sora'"):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=CastOptions(generator="sora"))


def test_when_consent_reaches() -> None:
    today = datetime.date(2026, 5, 1)
    terms = resolve_terms(DEFAULT_TERMS, ["reference"], today)

    def use(generator: str) -> Use:
        return Use("generate", "", "", generator, ("video",), ("face",), 1.0, 1)

    assert any_purpose(terms, use("reference"), "owner", today).id == "personal"
    for generator, days in (("wan", 0), ("reference", -1), ("reference", 366)):
        with pytest.raises(NotPermitted, match="does not allow"):
            any_purpose(terms, use(generator), "owner", today + datetime.timedelta(days=days))


def test_a_place_that_cannot_be_written_is_said_before_any_work(enrolled: Enrolled, tmp_path: Path) -> None:
    labels: list[str] = []
    with pytest.raises(OutputError, match="cannot write"):
        cast(
            enrolled.double,
            keys=enrolled.keys,
            out=tmp_path / "missing" / "clip.mp4",
            progress=lambda label, _share: labels.append(label),
        )
    assert not labels


def test_a_generator_that_changed_lets_nothing_out(
    enrolled: Enrolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    engine = load_reference()
    bias = engine.denoiser.proj_out.bias
    kept = bias.detach().clone()
    plain = type(engine).sample

    def spoiling(self: object, *args: object) -> object:
        made = plain(self, *args)  # type: ignore[arg-type]
        with torch.no_grad():
            engine.denoiser.proj_out.bias.add_(1.0)
        return made

    monkeypatch.setattr(type(engine), "sample", spoiling)
    try:
        with pytest.raises(NotVerified, match="weights changed"):
            cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=CastOptions(frames=8))
    finally:
        with torch.no_grad():
            engine.denoiser.proj_out.bias.copy_(kept)
    assert not list(tmp_path.iterdir())


def test_the_record_of_a_clip_is_plain(enrolled: Enrolled, tmp_path: Path) -> None:
    made = cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "c.mp4", options=CastOptions(frames=8))
    assert set(dataclasses.asdict(made)) == {
        "path", "frames", "fps", "seconds", "width", "height", "seed", "generator", "bundle_id", "purpose", "receipt",
    }  # fmt: skip
    assert made.purpose == "personal"


# With a grant


BIRTHDAY = CastOptions(purpose="birthday", prompt="a cake with candles", frames=8)


def test_a_friend_casts_what_was_lent(lendable: Lendable, tmp_path: Path) -> None:
    lendable.grant(max_uses=1, modalities=("face",), max_seconds=0.4, max_pixels=384 * 384)
    out = tmp_path / "clip.mp4"
    made = cast(lendable.double, borrowed=lendable.borrowed(), out=out, options=BIRTHDAY)
    assert frames_of(out).shape == (8, made.height, made.width, 3)
    assert (made.bundle_id, made.purpose) == (lendable.bundle_id, "birthday")
    allowed, released = lendable.receipts()
    assert (allowed.decision, released.decision) == ("allow", "released")
    assert released.output_sha256 == sha256_hex(out.read_bytes()), "the file is the one on record"
    assert released.double_previous_sha256 == made.receipt
    assert (allowed.seconds, allowed.generator, allowed.action) == (0.32, "reference", "generate")
    with pytest.raises(NotPermitted) as caught:
        cast(lendable.double, borrowed=lendable.borrowed(), out=tmp_path / "again.mp4", options=BIRTHDAY)
    assert caught.value.code == "uses_exhausted"
    assert not (tmp_path / "again.mp4").exists()


@pytest.mark.parametrize(
    ("terms", "options", "code"),
    [
        ({}, {"purpose": "comedy"}, "wrong_purpose"),
        ({}, {"purpose": ""}, "wrong_purpose"),
        ({}, {"commercial": True}, "out_of_scope"),
        ({"modalities": ("voice",)}, {}, "out_of_scope"),
        ({"max_seconds": 0.3}, {}, "too_long"),
        ({"max_pixels": 100}, {}, "too_large"),
    ],
)
def test_what_was_not_lent_is_not_cast(
    lendable: Lendable, tmp_path: Path, terms: dict[str, Any], options: dict[str, Any], code: str
) -> None:
    lendable.grant(**terms)
    out = tmp_path / "clip.mp4"
    with pytest.raises(NotPermitted) as caught:
        cast(
            lendable.double,
            borrowed=lendable.borrowed(),
            out=out,
            options=dataclasses.replace(BIRTHDAY, **options),
        )
    assert caught.value.code == code
    assert lendable.decisions() == [("deny", code)]
    assert not out.exists()


def test_revoked_while_it_is_generated(lendable: Lendable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look after that stops it, and nothing is written."""
    made = lendable.grant()
    out = tmp_path / "clip.mp4"
    out.write_bytes(b"an older clip")

    labels: list[str] = []

    def take_back(label: str, _share: float) -> None:
        labels.append(label)
        if label == "generating":
            revoke(made.id, keys=lendable.people.ada)

    monkeypatch.setattr("cameo.staging.RECHECK_S", -1.0)
    with pytest.raises(NotPermitted) as caught:
        cast(lendable.double, borrowed=lendable.borrowed(), out=out, options=BIRTHDAY, progress=take_back)
    assert caught.value.code == "revoked"
    assert lendable.decisions() == [("allow", ""), ("withheld", "revoked")]
    assert "writing the clip" not in labels
    assert out.read_bytes() == b"an older clip"
    assert not list(tmp_path.glob(".clip*"))


def test_revoked_while_it_is_written(lendable: Lendable, tmp_path: Path) -> None:
    made = lendable.grant()
    out = tmp_path / "clip.mp4"

    def take_back(label: str, _share: float) -> None:
        if label == "writing the clip":
            revoke(made.id, keys=lendable.people.ada)

    with pytest.raises(NotPermitted) as caught:
        cast(lendable.double, borrowed=lendable.borrowed(), out=out, options=BIRTHDAY, progress=take_back)
    assert caught.value.code == "revoked"
    assert lendable.decisions() == [("allow", ""), ("withheld", "revoked")]
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*.mp4"))


def test_a_disk_that_fills_up_is_on_record(lendable: Lendable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    lendable.grant()
    monkeypatch.setattr("cameo.staging.write_mp4", full)
    with pytest.raises(OutputError, match="no space left"):
        cast(lendable.double, borrowed=lendable.borrowed(), out=tmp_path / "clip.mp4", options=BIRTHDAY)
    assert lendable.decisions() == [("allow", ""), ("withheld", "cannot_write")]


def test_one_right_and_not_two(lendable: Lendable, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="owner's keys or with a grant"):
        cast(lendable.double, out=tmp_path / "clip.mp4", options=BIRTHDAY)
