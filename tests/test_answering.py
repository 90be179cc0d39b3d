"""Enrolling with a challenge: a person made by code answers it, once."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

import cameo
from cameo.capture.challenge import Challenge, prompts, read_challenge
from cameo.cli import main
from cameo.enrollment import EnrollOptions, enroll
from cameo.errors import CaptureRejected, NotPermitted, UsageError
from cameo.registry.store import Registry
from tests.conftest import quick_recipe

FPS, SIZE, SEED = 12.5, 224, 5


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answering") / "home"


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(home))


def drawn(folder: Path, name: str) -> Path:
    path = folder / name
    assert main(["challenge", "--out", str(path)]) == 0
    return path


def record_answer(path: Path, challenge: Challenge) -> None:
    """Film somebody who says the digits, turns their head as they are told, and then talks on for a while."""
    from cameo.media import write_mp4
    from cameo.synthetic.answer import render_answer
    from cameo.synthetic.digits import say_digits

    said = [prompt for prompt in prompts(challenge) if prompt.step.isdigit()]
    talk = [int(prompt.step) for prompt in said] + [3, 1, 4, 1, 5, 9]
    starts_s = [prompt.start_s + 0.5 for prompt in said] + [challenge.seconds + 0.5 + 0.8 * i for i in range(6)]
    spoken = say_digits(SEED, talk, starts_s, challenge.seconds + 5.5, FPS)
    degrees = {"left": 26.0, "right": -26.0, "centre": 0.0}
    turned = [p for p in prompts(challenge) if not p.step.isdigit()]
    looks = [(p.start_s + 0.4, p.end_s + 0.2, degrees[p.step]) for p in turned]
    made = render_answer(SEED, spoken, looks, FPS, SIZE)
    write_mp4(path, made.frames, FPS, made.sound)


def options(challenge: Path | None) -> EnrollOptions:
    return EnrollOptions(recipe=quick_recipe(), challenge=challenge)


@pytest.mark.slow
def test_an_answer_is_good_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys, clip = cameo.Keys.generate(), tmp_path / "answer.mp4"
    asked = drawn(tmp_path, "asked.json")
    told = capsys.readouterr().out
    assert "look straight at the camera" in told or "turn your head" in told
    challenge = read_challenge(asked.read_bytes())
    record_answer(clip, challenge)
    made = enroll(clip, keys=keys, out=tmp_path / "ada.cameo", options=options(asked))
    assert made.liveness.live
    assert "voice" in [piece.name for piece in made.liveness.evidence], "digits and what was said after them"
    assert made.sealed.assurance == "consistency-only + live"
    with closing(Registry()) as registry:
        assert [double.assurance for double in registry.list()] == [made.sealed.assurance]
    verified = cameo.Bundle.open(tmp_path / "ada.cameo").verify(keys.public)
    assert verified.assurance == made.sealed.assurance
    act = verified.consent.record.act
    assert act.liveness.startswith(f"challenge passed; nonce {challenge.nonce}; challenge sha256 {challenge.digest}")
    with pytest.raises(NotPermitted, match="answered before"):
        enroll(clip, keys=keys, out=tmp_path / "again.cameo", options=options(asked))
    assert not (tmp_path / "again.cameo").exists()


def test_a_challenge_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    labels: list[str] = []
    for path, error in ((tmp_path / "none.json", UsageError), (tmp_path / "bad.json", cameo.NotVerified)):
        if path.name == "bad.json":
            path.write_text("{}")
        with pytest.raises(error):
            enroll(
                tmp_path / "clip.mp4",
                keys=cameo.Keys.generate(),
                out=tmp_path / "a.cameo",
                options=options(path),
                progress=lambda label, _share: labels.append(label),
            )
    assert not labels


def test_the_verb_shows_the_prompts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["challenge", "--out", str(tmp_path / "c.json"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    challenge = read_challenge((tmp_path / "c.json").read_bytes())
    assert [p["text"] for p in told["prompts"]] == [p.text for p in prompts(challenge)]
    assert told["nonce"] == challenge.nonce
    assert main(["challenge", "--out", str(tmp_path / "c.json")]) == cameo.OutputError.exit_code


def test_a_recording_that_does_not_answer_is_refused(selfie: Path, home: Path, tmp_path: Path) -> None:
    asked = drawn(tmp_path, "asked.json")
    with pytest.raises(CaptureRejected, match="does not answer the challenge"):
        enroll(selfie, keys=cameo.Keys.generate(), out=tmp_path / "no.cameo", options=options(asked))
    assert not (tmp_path / "no.cameo").exists()
    nonce = json.loads(asked.read_bytes())["nonce"]
    assert (home / "challenges" / "open" / f"{nonce}.json").exists(), "it may still be answered"
