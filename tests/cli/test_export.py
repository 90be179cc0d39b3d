"""`cameo export`: what it says of what it writes, and two lines for everybody else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from cameo.seal.terms import load_terms
from tests.cli.conftest import Cli
from tests.cli.test_lend import fails, plain
from tests.exportable import TERMS, seal_exportable
from tests.lendable import Lendable, People

BOB = ["--grant", "bob.grant", "--as", "bob.key", "--host", "studio.key", "--purpose", "birthday"]
OUT = ["--generator", "wan", "--format", "diffusers", "--out", "ada-wan.safetensors"]


@pytest.fixture
def studio(people: People, key_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lendable:
    """The folder of a host with a double for a tiny Wan, and the keys of everybody."""
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for file in key_files.iterdir():
        shutil.copy(file, folder)
    return seal_exportable(folder, "wan", people)


def test_the_owner_exports(cli: Cli, studio: Lendable) -> None:
    done = cli("export", "ada.cameo", "--key", "ada.key", *OUT)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == ["lora", "loads", "of", "for"]
    assert "  ada-wan.safetensors  face for wan, " in lines[0]
    assert lines[0].endswith(" kB")
    warning, *rest = done.err.splitlines()
    assert warning.startswith("warning: ada-wan.safetensors is not encrypted: ")
    assert "nothing calls it back" in warning
    assert "tokens" in rest[0]
    assert "less like the person" in rest[1]
    assert all(len(line) < 120 for line in lines + done.err.splitlines())
    assert load_file("ada-wan.safetensors")


def test_as_json(cli: Cli, studio: Lendable) -> None:
    studio.grant(actions=("export", "generate"))
    done = cli("export", "ada.cameo", *BOB, *OUT, "--format", "comfyui", "--modality", "face", "--json")
    told = json.loads(done.out)
    assert (told["path"], told["layout"], told["modalities"]) == ("ada-wan.safetensors", "comfyui", ["face"])
    assert (told["bundle_id"], told["purpose"], told["generator"]) == (studio.bundle_id, "birthday", "wan")
    assert told["size"] == Path("ada-wan.safetensors").stat().st_size
    assert "not encrypted" in done.err


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        ([], 2, "exported with --key or with --grant"),
        (["--key", "ada.key", *BOB], 2, "see: cameo export --help"),
        (["--grant", "bob.grant"], 2, "--as and --host"),
        (BOB[:6], 2, "--purpose ID"),
        ([*BOB, "--format", "a1111"], 2, "invalid choice"),
        ([*BOB, "--generator", "reference"], 2, "no other program"),
        ([*BOB, "--generator", "ltx2"], 2, "not tuned for ltx2"),
        ([*BOB, "--modality", "voice"], 2, "no voice for wan"),
        ([*BOB, "--out", "ada.key"], 2, "no name for one"),
        (BOB, 4, "does not allow the action export"),
        ([*BOB[:2], "--as", "eve.key", *BOB[4:]], 4, "not by the key that asks"),
        (["--key", "ada.key", "--purpose", "comedy"], 4, "does not allow the action export, only generate"),
        (["--key", "eve.key"], 3, "not signed"),
    ],
)
def test_what_is_not_exported(cli: Cli, studio: Lendable, words: list[str], exit_status: int, said: str) -> None:
    studio.grant()
    fails(cli("export", "ada.cameo", *OUT, *words), exit_status, said)
    assert not list(Path().glob("*.safetensors"))
    assert not list(Path().glob(".*"))


def test_what_is_there_stays(cli: Cli, studio: Lendable) -> None:
    Path("ada-wan.safetensors").write_bytes(b"weights")
    fails(cli("export", "ada.cameo", "--key", "ada.key", *OUT), 1, "exists already")
    assert Path("ada-wan.safetensors").read_bytes() == b"weights"


# Lending it, and reading about it


def test_a_grant_says_so_in_plain_words(cli: Cli, studio: Lendable) -> None:
    lend = [
        "grant",
        "ada.cameo",
        "--key",
        "ada.key",
        "--to",
        "bob.pub",
        "--host",
        "studio.pub",
        "--purpose",
        "birthday",
    ]
    lines = plain(cli(*lend, "--action", "export", "--action", "generate", "-o", "both.grant"))
    words = "             export: face for wan, as a plain file that cannot be called back"
    assert words in lines
    assert words.strip() in cli("inspect", "both.grant", "--owner", "ada.pub").out
    lines = plain(cli(*lend, "--action", "export", "-o", "only.grant"))
    assert words in lines
    assert not any("what:" in line for line in lines)
    assert not any("export" in line for line in plain(cli(*lend, "-o", "plain.grant")))
    assert json.loads(cli("inspect", "plain.grant", "--json").out)["grant"]["scope"]["actions"] == ["generate"]
    fails(cli(*lend, "--action", "train", "-o", "x.grant"), 2, "invalid choice")
    fails(cli(*lend, "--action", "export", "--max-seconds", "3", "-o", "x.grant"), 2, "any length and size")
    fails(cli(*lend[:-1], "comedy", "--action", "export", "-o", "x.grant"), 4, "the action export")


def test_a_delegation_takes_it_away_and_does_not_add_it(cli: Cli, studio: Lendable) -> None:
    studio.grant(actions=("export", "generate"), delegable=True)
    narrow = ["delegate", "bob.grant", "--key", "bob.key", "--to", "tool.pub"]
    assert any("export:" in line for line in plain(cli(*narrow, "-o", "same.grant")))
    assert not any("export:" in line for line in plain(cli(*narrow, "--action", "generate", "-o", "less.grant")))
    fails(cli(*narrow, "--max-pixels", "9", "-o", "x.grant"), 2, "any length and size")
    studio.grant(delegable=True, out="plain.grant")
    fails(
        cli("delegate", "plain.grant", *narrow[2:], "--action", "export", "-o", "x.grant"), 4, "widens actions: export"
    )


def test_the_audit_says_what_left(cli: Cli, studio: Lendable) -> None:
    cli("export", "ada.cameo", "--key", "ada.key", *OUT)
    cli("export", "ada.cameo", "--key", "ada.key", *OUT[:-1], "again.safetensors", "--purpose", "comedy")
    lines = cli("audit", "--host", "ada.pub").out.splitlines()
    assert [line.split("  ")[2].strip() for line in lines[2:]] == ["export allowed", "exported", "export refused"]
    assert "0.0 s" not in "\n".join(lines)


def test_the_consent_says_so_and_can_be_narrowed_and_widened_again(cli: Cli, studio: Lendable) -> None:
    """What was exported before stays out; what is granted anew cannot be."""
    told = "to export what was tuned as a plain file, which cannot be called back"
    assert told in cli("inspect", "ada.cameo").out
    studio.grant(actions=("export",))
    Path("less.toml").write_text(TERMS.replace('actions = ["generate", "export"]', ""), "utf-8")
    assert load_terms("less.toml").purposes[0].actions == ("generate",)
    done = cli("consent", "ada.cameo", "--key", "ada.key", "--consent", "less.toml", "--yes")
    assert done.status == 0, done.err
    assert "consent narrowed" in done.out
    assert told not in cli("inspect", "ada.cameo").out
    fails(cli("export", "ada.cameo", "--key", "ada.key", *OUT), 4, "does not allow exporting")
    Path("more.toml").write_text(TERMS, "utf-8")
    done = cli("consent", "ada.cameo", "--key", "ada.key", "--consent", "more.toml", "--yes")
    assert "consent renewed" in done.out
    assert told in done.err, "it is shown before it is agreed to"
    assert cli("export", "ada.cameo", "--key", "ada.key", *OUT).status == 0
