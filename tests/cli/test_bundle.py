"""`cameo verify` and `cameo inspect`: what they say, what they refuse, and with which exit status."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path

import pytest

from cameo.crypto.keys import Keys
from cameo.seal.bundle import Bundle, seal_bundle
from cameo.seal.reseal import rekey_bundle, withdraw_bundle
from tests.seal.conftest import ENCODER, PASSED, agreement, some_parts

from .conftest import Cli, Folder


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path_factory.mktemp("home")))


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
    for words in (
        "face and voice for birthday", "to generate video", "with reference", "not commercially", "not to be passed on",
        "from 31 January 2026 until 31 January 2027", "cameo-words-1, edition", "the recording itself is not kept",
        "until its owner erases it", "not named", "no jurisdiction is named", "liveness: not checked",
    ):  # fmt: skip
        assert words in shown.out, "what nobody said is shown as it is"
    assert "valid, by the key" in cli("inspect", folder.double, "--owner", folder.pub).out


def test_inspect_begins_with_the_sum_of_it(cli: Cli, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    never = "never: intimate, minors, political, financial-fraud, identity-fraud, endorsement"
    expected = f"  may be used in: birthday; {never}; until 31 January 2027"
    assert cli("inspect", folder.double).out.splitlines()[1] == expected
    monkeypatch.setattr("cameo.lending.lent_to", lambda _id: 2)
    assert cli("inspect", folder.double).out.splitlines()[1] == f"{expected}; lent to: 2 friends"
    value = json.loads(cli("inspect", folder.double, "--json").out)
    assert (value["in_short"], value["lent_to"]) == (f"{expected.strip()}; lent to: 2 friends", 2)


def test_the_life_of_a_consent_is_shown(cli: Cli, folder: Folder, tmp_path: Path) -> None:
    path, new = tmp_path / "ada.cameo", Keys.generate()
    shutil.copy(folder.double, path)
    (tmp_path / "new.pub").write_bytes(new.public.to_bytes())
    at = datetime.datetime(2026, 3, 5, 23, 30, tzinfo=datetime.UTC)
    verified = Bundle.open(path).verify(folder.keys.public)
    made = rekey_bundle(path, verified, folder.keys, new, at)
    withdraw_bundle(path, made, new, at + datetime.timedelta(days=1))
    for owner in ([], ["--owner", tmp_path / "new.pub"]):
        shown = cli("inspect", path, *owner)
        assert shown.status == 0, shown.err
        assert shown.out.splitlines()[1] == "  withdrawn: may not be used any more"
        old_to_new = f"from {folder.keys.public.fingerprint} to {new.public.fingerprint}"
        for words in ("given on ", f"handed over on 5 March 2026, {old_to_new}", "withdrawn on 6 March 2026"):
            assert words in shown.out
        value = json.loads(cli("inspect", path, *owner, "--json").out)
        assert [event["kind"] for event in value["events"]] == ["given", "rekeyed", "withdrawn"]
    for verb in ("verify", "inspect"):
        refused = cli(verb, path, "--owner", folder.pub)
        assert (refused.status, refused.out) == (3, "")
        error = f"error: the double was handed over on 5 March 2026, to the key {new.public.fingerprint}"
        assert refused.err.splitlines()[0] == error


def test_inspect_json(cli: Cli, folder: Folder) -> None:
    value = json.loads(cli("inspect", folder.double, "--owner", folder.pub, "--json").out)
    assert value["signature"] == "valid"
    assert value["manifest"]["owner"] == folder.keys.public.fingerprint
    assert value["consent"]["terms"]["purposes"][0]["id"] == "birthday"
    assert json.loads(cli("inspect", folder.double, "--json").out)["signature"] == "not checked"


def test_a_file_cannot_drive_the_terminal(cli: Cli, folder: Folder) -> None:
    assert "\x1b" not in cli("inspect", folder.double).out
    assert "made\N{REPLACEMENT CHARACTER}[31m by a test" in cli("inspect", folder.double).out


def test_a_live_double_says_so(cli: Cli, folder: Folder, tmp_path: Path) -> None:
    double = tmp_path / "live.cameo"
    seal_bundle(double, folder.keys, agreement(liveness=PASSED), some_parts(), [ENCODER])
    for verb in ("verify", "inspect"):
        shown = cli(verb, double, "--owner", folder.pub)
        assert "consistency-only: tells whether" in shown.out
        assert "+ live: the recording answered a challenge, says whoever sealed it" in shown.out
        value = json.loads(cli(verb, double, "--owner", folder.pub, "--json").out)
        assert (value["assurance"], value["live"]) == ("consistency-only + live", True)
        plain = cli(verb, folder.double, "--owner", folder.pub)
        assert "+ live" not in plain.out
