"""Single benchmark scripts, on the smallest things they take."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.catalogue import ABLATION
from benchmarks.claims import judge
from benchmarks.peers.encoders import load_face, load_voice
from benchmarks.scaling import exponent, measure, print_table
from benchmarks.scaling_plot import draw
from benchmarks.scaling_points import SERIES, Series, per_call
from benchmarks.shots import Shot
from benchmarks.tuning_ablation import FIXED, LOOP, PRIOR, Found, Task, summary
from cameo.adapt.recipe import Recipe

DEEPFACE = """
class DeepFace:
    @staticmethod
    def represent(picture, model, enforce_detection):
        print("as TensorFlow does")
        blue = picture[..., 0].mean()  # OpenCV's order
        small = {"facial_area": {"w": 1, "h": 1}, "embedding": [9.0, 9.0], "face_confidence": 1.0}
        large = {"facial_area": {"w": 9, "h": 9}, "embedding": [3.0, 4.0], "face_confidence": float(blue > 100)}
        return [small, large]
"""


def test_the_exponent_is_that_of_a_power() -> None:
    sizes = [1, 10, 100, 1000]
    for power in (0.0, 1.0, 2.0):
        assert exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


def test_a_call_is_timed_more_than_once() -> None:
    calls: list[int] = []
    assert per_call(lambda: calls.append(sum(range(1000)))) >= 0
    assert len(calls) > 100


def test_the_sizes_of_every_series_rise() -> None:
    for series in SERIES.values():
        assert 4 <= len(series.sizes) <= 6
        assert list(series.sizes) == sorted(set(series.sizes))
        assert len(series.quick) in (0, 3) and list(series.quick) == sorted(set(series.quick))


@pytest.mark.parametrize("name", ["doubles", "grants", "revocations", "receipts"])
def test_a_series_is_measured_and_drawn(
    name: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.scaling_points._LONG_ENOUGH_S", 0.01)
    monkeypatch.setenv("CAMEO_HOME", str(home))  # in-process points set it, and it is put back
    found = measure(SERIES[name], (5, 20), turns=1, apart=False)
    assert all(len(costs) == 2 and min(costs) > 0 for costs in found["processor_s"].values())
    assert found["exponents"] == pytest.approx(found["last"]), "two points have one exponent"
    print_table(name, found)
    assert f"| | 5 {found['unit']} | 20 {found['unit']} | exponent | at the end |" in capsys.readouterr().out
    draw({name: found, "again": found}, tmp_path / "drawn.png")
    assert cv2.imread(str(tmp_path / "drawn.png")) is not None


def test_a_point_that_fails_is_told(tmp_path: Path) -> None:
    broken = Series("grants", "grants", (), (), "no.such.module")
    with pytest.raises(SystemExit, match="grants, 0 grants, failed"):
        measure(Series("grants", "grants", (), (), "benchmarks.scaling_lending"), (0,), turns=1, apart=True)
    with pytest.raises(ModuleNotFoundError):
        measure(broken, (1,), turns=1, apart=False)


def test_deepface_is_asked_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deepface.py").write_text(DEEPFACE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    encoder = load_face(f"deepface:Facenet512@{sys.executable}")
    assert (encoder.info.id, encoder.info.dimension) == ("deepface-Facenet512", 2)
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    frames[1, ..., 2] = 255  # blue
    rows, found = encoder.embed(frames)
    assert found.tolist() == [False, True]
    assert rows == pytest.approx(np.array([[0, 0], [0.6, 0.8]]))


def test_peers_that_are_not_there_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deepface.py").write_text("raise ImportError('none here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SystemExit, match="deepface ended with status 1"):
        load_face("deepface:Facenet512")
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    with pytest.raises(SystemExit, match="Resemblyzer cannot be imported"):
        load_voice("resemblyzer")
    assert load_face("embedded").info.id == "embedded-face-1"


def test_signing_beside_model_signing(tmp_path: Path) -> None:
    pytest.importorskip("model_signing")
    from benchmarks.signing import OURS, PEER, measure

    found = measure(1, 1)
    assert set(found[OURS]) == {"seal", "verify", "open"} and set(found[PEER]) == {"sign", "verify"}
    assert found["notices_a_bit"] == {OURS: True, PEER: True}
    assert 0.9e6 < found["size"] < 1.2e6


def test_claims_of_the_ablation_read_what_it_writes() -> None:
    """The catalogue names its rows without loading it."""
    assert ABLATION.full[3:] == (LOOP, FIXED, PRIOR)
    found = []
    for row, likeness, seconds in ((LOOP, 0.5, 60.0), (FIXED, 0.75, 80.0), (PRIOR, 0.75, 30.0)):
        shot = Shot(row, "a", 0, np.full(16, likeness, np.float32), np.ones(16, bool), float("nan"))
        found.append(Found(Task(row, "a", Recipe()), shot, shot, 0.5, seconds, 1, "", [{"step": 1.0}]))
    result = json.loads(json.dumps(summary(found)))
    assert [judge(claim, [result]).found for claim in ABLATION.claims] == [0.25, 0.0, 0.5]
