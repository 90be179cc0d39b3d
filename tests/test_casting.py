"""Casting: a valid key opens the double, the clip is written, and the generator is as before."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path

import av
import numpy as np
import pytest

import cameo
from cameo.casting import cast
from cameo.condition.plug import weights_digest
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.generators.reference import load_reference
from cameo.records import Use
from cameo.seal.terms import DEFAULT_TERMS, any_purpose, resolve_terms
from tests.conftest import Enrolled


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_a_clip_comes_out_and_the_generator_is_as_before(enrolled: Enrolled, tmp_path: Path) -> None:
    engine = load_reference()
    digest, names = weights_digest(engine.denoiser), set(engine.denoiser.state_dict())
    out = tmp_path / "clip.mp4"
    made = cast(enrolled.double, keys=enrolled.keys, out=out, frames=20, seed=4)
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
    cast(enrolled.double, keys=enrolled.keys, out=out, frames=40)
    encoder = load_face_encoder()
    vectors, found = encoder.embed(frames_of(out)[::5])
    assert found.mean() > 0.8
    others, other_found = encoder.embed(*rendered_people())
    own = vectors[found] @ enrolled.made.face.vector
    strangers = others[other_found] @ enrolled.made.face.vector
    assert own.mean() > strangers.mean() + 0.2


def test_another_seed_moves_otherwise(enrolled: Enrolled, tmp_path: Path) -> None:
    for seed in (1, 2):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / f"{seed}.mp4", frames=16, seed=seed)
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
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", seed=seed)


@pytest.mark.parametrize("frames", [7, 1501, -1])
def test_lengths_out_of_range_are_refused(enrolled: Enrolled, tmp_path: Path, frames: int) -> None:
    with pytest.raises(UsageError, match="8 to 1500"):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", frames=frames)


def test_what_the_consent_does_not_reach_is_not_cast(enrolled: Enrolled, tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match="does not allow video with wan"):
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", generator="wan")


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
            cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", frames=8)
    finally:
        with torch.no_grad():
            engine.denoiser.proj_out.bias.copy_(kept)
    assert not list(tmp_path.iterdir())


def test_the_record_of_a_clip_is_plain(enrolled: Enrolled, tmp_path: Path) -> None:
    made = cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "c.mp4", frames=8)
    assert set(dataclasses.asdict(made)) == {
        "path", "frames", "fps", "seconds", "width", "height", "seed", "generator", "bundle_id",
    }  # fmt: skip
