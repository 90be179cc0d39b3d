"""Sign and open compact JWS tokens: one algorithm, one type per call, one spelling per value.

`joserfc` verifies the signature; everything a token could be bent with is refused before it is asked.

Source: RFC 7515 (JWS), RFC 8725 (JWT best current practices), RFC 9864 (the fully specified algorithm `Ed25519`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from cameo.crypto.encoding import (
    SHA256_HEX,
    decode_base64url,
    decode_json,
    encode_base64url,
    encode_json,
    sha256_hex,
)
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified

T = TypeVar("T")

ALGORITHM: Literal["Ed25519"] = "Ed25519"
TOKEN_LIMIT = 16 * 1024
_SIGNATURE_BYTES = 64
_HEADER_LIMIT = 512

_JOSE = jws.JWSRegistry(algorithms=[ALGORITHM]).get_alg(ALGORITHM)

_HINT = "it was changed or is damaged: get it again from whoever issued it"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the whole protected header; nothing else may stand in it."""

    alg: Literal["Ed25519"]
    typ: str
    kid: str


class _Parts(NamedTuple):
    """Hold a token that was taken apart; `signed` is what the signature is over, `payload` still base64url."""

    header: Header
    payload: str
    signed: str
    signature: bytes


def sign_token(typ: str, claims: msgspec.Struct, keys: KeyProvider) -> str:
    """Sign `claims` as a compact token of type `typ`; `kid` is the signer's fingerprint."""
    header = encode_base64url(encode_json(Header(ALGORITHM, typ, keys.public.fingerprint)))
    signing_input = f"{header}.{encode_base64url(encode_json(claims))}"
    # Signed here and not by joserfc: the key may live in another machine.
    return f"{signing_input}.{encode_base64url(keys.sign(signing_input.encode()))}"


def open_token(
    token: str, typ: str, claims: type[T], key_of: Callable[[str], PublicKeys], what: str, limit: int = TOKEN_LIMIT
) -> T:
    """Verify a token and read its claims.

    Args:
        token: compact serialisation.
        typ: the only type that is accepted; a token of one kind never stands in for another.
        claims: a `msgspec.Struct` class that forbids unknown fields.
        key_of: gives the key for a fingerprint; raises when none is trusted. The header never brings its own key.
        what: names the token in errors.
        limit: the most characters that are looked at.

    Raises:
        NotVerified: "oversize", "malformed", "bad_header", "bad_signature", or what `key_of` raises.
    """
    parts = _split(token, typ, what, limit)
    _verify(parts, key_of(parts.header.kid), what)
    return decode_json(decode_base64url(parts.payload, what), claims, what, limit)


def unverified_claims(token: str, typ: str, claims: type[T], what: str, limit: int = TOKEN_LIMIT) -> T:
    """Read the claims of a token without looking at its signature: for showing, and for finding the right key.

    Raises:
        NotVerified: as `open_token`, but for the signature.
    """
    return decode_json(decode_base64url(_split(token, typ, what, limit).payload, what), claims, what, limit)


def token_type(token: str, what: str, limit: int = TOKEN_LIMIT) -> str:
    """Read which type a token claims to be.

    Raises:
        NotVerified: it is no token of ours.
    """
    return _parts(token, what, limit).header.typ


def token_digest(*tokens: str) -> str:
    """Hash one token, or a chain of them joined by `~` (base64url SHA-256, as DPoP's `ath` does, RFC 9449)."""
    return encode_base64url(bytes.fromhex(sha256_hex("~".join(tokens).encode())))


def _split(token: str, typ: str, what: str, limit: int) -> _Parts:
    parts = _parts(token, what, limit)
    if parts.header.typ != typ:
        raise NotVerified(f"{what} is a {_shown(parts.header.typ)}, not a {typ}", "give the right file", "bad_header")
    return parts


def _parts(token: str, what: str, limit: int) -> _Parts:
    if len(token) > limit:
        raise NotVerified(f"{what} is longer than the {limit} characters allowed", _HINT, "oversize")
    if token.count(".") != 2:
        raise NotVerified(f"{what} is not a signed token", _HINT, "malformed")
    first, payload, last = token.split(".")
    signature = decode_base64url(last, f"{what}: signature", _SIGNATURE_BYTES)
    return _Parts(_header(first, what), payload, f"{first}.{payload}", signature)


@lru_cache(maxsize=1024)
def _header(encoded: str, what: str) -> Header:
    """Read a header; the same few come again and again."""
    raw = decode_base64url(encoded, what)
    try:
        header = decode_json(raw, Header, what, _HEADER_LIMIT)
    except NotVerified:
        raise NotVerified(f"{what} has a header that is not allowed", _HINT, "bad_header") from None
    if encode_json(header) != raw or not _is_fingerprint(header.kid):
        raise NotVerified(f"{what} has a header that is not allowed", _HINT, "bad_header")
    return header


def _is_fingerprint(kid: str) -> bool:
    return re.match(SHA256_HEX, kid) is not None


def _verify(parts: _Parts, key: PublicKeys, what: str) -> None:
    # What is signed are the characters as they stand, and the header was read more strictly than the library would:
    # it need not take the token apart again.
    try:
        holds = _JOSE.verify(parts.signed.encode(), parts.signature, _jose_key(key))
    except (JoseError, ValueError):
        holds = False
    if not holds:
        raise NotVerified(f"{what}: the signature does not hold", _HINT, "bad_signature")


@lru_cache(maxsize=4096)
def _jose_key(key: PublicKeys) -> OKPKey:
    """Bring a key into the library's form once; it refuses one that is not for this algorithm."""
    ours = OKPKey.import_key(key.sign_key)
    _JOSE.check_key(ours)
    return ours


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:64]
