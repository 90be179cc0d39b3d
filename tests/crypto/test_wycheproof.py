"""Project Wycheproof's vectors, through our own key loading, signature check, cipher and derivation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from cameo.crypto.box import hkdf_sha256
from cameo.crypto.keys import Keys, PublicKeys, load_x25519
from cameo.errors import NotVerified

_VECTORS = Path(__file__).parents[1] / "vectors" / "wycheproof"


def _cases(name: str) -> list[Any]:
    tests = json.loads((_VECTORS / f"{name}.json").read_text())["tests"]
    return [pytest.param(test, id=f"{name}-{test['tcId']}") for test in tests]


@pytest.mark.parametrize("case", _cases("ed25519"))
def test_ed25519(case: dict[str, Any]) -> None:
    other_half = Keys.generate().public.decrypt_bytes
    owner = PublicKeys(bytes.fromhex(case["pk"]), other_half)
    holds = owner.verifies(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
    assert holds == (case["result"] == "valid")


@pytest.mark.parametrize("case", _cases("x25519"))
def test_x25519(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["public"])
    if {"LowOrderPublic", "NonCanonicalPublic", "ZeroSharedSecret"} & set(case["flags"]):
        with pytest.raises(NotVerified):
            load_x25519(raw)
        return
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
    assert private.exchange(load_x25519(raw)).hex() == case["shared"]


@pytest.mark.parametrize("case", _cases("chacha20_poly1305"))
def test_chacha20_poly1305(case: dict[str, Any]) -> None:
    key, nonce, aad, message, ct, tag = (bytes.fromhex(case[f]) for f in ("key", "iv", "aad", "msg", "ct", "tag"))
    cipher = ChaCha20Poly1305(key)
    if case["result"] == "valid":
        assert cipher.encrypt(nonce, message, aad) == ct + tag
        assert cipher.decrypt(nonce, ct + tag, aad) == message
    else:
        with pytest.raises((InvalidTag, ValueError)):
            cipher.decrypt(nonce, ct + tag, aad)


@pytest.mark.parametrize("case", _cases("hkdf_sha256"))
def test_hkdf(case: dict[str, Any]) -> None:
    key, salt, info = (bytes.fromhex(case[f]) for f in ("ikm", "salt", "info"))
    if case["result"] == "valid":
        assert hkdf_sha256(key, info, salt, case["size"]).hex() == case["okm"]
    else:
        with pytest.raises(ValueError, match="greater|larger|exceed|Cannot|length"):
            hkdf_sha256(key, info, salt, case["size"])
