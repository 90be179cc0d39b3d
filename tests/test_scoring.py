"""Score systems end to end: packs of random weights, white squares for faces, and every kind of bad input."""

from __future__ import annotations

import csv
import json
import math
import shutil
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

import cameo
from cameo.errors import ClipError, MissingWeights, OutputError, UsageError
from cameo.media import write_mp4
from cameo.report.fidelity_files import document_of
from cameo.scores import CURRICULAR, FIRST, SECOND, VOICE, Fidelity, SystemScore
from cameo.scoring import FILES, FidelityOptions, score_fidelity
from tests.embed.packs import write_recogniser
from tests.fidelity.conftest import PLAIN, Stage, frame, write_clip, write_photo
from tests.fidelity.conftest import stage as stage  # noqa: F401
from tests.fidelity.spoken import voice, write_talk, write_wav


@pytest.fixture(scope="module")
def made(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Fidelity, Path]:
    """Two systems, two recognisers and CurricularFace, written to a folder."""
    out = tmp_path_factory.mktemp("made") / "deep" / "out"
    options = FidelityOptions(
        protocol="consisid",
        face_model=stage.model,
        second_model=f"insightface:{stage.second}",
        curricularface=stage.curricular,
        out=out,
    )
    labels: list[str] = []
    found = score_fidelity(
        {"own": stage.own, "base": stage.base},
        stage.people,
        options=options,
        progress=lambda label, _share: labels.append(label),
    )
    assert "scoring own: ada/1.mp4" in labels
    return found, out


def system(made: Fidelity, name: str) -> SystemScore:
    return next(one for one in made.systems if one.system == name)


def test_who_is_shown_is_told(made: tuple[Fidelity, Path]) -> None:
    own, base = (system(made[0], name) for name in ("own", "base"))
    for k in range(2):  # by the pack and by CurricularFace
        row = own.rows[k]
        assert row.likeness.value > 0.95 > base.rows[k].likeness.value
        assert row.ceiling.value == pytest.approx(1, abs=0.05)
        assert row.floor.value < row.likeness.value
        assert row.closed.value > 0.8 > base.rows[k].closed.value
        assert row.likeness.low <= row.likeness.value <= row.likeness.high
    assert [row.person for row in own.people] == ["ada", "bob"]
    gaps = {one.measure: one.likeness for one in made[0].differences}
    assert gaps[FIRST].low > 0 and gaps[FIRST].people == 2


def test_a_second_recogniser_says_it_too(made: tuple[Fidelity, Path]) -> None:
    assert [measure.key for measure in made[0].measures] == [FIRST, CURRICULAR, SECOND]
    own, base = (system(made[0], name).rows[2].likeness.value for name in ("own", "base"))
    assert own > 0.95 > base


def test_a_second_recogniser_that_finds_nobody_says_nothing(stage: Stage, tmp_path: Path) -> None:
    """It looks with a detector of its own, for which a white square is no face."""
    write_recogniser(tmp_path / "second.onnx", seed=3)
    options = FidelityOptions("consisid", face_model=stage.model, second_model=f"onnx:{tmp_path / 'second.onnx'}")
    write_photo(tmp_path / "people" / "bob.png", 2)
    write_clip(tmp_path / "clips" / "bob.mp4", [2] * 4)
    made = score_fidelity(tmp_path / "clips", tmp_path / "people", options=options)
    assert made.systems[0].rows[0].likeness.value > 0.95
    assert math.isnan(made.systems[0].rows[1].likeness.value) and made.clips[0].found[SECOND] == 0
    assert any("second recogniser: bob" in note for note in made.notes)


def test_frames_without_faces_are_counted(made: tuple[Fidelity, Path]) -> None:
    clip = next(one for one in made[0].clips if one.clip == "ada/1.mp4" and one.system == "own")
    assert 0.7 < clip.found[FIRST] < 1
    assert clip.strict[FIRST] < clip.score[FIRST]
    assert len(clip.times_s) == 16 and clip.times_s[-1] == clip.duration_s


def test_files(made: tuple[Fidelity, Path]) -> None:
    found, out = made
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    document = json.loads((out / "fidelity.json").read_text())
    assert document == json.loads(json.dumps(document_of(found)))
    rows = list(csv.DictReader((out / "fidelity.csv").read_text().splitlines()))
    assert [row["clip"] for row in rows] == [clip.clip for clip in found.clips]
    assert float(rows[0]["score_first"]) == pytest.approx(found.clips[0].score[FIRST], abs=1e-5)
    assert "| own |" in (out / "fidelity.md").read_text()
    assert stat.S_IMODE((out / "fidelity.html").stat().st_mode) == 0o600


def test_the_schema_is_stable(made: tuple[Fidelity, Path]) -> None:
    document = document_of(made[0])
    assert list(document) == [
        "format", "protocol", "frames", "as_published", "measures", "references", "systems", "differences", "real",
        "clips", "skipped", "voice", "notes", "versions",
    ]  # fmt: skip
    assert document["format"] == "cameo-fidelity-1"
    assert list(document["clips"][0]) == [
        "system", "person", "film", "clip", "width", "height", "duration_s", "times_s", "likeness", "yaw_deg",
        "eyes_px", "score", "strict", "found", "poses", "drift", "copying", "voice",
    ]  # fmt: skip
    assert list(document["systems"][0]) == [
        "system", "people", "clips", "faceless", "rows", "poses", "slope_per_s", "change", "kept", "real_slope_per_s",
        "consistency", "real_consistency", "copying", "voice",
    ]  # fmt: skip
    assert list(document["systems"][0]["rows"][0]) == [
        "measure", "likeness", "ceiling", "floor", "closed", "strict", "found",
    ]  # fmt: skip
    assert None in document["clips"][0]["likeness"]["first"]  # no face: null, never NaN


def test_several_clips_of_a_person_are_compared(made: tuple[Fidelity, Path]) -> None:
    own = system(made[0], "own")
    assert own.consistency.people == 1  # Bob has one clip
    assert own.consistency.value > 0.9
    assert system(made[0], "base").consistency.value < own.consistency.value


# Voices.


@pytest.fixture(scope="module")
def heard(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Fidelity, Path]:
    """Two systems with sound: `own` in the people's voices, `base` in each other's; one clip is silent."""
    folder = tmp_path_factory.mktemp("heard")
    shutil.copytree(stage.people, folder / "people")
    for seed, person in enumerate(("ada", "bob"), 1):
        write_wav(folder / "people" / person / "voice.wav", voice(seed, 8))
        write_talk(folder / "own" / f"{person}.mp4", seed, voice(seed, 2.5, take=1))
        write_talk(folder / "base" / f"{person}.mp4", seed, voice(3 - seed, 2.5, take=1))
    write_clip(folder / "own" / "bob-silent.mp4", [2] * 6)
    options = FidelityOptions("consisid", face_model=stage.model, out=folder / "out")
    systems = {"own": folder / "own", "base": folder / "base"}
    return score_fidelity(systems, folder / "people", options=options), folder / "out"


def test_whose_voice_it_is_is_told(heard: tuple[Fidelity, Path]) -> None:
    own, base = (system(heard[0], name).voice for name in ("own", "base"))
    assert own is not None and base is not None
    assert own.likeness.value > base.likeness.value and own.closed.value > 0.5 > base.closed.value
    assert [(row.person, row.clips) for row in own.people] == [("ada", 1), ("bob", 1)]
    gap = next(one.likeness for one in heard[0].differences if one.measure == VOICE)
    assert gap.people == 2 and gap.low > 0


def test_silent_clips_are_listed_and_change_nothing(heard: tuple[Fidelity, Path]) -> None:
    made = heard[0]
    assert made.voice is not None
    assert [one.file for one in made.voice.unheard] == ["own/bob-silent.mp4"]
    assert "own: 1 of 3 clips have no speech, and no part in what is said of voices: of bob." in made.notes
    own = system(made, "own")
    assert own.clips == 3 and own.voice is not None and own.voice.clips == 2


def test_voices_in_files(heard: tuple[Fidelity, Path]) -> None:
    made, out = heard
    document = json.loads((out / "fidelity.json").read_text())
    assert list(document["voice"]) == ["encoder", "digest", "licence", "assurance", "people", "unheard"]
    assert list(document["systems"][0]["voice"]) == [
        "people", "clips", "likeness", "ceiling", "floor", "closed", "sync", "chance", "real_sync", "real_chance",
    ]  # fmt: skip
    rows = list(csv.DictReader((out / "fidelity.csv").read_text().splitlines()))
    for row, clip in zip(rows, made.clips, strict=True):
        assert row["voice"] == (f"{clip.voice.likeness:.6g}" if clip.voice else "")
    assert [row["clip"] for row in rows if not row["voice"]] == ["bob-silent.mp4"]
    markdown = (out / "fidelity.md").read_text()
    assert "## Voices of people" in markdown and "## Not heard\n\n- own/bob-silent.mp4: it has no sound" in markdown


def test_silence_is_told_and_costs_nothing(made: tuple[Fidelity, Path]) -> None:
    assert "No voice was compared: no clip has sound." in made[0].notes
    assert made[0].voice is not None and made[0].voice.people == ()
    assert all(one.voice is None for one in made[0].systems) and all(one.voice is None for one in made[0].clips)
    assert VOICE not in [one.measure for one in made[0].differences]


def test_nobody_has_to_listen(stage: Stage, tmp_path: Path) -> None:
    write_talk(tmp_path / "bob.mp4", 2, voice(2, 2))
    options = FidelityOptions("consisid", face_model=stage.model, voice_model="none")
    made = score_fidelity(tmp_path, stage.people, options=options)
    assert made.voice is None and made.clips[0].voice is None
    assert not any("voice" in note.lower() for note in made.notes)


# Sizes.


def test_real_frames_are_brought_to_the_size_of_generated_faces(stage: Stage, tmp_path: Path) -> None:
    small = np.stack([frame(2, 3 + k % 3)[::2, ::2] for k in range(12)])
    write_mp4_in(tmp_path / "clips" / "bob.mp4", small)
    options = FidelityOptions(face_model=stage.model)
    made = score_fidelity(tmp_path / "clips", stage.people, options=options)
    real = made.real[0]
    assert real.scale == pytest.approx(0.5, abs=0.1)
    assert real.eyes_px == pytest.approx(made.clips[0].eyes_px, rel=0.3)


def test_clips_of_all_sizes(stage: Stage, tmp_path: Path) -> None:
    for k, side in enumerate((64, 130, 321)):
        frames = np.stack([cv2.resize(frame(1, 3 + j % 3), (side, side + 3)) for j in range(6)])
        write_mp4_in(tmp_path / f"ada-{k}.mp4", frames)
    made = score_fidelity(tmp_path, stage.people, options=FidelityOptions("consisid", face_model=stage.model))
    assert [(clip.width, clip.height) for clip in made.clips] == [(64, 68), (130, 134), (322, 324)]


# Bad input.


def write_mp4_in(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, frames, 8)


def test_bad_clips_among_good_ones(stage: Stage, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(stage.own, clips)
    whole = (clips / "bob-1.mp4").read_bytes()
    (clips / "bob-2.mp4").write_bytes(whole[: len(whole) // 3])
    (clips / "bob-3.mp4").write_bytes(b"no clip at all")
    (clips / "bob-4.mp4").write_bytes(b"")
    (clips / "zoe.mp4").write_bytes(whole)
    write_clip(clips / "bob-5.mp4", [PLAIN] * 6)
    made = score_fidelity(clips, stage.people, options=FidelityOptions("consisid", face_model=stage.model))
    assert {Path(one.file).name for one in made.skipped} == {"bob-2.mp4", "bob-3.mp4", "bob-4.mp4", "zoe.mp4"}
    assert all(one.reason for one in made.skipped)
    faceless = next(clip for clip in made.clips if clip.clip == "bob-5.mp4")
    assert faceless.score[FIRST] == 0.0 and faceless.found[FIRST] == 0.0
    notes = " ".join(made.notes)
    assert "no face in any frame of 1 of 4 clips" in notes and "Left out: 4 files" in notes


def test_only_bad_clips_are_an_error(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "ada.mp4").write_bytes(b"no clip")
    with pytest.raises(ClipError, match="not a single clip") as caught:
        score_fidelity(tmp_path, stage.people, options=FidelityOptions(face_model=stage.model))
    assert "ada.mp4" in caught.value.hint


def test_a_listed_clip_that_is_missing_is_left_out(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(f"clip,person\nnone.mp4,bob\n{stage.own / 'bob-1.mp4'},bob\n")
    made = score_fidelity(tmp_path / "clips.csv", stage.people, options=FidelityOptions(face_model=stage.model))
    assert [(one.file, one.reason) for one in made.skipped] == [(str(tmp_path / "none.mp4"), "no such file")]
    assert [clip.person for clip in made.clips] == ["bob"]


def test_references_without_a_face_and_broken_ones(stage: Stage, tmp_path: Path) -> None:
    people = tmp_path / "people"
    write_photo(people / "ada.png", PLAIN)
    write_photo(people / "bob" / "1.png", 2)
    (people / "bob" / "2.png").write_bytes(b"\x89PNG broken")
    (people / "bob" / "3.mp4").write_bytes(b"broken")
    made = score_fidelity(stage.own, people, options=FidelityOptions("consisid", face_model=stage.model))
    reasons = {Path(one.file).name: one.reason for one in made.skipped}
    assert "no face in the reference of ada" in reasons["1.mp4"]
    assert {"2.png", "3.mp4"} <= set(reasons)
    assert {clip.person for clip in made.clips} == {"bob"}


def test_a_person_alone_has_no_floor(stage: Stage, tmp_path: Path) -> None:
    write_photo(tmp_path / "people" / "bob.png", 2)
    made = score_fidelity(stage.own, tmp_path / "people", options=FidelityOptions("consisid", face_model=stage.model))
    row = made.systems[0].rows[0]
    assert math.isnan(row.floor.value) and math.isnan(row.ceiling.value) and math.isnan(row.closed.value)
    notes = " ".join(made.notes)
    assert "no floor without somebody else" in notes and "No ceiling, for lack of held-out real frames: bob" in notes


def test_real_clips_of_their_own(stage: Stage, tmp_path: Path) -> None:
    write_photo(tmp_path / "people" / "bob.png", 2)
    write_clip(tmp_path / "real" / "bob.mp4", [2] * 8)
    options = FidelityOptions("consisid", face_model=stage.model, real=tmp_path / "real")
    made = score_fidelity(stage.own, tmp_path / "people", options=options)
    assert made.systems[0].rows[0].ceiling.value > 0.9
    assert made.references[0].real_frames == 8
    write_photo(tmp_path / "people" / "ada" / "1.png", 1)
    write_photo(tmp_path / "people" / "ada" / "2.png", 1)
    write_photo(tmp_path / "real" / "zoe.png", 3)
    made = score_fidelity(stage.own, tmp_path / "people", options=options)
    assert [one.real_frames for one in made.references] == [0, 8]  # Ada's reference is not her ceiling
    assert math.isnan(made.systems[0].people[0].ceiling[FIRST])
    assert [one.reason for one in made.skipped] == ["there is no reference of that name"]


def test_wrong_calls(stage: Stage, tmp_path: Path) -> None:
    calls = [
        ({"protocol": "vbench"}, UsageError, "no protocol"),
        ({"as_published": True}, UsageError, "InsightFace pack"),
        ({"face_model": "facenet"}, UsageError, "unknown face model"),
        ({"voice_model": "loud"}, UsageError, "unknown voice model"),
        ({"voice_model": f"ecapa:{tmp_path}"}, MissingWeights, "no ECAPA-TDNN weights"),
        ({"face_model": stage.model, "second_model": stage.model}, UsageError, "is the first one"),
        ({"face_model": f"insightface:{tmp_path}"}, MissingWeights, "no InsightFace pack"),
        ({"face_model": stage.model, "curricularface": tmp_path / "none.onnx"}, MissingWeights, "no recogniser"),
        ({"real": tmp_path / "none"}, UsageError, "no folder of people"),
    ]
    for change, kind, words in calls:
        with pytest.raises(kind, match=words):
            score_fidelity(stage.own, stage.people, options=FidelityOptions(**change))  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        score_fidelity(stage.own, stage.people, options=FidelityOptions(out=tmp_path / "file"))


def test_the_front_door() -> None:
    assert cameo.score_fidelity is score_fidelity and cameo.FidelityOptions is FidelityOptions
