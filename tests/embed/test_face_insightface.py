"""The pack encoder against the library it stands in for, on packs made by code and, where it is there, a real one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cameo.embed.crop import plain_crop
from cameo.embed.face import load_face_encoder, see_faces
from cameo.embed.face_detector import FaceDetector
from cameo.embed.face_insightface import InsightFaceEncoder
from cameo.errors import MissingExtra, MissingWeights
from cameo.records import MATCHED
from tests.embed.packs import FIVE, square_frame, write_detector, write_pack, write_recogniser

REAL = Path(__file__).parents[2].parent / "shared"
CELLS = ((3, 3), (6, 4), (4, 6), (5, 5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("root") / "models" / "made")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> InsightFaceEncoder:
    return InsightFaceEncoder.load(folder)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.stack([square_frame(*cell, seed=k) for k, cell in enumerate(CELLS)])


def reference(folder: Path) -> Any:
    """The library's own way: every model on every face."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from insightface.app import FaceAnalysis

        root = str(folder.parents[1])
        analysis = FaceAnalysis(name=folder.name, root=root, providers=["CPUExecutionProvider"])
        analysis.prepare(-1, det_size=(640, 640))
    return analysis


def reference_faces(analysis: Any, frames: np.ndarray) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-image, which it aligns with
        found = [analysis.get(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)) for frame in frames]
    return [max(f, key=lambda x: np.prod(x.bbox[2:] - x.bbox[:2])) if f else None for f in found]


def test_it_gives_what_the_library_gives(folder: Path, encoder: InsightFaceEncoder, frames: np.ndarray) -> None:
    rows, found = encoder.embed(frames)
    theirs = np.stack([face.normed_embedding for face in reference_faces(reference(folder), frames)])
    assert found.all()
    assert np.einsum("nd,nd->n", rows, theirs).min() > 0.999
    assert np.abs(rows @ rows.T - 1)[~np.eye(len(rows), dtype=bool)].min() > 1e-4, "the faces must not be all alike"


def test_points_and_pose_are_the_library_s(folder: Path, encoder: InsightFaceEncoder, frames: np.ndarray) -> None:
    faces = reference_faces(reference(folder), frames)
    for frame, theirs in zip(frames, faces, strict=True):
        ours = encoder.detector.find(frame)
        assert ours is not None
        assert ours.points == pytest.approx(theirs.kps, abs=1e-3)
        assert encoder.landmarks.points(frame, ours) == pytest.approx(theirs.landmark_2d_106, abs=1e-2)
    pitch, yaw, roll = np.stack([face.pose for face in faces]).T
    assert encoder.pose(frames) == pytest.approx(np.stack([yaw, -pitch, roll], 1), abs=1e-2)


def test_yaw_grows_to_the_picture_s_right() -> None:
    from insightface.data import get_object
    from insightface.utils import transform

    mean = get_object("meanshape_68.pkl")
    turn = np.radians(20)
    right = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    turned = mean @ right.T
    nose, eyes = 30, (36, 45)
    assert turned[nose, 0] > turned[list(eyes), 0].mean() + 0.05
    angles = transform.matrix2angle(transform.P2sRt(transform.estimate_affine_matrix_3d23d(mean, turned))[1])
    assert angles[1] == pytest.approx(20, abs=0.5)


def test_a_face_is_aligned_where_its_points_are(encoder: InsightFaceEncoder) -> None:
    frame = square_frame(4, 5)
    face = encoder.detector.find(frame)
    assert face is not None
    assert face.points == pytest.approx(FIVE + [4 * 32, 5 * 32], abs=1e-3)
    given = np.full((1, 10, 2), np.nan, np.float32)
    given[0, :5] = face.points
    assert encoder.embed(frame[None], given)[0] == pytest.approx(encoder.embed(frame[None])[0], abs=1e-6)


def test_the_crop_is_the_library_s() -> None:
    from insightface.utils import face_align

    frame = np.random.default_rng(1).integers(0, 256, (200, 240, 3)).astype(np.uint8)
    for size in (112, 128, 224, 256):
        points = FIVE * 2 + np.array([120, 90], np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = face_align.norm_crop(frame, points, size)
        off = np.abs(plain_crop(frame, points, size).astype(int) - theirs)  # of a picture that is all noise
        assert off.max() <= 8
        assert off.mean() < 0.2


def test_no_face_is_no_vector(encoder: InsightFaceEncoder) -> None:
    frames = np.stack([np.zeros((320, 320, 3), np.uint8), square_frame(4, 4)])
    rows, found = encoder.embed(frames)
    assert found.tolist() == [False, True]
    assert not rows[0].any()
    assert np.isnan(encoder.pose(frames)[0]).all()
    points = np.full((2, 10, 2), np.nan, np.float32)
    assert not encoder.embed(frames, points)[1].any()


def test_nothing_in_nothing_out(encoder: InsightFaceEncoder) -> None:
    rows, found = encoder.embed(np.zeros((0, 64, 64, 3), np.uint8))
    assert rows.shape == (0, 64)
    assert found.shape == (0,)


def test_batches_do_not_change_vectors(encoder: InsightFaceEncoder) -> None:
    frames = np.stack([square_frame(3 + k % 4, 4, seed=k) for k in range(19)])
    rows, _ = encoder.embed(frames)
    alone = np.concatenate([encoder.embed(frame[None])[0] for frame in frames])
    assert rows == pytest.approx(alone, abs=1e-5)


def test_a_recogniser_that_takes_one_face_at_a_time(tmp_path: Path, frames: np.ndarray) -> None:
    write_detector(tmp_path / "det.onnx", 320)
    write_recogniser(tmp_path / "rec.onnx", batch=1)
    single = InsightFaceEncoder.load(tmp_path)
    write_recogniser(tmp_path / "rec.onnx")
    assert single.embed(frames)[0] == pytest.approx(InsightFaceEncoder.load(tmp_path).embed(frames)[0], abs=1e-5)


def test_the_detector_s_own_size_is_used_where_the_file_fixes_it(tmp_path: Path, encoder: InsightFaceEncoder) -> None:
    assert encoder.detector.sides == ((320, 320),)
    free = InsightFaceEncoder.load(write_pack(tmp_path / "free", side=None))
    assert free.detector.sides == ((320, 320), (640, 640))
    small = square_frame(9, 9, side=640)  # half a cell at 320: found at 640 only
    assert free.detector.find(small) is not None
    assert encoder.detector.find(small) is None


def test_a_face_that_fills_the_frame_is_found_in_a_wider_one(encoder: InsightFaceEncoder) -> None:
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[16:48, 16:48] = 255  # scaled up this is far larger than a cell and lies between cells
    seen: list[tuple[int, ...]] = []
    real = encoder.detector._model.detect

    class Picky:
        """Find a face only in a padded picture, as SCRFD does with one that fills the frame."""

        def detect(self, picture: np.ndarray, input_size: tuple[int, int]) -> Any:
            seen.append(picture.shape[:2])
            if picture.shape[0] == frame.shape[0]:
                return np.empty((0, 5)), np.empty((0, 5, 2))
            return np.array([[40, 44, 90, 99, 0.9]]), FIVE[None] + [64, 64]

    assert real is not None
    face = FaceDetector(((320, 320),), Picky()).find(frame)
    assert seen == [(64, 64), (128, 128)]
    assert face is not None
    assert face.points == pytest.approx(FIVE + 32)
    assert face.box.tolist() == [8, 12, 58, 67]


def test_a_face_is_followed_between_looks(encoder: InsightFaceEncoder) -> None:
    texture = cv2.GaussianBlur(np.random.default_rng(4).integers(0, 256, (400, 400, 3)).astype(np.uint8), (0, 0), 3)
    shift = [(k, k // 2) for k in range(20)]
    frames = np.stack([texture[20 + y : 340 + y, 20 + x : 340 + x] for x, y in shift])
    looks: list[int] = []

    class Marked:
        """Know where the face is, which moves against the shift."""

        def detect(self, picture: np.ndarray, input_size: tuple[int, int]) -> Any:
            where = next(k for k, f in enumerate(frames) if np.array_equal(f[..., ::-1], picture))
            looks.append(where)
            points = FIVE * 3 + [160, 150] - shift[where]
            return np.array([[100, 100, 220, 220, 0.9]]), points[None]

    points = FaceDetector(((320, 320),), Marked()).follow(frames, every=8).points
    assert looks == [0, 8, 16]
    truth = np.stack([FIVE * 3 + [160, 150] - np.array(s) for s in shift])
    assert np.abs(points[:, :5] - truth).max() < 1.0
    assert np.isnan(points[:, 5:]).all()
    cut = frames.copy()
    cut[4:] = frames[4:, ::-1]  # another scene: what was followed is not there any more

    class Anywhere:
        def detect(self, picture: np.ndarray, input_size: tuple[int, int]) -> Any:
            looks.append(-1)
            return np.array([[100, 100, 220, 220, 0.9]]), (FIVE * 3 + [160, 150])[None]

    looks.clear()
    FaceDetector(((320, 320),), Anywhere()).follow(cut[:7], every=100)
    assert len(looks) == 2


class Told:
    """A detector that is told, look by look, which faces it finds: `[K, 5, 2]` points; it notes what it was shown."""

    def __init__(self, *looks: np.ndarray) -> None:
        self.left, self.shown = list(looks), 0

    def detect(self, picture: np.ndarray, input_size: tuple[int, int]) -> Any:
        self.shown += 1
        points = (self.left.pop(0) if len(self.left) > 1 else self.left[0]).astype(np.float32)
        low, high = points.min(1) - 20, points.max(1) + 20
        return np.concatenate([low, high, np.full((len(points), 1), 0.9)], 1), points


def still_scene(count: int) -> np.ndarray:
    texture = cv2.GaussianBlur(np.random.default_rng(4).integers(0, 256, (320, 320, 3)).astype(np.uint8), (0, 0), 3)
    return np.repeat(texture[None], count, 0)


def test_what_following_missed_by_is_taken_back_evenly() -> None:
    here = FIVE * 3 + [160, 150]
    seen = FaceDetector(((320, 320),), Told(here[None], here[None] + 4)).follow(still_scene(10), every=8)
    off = (seen.points[:, :5] - here).mean((1, 2))
    assert off == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4], abs=0.05)


def test_somebody_else_s_face_is_no_drift() -> None:
    here = FIVE * 2 + [80, 80]
    seen = FaceDetector(((320, 320),), Told(here[None], here[None] + 120)).follow(still_scene(6), every=4)
    assert np.abs(seen.points[:4, :5] - here).max() < 1
    assert np.abs(seen.points[4:, :5] - here - 120).max() < 1


def test_the_main_face_stays_the_main_face() -> None:
    """Somebody whose face is larger comes in later."""
    here, other = FIVE * 2 + [80, 80], FIVE * 3 + [230, 220]
    looks = Told(here[None], np.stack([other, here]), np.stack([other, here]))
    seen = FaceDetector(((320, 320),), looks).follow(still_scene(6), every=2)
    assert np.abs(seen.points[:, :5] - here).max() < 1
    assert seen.faces.tolist() == [1, 1, 2, 2, 2, 2]
    assert seen.boxes[0] == pytest.approx([*(here.min(0) - 20), *(np.ptp(here, axis=0) + 40)], abs=1)


def test_where_there_is_no_face_only_some_frames_are_looked_at() -> None:
    nobody = Told(np.zeros((0, 5, 2)))
    seen = FaceDetector(((320, 320), (640, 640)), nobody).follow(still_scene(11))
    assert nobody.shown == 3 * 3, "frames 0, 5 and 10, at two sizes and in the wider frame"
    assert not seen.faces.any()
    assert np.isnan(seen.points).all()
    assert np.isnan(seen.boxes).all()


def test_pose_is_read_while_following(encoder: InsightFaceEncoder) -> None:
    frames = np.repeat(square_frame(4, 4)[None], 7, 0)
    shares: list[float] = []
    seen = encoder.follow(frames, progress=lambda _label, share: shares.append(share))
    expected = encoder.pose(frames[:1])
    assert np.isfinite(expected).all()
    assert seen.pose_deg == pytest.approx(np.repeat(expected, 7, 0), abs=0.5)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    dark = np.concatenate([frames[:2], np.zeros_like(frames[:2])])
    assert np.isfinite(encoder.follow(dark).pose_deg).all(1).tolist() == [True, True, False, False]


def test_only_an_encoder_with_a_detector_sees_faces(encoder: InsightFaceEncoder, frames: np.ndarray) -> None:
    assert see_faces(load_face_encoder(), frames) is None
    seen = see_faces(encoder, frames)
    assert seen is not None
    assert seen.points.shape == (len(frames), 10, 2)
    assert np.isnan(seen.points[:, 5:]).all()


def test_it_says_what_it_is(folder: Path, encoder: InsightFaceEncoder) -> None:
    info = encoder.info
    lines = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*_made.onnx"))}
    assert encoder.files == lines
    assert info.digest == hashlib.sha256("".join(f"{n} {d}\n" for n, d in sorted(lines.items())).encode()).hexdigest()
    assert (info.id, info.modality, info.dimension) == ("insightface:det_made+rec_made", "face", 64)
    assert info.assurance == MATCHED
    assert "non-commercial" in info.licence
    assert "not measured" in info.threshold_source
    assert load_face_encoder(f"insightface:{folder}").info == info
    assert load_face_encoder(f"insightface:{folder}@cpu").info == info


def test_a_known_name_is_looked_up_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    monkeypatch.chdir(tmp_path)
    write_pack(tmp_path / "buffalo_l")
    with pytest.raises(MissingWeights, match="buffalo_l is not on this machine") as refusal:
        load_face_encoder("insightface:buffalo_l")
    assert refusal.value.hint == "get it with: cameo models pull buffalo_l"
    assert load_face_encoder("insightface:./buffalo_l").info.dimension == 64
    forged = write_pack(tmp_path / "home" / "models" / "buffalo_l")
    (forged / "det_made.onnx").rename(forged / "det_10g.onnx")
    (forged / "rec_made.onnx").rename(forged / "w600k_r50.onnx")
    with pytest.raises(MissingWeights, match="is not the file of buffalo_l"):
        load_face_encoder("insightface:buffalo_l")


def test_cuda_is_used_only_where_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MissingExtra, match="has no CUDA"):
        load_face_encoder(f"insightface:{folder}@cuda")


def test_a_measured_pack_says_so(tmp_path: Path) -> None:
    from benchmarks.verification import write_calibration
    from cameo.embed.calibration import fit_calibration

    folder = write_pack(tmp_path / "pack")
    info = InsightFaceEncoder.load(folder).info
    rng = np.random.default_rng(3)
    genuine, impostor = rng.normal(0.7, 0.1, 500).clip(-1, 1), rng.normal(0.0, 0.1, 2000).clip(-1, 1)
    found = fit_calibration(genuine.astype(np.float32), impostor.astype(np.float32), info, "pairs made by a test")
    write_calibration(folder / "calibration.json", found)
    measured = InsightFaceEncoder.load(folder).info
    assert measured.threshold == found.threshold(0.01).score
    assert measured.threshold_source.startswith("pairs made by a test; 1.0% false accepts")
    write_recogniser(folder / "rec_made.onnx", seed=9)
    assert "not measured" in InsightFaceEncoder.load(folder).info.threshold_source
    (folder / "calibration.json").write_bytes(b"[{}]")
    with pytest.raises(MissingWeights, match="cannot be read"):
        InsightFaceEncoder.load(folder)


@pytest.mark.slow
@pytest.mark.skipif(
    not (REAL / "models").is_dir() or not (REAL / "media").is_dir(), reason="no real pack or clips here"
)
def test_a_real_pack_on_real_clips_matches_the_library() -> None:
    from cameo.capture.clip import read_clip

    folder = REAL / "models" / "insightface" / "models" / "edge_s"
    encoder, analysis = InsightFaceEncoder.load(folder), reference(folder)
    for name in ("person_e", "person_h"):
        clip = read_clip(REAL / "media" / f"{name}.mp4")
        frames = clip.frames[:48]
        rows, found = encoder.embed(frames[::12])
        faces = reference_faces(analysis, frames[::12])
        pairs = [(row, face.normed_embedding) for row, face in zip(rows, faces, strict=True) if face is not None]
        assert len(pairs) >= 3
        assert min(a @ b for a, b in pairs) > 0.999
        assert found.all()
        followed, _ = encoder.embed(frames[6::12], encoder.follow(frames).points[6::12])
        looked, _ = encoder.embed(frames[6::12])
        assert np.einsum("nd,nd->n", followed, looked).min() > 0.95
