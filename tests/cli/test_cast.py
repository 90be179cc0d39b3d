"""`cameo cast`: a clip for the owner, two lines for everybody else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.crypto.keys import Keys
from tests.cli.conftest import PASSPHRASE, Cli
from tests.cli.test_lend import fails
from tests.conftest import Enrolled
from tests.lendable import Lendable

if TYPE_CHECKING:
    from cameo.grants.receipt import Receipt


@pytest.fixture(scope="module")
def key(enrolled: Enrolled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cast") / "ada.key"
    enrolled.keys.save(path, PASSPHRASE)
    return path


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path_factory.mktemp("home")))


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


def test_a_line(cli: Cli, enrolled: Enrolled, key: Path, selfie: Path, tmp_path: Path) -> None:
    """Its own recording, said again."""
    out = tmp_path / "clip.mp4"
    done = cli("cast", enrolled.double, "--key", key, "-o", out, "--say", selfie, "--frames", 40, "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["seconds"] == pytest.approx(1.6)
    missing = cli("cast", enrolled.double, "--key", key, "-o", out, "--say", tmp_path / "no.wav")
    assert missing.status == 2
    assert "no such file" in missing.err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--frames", "3"], 2),
        (["--frames", "many"], 2),
        (["--generator", "sora"], 2),
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


# With a grant


@pytest.fixture
def studio(lendable: Lendable, key_files: Path, monkeypatch: pytest.MonkeyPatch) -> Lendable:
    """The folder of a host with a double that casts, and the keys of everybody."""
    for file in key_files.iterdir():
        shutil.copy(file, lendable.folder)
    monkeypatch.chdir(lendable.folder)
    return lendable


BOB = ["--grant", "bob.grant", "--as", "bob.key", "--host", "studio.key"]
CLIP = ["--purpose", "birthday", "--frames", "8", "--out", "clip.mp4"]


def test_a_clip_with_a_grant(cli: Cli, studio: Lendable) -> None:
    studio.grant()
    done = cli("cast", "ada.cameo", *BOB, *CLIP, "--prompt", "a cake with candles", "--owner", "ada.pub")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert all(len(line) < 120 for line in lines)
    assert [line.split()[0] for line in lines] == ["video", "made", "of", "for"]
    receipt = sha256_of(studio.receipts()[0])
    assert lines[-1] == f"  for      birthday; on record, receipt {receipt[:16]}…: cameo audit"
    assert Path("clip.mp4").stat().st_size > 1000
    told = json.loads(cli("cast", "ada.cameo", *BOB, *CLIP, "--json").out)
    assert (told["purpose"], told["frames"], told["bundle_id"]) == ("birthday", 8, studio.bundle_id)
    assert told["receipt"] == sha256_of(studio.receipts()[2])


def sha256_of(receipt: Receipt) -> str:
    return sha256_hex(encode_json(receipt))


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        ([], 2, "with --key or with --grant"),
        (["--key", "ada.key", *BOB], 2, "with --key or with --grant"),
        (["--grant", "bob.grant"], 2, "--as and --host"),
        (["--grant", "bob.grant", "--host", "studio.key"], 2, "a grant is used with --as"),
        (["--grant", "bob.grant", "--as", "bob.key"], 2, "a grant is used with --host"),
        (["--key", "ada.key", "--as", "bob.key"], 2, "--as goes with --grant only"),
        (["--key", "ada.key", "--host", "studio.key", "--as", "bob.key"], 2, "--as, --host go with --grant only"),
        (["--key", "ada.key", "--status", "status"], 2, "--status goes with --grant only"),
        (["--key", "ada.key", "--owner", "ada.pub"], 2, "--owner goes with --grant only"),
        ([*BOB, "--owner", "none.pub"], 2, "none.pub"),
        ([*BOB[:4], "--host", "studio.pub"], 2, "the public half of a key"),
        (["--grant", "none.grant", *BOB[2:]], 2, "cannot read none.grant"),
        (["--grant", "ada.cameo", *BOB[2:]], 3, ""),
        ([*BOB, "--owner", "eve.pub"], 3, "not signed by the key you trust"),
        (["--grant", "bob.grant", "--as", "eve.key", "--host", "studio.key"], 4, "not by the key that asks"),
        (["--grant", "bob.grant", "--as", "bob.key", "--host", "eve.key"], 4, "for the host"),
        ([*BOB, "--purpose", "comedy"], 4, "for birthday, not for 'comedy'"),
        ([*BOB, "--commercial"], 4, "commercial"),
        ([*BOB, "--prompt", "go vote at the polling station"], 4, "political/campaign"),
        ([*BOB, "--status", "nowhere"], 4, "never seen here"),
    ],
)
def test_what_is_not_cast(cli: Cli, studio: Lendable, words: list[str], exit_status: int, said: str) -> None:
    studio.grant()
    done = cli("cast", "ada.cameo", *CLIP, *words)
    fails(done, exit_status, said)
    assert not Path("clip.mp4").exists()


def test_a_grant_is_for_a_purpose(cli: Cli, studio: Lendable) -> None:
    studio.grant()
    fails(cli("cast", "ada.cameo", *BOB, "--out", "clip.mp4"), 2, "--purpose ID")


def test_whose_it_is_must_be_known(cli: Cli, studio: Lendable) -> None:
    studio.grant()
    Path("ada.pub").rename("else.pub")
    fails(cli("cast", "ada.cameo", *BOB, *CLIP), 2, "there is no ada.pub beside it", "--owner ada.pub")
    assert cli("cast", "ada.cameo", *BOB, *CLIP, "--owner", "else.pub").status == 0
