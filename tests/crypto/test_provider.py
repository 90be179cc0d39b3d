"""Keys that live elsewhere do everything that keys in a file do."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

import cameo
from cameo.crypto.keys import Keys, PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted
from cameo.grants.guard import list_digest
from cameo.seal.bundle import Bundle, seal_bundle
from cameo.seal.consent import agree
from cameo.seal.terms import parse_terms, resolve_terms
from tests.seal.conftest import ENCODER, some_parts


class Vault:
    """Stand for a key management service: it answers two questions, and hands nothing out."""

    def __init__(self) -> None:
        self.__kept = Keys.generate()
        self.asked: list[str] = []

    @property
    def public(self) -> PublicKeys:
        return self.__kept.public

    def sign(self, message: bytes) -> bytes:
        self.asked.append("sign")
        return self.__kept.sign(message)

    def open_box(self, sealed: bytes, info: bytes) -> bytes:
        self.asked.append("open_box")
        return self.__kept.open_box(sealed, info)


def test_a_vault_is_a_key_provider() -> None:
    assert isinstance(Vault(), KeyProvider)
    assert isinstance(Keys.generate(), KeyProvider)
    assert not isinstance(Keys.generate().public, KeyProvider)


def test_owner_friend_and_host_in_vaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    owner, friend, host = Vault(), Vault(), Vault()
    terms = resolve_terms(
        parse_terms('[[purposes]]\nid = "birthday"'), ["reference"], datetime.date.today(), list_digest()
    )
    double, lent = tmp_path / "ada.cameo", tmp_path / "bob.grant"
    seal_bundle(double, owner, agree(terms, "api"), some_parts(), [ENCODER])
    Bundle.open(double).verify(owner.public)
    cameo.grant(double, keys=owner, to=friend.public, host=host.public, terms=cameo.GrantTerms(("birthday",)), out=lent)
    use = cameo.Use("generate", "birthday", "", "reference", ("video",), ("face",), 1.0, 64)
    borrowed = cameo.Borrowed(lent, host, owner.public, friend)
    with cameo.unlock(double, use, borrowed=borrowed) as opened:
        assert "adapter.reference.face" in opened.parts
    assert {*owner.asked} == {"sign", "open_box"}, "it signed the double and the grant, and unwrapped the root key"
    assert {*friend.asked} == {"sign"}, "it proved possession"
    assert {*host.asked} == {"sign", "open_box"}, "it unwrapped the content key and signed receipts"
    cameo.revoke(lent, keys=owner)
    with pytest.raises(NotPermitted, match="revoked"), cameo.unlock(double, use, borrowed=borrowed):
        pass
