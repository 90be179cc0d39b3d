"""Read the largest face of a picture, with a second look, and as the published scripts do."""

from __future__ import annotations

import numpy as np
import pytest

from cameo.embed.face_embedded import EmbeddedFaceEncoder
from cameo.embed.face_insightface import InsightFaceEncoder
from cameo.embed.face_onnx import OnnxFaceEncoder
from cameo.embed.face_reader import FaceReader, PublishedReader
from cameo.faces.landmarks import find_landmarks
from tests.conftest import RenderedPerson
from tests.embed.packs import FIVE, SQUARE, square_frame, write_pack, write_recogniser


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> InsightFaceEncoder:
    return InsightFaceEncoder.load(write_pack(tmp_path_factory.mktemp("reader") / "pack", side=None))


@pytest.fixture(scope="module")
def curricular(tmp_path_factory: pytest.TempPathFactory) -> OnnxFaceEncoder:
    path = tmp_path_factory.mktemp("curricular") / "curricular.onnx"
    write_recogniser(path, seed=7)
    return OnnxFaceEncoder.load(path)


def test_both_readers_agree_where_a_face_is_plain(pack: InsightFaceEncoder, curricular: OnnxFaceEncoder) -> None:
    frame = square_frame(4, 5)
    found, published = (reader(pack, curricular).read(frame) for reader in (FaceReader, PublishedReader))
    assert found is not None and published is not None
    assert np.allclose(found.points[:5], np.array([4, 5]) * SQUARE + FIVE, atol=0.6)
    assert np.isnan(found.points[5:]).all()
    for name in ("points", "vector", "curricular", "crop"):
        assert np.allclose(getattr(found, name), getattr(published, name), atol=1e-5, equal_nan=True)
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-5)
    assert found.crop.shape == (112, 112, 3)


def test_without_curricularface_there_is_no_vector_of_it(pack: InsightFaceEncoder) -> None:
    found = FaceReader(pack).read(square_frame(4, 5))
    assert found is not None and found.curricular is None


def test_no_face(pack: InsightFaceEncoder) -> None:
    blank = np.zeros((320, 320, 3), np.uint8)
    assert FaceReader(pack).read(blank) is None and PublishedReader(pack).read(blank) is None


def test_the_published_second_look(pack: InsightFaceEncoder, curricular: OnnxFaceEncoder) -> None:
    """A quarter of grey around, which the pack's recogniser sees and CurricularFace does not.

    214 pixels and twice 53 are 320: only then does enough of the square lie in one cell of the detector's grid.
    """
    frame = np.random.default_rng(0).integers(0, 60, (214, 214, 3)).astype(np.uint8)
    frame[11:39, 11:39] = 255
    wide = np.full((320, 320, 3), 128, np.uint8)
    wide[53:267, 53:267] = frame
    assert pack.detector.find_at(frame, 320) is None
    found, inside = PublishedReader(pack, curricular).read(frame), PublishedReader(pack, curricular).read(wide)
    assert found is not None and inside is not None
    assert np.allclose(found.points[:5] + 53, np.array([2, 2]) * SQUARE + FIVE, atol=0.6)
    assert np.allclose(found.vector, inside.vector, atol=1e-5)
    assert found.curricular is not None and inside.curricular is not None
    assert not np.allclose(found.curricular, inside.curricular, atol=1e-3)


def test_the_embedded_encoder_looks_again_with_a_margin(person: RenderedPerson) -> None:
    """A face that fills the picture is found, where the cascade alone finds none."""
    frame, points = person.clip.frames[10], person.points[10]
    around = 0.3 * np.ptp(points, axis=0)
    left, top = (points.min(0) - around).astype(int).clip(0)
    right, bottom = (points.max(0) + around).astype(int)
    tight = np.ascontiguousarray(frame[top:bottom, left:right])
    assert np.isnan(find_landmarks(tight[None])).all()
    found = FaceReader(EmbeddedFaceEncoder.load()).read(tight)
    assert found is not None
    assert np.abs(found.points + np.array([left, top]) - points).max() < 8
