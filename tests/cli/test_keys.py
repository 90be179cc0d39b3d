"""`cameo keygen`, and how every verb gets at a key's passphrase."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from cameo.cli import terminal
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import NotPermitted

from .conftest import PASSPHRASE, Cli, run_process


def test_keygen_makes_two_files(cli: Cli, tmp_path: Path) -> None:
    shown = cli("keygen", "--out", tmp_path / "ada.key")
    assert (shown.status, shown.err) == (0, "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ada.key", "ada.pub"]
    assert stat.S_IMODE((tmp_path / "ada.key").stat().st_mode) == 0o600
    public = PublicKeys.load(tmp_path / "ada.pub")
    assert public.fingerprint in shown.out
    assert Keys.load(tmp_path / "ada.key", PASSPHRASE).public == public
    assert PASSPHRASE not in shown.out


def test_keygen_json(cli: Cli, tmp_path: Path) -> None:
    value = json.loads(cli("keygen", "--out", tmp_path / "ada.key", "--json").out)
    fingerprint = PublicKeys.load(tmp_path / "ada.pub").fingerprint
    assert value == {"key": str(tmp_path / "ada.key"), "pub": str(tmp_path / "ada.pub"), "fingerprint": fingerprint}


def test_nothing_is_overwritten(cli: Cli, tmp_path: Path) -> None:
    cli("keygen", "--out", tmp_path / "ada.key")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    shown = cli("keygen", "--out", tmp_path / "ada.key")
    assert (shown.status, shown.out) == (1, "")
    assert "exists already" in shown.err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_wrong_calls(cli: Cli, tmp_path: Path) -> None:
    assert cli("keygen").status == 2
    assert cli("keygen", "--out", tmp_path / "ada.pub").status == 2
    assert cli("keygen", "--out", tmp_path / "none" / "ada.key").status == 1
    assert list(tmp_path.iterdir()) == []


def test_a_short_passphrase_warns(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", "short")
    shown = cli("keygen", "--out", tmp_path / "ada.key")
    assert shown.status == 0
    assert shown.err.startswith("warning: the passphrase is short")


def test_without_a_passphrase_or_terminal(tmp_path: Path) -> None:
    done = run_process("keygen", "--out", tmp_path / "ada.key")
    assert (done.returncode, done.stdout) == (4, "")
    assert "set CAMEO_PASSPHRASE" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_typed_twice(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CAMEO_PASSPHRASE")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = ["typed by hand", "typed by hand", "typed by hand", "typed otherwise", ""]
    monkeypatch.setattr("getpass.getpass", lambda *_a, **_k: answers.pop(0))
    assert cli("keygen", "--out", tmp_path / "ada.key").status == 0
    assert Keys.load(tmp_path / "ada.key", "typed by hand")
    different = cli("keygen", "--out", tmp_path / "eve.key")
    assert different.status == 2
    assert "differ" in different.err
    assert "empty" in cli("keygen", "--out", tmp_path / "bob.key").err
    assert not (tmp_path / "eve.key").exists()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    Keys.generate().save(tmp_path / "ada.key", PASSPHRASE)
    return tmp_path / "ada.key"


def test_keys_open_with_the_environment(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", PASSPHRASE)
    assert terminal.load_keys(key).public == PublicKeys.load(key.with_suffix(".pub"))
    monkeypatch.setenv("CAMEO_PASSPHRASE", "another")
    with pytest.raises(NotPermitted, match="wrong passphrase"):
        terminal.load_keys(key)


def test_keys_open_with_the_keyring(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMEO_PASSPHRASE", raising=False)
    asked: list[str] = []

    def recall(fingerprint: str) -> str:
        asked.append(fingerprint)
        return PASSPHRASE

    monkeypatch.setattr("cameo.crypto.keystore.recall_passphrase", recall)
    assert terminal.load_keys(key).public.fingerprint == asked[0]


def test_keys_open_by_asking_or_not_at_all(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAMEO_PASSPHRASE", raising=False)
    monkeypatch.setattr("cameo.crypto.keystore.recall_passphrase", lambda _fingerprint: None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(NotPermitted, match="no passphrase") as caught:
        terminal.load_keys(key)
    assert "CAMEO_PASSPHRASE" in caught.value.hint
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda *_a, **_k: PASSPHRASE)
    assert terminal.load_keys(key)


def test_keygen_says_when_there_is_no_keyring(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import keyring
    from keyring.backends.fail import Keyring as NoKeyring

    monkeypatch.setattr(keyring, "set_password", NoKeyring().set_password)
    shown = cli("keygen", "--out", tmp_path / "ada.key", "--keyring")
    assert shown.status == 1
    assert "no working keyring" in shown.err
    assert Keys.load(tmp_path / "ada.key", PASSPHRASE), "the key is made and good all the same"
