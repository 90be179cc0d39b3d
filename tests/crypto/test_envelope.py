"""DSSE: what is signed, and who counts."""

from __future__ import annotations

import msgspec
import pytest

from cameo.crypto.encoding import encode_base64, encode_json
from cameo.crypto.envelope import (
    Envelope,
    Signature,
    authenticated_bytes,
    read_envelope,
    sign_envelope,
    verify_envelope,
)
from cameo.crypto.keys import Keys
from cameo.errors import NotVerified

KIND = "application/x"
ADA, BOB, EVE = (Keys.generate() for _ in range(3))


def _verify(envelope: Envelope, *keys: Keys, threshold: int = 1) -> bytes:
    return verify_envelope(envelope, KIND, [key.public for key in keys], "it", threshold)


def test_pae_is_that_of_the_specification() -> None:
    assert authenticated_bytes("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_round_trip() -> None:
    envelope = sign_envelope(KIND, b"hello", [ADA, BOB])
    raw = encode_json(envelope)
    assert read_envelope(raw, "it", 10_000) == envelope
    assert _verify(envelope, ADA) == _verify(envelope, BOB) == _verify(envelope, ADA, BOB, threshold=2) == b"hello"
    with pytest.raises(NotVerified, match="not signed by"):
        _verify(envelope, EVE)


def test_distinct_keys_are_counted() -> None:
    once = sign_envelope(KIND, b"hello", [ADA])
    twice = msgspec.structs.replace(once, signatures=once.signatures * 2)
    with pytest.raises(NotVerified):
        _verify(twice, ADA, BOB, threshold=2)
    with pytest.raises(NotVerified, match="canonical"):
        read_envelope(encode_json(twice), "it", 10_000)


def test_key_id_alone_is_worth_nothing() -> None:
    by_eve = sign_envelope(KIND, b"hello", [EVE]).signatures[0].sig
    posing = Envelope(KIND, encode_base64(b"hello"), (Signature(ADA.public.fingerprint, by_eve),))
    with pytest.raises(NotVerified, match="does not hold"):
        _verify(posing, ADA, EVE)


def test_threshold_below_one_is_not_everything_goes() -> None:
    with pytest.raises(NotVerified):
        _verify(sign_envelope(KIND, b"hello", [EVE]), ADA, threshold=0)


def test_other_type_or_payload() -> None:
    envelope = sign_envelope(KIND, b"hello", [ADA])
    for changed in (
        msgspec.structs.replace(envelope, payload_type="application/y"),
        msgspec.structs.replace(envelope, payload=encode_base64(b"hallo")),
        msgspec.structs.replace(envelope, payload="aGVsbG9="),
        msgspec.structs.replace(envelope, payload="aGVsbG8"),
    ):
        with pytest.raises(NotVerified):
            _verify(changed, ADA)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b":", b": ", 1),
        lambda raw: raw.replace(b"application/x", b"application\\/x"),
        lambda raw: raw.replace(b'{"payloadType"', b'{"payloadType":"z","payloadType"'),
        lambda raw: raw.replace(b'{"payloadType"', b'{"extra":1,"payloadType"'),
        lambda raw: raw + b" " * 10_000,
        lambda raw: raw[:-1],
        lambda raw: b"[" * 9_000,
    ],
)
def test_only_one_spelling_is_read(spoil: object) -> None:
    raw = encode_json(sign_envelope(KIND, b"hello", [ADA]))
    with pytest.raises(NotVerified):
        read_envelope(spoil(raw), "it", 10_000)  # type: ignore[operator]
