"""Project Wycheproof's vectors, through our own key loading, signature check, cipher, derivation and tokens.

A selection is in the repository; where the whole files lie beside it (`../shared/vectors/wycheproof`), they run, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from cameo.crypto.box import hkdf_sha256
from cameo.crypto.jws import open_token, token_type
from cameo.crypto.keys import Keys, PublicKeys, load_x25519
from cameo.errors import NotVerified

_ROOT = Path(__file__).parents[2]
_SELECTION = _ROOT / "tests" / "vectors" / "wycheproof"
_WHOLE = _ROOT.parent / "shared" / "vectors" / "wycheproof"

_HALF = Keys.generate().public


def _cases(name: str) -> list[Any]:
    tests = json.loads((_SELECTION / f"{name}.json").read_text())["tests"]
    return [pytest.param(test, id=f"{name}-{test['tcId']}") for test in tests]


def _whole(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every group and test of a whole file; the fields of the group that a selection has flattened are in both."""
    path = _WHOLE / f"{name}_test.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not beside this repository")
    document = json.loads(path.read_text())
    tests = [(group, test) for group in document["testGroups"] for test in group["tests"]]
    assert len(tests) == document["numberOfTests"] > 50
    yield from tests


def _check_ed25519(public: str, case: dict[str, Any]) -> None:
    owner = PublicKeys(bytes.fromhex(public), _HALF.decrypt_bytes)
    holds = owner.verifies(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
    assert holds == (case["result"] == "valid"), case["tcId"]


def _check_x25519(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["public"])
    if {"LowOrderPublic", "NonCanonicalPublic", "ZeroSharedSecret"} & set(case["flags"]):
        with pytest.raises(NotVerified):
            load_x25519(raw)
        return
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
    assert private.exchange(load_x25519(raw)).hex() == case["shared"], case["tcId"]


def _check_chacha20_poly1305(case: dict[str, Any]) -> None:
    key, nonce, aad, message, ct, tag = (bytes.fromhex(case[f]) for f in ("key", "iv", "aad", "msg", "ct", "tag"))
    cipher = ChaCha20Poly1305(key)
    if case["result"] == "valid":
        assert cipher.encrypt(nonce, message, aad) == ct + tag, case["tcId"]
        assert cipher.decrypt(nonce, ct + tag, aad) == message, case["tcId"]
    else:
        with pytest.raises((InvalidTag, ValueError)):
            cipher.decrypt(nonce, ct + tag, aad)


def _check_hkdf(case: dict[str, Any]) -> None:
    key, salt, info = (bytes.fromhex(case[f]) for f in ("ikm", "salt", "info"))
    if case["result"] == "valid":
        assert hkdf_sha256(key, info, salt, case["size"]).hex() == case["okm"], case["tcId"]
    else:
        with pytest.raises(ValueError, match="greater|larger|exceed|Cannot|length"):
            hkdf_sha256(key, info, salt, case["size"])


@pytest.mark.parametrize("case", _cases("ed25519"))
def test_ed25519(case: dict[str, Any]) -> None:
    _check_ed25519(case["pk"], case)


@pytest.mark.parametrize("case", _cases("x25519"))
def test_x25519(case: dict[str, Any]) -> None:
    _check_x25519(case)


@pytest.mark.parametrize("case", _cases("chacha20_poly1305"))
def test_chacha20_poly1305(case: dict[str, Any]) -> None:
    _check_chacha20_poly1305(case)


@pytest.mark.parametrize("case", _cases("hkdf_sha256"))
def test_hkdf(case: dict[str, Any]) -> None:
    _check_hkdf(case)


def test_ed25519_whole() -> None:
    for group, case in _whole("ed25519"):
        _check_ed25519(group["publicKey"]["pk"], case)


def test_x25519_whole() -> None:
    for _, case in _whole("x25519"):
        _check_x25519(case)


def test_chacha20_poly1305_whole() -> None:
    for _, case in _whole("chacha20_poly1305"):
        _check_chacha20_poly1305(case)


def test_hkdf_whole() -> None:
    for _, case in _whole("hkdf_sha256"):
        _check_hkdf(case)


class _Anything(msgspec.Struct):
    """Take any claims."""


def test_no_token_of_others_is_taken() -> None:
    """Wycheproof's JWS use other algorithms and headers than ours: valid or not, none gets as far as a key."""

    def key_of(kid: str) -> PublicKeys:
        raise AssertionError(f"a key was asked for: {kid}")

    for _, case in _whole("json_web_signature"):
        token = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
        for typ in ("JWT", "cameo-grant+jwt"):
            with pytest.raises(NotVerified) as refused:
                open_token(token, typ, _Anything, key_of, "the token")
            assert refused.value.code in ("malformed", "bad_header", "oversize"), case["tcId"]
        with pytest.raises(NotVerified):
            token_type(token, "the token")
