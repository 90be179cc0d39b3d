"""The vectors of the RFCs, as the `cryptography-vectors` package holds them, through our own keys and boxes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.crypto import box
from cameo.crypto.hpke import hpke_open, hpke_seal
from cameo.crypto.keys import Keys, PublicKeys, load_x25519
from cameo.errors import NotPermitted, NotVerified
from tests.vectors import forge

HALF = bytes(31) + b"\x40"  # some other half of a pair of keys


def _text(*path: str) -> str:
    with cryptography_vectors.open_vector_file("/".join(path), "r") as file:
        return str(file.read())


def _records(text: str) -> Iterator[dict[str, str]]:
    """Read `NAME = value` records, one after every COUNT."""
    for block in re.split(r"^COUNT\s*=.*$", text, flags=re.MULTILINE)[1:]:
        yield {
            name.lower(): value for name, value in re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", block, re.MULTILINE)
        }


def _unquoted(value: str) -> bytes:
    return value[1:-1].encode() if value.startswith('"') else bytes.fromhex(value)


def _keys(sign: bytes = HALF, decrypt: bytes = HALF) -> Keys:
    return Keys(Ed25519PrivateKey.from_private_bytes(sign), X25519PrivateKey.from_private_bytes(decrypt))


# RFC 8032, Ed25519: the 1024 lines that its authors publish.


def _signatures() -> list[tuple[bytes, bytes, bytes, bytes]]:
    found = []
    for line in _text("asymmetric", "Ed25519", "sign.input").splitlines():
        secret, public, message, signed = (bytes.fromhex(field) for field in line.split(":")[:4])
        found.append((secret[:32], public, message, signed[:64]))
    return found


def test_ed25519_signs_and_verifies() -> None:
    lines = _signatures()
    assert len(lines) == 1024
    decrypt = _keys().public.decrypt_bytes
    for secret, public, message, signature in lines:
        keys = _keys(sign=secret)
        assert (keys.public.sign_bytes, keys.sign(message)) == (public, signature)
        loaded = PublicKeys(public, decrypt)
        assert loaded.verifies(signature, message)
        assert not loaded.verifies(signature, message + b"\0")
        # S + L is the same number modulo the group's order; RFC 8032 §5.1.7 has it refused.
        scalar = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
        assert not loaded.verifies(signature[:32] + scalar.to_bytes(32, "little"), message)


# RFC 7748, X25519.


def _scalars() -> list[tuple[bytes, bytes, bytes]]:
    fields = ("input_scalar", "input_u", "output_u")
    found = []
    for record in _records(_text("asymmetric", "X25519", "rfc7748.txt")):
        scalar, u, shared = (bytes.fromhex(record[field]) for field in fields)
        found.append((scalar, u, shared))
    return found


def test_x25519_agrees() -> None:
    taken = 0
    for scalar, u, shared in _scalars():
        if u[31] & 0x80 or int.from_bytes(u, "little") >= 2**255 - 19:
            # The RFC has the top bit ignored: a second spelling of the same key, which we refuse.
            with pytest.raises(NotVerified) as refused:
                load_x25519(u)
            assert refused.value.code == "weak_key"
            u = u[:31] + bytes([u[31] & 0x7F])
        assert X25519PrivateKey.from_private_bytes(scalar).exchange(load_x25519(u)) == shared
        taken += 1
    assert taken >= 3


# RFC 8439, ChaCha20-Poly1305: the cipher of streams and key files.


def test_chacha20_poly1305_encrypts_and_decrypts() -> None:
    records = list(_records(_text("ciphers", "ChaCha20Poly1305", "boringssl.txt")))
    assert len(records) > 50
    for record in records:
        key, nonce, plain, aad, cipher, tag = (_unquoted(record[f]) for f in ("key", "nonce", "in", "ad", "ct", "tag"))
        sealer = ChaCha20Poly1305(key)
        assert sealer.encrypt(nonce, plain, aad) == cipher + tag[:16]
        assert sealer.decrypt(nonce, cipher + tag[:16], aad) == plain


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.sampled_from([0, 1, 65535, 65536, 65537]))
def test_a_stream_is_what_its_page_says(key: bytes, head: bytes, size: int) -> None:
    """Decrypt a stream by the words of `docs/reference/bundle-format.md`: RFC 5869 and RFC 8439, nothing of ours."""
    plain = (head + bytes(size))[:size]
    sealed = box.seal_stream(key, plain, "part", "id", "name")
    salt, body = sealed[:16], sealed[16:]
    cipher = ChaCha20Poly1305(forge.derive(key, "stream", "part", "id", "name", salt=salt))
    chunks = [body[i : i + 65552] for i in range(0, len(body), 65552)]
    nonces = [bytes(7) + i.to_bytes(4, "big") + bytes([i == len(chunks) - 1]) for i in range(len(chunks))]
    assert b"".join(map(cipher.decrypt, nonces, chunks, [None] * len(chunks))) == plain
    short = forge.seal_stream(key, head, salt, "part", "id", "name")
    assert box.open_stream(key, short, "it", "part", "id", "name") == head


# RFC 9180, HPKE base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
#
# Every published ciphertext has an `aad`, and `crypto.hpke` fixes that to be empty, so none of them can be opened as it
# stands. What is taken from the vectors instead: the recipient's keys, the encapsulated key, `info`, and the `key` and
# `base_nonce` that the RFC derives from them. A box encrypted under those with an empty `aad` must open; and our own
# derivation (`tests.vectors.forge`, used below to look into boxes that `hpke_seal` makes) must arrive at them and, with
# the `aad`, at the published ciphertext. Not covered: the other modes, sequence numbers above 0, and export, which
# `crypto.hpke` does not have.


def _hpke() -> list[dict[str, Any]]:
    wanted = {"mode": 0, "kem_id": 0x20, "kdf_id": 1, "aead_id": 3}
    vectors = json.loads(_text("HPKE", "test-vectors.json"))
    return [vector for vector in vectors if all(vector[name] == value for name, value in wanted.items())]


def _fields(vector: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


def test_hpke_opens_what_the_rfc_derives() -> None:
    vectors = _hpke()
    assert vectors
    for vector in vectors:
        secret, public, enc, info, key, nonce = _fields(vector, "skRm", "pkRm", "enc", "info", "key", "base_nonce")
        keys = _keys(decrypt=secret)
        assert keys.public.decrypt_bytes == public
        sealed = enc + ChaCha20Poly1305(key).encrypt(nonce, b"a content key", b"")
        assert keys.open_box(sealed, info) == b"a content key"
        for spoiled, other in ((sealed, info + b"\0"), (sealed[:-1], info), (bytes(32) + sealed[32:], info)):
            with pytest.raises(NotPermitted):
                keys.open_box(spoiled, other)


def test_hpke_boxes_follow_the_rfc() -> None:
    for vector in _hpke():
        secret, public, ephemeral, enc, info = _fields(vector, "skRm", "pkRm", "skEm", "enc", "info")
        key, nonce, first = *_fields(vector, "key", "base_nonce"), vector["encryptions"][0]
        aad, plain, published = _fields(first, "aad", "pt", "ct")
        shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(load_x25519(public))
        assert forge.hpke_schedule(shared, info, enc, public) == (key, nonce)
        assert ChaCha20Poly1305(key).encrypt(nonce, plain, aad) == published
        box_of_ours = hpke_seal(b"a content key", load_x25519(public), info)
        own = X25519PrivateKey.from_private_bytes(secret)
        shared = own.exchange(load_x25519(box_of_ours[:32]))
        key, nonce = forge.hpke_schedule(shared, info, box_of_ours[:32], public)
        assert ChaCha20Poly1305(key).decrypt(nonce, box_of_ours[32:], b"") == b"a content key"
        assert hpke_open(forge.hpke_seal(ephemeral, public, info, b"x"), own, info) == b"x"


# RFC 5869, HKDF-SHA-256.


def test_hkdf_derives() -> None:
    records = list(_records(_text("KDF", "rfc-5869-HKDF-SHA256.txt")))
    assert len(records) == 3
    for record in records:
        key, salt, info = (bytes.fromhex(record[name]) for name in ("ikm", "salt", "info"))
        okm = bytes.fromhex(record["okm"])
        assert box.hkdf_sha256(key, info, salt, int(record["l"])) == okm
        assert forge.hkdf_extract(salt, key).hex() == record["prk"]
        assert forge.hkdf_expand(forge.hkdf_extract(salt, key), info, len(okm)) == okm
