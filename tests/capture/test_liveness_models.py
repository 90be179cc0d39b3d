"""Networks that somebody brings for liveness: they get what they were made for, say so, and decide nothing."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from cameo.capture.liveness import judge_liveness
from cameo.capture.liveness_models import load_liveness_model, weigh_pictures
from cameo.capture.minifasnet import face_box, scaled_crop
from cameo.errors import CameoError, MissingWeights, UsageError
from cameo.records import Clip, FaceTrack
from tests.capture.answering import NOW, answer, fixed_challenge
from tests.capture.liveness_nets import NATS, V1SE, V2, write_addon, write_minifasnet
from tests.conftest import RenderedPerson

BLUE, RED = (30, 60, 200), (200, 60, 30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("minifasnet")
    write_minifasnet(made / V2)
    write_minifasnet(made / V1SE)
    return made


def tinted(clip: Clip, colour: tuple[int, int, int]) -> Clip:
    """The clip as one colour: all that the made networks look at."""
    return dataclasses.replace(clip, frames=np.broadcast_to(np.array(colour, np.uint8), clip.frames.shape).copy())


def farther(clip: Clip, track: FaceTrack, by: int = 64) -> tuple[Clip, FaceTrack]:
    """The same with `by` more pixels on all sides."""
    frames = np.pad(clip.frames, ((0, 0), (by, by), (by, by), (0, 0)), "edge")
    return dataclasses.replace(clip, frames=frames), dataclasses.replace(track, points=track.points + np.float32(by))


@pytest.mark.parametrize(("colour", "passed"), [(BLUE, True), (RED, False)])
def test_two_networks_make_one_piece_of_evidence(
    folder: Path, person: RenderedPerson, person_track: FaceTrack, colour: tuple[int, int, int], passed: bool
) -> None:
    model = load_liveness_model(f"minifasnet:{folder}")
    piece = weigh_pictures(tinted(person.clip, colour), person_track, model)
    power = float(np.exp(NATS * (colour[2] - colour[0])))
    assert piece.score == pytest.approx(power / (power + 2), abs=1e-4), "BGR, not divided by 255, through a softmax"
    assert (piece.name, piece.passed, piece.decides, piece.weight) == ("rgb", passed, False, 1.0)
    digest = hashlib.sha256((folder / V2).read_bytes()).hexdigest()
    assert f"2.7_80x80_MiniFASNetV2 ({digest[:12]}) + 4_0_0_80x80_MiniFASNetV1SE" in piece.measured
    assert "12 frames" in piece.measured
    assert "Apache-2.0" in piece.meaning


def test_a_network_that_ends_with_the_softmax_gets_no_second_one(
    tmp_path: Path, person: RenderedPerson, person_track: FaceTrack
) -> None:
    clip = tinted(person.clip, BLUE)
    bare, whole = (
        load_liveness_model(f"onnx:{write_minifasnet(tmp_path / f'{name}_MiniFASNetV2.onnx', softmax=softmax)}")
        for name, softmax in (("bare", False), ("whole", True))
    )
    scores = [weigh_pictures(clip, person_track, model).score for model in (bare, whole)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert "not known" in bare.licence


def test_the_addon_runs_in_insightface_own_code(
    tmp_path: Path, person: RenderedPerson, person_track: FaceTrack
) -> None:
    model = load_liveness_model(f"insightface:{write_addon(tmp_path / 'liveness.onnx')}")
    clip, track = farther(person.clip, person_track)
    blue, red = (weigh_pictures(tinted(clip, colour), track, model) for colour in (BLUE, RED))
    assert blue.score == pytest.approx(1 / (1 + np.exp(-10 * 170 / 255)), abs=1e-3), "RGB, divided by 255"
    assert (blue.passed, red.passed) == (True, False)
    assert "not the published one" in blue.measured
    assert "non-commercial" in model.licence


def test_what_fills_the_picture_is_not_told_by_the_addon(
    tmp_path: Path, person: RenderedPerson, person_track: FaceTrack
) -> None:
    model = load_liveness_model(f"insightface:{write_addon(tmp_path / 'liveness.onnx')}")
    piece = weigh_pictures(person.clip, person_track, model)
    assert piece.passed is None
    assert "fills the picture" in piece.meaning


def test_no_face_is_not_held_against_anybody(folder: Path, person: RenderedPerson, person_track: FaceTrack) -> None:
    gone = dataclasses.replace(person_track, found=np.zeros(len(person_track.found), bool))
    piece = weigh_pictures(person.clip, gone, load_liveness_model(f"minifasnet:{folder}"))
    assert piece.passed is None
    assert piece.score == 0.5


def test_a_network_cannot_fail_a_challenge_that_was_passed(folder: Path) -> None:
    challenge = fixed_challenge()
    good = answer(challenge)
    points = np.tile(np.array([[40, 40], [56, 40], [48, 50], [42, 58], [54, 58]] * 2), (len(good.track.found), 1, 1))
    points[:, 7:] = [[48, 66], [34, 48], [62, 48]]
    track = dataclasses.replace(good.track, points=points.astype(np.float32))
    piece = weigh_pictures(tinted(good.clip, RED), track, load_liveness_model(f"minifasnet:{folder}"))
    assert piece.passed is False
    verdict = judge_liveness(good.clip, good.track, good.speech, challenge, NOW, [piece])
    assert verdict.live
    assert piece in verdict.warnings
    assert "rgb against" in verdict.summary()


def reference_box(width: int, height: int, box: tuple[float, ...], scale: float) -> tuple[int, ...]:
    """What src/generate_patches.py of Silent-Face-Anti-Spoofing computes, step by step."""
    x, y, w, h = box
    scale = min((height - 1) / h, min((width - 1) / w, scale))
    new_width, new_height = w * scale, h * scale
    middle_x, middle_y = w / 2 + x, h / 2 + y
    left, top = middle_x - new_width / 2, middle_y - new_height / 2
    right, bottom = middle_x + new_width / 2, middle_y + new_height / 2
    if left < 0:
        right, left = right - left, 0
    if top < 0:
        bottom, top = bottom - top, 0
    if right > width - 1:
        left, right = left - (right - width + 1), width - 1
    if bottom > height - 1:
        top, bottom = top - (bottom - height + 1), height - 1
    return int(left), int(top), int(right), int(bottom)


@pytest.mark.parametrize("scale", [2.7, 4.0])
@pytest.mark.parametrize("box", [(80, 70, 30, 40), (5, 4, 30, 40), (170, 120, 25, 20), (20, 10, 150, 140)])
def test_the_crop_is_the_project_s(scale: float, box: tuple[float, float, float, float]) -> None:
    height, width = 160, 200
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.arange(width)[None], np.arange(height)[:, None]
    left, top, right, bottom = reference_box(width, height, box, scale)
    crop = scaled_crop(frame, box, scale).astype(float)
    step_x, step_y = (right - left + 1) / 80, (bottom - top + 1) / 80
    assert crop[40, 0, 0] == pytest.approx(left, abs=step_x)
    assert crop[40, -1, 0] == pytest.approx(right, abs=step_x)
    assert crop[0, 40, 1] == pytest.approx(top, abs=step_y)
    assert crop[-1, 40, 1] == pytest.approx(bottom, abs=step_y)


def test_the_box_holds_the_face(person: RenderedPerson, person_track: FaceTrack) -> None:
    points = person_track.points[int(np.flatnonzero(person_track.found)[0])]
    x, y, w, h = face_box(points)
    assert (points[:, 0] >= x - 1e-3).all()
    assert (points[:, 0] <= x + w + 1e-3).all()
    assert (points[:, 1] >= y).all()
    assert 0.6 < w / h < 1.3


def poisoned(path: Path) -> None:
    write_minifasnet(path)
    model = onnx.load(str(path))
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.full((3, 3), np.nan, np.float32), "weight"))
    onnx.save(model, str(path))


def truncated(path: Path) -> None:
    path.write_bytes(write_minifasnet(path).read_bytes()[:-40])


def elsewhere(path: Path) -> None:
    write_minifasnet(path)
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, size_threshold=0, location="beside.bin")


def sprawling(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "two classes": (lambda path: write_minifasnet(path, classes=2), r"not \[N, 3\] classes"),
    "another size": (lambda path: write_minifasnet(path, side=128), r"not \[N, 3, 80, 80\] pictures"),
    "four at once": (lambda path: write_minifasnet(path, batch=4), r"not \[N, 3, 80, 80\] pictures"),
    "an addon": (write_addon, r"not \[N, 3\] classes"),
    "no number": (poisoned, "is no number"),
    "truncated": (truncated, "cannot read"),
    "text": (lambda path: path.write_text("no model"), "cannot read"),
    "weights elsewhere": (elsewhere, "in other files"),
    "too large": (sprawling, "larger than any known"),
    "missing": (lambda path: None, "no such file"),
}


@pytest.mark.parametrize("what", WRONG)
def test_files_that_are_no_minifasnet(tmp_path: Path, what: str) -> None:
    make, said = WRONG[what]
    make(tmp_path / V2)
    with pytest.raises(MissingWeights, match=said) as refusal:
        load_liveness_model(f"onnx:{tmp_path / V2}")
    assert "minifasnet:" in refusal.value.hint
    assert "\n" not in refusal.value.message


@pytest.mark.parametrize("make", [write_minifasnet, poisoned, truncated, lambda path: write_addon(path, gain=np.nan)])
def test_files_that_are_no_addon(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "liveness.onnx")
    with pytest.raises(MissingWeights):
        load_liveness_model(f"insightface:{tmp_path / 'liveness.onnx'}")


def test_a_name_that_does_not_tell_the_scale(tmp_path: Path) -> None:
    write_minifasnet(tmp_path / "model.onnx")
    with pytest.raises(MissingWeights, match="does not tell how much around the face") as refusal:
        load_liveness_model(f"onnx:{tmp_path / 'model.onnx'}")
    assert V2 in refusal.value.hint


@pytest.mark.parametrize("spec", ["", "minifasnet", "minifasnet:", "magic:thing", "onnx:"])
def test_names_of_no_model(spec: str) -> None:
    with pytest.raises(UsageError, match="unknown liveness model"):
        load_liveness_model(spec)


def test_an_empty_folder_and_a_folder_for_a_file(tmp_path: Path) -> None:
    for spec in (f"minifasnet:{tmp_path}", f"minifasnet:{tmp_path / 'none'}", f"insightface:{tmp_path}"):
        with pytest.raises(CameoError):
            load_liveness_model(spec)
