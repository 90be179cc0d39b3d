from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest

from cameo.embed.face import load_face_encoder
from cameo.embed.face_embedded import EmbeddedFaceEncoder
from cameo.embed.template import compare, pool
from cameo.errors import MissingWeights, UsageError
from cameo.records import CONSISTENCY_ONLY, Template
from tests.embed.conftest import PEOPLE, SCENES, Crowd


@pytest.fixture(scope="module")
def encoder() -> EmbeddedFaceEncoder:
    return EmbeddedFaceEncoder.load()


@pytest.fixture(scope="module")
def templates(encoder: EmbeddedFaceEncoder, crowd: Crowd) -> list[list[Template]]:
    """One template per scene and person."""
    vectors, found = encoder.embed(crowd.frames, crowd.points)
    assert found.all()
    return [
        [pool(vectors[(crowd.people == p) & (crowd.scenes == s)], None, encoder.info) for p in range(PEOPLE)]
        for s in range(SCENES)
    ]


def test_one_person_is_nearer_than_another_in_another_scene(templates: list[list[Template]]) -> None:
    scores = np.array([[compare(a, b) for b in templates[1]] for a in templates[0]])
    assert (scores.argmax(0) == np.arange(PEOPLE)).all()
    assert (scores.argmax(1) == np.arange(PEOPLE)).all()
    own = np.diag(scores)
    assert own.min() > scores[~np.eye(PEOPLE, dtype=bool)].max() + 0.05


def test_the_threshold_separates_them(templates: list[list[Template]], encoder: EmbeddedFaceEncoder) -> None:
    scores = np.array([[compare(a, b) for b in templates[1]] for a in templates[0]])
    assert (np.diag(scores) > encoder.info.threshold).all()
    assert (scores[~np.eye(PEOPLE, dtype=bool)] < encoder.info.threshold).all()


def test_single_frames_find_their_person(encoder: EmbeddedFaceEncoder, crowd: Crowd) -> None:
    vectors, _ = encoder.embed(crowd.frames, crowd.points)
    first, second = crowd.scenes == 0, crowd.scenes == 1
    nearest = crowd.people[second][(vectors[first] @ vectors[second].T).argmax(1)]
    assert (nearest == crowd.people[first]).mean() > 0.8


def test_rows_are_unit_and_do_not_depend_on_their_batch(encoder: EmbeddedFaceEncoder, crowd: Crowd) -> None:
    together, _ = encoder.embed(crowd.frames[:3], crowd.points[:3])
    alone, _ = encoder.embed(crowd.frames[1:2], crowd.points[1:2])
    assert together.dtype == np.float32
    assert together.shape == (3, encoder.info.dimension)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert together[1] == pytest.approx(alone[0], abs=1e-5)


def test_frames_without_points_are_rows_of_zeros(encoder: EmbeddedFaceEncoder, crowd: Crowd) -> None:
    points = crowd.points[:3].copy()
    points[1] = np.nan
    vectors, found = encoder.embed(crowd.frames[:3], points)
    assert found.tolist() == [True, False, True]
    assert not vectors[1].any()


def test_it_finds_the_face_itself(encoder: EmbeddedFaceEncoder, crowd: Crowd) -> None:
    own, found = encoder.embed(crowd.frames)
    given, _ = encoder.embed(crowd.frames, crowd.points)
    assert found.mean() > 0.5
    # Found landmarks differ a little from the exact ones; the face is the same.
    assert np.median((own * given).sum(1)[found]) > 0.75


def test_a_blank_picture_has_no_face(encoder: EmbeddedFaceEncoder) -> None:
    vectors, found = encoder.embed(np.full((1, 120, 160, 3), 90, np.uint8))
    assert not found.any()
    assert not vectors.any()


def test_a_uniform_crop_gives_a_finite_row(encoder: EmbeddedFaceEncoder, crowd: Crowd) -> None:
    vectors, found = encoder.embed(np.zeros((1, 112, 112, 3), np.uint8), crowd.points[:1])
    assert found.all()
    assert np.isfinite(vectors).all()


def test_no_frames_give_no_rows(encoder: EmbeddedFaceEncoder) -> None:
    vectors, found = encoder.embed(np.zeros((0, 64, 64, 3), np.uint8), np.zeros((0, 10, 2), np.float32))
    assert vectors.shape == (0, encoder.info.dimension)
    assert found.shape == (0,)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((64, 64, 3), np.uint8), np.zeros((1, 64, 64), np.uint8), np.zeros((1, 64, 64, 3), np.float32)],
)
def test_frames_of_another_shape_or_type_are_refused(encoder: EmbeddedFaceEncoder, frames: np.ndarray) -> None:
    with pytest.raises(UsageError, match="frames of shape"):
        encoder.embed(frames)


@pytest.mark.parametrize("shape", [(2, 10, 2), (1, 5, 2), (1, 10)])
def test_points_of_another_shape_are_refused(encoder: EmbeddedFaceEncoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="points of shape"):
        encoder.embed(np.zeros((1, 64, 64, 3), np.uint8), np.zeros(shape, np.float32))


def test_it_says_what_it_is(encoder: EmbeddedFaceEncoder) -> None:
    info = encoder.info
    weights = (files("cameo.embed") / "weights" / "face.safetensors").read_bytes()
    assert info.digest == hashlib.sha256(weights).hexdigest()
    assert info.assurance == CONSISTENCY_ONLY
    assert info.modality == "face"
    assert 0 < info.threshold < 1
    assert "benchmarks/" in info.threshold_source
    assert len(weights) < 3_000_000


def test_the_default_is_this_encoder(encoder: EmbeddedFaceEncoder) -> None:
    assert load_face_encoder().info == load_face_encoder("embedded").info == encoder.info


@pytest.mark.parametrize("spec", ["", "arcface", "insightface", "insightface:", "embedded:x"])
def test_other_names_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="unknown face model") as refusal:
        load_face_encoder(spec)
    assert refusal.value.exit_code == 2


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    with as_file(files("cameo.embed") / "weights") as folder:
        shutil.copytree(folder, tmp_path / "weights")
    return tmp_path / "weights"


def test_copied_weights_load(copied: Path, encoder: EmbeddedFaceEncoder) -> None:
    assert EmbeddedFaceEncoder.load(copied).info == encoder.info


@pytest.mark.parametrize("name", ["face.safetensors", "face.json"])
def test_missing_weights_are_reported(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(MissingWeights, match="not there") as refusal:
        EmbeddedFaceEncoder.load(copied)
    assert refusal.value.exit_code == 5


def test_changed_weights_are_refused(copied: Path) -> None:
    path = copied / "face.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(MissingWeights, match="differ from their digest"):
        EmbeddedFaceEncoder.load(copied)


def test_truncated_weights_are_refused(copied: Path) -> None:
    path = copied / "face.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MissingWeights):
        EmbeddedFaceEncoder.load(copied)


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"encoder": {}, "threshold": {}}'])
def test_broken_facts_are_refused(copied: Path, facts: str) -> None:
    (copied / "face.json").write_text(facts)
    with pytest.raises(MissingWeights, match="cannot be read"):
        EmbeddedFaceEncoder.load(copied)


def test_weights_without_a_tensor_are_refused(copied: Path) -> None:
    facts = json.loads((copied / "face.json").read_text())
    voice = (copied / "voice.safetensors").read_bytes()
    (copied / "face.safetensors").write_bytes(voice)
    facts["encoder"]["sha256"] = hashlib.sha256(voice).hexdigest()
    (copied / "face.json").write_text(json.dumps(facts))
    with pytest.raises(MissingWeights, match="cannot be read"):
        EmbeddedFaceEncoder.load(copied)
