"""Packs that are none: truncated, with parts missing, of other shapes, or that cannot run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cameo.embed.face_insightface import InsightFaceEncoder
from cameo.embed.face_pose import POSE_TASK, PackLandmarks
from cameo.errors import MissingWeights
from tests.embed.packs import square_frame, write_detector, write_pack, write_recogniser

CELLS = ((3, 3), (6, 4), (4, 6), (5, 5))


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.stack([square_frame(*cell, seed=k) for k, cell in enumerate(CELLS)])


def spoil_detector(path: Path, what: str) -> None:
    """Give a detector eight numbers for its landmarks, or a score for half of its boxes only."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        if what == "four landmarks" and tensor.name.startswith("points"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[:, :8], tensor.name))
    for output in model.graph.output:
        if what == "four landmarks" and output.name.startswith("points"):
            output.type.tensor_type.shape.dim[1].dim_value = 8
    for node in model.graph.node:
        if what == "scores for fewer" and node.op_type == "Concat":
            del node.input[1]
    onnx.save(model, str(path))


def broken(folder: Path, what: str) -> None:
    write_detector(folder / "det.onnx", 320, landmarks=what != "no landmarks")
    write_recogniser(folder / "rec.onnx", rank=3 if what == "rank" else 2, batch=4 if what == "batch" else "N")
    if what == "truncated":
        (folder / "rec.onnx").write_bytes((folder / "rec.onnx").read_bytes()[:20_000])
    elif what == "noise":
        (folder / "rec.onnx").write_bytes(np.random.default_rng(0).bytes(5000))
    elif what == "two":
        write_recogniser(folder / "second.onnx")
    elif what in ("no detector", "no recogniser"):
        (folder / ("det.onnx" if what == "no detector" else "rec.onnx")).unlink()
    elif what == "few numbers":
        write_recogniser(folder / "rec.onnx", dimension=3)
    elif what in ("four landmarks", "scores for fewer"):
        spoil_detector(folder / "det.onnx", what)
    elif what == "elsewhere":
        import onnx

        model = onnx.load(str(folder / "rec.onnx"))
        onnx.save_model(model, str(folder / "rec.onnx"), save_as_external_data=True, size_threshold=0)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no landmarks", "gives no landmarks"),
        ("scores for fewer", "cannot run the detector"),
        ("rank", r"gives \[1, 1, 64\], not \[N, D\] vectors"),
        ("batch", "takes 4 faces at once"),
        ("truncated", "cannot read"),
        ("noise", "cannot read"),
        ("two", "two models for recognition: rec.onnx and second.onnx"),
        ("no detector", "no model for detection"),
        ("no recogniser", "no model for recognition"),
        ("few numbers", "not \\[N, D\\] vectors"),
        ("elsewhere", "keeps its weights in other files"),
    ],
)
def test_packs_that_are_none(tmp_path: Path, what: str, said: str) -> None:
    broken(tmp_path, what)
    with pytest.raises(MissingWeights, match=said) as refusal:
        InsightFaceEncoder.load(tmp_path)
    assert refusal.value.exit_code == 5
    assert refusal.value.hint


def test_a_detector_of_other_landmarks_says_so_at_the_first_face(tmp_path: Path, frames: np.ndarray) -> None:
    """The library gives no landmarks at all while there is no face, so loading cannot tell."""
    broken(tmp_path, "four landmarks")
    encoder = InsightFaceEncoder.load(tmp_path)
    for use in (encoder.embed, encoder.follow):
        with pytest.raises(MissingWeights, match=r"gives \[1, 4, 2\], not \[N, 5, 2\] landmarks"):
            use(frames)


def test_a_pose_model_that_cannot_run_says_so(tmp_path: Path, frames: np.ndarray) -> None:
    encoder = InsightFaceEncoder.load(write_pack(tmp_path / "pack"))

    class Fails:
        def get(self, picture: np.ndarray, face: object) -> None:
            raise RuntimeError("Invalid rank for input\nmore of it")

    broken_pose = replace(encoder, landmarks=PackLandmarks({POSE_TASK: Fails()}))
    with pytest.raises(MissingWeights, match="cannot run the model for landmark_3d_68: Invalid rank for input$"):
        broken_pose.follow(frames)


@pytest.mark.parametrize("place", ["nothing-here", "file"])
def test_folders_that_are_none(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MissingWeights, match="no InsightFace pack at"):
        InsightFaceEncoder.load(tmp_path / place)
