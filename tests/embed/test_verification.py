"""The benchmark of encoders: its rates against counting by hand, its folders, and what it writes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from benchmarks import verification
from benchmarks.error_rates import Pairs
from benchmarks.verification import evaluate, true_accepts
from benchmarks.verification_plots import curve
from benchmarks.verification_sets import PICTURES, SOUNDS, Compared, compare_folder, embed_voice, list_samples
from cameo.embed.calibration import find_calibration
from cameo.embed.voice_embedded import EmbeddedVoiceEncoder
from tests.embed.voices import RATE_HZ, speak


def pairs_of(genuine: list[float], impostor: list[float]) -> Pairs:
    score = np.array(genuine + impostor, np.float32)
    same = np.arange(len(score)) < len(genuine)
    return Pairs(score, same, np.arange(len(score)), np.arange(len(score)))


def test_true_accepts_by_hand() -> None:
    impostor = [0.001 * k for k in range(100)]  # 0.099 may be accepted: 1 of 100
    assert true_accepts(pairs_of([0.5, 0.0995, 0.0985, -1.0], impostor)) == 0.75
    assert true_accepts(pairs_of([0.5, 0.0981, 0.0979, -1.0], impostor)) == 0.5
    assert true_accepts(pairs_of([0.05] * 4, [0.05] * 200)) == 0.0, "equal scores are accepted together"
    assert true_accepts(pairs_of([0.2, 0.1], [0.15])) == 0.5, "one impostor allows no false accept"


def test_weights_count_pairs_several_times() -> None:
    pairs = pairs_of([0.5, 0.3], [0.4, 0.1])
    assert true_accepts(pairs) == 0.5
    assert true_accepts(pairs, np.array([1.0, 3.0, 0.0, 1.0])) == 1.0
    assert true_accepts(pairs, np.array([1.0, 3.0, 1.0, 1.0])) == 0.25


def test_curves_rise_from_nothing_to_everything() -> None:
    false, accepted = curve(pairs_of([0.9, 0.5, 0.5], [0.5, 0.1]))
    assert false.tolist() == [0, 0, 0.5, 1]
    assert accepted == pytest.approx([0, 1 / 3, 1, 1])


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 2)
    centres = rng.normal(0, 1, (60, 16))
    rows = centres[people] + rng.normal(0, 0.6, (120, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    from benchmarks.error_rates import all_pairs

    found = evaluate(Compared("made", all_pairs(rows, people), 120, 0), 0.5)
    for interval in (found.auc, found.eer, found.true_accepts):
        assert interval.low <= interval.value <= interval.high
        assert interval.high - interval.low > 0
    assert (found.genuine, found.impostor) == (60, 120 * 119 // 2 - 60)
    with pytest.raises(SystemExit, match="pairs of one person and pairs of two"):
        evaluate(Compared("one kind", pairs_of([0.5], []), 1, 0), 0.5)


def test_a_folder_of_persons(tmp_path: Path) -> None:
    for name in ("ada/1.jpg", "ada/2.JPG", "bob/deep/1.png", "eve.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(s.person, s.path.name, s.parts) for s in list_samples(tmp_path, PICTURES)]
    assert found == [("ada", "1.jpg", 1), ("ada", "2.JPG", 1), ("bob", "1.png", 1), ("eve", "eve.png", 1)]
    with pytest.raises(SystemExit, match="holds no"):
        list_samples(tmp_path, SOUNDS)


def write_speech(folder: Path, people: int = 3) -> Path:
    for who in range(people):
        (folder / f"{who}").mkdir(parents=True)
        soundfile.write(folder / f"{who}" / "a.wav", speak(who, 0, 6.0), RATE_HZ)
    soundfile.write(folder / "0" / "b.wav", np.repeat(speak(0, 1, 5.0), 2), 2 * RATE_HZ)
    soundfile.write(folder / "0" / "short.wav", np.zeros(100), RATE_HZ)
    return folder


def test_speech_is_compared_and_what_is_too_short_is_counted(tmp_path: Path) -> None:
    folder = write_speech(tmp_path / "speech")
    found = compare_folder(folder, SOUNDS, embed_voice(EmbeddedVoiceEncoder.load()))
    assert (found.recordings, found.failed) == (7, 1)  # three of one, halves of the two others
    assert found.name == "speech: 3 people, halves of one recording"
    assert int(found.pairs.same.sum()) == 3
    assert len(found.pairs.score) == 6 * 5 // 2
    (folder / "pairs.txt").write_text("0/a.wav 0/b.wav same\n\n0/a.wav 1/a.wav different\n0/a.wav 0/short.wav same\n")
    listed = compare_folder(folder, SOUNDS, embed_voice(EmbeddedVoiceEncoder.load()))
    assert listed.pairs.same.tolist() == [True, False]
    assert listed.pairs.score[0] > listed.pairs.score[1]
    assert listed.failed == 1
    (folder / "pairs.txt").write_text("0/a.wav 0/b.wav yes\n")
    with pytest.raises(SystemExit, match=r"pairs\.txt, line 1"):
        compare_folder(folder, SOUNDS, embed_voice(EmbeddedVoiceEncoder.load()))
    (folder / "pairs.txt").write_text("0/a.wav 0/none.wav same\n")
    with pytest.raises(SystemExit, match="cannot read"):
        compare_folder(folder, SOUNDS, embed_voice(EmbeddedVoiceEncoder.load()))


@pytest.mark.slow
def test_the_whole_benchmark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "FACE_SETS", ())
    monkeypatch.setattr("benchmarks.verification_sets.PEOPLE", 8)
    folder = write_speech(tmp_path / "speech", 12)
    args = argparse.Namespace(
        face_model=None, voice_model=["embedded"], faces=None, speech=folder, held_out=False,
        out=tmp_path / "out" / "verification.json", calibrate=tmp_path / "calibration.json",
    )  # fmt: skip
    verification.run(args)
    shown = capsys.readouterr().out
    assert "| sample people: 8 rendered, 12 frames against 12 of another scene |" in shown
    assert "TAR % at FAR 1 %" in shown
    written = json.loads((tmp_path / "out" / "verification.json").read_text())["models"]
    assert [one["model"] for one in written] == ["embedded", "embedded"]
    assert set(written[1]["sets"][0]["true_accepts"]) == {"value", "low", "high"}
    assert cv2.imread(str(tmp_path / "out" / "verification-voice-0.png")) is not None
    assert (tmp_path / "out" / "verification-face-0.svg").read_text().startswith("<?xml")
    info = EmbeddedVoiceEncoder.load().info
    assert find_calibration(info, tmp_path / "calibration.json") is not None
