"""The system's keyring: used when it works, never missed when it does not."""

from __future__ import annotations

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import PasswordDeleteError

from cameo.crypto.keystore import recall_passphrase, remember_passphrase
from cameo.errors import CameoError


class _Memory(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.known.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.known[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError


def _use(monkeypatch: pytest.MonkeyPatch, backend: KeyringBackend) -> None:
    monkeypatch.setattr(keyring, "get_password", backend.get_password)
    monkeypatch.setattr(keyring, "set_password", backend.set_password)


def test_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, _Memory())
    assert recall_passphrase("ab") is None
    remember_passphrase("ab", "secret")
    assert recall_passphrase("ab") == "secret"
    assert recall_passphrase("cd") is None


def test_without_a_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, NoKeyring())
    assert recall_passphrase("ab") is None
    with pytest.raises(CameoError, match="not stored"):
        remember_passphrase("ab", "secret")
