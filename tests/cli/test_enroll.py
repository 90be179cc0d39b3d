"""`cameo enroll`: what a user reads, and what bad recordings lead to."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cameo.adapt.train import tune
from cameo.capture.clip import read_clip
from cameo.crypto.keys import Keys
from cameo.grants.guard import list_digest
from cameo.media import write_mp4
from cameo.records import Check, Clip, Earlier, Precedents
from cameo.weights import RESEARCH_ONLY
from tests.capture.liveness_nets import V2, write_minifasnet
from tests.cli.conftest import PASSPHRASE, Cli
from tests.conftest import Enrolled, quick_recipe


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("CAMEO_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(*given: Any) -> Any:
        generator, footage, judges, _recipe, store, progress = given
        return tune(generator, footage, judges, quick_recipe(), store, progress)

    monkeypatch.setattr("cameo.learning.tune", quickly)


@pytest.fixture
def learned(enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning takes most of an enrolment: where something else is asked, it was done before."""
    monkeypatch.setattr("cameo.learning.tune", lambda *_given: enrolled.made.adapter)


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "ada.key"
    Keys.generate().save(path, PASSPHRASE)
    return path


@pytest.fixture(scope="session")
def recording(selfie: Path) -> Clip:
    return read_clip(selfie)


def spread(frames: np.ndarray, times: int) -> np.ndarray:
    """Put the picture, made smaller, into the middle of a grey one of the same size."""
    height, width = frames.shape[1:3]
    out = np.full_like(frames, 120)
    for to, frame in zip(out, frames, strict=True):
        small = cv2.resize(frame, (width // times, height // times), interpolation=cv2.INTER_AREA)
        y, x = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
        to[y : y + small.shape[0], x : x + small.shape[1]] = small
    return out


def chords(length: int) -> np.ndarray:
    t = np.arange(length) / 16_000
    waves = [np.sin(2 * np.pi * hz * t) for hz in (220, 277.2, 329.6, 440)]
    return (0.15 * np.sum(waves, 0) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * t))).astype(np.float32)


Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray | None]]
# What was done to a good recording, and what must be said about it.
REJECTED: dict[str, tuple[Change, str]] = {
    "no face": (lambda f, s: (np.full_like(f, 90), s), "no face found"),
    "two faces": (lambda f, s: (np.concatenate([f, f], 2), s), "two faces"),
    "too small": (lambda f, s: (spread(f, 4), s), "face"),
    "black": (lambda f, s: (np.zeros_like(f), s), "black"),
    "blurred": (lambda f, s: (np.stack([cv2.GaussianBlur(x, (0, 0), 9) for x in f]), s), "blurred"),
    "no sound": (lambda f, s: (f, None), "no sound"),
    "silence": (lambda f, s: (f, np.zeros_like(s)), "no sound"),
    "music only": (lambda f, s: (f, chords(len(s))), "no speech"),
    "one second": (lambda f, s: (f[:25], s[:16_000]), "1.0 s"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_a_recording_that_is_not_good_enough(
    cli: Cli, recording: Clip, key: Path, tmp_path: Path, home: Path, name: str
) -> None:
    change, message = REJECTED[name]
    frames, sound = change(recording.frames, recording.sound)
    write_mp4(tmp_path / "bad.mp4", frames.astype(np.uint8), 25.0, sound)
    out, report = tmp_path / "ada.cameo", tmp_path / "ada.html"
    done = cli("enroll", tmp_path / "bad.mp4", "--key", key, "--out", out, "--report", report, "--yes")
    assert done.status == 6, done.err
    assert done.out == ""
    error, hint = done.err.splitlines()[-2:]
    assert error.startswith("error: ")
    assert message in error
    assert hint.startswith("hint: ")
    assert len(hint) > 12
    assert [p.name for p in tmp_path.iterdir()] == ["bad.mp4"]


@pytest.mark.parametrize("kind", ["text", "truncated", "empty", "missing", "sound only"])
def test_a_file_that_is_no_recording(cli: Cli, selfie: Path, key: Path, tmp_path: Path, kind: str) -> None:
    clip = tmp_path / "clip.mp4"
    data = selfie.read_bytes()
    if kind != "missing":
        made = {"text": b"this is a shopping list\n" * 100, "truncated": data[: len(data) // 3], "empty": b""}
        clip.write_bytes(made.get(kind, b""))
    if kind == "sound only":
        import soundfile

        clip = tmp_path / "clip.wav"
        soundfile.write(clip, np.zeros(16_000 * 6, np.float32), 16_000)
    done = cli("enroll", clip, "--key", key, "--out", tmp_path / "ada.cameo", "--yes")
    assert done.status == (2 if kind == "missing" else 1), done.err
    assert done.err.splitlines()[-2].startswith("error: ")
    assert done.err.splitlines()[-1].startswith("hint: ")
    assert not (tmp_path / "ada.cameo").exists()


def test_a_double_in_one_command(cli: Cli, selfie: Path, key: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "ada.cameo", tmp_path / "ada.html"
    done = cli("enroll", selfie, "--key", key, "--out", out, "--report", report, "--yes")
    assert done.status == 0, done.err
    assert str(out) in done.out
    assert "consistency-only" in done.out
    assert "before tuning" in done.out
    assert "\N{REPLACEMENT CHARACTER}" not in done.err
    said = done.err.splitlines()
    assert "I am 18 or older, and the person in this recording is me." in said
    assert [s for s in ("reading the recording", "finding the face", "tuning", "sealing") if s not in said] == []
    assert report.read_text().startswith("<!doctype html>") or report.read_text().startswith("<!DOCTYPE html>")
    again = cli("enroll", selfie, "--key", key, "--out", out, "--yes")
    assert again.status == 1
    assert "exists already" in again.err
    verified = cli("verify", out, "--owner", key.with_suffix(".pub"), "--json")
    assert json.loads(verified.out)["assurance"] == "consistency-only"


@pytest.mark.usefixtures("learned")
def test_json_holds_what_a_script_needs(cli: Cli, selfie: Path, key: Path, tmp_path: Path) -> None:
    out, net = tmp_path / "ada.cameo", write_minifasnet(tmp_path / V2)  # which takes what is red for a picture
    words = ("--voice", selfie, "--liveness-model", f"onnx:{net}", "--yes", "--json")
    done = cli("enroll", selfie, "--key", key, "--out", out, *words)
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert re.search(r"against it: .*\brgb\b", told["liveness"])
    assert told["file"] == str(out)
    assert told["size"] == out.stat().st_size
    assert told["report"] is None
    assert told["clip_seconds"] == pytest.approx(5, abs=0.2)
    assert set(told["seconds"]) >= {"reading the recording", "tuning", "sealing"}
    assert -1 <= told["likeness_before"] <= 1
    assert told["checks"]["speech"]["level"] in ("ok", "warn")


class Terminal(io.StringIO):
    """Stand in for a person who types these lines, one after the other."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("learned")
def test_agreement_is_asked_for(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo")
    nobody = cli(*words)
    assert nobody.status == 2
    assert "--yes" in nobody.err
    assert "What do you allow?" not in nobody.err
    for answers in ("", "birthday\n", "\n" * 6, "\n" * 6 + "no\n"):
        monkeypatch.setattr("sys.stdin", Terminal(answers))
        stopped = cli(*words)
        assert stopped.status == 2
        assert "error: you did not agree; nothing was made" in stopped.err
    monkeypatch.setattr("sys.stdin", Terminal("\n" * 6 + "yes\n"))
    agreed = cli(*words)
    assert agreed.status == 0, agreed.err
    shown = json.loads(cli("inspect", tmp_path / "ada.cameo", "--json").out)
    assert shown["consent"]["act"]["method"] == "interactive"
    assert [purpose["id"] for purpose in shown["consent"]["terms"]["purposes"]] == ["personal"]


@pytest.mark.usefixtures("learned")
def test_terms_that_were_answered(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = ["Birthday greetings, comedy", "2", "30 days", "yes", "no", "intimate", "Ada", "yes"]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join(answers) + "\n"))
    done = cli("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo")
    assert done.status == 0, done.err
    assert "birthday-greetings (Birthday greetings), by people the owner approves" in done.err
    record = json.loads(cli("inspect", tmp_path / "ada.cameo", "--json").out)["consent"]
    assert [purpose["id"] for purpose in record["terms"]["purposes"]] == ["birthday-greetings", "comedy"]
    assert all(purpose["delegable"] for purpose in record["terms"]["purposes"])
    assert record["terms"]["prohibited"] == ["intimate", "minors", "financial-fraud", "identity-fraud"]
    assert record["parties"][0]["name"] == "Ada"
    assert record["terms"]["guard"]["sha256"] == list_digest()


@pytest.mark.usefixtures("learned")
def test_terms_from_a_file(cli: Cli, selfie: Path, key: Path, tmp_path: Path) -> None:
    terms, out = tmp_path / "consent.toml", tmp_path / "ada.cameo"
    terms.write_text('name = "Ada"\n[[purposes]]\nid = "birthday"\naudience = "approved"\n')
    done = cli("enroll", selfie, "--key", key, "--out", out, "--consent", terms, "--yes")
    assert done.status == 0, done.err
    assert "birthday" in done.err
    assert "Ada" in cli("inspect", out).out
    terms.write_text("purposes = 3\n")
    wrong = cli("enroll", selfie, "--key", key, "--out", tmp_path / "b.cameo", "--consent", terms, "--yes")
    assert wrong.status == 2


def test_what_a_user_must_know_about_people_and_licences(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run itself is not at stake here."""
    encoder = dataclasses.replace(enrolled.made.face.encoder, id="insightface:a+b", licence=RESEARCH_ONLY)
    check = Check(
        "others_face", "Face", 0.71, "", "below 0.50 to the likest of 3 doubles of others", "fail", "x", "look"
    )
    earlier = Earlier("0e" * 16, datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC), "/old.cameo", 0.934)
    made = dataclasses.replace(
        enrolled.made,
        face=dataclasses.replace(enrolled.made.face, encoder=encoder),
        precedents=Precedents("all", (check,), (earlier,), 2),
        sealed=dataclasses.replace(enrolled.made.sealed, assurance="matched + live"),
    )
    given: list[Any] = []

    def run(*_words: object, **named: Any) -> object:
        given.append(named["options"])
        return made

    monkeypatch.setattr("cameo.enrollment.enroll", run)
    words = ("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo", "--yes", "--allow-duplicate")
    done = cli(*words)
    assert done.status == 0, done.err
    assert given[0].allow_duplicate is True
    assert "this machine keeps a turned and encrypted template" in done.err
    assert done.err.count("warning: insightface:a+b is for non-commercial research only") == 1
    lines = done.out.splitlines()
    (first,) = [number for number, line in enumerate(lines) if line.strip().startswith("enrolled before")]
    assert "by you on" in lines[first] and f"/old.cameo  likeness 0.93, double {'0e' * 16}" in lines[first]
    assert "Face: 0.71, below 0.50 to the likest of 3 doubles of others. look" in lines[first + 1]
    assert "2 not compared" in lines[first + 2]
    assert "+ live: the recording answered a challenge" in done.out
    told = json.loads(cli(*words, "--json").out)
    assert told["precedents"]["earlier"][0]["bundle_id"] == "0e" * 16
    assert told["precedents"]["checks"][0]["level"] == "fail"
    assert (told["assurance"], told["precedents"]["not_compared"]) == ("matched + live", 2)


@pytest.mark.parametrize(
    ("precedents", "words"),
    [
        (Precedents("off"), "not looked for"),
        (Precedents("all"), "there is no earlier double to compare with"),
    ],
)
def test_that_nobody_was_compared_is_said(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch,
    precedents: Precedents, words: str,
) -> None:  # fmt: skip
    made = dataclasses.replace(enrolled.made, precedents=precedents)
    monkeypatch.setenv("CAMEO_GALLERY", precedents.among)
    monkeypatch.setattr("cameo.enrollment.enroll", lambda *_words, **_named: made)
    done = cli("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo", "--yes")
    assert f"enrolled before  {words}" in done.out
    assert ("this machine keeps" in done.err) == (precedents.among == "all")


def test_a_gallery_that_is_none_is_said_at_once(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_GALLERY", "some")
    done = cli("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo", "--yes")
    assert (done.status, "set it to all, own or off" in done.err) == (2, True)


def test_the_wrong_passphrase(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", "not this one at all")
    done = cli("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo", "--yes")
    assert done.status == 4
    assert "passphrase" in done.err


@pytest.mark.parametrize("option", ["--out", "--report"])
def test_a_place_that_cannot_be_written(cli: Cli, selfie: Path, key: Path, tmp_path: Path, option: str) -> None:
    places = {"--out": tmp_path / "ada.cameo", option: tmp_path / "missing" / "file.html"}
    done = cli("enroll", selfie, "--key", key, *(w for pair in places.items() for w in pair), "--yes")
    assert done.status == 1
    assert "cannot write" in done.err
    assert "reading the recording" not in done.err, "said before the work"
    assert not list(tmp_path.iterdir())


def test_a_report_with_the_name_of_a_key(cli: Cli, selfie: Path, key: Path, tmp_path: Path) -> None:
    before = key.read_bytes()
    done = cli("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo", "--report", key, "--yes")
    assert done.status == 2
    assert "choose a name that ends in .html" in done.err
    assert key.read_bytes() == before


def test_ctrl_c_while_tuning(
    cli: Cli, selfie: Path, key: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: Any) -> Any:
        generator, footage, judges, _recipe, store, _progress = given

        def stop(_label: str, share: float) -> None:
            if share > 0.6:
                raise KeyboardInterrupt

        return tune(generator, footage, judges, quick_recipe(), store, stop)

    monkeypatch.setattr("cameo.learning.tune", interrupt)
    done = cli("enroll", selfie, "--key", key, "--out", tmp_path / "ada.cameo", "--yes")
    assert done.status == 130
    assert "error: interrupted" in done.err
    assert not list(tmp_path.iterdir())
    assert len(list(home.rglob("*.tuning"))) == 1
