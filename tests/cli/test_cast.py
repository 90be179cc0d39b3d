"""`cameo cast`: a clip for the owner, two lines for everybody else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cameo.crypto.keys import Keys
from tests.cli.conftest import PASSPHRASE, Cli
from tests.conftest import Enrolled


@pytest.fixture(scope="module")
def key(enrolled: Enrolled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cast") / "ada.key"
    enrolled.keys.save(path, PASSPHRASE)
    return path


def test_a_clip(cli: Cli, enrolled: Enrolled, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    done = cli("cast", enrolled.double, "--key", key, "--out", out, "--frames", 12, "--seed", 5)
    assert done.status == 0, done.err
    assert out.stat().st_size > 2000
    assert "not a recording" in done.out
    assert str(out) in done.out
    assert done.err.splitlines() == ["loading the generator", "generating", "writing the clip"]


def test_json(cli: Cli, enrolled: Enrolled, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    done = cli("cast", enrolled.double, "--key", key, "-o", out, "--frames", 10, "--json")
    told = json.loads(done.out)
    assert told["path"] == str(out)
    assert told["frames"] == 10
    assert told["seconds"] == pytest.approx(0.4)
    assert told["bundle_id"] == enrolled.made.sealed.bundle_id


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--frames", "3"], 2),
        (["--frames", "many"], 2),
        (["--generator", "sora"], 4),
        (["--seed", "x"], 2),
        (["--seed", "-1"], 2),
    ],
)
def test_wrong_words(cli: Cli, enrolled: Enrolled, key: Path, tmp_path: Path, words: list[str], status: int) -> None:
    done = cli("cast", enrolled.double, "--key", key, "--out", tmp_path / "clip.mp4", *words)
    assert done.status == status, done.err
    assert done.err.splitlines()[-1].startswith("hint: ")
    assert not list(tmp_path.iterdir())


def test_another_owners_key(cli: Cli, enrolled: Enrolled, tmp_path: Path) -> None:
    Keys.generate().save(tmp_path / "eve.key", PASSPHRASE)
    done = cli("cast", enrolled.double, "--key", tmp_path / "eve.key", "--out", tmp_path / "clip.mp4")
    assert done.status in (3, 4)
    assert not (tmp_path / "clip.mp4").exists()


def test_the_wrong_passphrase(
    cli: Cli, enrolled: Enrolled, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", "not this one at all")
    done = cli("cast", enrolled.double, "--key", key, "--out", tmp_path / "clip.mp4")
    assert done.status == 4
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_double(cli: Cli, key: Path, tmp_path: Path) -> None:
    (tmp_path / "x.cameo").write_bytes(b"PK" * 200)
    done = cli("cast", tmp_path / "x.cameo", "--key", key, "--out", tmp_path / "clip.mp4")
    assert done.status == 3
    assert not (tmp_path / "clip.mp4").exists()
