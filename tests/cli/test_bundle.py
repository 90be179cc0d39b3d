"""`cameo verify` and `cameo inspect`: what they say, what they refuse, and with which exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .conftest import Cli, Folder


def test_verify(cli: Cli, folder: Folder) -> None:
    shown = cli("verify", folder.double, "--owner", folder.pub)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"verified: {folder.double} is whole and signed by its owner\n")
    assert folder.keys.public.fingerprint in shown.out
    assert "consistency-only" in shown.out


def test_verify_json(cli: Cli, folder: Folder) -> None:
    value = json.loads(cli("verify", folder.double, "--owner", folder.pub, "--json").out)
    assert value["verified"] is True
    assert value["owner"] == folder.keys.public.fingerprint
    assert value["assurance"] == "consistency-only"
    assert value["consent_withdrawn"] is False
    assert len(value["sha256"]) == 64 and value["size"] == folder.double.stat().st_size
    assert "template.face" in value["parts"]


def test_the_key_beside_the_file_is_taken_with_a_note(cli: Cli, folder: Folder, tmp_path: Path) -> None:
    shown = cli("verify", folder.double)
    assert shown.status == 0
    assert "compare the fingerprint" in shown.out
    alone = tmp_path / "ada.cameo"
    shutil.copy(folder.double, alone)
    shown = cli("verify", alone)
    assert (shown.status, shown.out) == (2, "")
    assert "give the owner's key: --owner" in shown.err


def test_a_strangers_key_is_refused(cli: Cli, folder: Folder) -> None:
    for verb in ("verify", "inspect"):
        shown = cli(verb, folder.double, "--owner", folder.stranger)
        assert (shown.status, shown.out) == (3, "")
        assert shown.err.splitlines()[0] == "error: the manifest is not signed by the key you trust"
        assert cli(verb, folder.double, "--owner", folder.stranger, "--json").out == ""


def test_changed_and_broken_files(cli: Cli, folder: Folder, tmp_path: Path) -> None:
    good = folder.double.read_bytes()
    bad = tmp_path / "bad.cameo"
    for content in (good[:-1], good + b"\0", good[:200] + bytes([good[200] ^ 1]) + good[201:], b"", b"not a double"):
        bad.write_bytes(content)
        for verb in ("verify", "inspect"):
            shown = cli(verb, bad, "--owner", folder.pub)
            assert (shown.status, shown.out) == (3, "")
            assert len(shown.err.splitlines()) == 2


@pytest.mark.parametrize("verb", ["verify", "inspect"])
def test_wrong_calls(cli: Cli, folder: Folder, tmp_path: Path, verb: str) -> None:
    for words in (
        [],
        [tmp_path / "none.cameo", "--owner", folder.pub],
        [tmp_path, "--owner", folder.pub],
        [folder.double, "--owner", tmp_path / "none.pub"],
        [folder.double, folder.double],
    ):
        shown = cli(verb, *words)
        assert (shown.status, shown.out) == (2, "")
        assert len(shown.err.splitlines()) == 2


def test_a_file_that_is_no_key(cli: Cli, folder: Folder) -> None:
    assert cli("verify", folder.double, "--owner", folder.double).status == 3


def test_inspect_says_what_is_not_trusted(cli: Cli, folder: Folder) -> None:
    shown = cli("inspect", folder.double)
    assert (shown.status, shown.err) == (0, "")
    assert "not checked: what follows is only what the file says" in shown.out
    for words in ("birthday", "never: intimate", "adapter.reference.face", "encrypted", "by people the owner approves"):
        assert words in shown.out
    assert "valid, by the key" in cli("inspect", folder.double, "--owner", folder.pub).out


def test_inspect_json(cli: Cli, folder: Folder) -> None:
    value = json.loads(cli("inspect", folder.double, "--owner", folder.pub, "--json").out)
    assert value["signature"] == "valid"
    assert value["manifest"]["owner"] == folder.keys.public.fingerprint
    assert value["consent"]["terms"]["purposes"][0]["id"] == "birthday"
    assert json.loads(cli("inspect", folder.double, "--json").out)["signature"] == "not checked"


def test_a_file_cannot_drive_the_terminal(cli: Cli, folder: Folder) -> None:
    assert "\x1b" not in cli("inspect", folder.double).out
    assert "made\N{REPLACEMENT CHARACTER}[31m by a test" in cli("inspect", folder.double).out
