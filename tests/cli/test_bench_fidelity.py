"""`cameo bench fidelity`: what is printed, what is written, and what a wrong call gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cameo.cli.bench_fidelity import read_systems
from cameo.errors import UsageError
from tests.fidelity.conftest import Stage, write_clip
from tests.fidelity.conftest import stage as stage  # noqa: F401
from tests.fidelity.spoken import voice, write_talk, write_wav

from .conftest import Cli


def test_two_systems(cli: Cli, stage: Stage, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "own").mkdir()
    for path in ("bob-1.mp4", "ada/1.mp4"):
        (tmp_path / "own" / Path(path).name.replace("1", "ada-1" if "ada" in path else "1")).write_bytes(
            (stage.own / path).read_bytes()
        )
    (tmp_path / "own" / "ada-broken.mp4").write_bytes(b"broken")
    words = ("bench", "fidelity", f"own={tmp_path / 'own'}", f"base={stage.base}", "--people", stage.people)
    told = cli(*words, "--face-model", stage.model, "--protocol", "consisid", "--out", tmp_path / "out")
    assert told.status == 0
    assert "own: likeness 1.00" in told.out
    assert "own is more alike than base" in told.out
    assert "of the way" in told.out and "People:" in told.out
    for name in ("fidelity.json", "fidelity.csv", "fidelity.md", "fidelity.html"):
        assert str(tmp_path / "out" / name) in told.out and (tmp_path / "out" / name).is_file()
    assert "ada-broken.mp4: " in told.err and "left out" in told.err
    assert "non-commercial" in told.err


def test_json(cli: Cli, stage: Stage) -> None:  # noqa: F811
    told = cli(
        "bench", "fidelity", stage.own, "--people", stage.people, "--face-model", stage.model,
        "--protocol", "consisid", "--as-published", "--json",
    )  # fmt: skip
    document = json.loads(told.out)
    assert document["format"] == "cameo-fidelity-1" and document["as_published"] is True
    assert document["systems"][0]["system"] == "own"


def test_voices(cli: Cli, stage: Stage, tmp_path: Path) -> None:  # noqa: F811
    write_wav(tmp_path / "people" / "bob.wav", voice(2, 8))
    (tmp_path / "people" / "bob.mp4").write_bytes((stage.people / "bob.mp4").read_bytes())
    write_talk(tmp_path / "own" / "bob.mp4", 2, voice(2, 3, take=1))
    write_clip(tmp_path / "own" / "bob-2.mp4", [2] * 6)
    words = ("bench", "fidelity", tmp_path / "own", "--people", tmp_path / "people", "--face-model", stage.model)
    told = cli(*words, "--protocol", "consisid")
    assert told.status == 0
    assert "own: voice 0." in told.out and "Voices of people:" in told.out
    assert "1 of 2 clips have no speech" in told.out
    quiet = cli(*words, "--protocol", "consisid", "--voice-model", "none", "--json")
    assert json.loads(quiet.out)["voice"] is None


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nowhere", "--people", "{people}"), 2, "there is no folder of clips"),
        (("{own}", "--people", "nowhere"), 2, "there is no folder of people"),
        (("{own}", "{own}", "--people", "{people}"), 2, "be called?"),
        (("{own}", "--people", "{people}", "--protocol", "vbench"), 2, "there is no protocol"),
        (("{own}", "--people", "{people}", "--as-published"), 2, "published scores are by an InsightFace pack"),
        (("{own}", "--people", "{people}", "--face-model", "insightface:nowhere"), 5, "no InsightFace pack"),
        (("{own}", "--people", "{people}", "--curricularface", "weights.bin"), 5, "no recogniser"),
        (("{own}", "--people", "{people}", "--voice-model", "loud"), 2, "unknown voice model"),
        (("{own}", "--people", "{people}", "--voice-model", "ecapa:nowhere"), 5, "nowhere"),
        (("{own}",), 2, "--people"),
    ],
)
def test_wrong_calls(cli: Cli, stage: Stage, words: tuple[str, ...], status: int, message: str) -> None:  # noqa: F811
    told = cli("bench", "fidelity", *(word.format(own=stage.own, people=stage.people) for word in words))
    assert (told.status, told.out) == (status, "")
    assert message in told.err and "hint: " in told.err


def test_bench_alone_says_what_there_is(cli: Cli) -> None:
    told = cli("bench")
    assert told.status == 2 and "cameo bench fidelity" in told.err
    assert cli("bench", "speed").status == 2


def test_names_of_systems(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    assert read_systems(["own=x", "y/base"]) == {"own": Path("x"), "base": Path("y/base")}
    assert read_systems([str(tmp_path / "a=b")]) == {"a=b": tmp_path / "a=b"}
    for words in (["=x"], ["own=x", "own=y"]):
        with pytest.raises(UsageError):
            read_systems(words)
