"""Write and read grants, and the one delegation by which a friend narrows a grant for a tool.

A grant is a compact JWS by the owner. It carries the content keys of the granted modalities, sealed to one host: that
host has no other way to them, and nobody else has any. Byte-level description: `docs/reference/grant-format.md`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_base64url, encode_base64url
from cameo.crypto.jws import open_token, sign_token, token_digest, token_type, unverified_claims
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.grants.scope import Scope, require_narrower

GRANT = "cameo-grant+jwt"
DELEGATION = "cameo-delegation+jwt"
FILE_LIMIT = 32 * 1024
LIFE_LIMIT_S = 10 * 366 * 86400
LOCATION_LIMIT = 512

Hex128 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Hex256 = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
# Up to the last second of the year 9999: further no calendar here can say.
Seconds = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]
Encoded = Annotated[str, msgspec.Meta(max_length=128)]

_HINT = "get it again from whoever issued it"


class Jwk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold a public key as RFC 8037 writes it."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519", "X25519"]
    x: Encoded


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name the key that must prove possession (RFC 7800); `enc` is the other half, which the fingerprint needs."""

    kid: Hex256
    jwk: Jwk
    enc: Jwk

    @classmethod
    def of(cls, keys: PublicKeys) -> Confirmation:
        """Name `keys`."""
        sign = Jwk("OKP", "Ed25519", encode_base64url(keys.sign_bytes))
        return cls(keys.fingerprint, sign, Jwk("OKP", "X25519", encode_base64url(keys.decrypt_bytes)))

    def keys(self) -> PublicKeys:
        """Load the keys that are named.

        Raises:
            NotVerified: weak keys, or a fingerprint that belongs to others.
        """
        return _confirmed(self)


@lru_cache(maxsize=4096)
def _confirmed(named: Confirmation) -> PublicKeys:
    """Load keys once: the same holders come again and again."""
    if (named.jwk.crv, named.enc.crv) != ("Ed25519", "X25519"):
        raise NotVerified("the holder's keys are of the wrong curves", _HINT, "malformed")
    sign, decrypt = (decode_base64url(jwk.x, "the holder's key", 32) for jwk in (named.jwk, named.enc))
    keys = PublicKeys(sign, decrypt)
    if keys.fingerprint != named.kid:
        raise NotVerified("the holder's fingerprint belongs to other keys", _HINT, "malformed")
    return keys


class StatusIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Point to one bit of a status list."""

    idx: Annotated[int, msgspec.Meta(ge=0, lt=2**24)]
    uri: Annotated[str, msgspec.Meta(max_length=256)]


class StatusClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the `status` claim of the Token Status List draft."""

    status_list: StatusIndex


class SealedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the content key of one modality, encrypted (HPKE, base64) to the host in `aud`."""

    modality: Literal["face", "voice"]
    sealed: Encoded


class GrantClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what an owner grants.

    Attributes:
        iss, aud: fingerprints of the owner and of the host that may open the double.
        sub: id of the double.
        jti: id of the grant.
        iat, nbf, exp: Unix seconds.
        scope: what is allowed.
        delegable: whether the holder may narrow it once for another key.
        bundle_sha256, consent_sha256: of the whole `.cameo` file and of its consent record.
        status: where in the owner's status list its revocation would show.
        keys: the content keys, one for every modality in `scope`.
        cnf: the friend who holds it; None if it is for a group or everyone.
        group: id of the group whose members may use it; "" for none.
        everyone: whether any key may use it.
        status_at: where the status list is published, a URL or a path; "" if the host must know.
    """

    iss: Hex256
    aud: Hex256
    sub: Hex128
    jti: Hex128
    iat: Seconds
    nbf: Seconds
    exp: Seconds
    scope: Scope
    delegable: bool
    bundle_sha256: Hex256
    consent_sha256: Hex256
    status: StatusClaim
    keys: Annotated[tuple[SealedKey, ...], msgspec.Meta(min_length=1, max_length=2)]
    cnf: Confirmation | None = None
    group: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{32})?\Z")] = ""
    everyone: bool = False
    status_at: Annotated[str, msgspec.Meta(max_length=LOCATION_LIMIT)] = ""

    @property
    def audience(self) -> Literal["owner", "approved", "group", "everyone"]:
        """Whom it is for, in the words of the consent record."""
        if self.everyone:
            return "everyone"
        if self.group:
            return "group"
        return "owner" if self.cnf is not None and self.cnf.kid == self.iss else "approved"


class DelegationClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold how a friend narrows a grant; `iss` is the friend, `parent` the digest of the grant, `cnf` the tool."""

    iss: Hex256
    parent: Encoded
    jti: Hex128
    iat: Seconds
    nbf: Seconds
    exp: Seconds
    scope: Scope
    cnf: Confirmation


@dataclass(frozen=True, slots=True)
class Chain:
    """Hold a grant and perhaps a delegation, as tokens and as claims; `digest` is over both tokens."""

    tokens: tuple[str, ...]
    digest: str
    grant: GrantClaims
    delegation: DelegationClaims | None = None

    @property
    def scope(self) -> Scope:
        """What the last link allows."""
        return self.delegation.scope if self.delegation else self.grant.scope

    @property
    def holder(self) -> Confirmation | None:
        """Who must prove possession; None if it is for a group or everyone."""
        return self.delegation.cnf if self.delegation else self.grant.cnf

    @property
    def nbf(self) -> int:
        """From when on all links hold, Unix seconds."""
        return max(self.grant.nbf, self.delegation.nbf if self.delegation else 0)

    @property
    def exp(self) -> int:
        """Until when all links hold, Unix seconds."""
        return min(self.grant.exp, self.delegation.exp if self.delegation else self.grant.exp)


def fresh_id() -> str:
    """Draw an id for a grant or a delegation: 128 bits, hex."""
    return os.urandom(16).hex()


def sign_grant(claims: GrantClaims, owner: KeyProvider) -> str:
    """Sign a grant.

    Raises:
        UsageError: the claims contradict themselves.
    """
    try:
        _require_consistent(claims)
    except NotVerified as error:
        raise UsageError(error.message, "grant something that can be used") from None
    return sign_token(GRANT, claims, owner)


def sign_delegation(grant: str, claims: DelegationClaims, friend: KeyProvider) -> str:
    """Sign a delegation after checking that a host would accept it.

    Raises:
        NotPermitted: "not_delegable", "wrong_holder", "widened".
        NotVerified: the grant is malformed.
    """
    parent = unverified_claims(grant, GRANT, GrantClaims, "the grant")
    if parent.cnf is not None and parent.cnf.kid != friend.public.fingerprint:
        raise NotPermitted("this key does not hold the grant", "use the key it was granted to", "wrong_holder")
    _require_narrowing(parent, claims, token_digest(grant))
    return sign_token(DELEGATION, claims, friend)


def verify_chain(tokens: tuple[str, ...], owner: PublicKeys) -> Chain:
    """Verify a grant by `owner`, and the delegation of its holder if there is one.

    Raises:
        NotVerified: malformed, not signed by the right key, or put together from two grants ("spliced").
        NotPermitted: "not_delegable", "widened".
    """
    if not 1 <= len(tokens) <= 2:
        raise NotVerified("a grant has one delegation at most", _HINT, "malformed")
    grant = _verified_grant(tokens[0], owner)
    if len(tokens) == 1:
        return Chain(tokens, token_digest(*tokens), grant)
    return Chain(tokens, token_digest(*tokens), grant, _verified_delegation(tokens[1], tokens[0], grant))


def unverified_chain(tokens: tuple[str, ...]) -> Chain:
    """Read a chain without looking at signatures: for showing, and for finding out which double it is about.

    Raises:
        NotVerified: malformed.
    """
    grant = unverified_claims(tokens[0], GRANT, GrantClaims, "the grant")
    delegation = None
    if len(tokens) > 1:
        delegation = unverified_claims(tokens[1], DELEGATION, DelegationClaims, "the delegation")
    return Chain(tokens, token_digest(*tokens), grant, delegation)


def read_tokens(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read a `.grant` file: a grant, or a grant and a delegation joined by `~`.

    Raises:
        UsageError: it cannot be read.
        NotVerified: it is no grant.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(FILE_LIMIT + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {path}: {reason}", "check the path of the .grant file") from None
    return parse_tokens(raw, str(path))


def parse_tokens(raw: bytes, what: str = "the grant") -> tuple[str, ...]:
    """Split the content of a `.grant` file into its tokens.

    Raises:
        NotVerified: too long, not ASCII, more than two tokens, or of other types than a grant and a delegation.
    """
    if len(raw) > FILE_LIMIT:
        raise NotVerified(f"{what} is longer than a grant can be", _HINT, "oversize")
    try:
        tokens = tuple(raw.removesuffix(b"\n").decode("ascii").split("~"))
    except ValueError:
        raise NotVerified(f"{what} is not a grant", _HINT, "malformed") from None
    if len(tokens) > 2:
        raise NotVerified(f"{what} holds more than one delegation", _HINT, "malformed")
    for token, typ in zip(tokens, (GRANT, DELEGATION), strict=False):
        if token_type(token, what) != typ:
            raise NotVerified(f"{what} holds another kind of token than a {typ}", _HINT, "bad_header")
    return tokens


def file_bytes(tokens: tuple[str, ...]) -> bytes:
    """Write the content of a `.grant` file."""
    return "~".join(tokens).encode() + b"\n"


def sealed_keys(claims: GrantClaims) -> Mapping[str, str]:
    """The encrypted content keys, by modality."""
    return {key.modality: key.sealed for key in claims.keys}


@lru_cache(maxsize=4096)
def _verified_grant(token: str, owner: PublicKeys) -> GrantClaims:
    """Verify a grant once: the same bytes under the same key give the same answer for ever. Failures are not kept."""

    def owners(kid: str) -> PublicKeys:
        if kid != owner.fingerprint:
            raise NotVerified("the grant is not signed by the owner you trust", "is this the right .pub file?", _SIGNED)
        return owner

    claims = open_token(token, GRANT, GrantClaims, owners, "the grant")
    if claims.iss != owner.fingerprint:
        raise NotVerified("the grant names another issuer than its signer", _HINT, _SIGNED)
    _require_consistent(claims)
    return claims


@lru_cache(maxsize=4096)
def _verified_delegation(token: str, grant_token: str, grant: GrantClaims) -> DelegationClaims:
    if grant.cnf is None:
        raise _not_delegable()
    friend = grant.cnf.keys()

    def friends(kid: str) -> PublicKeys:
        if kid != friend.fingerprint:
            message = "the delegation is not signed by the holder of the grant"
            raise NotVerified(message, "only they can pass it on", _SIGNED)
        return friend

    claims = open_token(token, DELEGATION, DelegationClaims, friends, "the delegation")
    if claims.iss != friend.fingerprint:
        raise NotVerified("the delegation names another issuer than its signer", _HINT, _SIGNED)
    _require_narrowing(grant, claims, token_digest(grant_token))
    return claims


_SIGNED = "bad_signature"


def _require_consistent(claims: GrantClaims) -> None:
    if (claims.cnf is not None) + bool(claims.group) + claims.everyone != 1:
        raise NotVerified("the grant is for nobody, or for several audiences", _HINT, "malformed")
    if claims.cnf is not None:
        claims.cnf.keys()
    elif claims.delegable:
        raise NotVerified("a grant for a group or everyone cannot be passed on", _HINT, "malformed")
    if not claims.nbf < claims.exp <= claims.iat + LIFE_LIMIT_S:
        raise NotVerified("the grant ends before it begins, or lasts longer than a grant can", _HINT, "malformed")
    if {key.modality for key in claims.keys} != set(claims.scope.modalities) or len(claims.keys) != len(
        claims.scope.modalities
    ):
        raise NotVerified("the grant's keys are not those of its modalities", _HINT, "malformed")


def _require_narrowing(parent: GrantClaims, child: DelegationClaims, digest: str) -> None:
    if not parent.delegable or parent.cnf is None:
        raise _not_delegable()
    if child.parent != digest:
        raise NotVerified("the delegation belongs to another grant", _HINT, "spliced")
    child.cnf.keys()
    require_narrower(child.scope, parent.scope)
    if child.exp > parent.exp or child.nbf < parent.nbf or child.nbf >= child.exp:
        raise NotPermitted("the delegation lasts longer than the grant", "choose an earlier end", "widened")


def _not_delegable() -> NotPermitted:
    hint = "ask the owner for one made with --delegable"
    return NotPermitted("this grant may not be passed on", hint, "not_delegable")
