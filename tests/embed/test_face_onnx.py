"""Any ArcFace-style ONNX file: aligned by our detector, trusted only as far as somebody measured it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from cameo.embed import brought
from cameo.embed.calibration import Calibration, Threshold
from cameo.embed.face import load_face_encoder
from cameo.embed.face_onnx import OnnxFaceEncoder
from cameo.errors import EncoderMismatch, MissingWeights
from cameo.records import CONSISTENCY_ONLY, MATCHED
from tests.embed.conftest import Crowd
from tests.embed.packs import write_detector, write_landmarks, write_recogniser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "arcface.onnx"
    write_recogniser(path)
    return path


@pytest.fixture(scope="module")
def encoder(file: Path) -> OnnxFaceEncoder:
    return OnnxFaceEncoder.load(file)


def test_faces_are_aligned_and_encoded_as_arcface_does(encoder: OnnxFaceEncoder, file: Path, crowd: Crowd) -> None:
    frames, points = crowd.frames[:6], crowd.points[:6]
    rows, found = encoder.embed(frames, points)
    assert found.all()
    weight = onnx.numpy_helper.to_array(onnx.load(str(file)).graph.initializer[0])
    from cameo.embed.crop import plain_crop

    for row, frame, ten in zip(rows, frames, points, strict=True):
        pixels = (plain_crop(frame, ten[:5]).astype(np.float32) - 127.5) / 127.5
        cells = pixels.transpose(2, 0, 1).reshape(3, 14, 8, 14, 8).mean((2, 4)).ravel()
        by_hand = cells @ weight
        assert row == pytest.approx(by_hand / np.linalg.norm(by_hand), abs=1e-4)


def test_it_finds_faces_itself(encoder: OnnxFaceEncoder, crowd: Crowd) -> None:
    frames = np.stack(
        [cv2.resize(frame, (320, 320)) for frame in crowd.frames[:3]] + [np.zeros((320, 320, 3), np.uint8)]
    )
    rows, found = encoder.embed(frames)
    assert found[:3].any()
    assert not found[3]
    assert not rows[3].any()
    assert np.linalg.norm(rows[found], axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [112, 224])
def test_the_input_size_is_read_from_the_file(tmp_path: Path, crowd: Crowd, size: int) -> None:
    write_recogniser(tmp_path / "rec.onnx", size=size, dimension=96)
    encoder = OnnxFaceEncoder.load(tmp_path / "rec.onnx")
    rows, _ = encoder.embed(crowd.frames[:2], crowd.points[:2])
    assert rows.shape == (2, 96)
    assert encoder._recogniser.size == size


def test_a_graph_that_centres_its_pixels_gets_them_as_they_are(tmp_path: Path, file: Path, crowd: Crowd) -> None:
    model = onnx.load(str(file))
    graph = model.graph
    graph.node[0].input[0] = "centred"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([127.5], np.float32), "half"))
    graph.initializer.append(onnx.numpy_helper.from_array(np.array([1 / 127.5], np.float32), "scale"))
    graph.node.insert(0, onnx.helper.make_node("Sub", ["input.1", "half"], ["shifted"], name="Sub_0"))
    graph.node.insert(1, onnx.helper.make_node("Mul", ["shifted", "scale"], ["centred"], name="Mul_1"))
    onnx.save(model, str(tmp_path / "own.onnx"))
    rows, _ = OnnxFaceEncoder.load(tmp_path / "own.onnx").embed(crowd.frames[:3], crowd.points[:3])
    same, _ = OnnxFaceEncoder.load(file).embed(crowd.frames[:3], crowd.points[:3])
    assert rows == pytest.approx(same, abs=1e-4)


def test_it_promises_little(encoder: OnnxFaceEncoder, file: Path) -> None:
    info = encoder.info
    assert (info.id, info.modality, info.dimension) == ("onnx:arcface", "face", 64)
    assert info.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert info.assurance == CONSISTENCY_ONLY
    assert "not measured" in info.threshold_source
    assert "not known" in info.licence
    assert load_face_encoder(f"onnx:{file}").info == info


def test_a_calibration_of_these_very_weights_makes_it_matched(tmp_path: Path) -> None:
    from benchmarks.verification import write_calibration

    file = tmp_path / "arcface.onnx"
    write_recogniser(file)
    plain = OnnxFaceEncoder.load(file).info
    limits = (Threshold(0.1, 0.2, 0.12), Threshold(0.01, 0.31, 0.013))
    measured = Calibration(plain.id, plain.digest, 10.0, -3.0, 500, 2000, limits, "some pairs")
    write_calibration(tmp_path / brought.CALIBRATION, measured)
    info = OnnxFaceEncoder.load(file).info
    assert (info.assurance, info.threshold) == (MATCHED, 0.31)
    assert info.threshold_source == "some pairs; 1.0% false accepts, at most 1.30%"
    loose = Calibration(plain.id, plain.digest, 10.0, -3.0, 20, 200, limits[:1], "too few pairs")
    write_calibration(tmp_path / brought.CALIBRATION, loose)
    assert OnnxFaceEncoder.load(file).info == plain, "a rate of 10 % is not enough"
    write_calibration(tmp_path / brought.CALIBRATION, measured)
    write_recogniser(file, seed=5)
    other = OnnxFaceEncoder.load(file).info
    assert other.assurance == CONSISTENCY_ONLY, "it was measured for other weights"
    with (tmp_path / brought.CALIBRATION).open("wb") as out:
        out.truncate((1 << 20) + 1)
    with pytest.raises(MissingWeights, match="too long to be a calibration"):
        OnnxFaceEncoder.load(file)


def test_vectors_of_two_files_do_not_compare(tmp_path: Path, encoder: OnnxFaceEncoder, crowd: Crowd) -> None:
    from cameo.embed.template import compare, pool

    write_recogniser(tmp_path / "arcface.onnx", seed=7)
    other = OnnxFaceEncoder.load(tmp_path / "arcface.onnx")
    made = [pool(e.embed(crowd.frames[:12], crowd.points[:12])[0], None, e.info) for e in (encoder, other)]
    with pytest.raises(EncoderMismatch):
        compare(*made)
    assert replace(other.info, digest=encoder.info.digest) == encoder.info


def write_wrong(path: Path, what: str) -> None:
    if what == "detector":
        write_detector(path)
    elif what == "landmarks":
        write_landmarks(path, 212)
    elif what == "rank":
        write_recogniser(path, rank=3)
    elif what == "few numbers":
        write_recogniser(path, dimension=8)
    elif what == "text":
        path.write_text("no model")
    elif what == "no number":
        write_recogniser(path)
        model = onnx.load(str(path))
        weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
        weight[:] = np.nan
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "weight"))
        onnx.save(model, str(path))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("detector", "is no recogniser"),
        ("landmarks", "is no recogniser"),
        ("rank", r"not \[N, D\] vectors"),
        ("few numbers", r"not \[N, D\] vectors"),
        ("text", "cannot read"),
        ("no number", "is no number"),
        ("missing", "no recogniser at"),
    ],
)
def test_files_that_are_none(tmp_path: Path, what: str, said: str) -> None:
    path = tmp_path / "wrong.onnx"
    write_wrong(path, what)
    with pytest.raises(MissingWeights, match=said) as refusal:
        load_face_encoder(f"onnx:{path}")
    assert "ArcFace" in refusal.value.hint
