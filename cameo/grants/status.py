"""Say which grants are revoked: the owner's signed status list, and a signed statement for every revocation.

Neither function looks at the clock: whether a list is fresh enough, and newer than the last, is the ledger's to say.
Byte-level description: `docs/reference/status-list.md`.

Source: draft-ietf-oauth-status-list (Token Status List), sections 4.1, 4.2 and 5.1; `seq` is ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import decode_base64url, encode_base64url
from cameo.crypto.jws import open_token, sign_token
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified, UsageError
from cameo.grants.grant import Hex128, Hex256, Seconds

STATUS_LIST = "statuslist+jwt"
REVOCATION = "cameo-revocation+jwt"
TOKEN_LIMIT = 4 * 1024 * 1024
MAX_ENTRIES = 2**24
MAX_INDICES = 2**18
REASON_LIMIT = 256
TTL_S = 10
LIFE_S = 86_400

Sequence = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Index = Annotated[int, msgspec.Meta(ge=0, lt=MAX_ENTRIES)]

_LIST = "the status list"
_STATEMENT = "the revocation statement"
_HINT = "get it again from where its owner publishes it"


class StatusBits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the list: one bit an entry, zlib, base64url."""

    bits: Literal[1]
    lst: Annotated[str, msgspec.Meta(max_length=TOKEN_LIMIT)]


class StatusClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the claims of a status list; `sub` is its uri, `seq` rises with every change, `ttl` is in seconds."""

    iss: Hex256
    sub: Annotated[str, msgspec.Meta(max_length=256)]
    iat: Seconds
    exp: Seconds
    ttl: Annotated[int, msgspec.Meta(ge=1, le=TTL_S)]
    seq: Sequence
    status_list: StatusBits


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what an owner takes back.

    Attributes:
        iss: fingerprint of the owner.
        jti: id of this statement.
        iat: Unix seconds.
        seq: of the first status list that shows it.
        bundle_id: id of the double.
        grant: id of the grant; "" when the consent to the whole double is withdrawn.
        index: where what is taken back stands in the status list, rising: one entry, or those of all grants of the
            double. Hosts go by these.
        reason: for people; may be "".
    """

    iss: Hex256
    jti: Hex128
    iat: Seconds
    seq: Sequence
    bundle_id: Hex128
    grant: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{32})?\Z")]
    index: Annotated[tuple[_Index, ...], msgspec.Meta(max_length=MAX_INDICES)]
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LIMIT)] = ""


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """Hold a verified status list.

    Attributes:
        uri: which list, `urn:cameo:status:` and the owner's fingerprint.
        seq: rises with every change of the list.
        iat, exp: when it was signed and when it ends, Unix seconds.
        ttl: for how many seconds it may be kept before asking again.
        bits: entry i is `bits[i >> 3] >> (i & 7) & 1`; 1 means revoked.
    """

    uri: str
    seq: int
    iat: int
    exp: int
    ttl: int
    bits: bytes

    @property
    def size(self) -> int:
        """How many entries the list has."""
        return len(self.bits) * 8

    @property
    def revoked(self) -> int:
        """How many of them are revoked."""
        return int.from_bytes(self.bits, "little").bit_count()


def status_uri(fingerprint: str) -> str:
    """Name the status list of an owner."""
    return f"urn:cameo:status:{fingerprint}"


def pack_bits(size: int, revoked: Iterable[int]) -> bytes:
    """Write a list of `size` entries (rounded up to whole bytes), those in `revoked` set.

    Raises:
        UsageError: it is empty or larger than a list may be, or an entry is not on it.
    """
    if not 0 < size <= MAX_ENTRIES:
        raise UsageError(f"a status list cannot have {size} entries", f"at least 1, at most {MAX_ENTRIES}")
    packed = bytearray((size + 7) // 8)
    for index in revoked:
        if not 0 <= index < size:
            raise UsageError(f"entry {index} is not on a status list of {size}", "make the list larger first")
        packed[index >> 3] |= 1 << (index & 7)
    return bytes(packed)


def sign_status(keys: KeyProvider, size: int, revoked: Iterable[int], seq: int, now: float) -> str:
    """Sign the status list of `keys`, good for a day.

    Args:
        keys: the owner's.
        size: how many entries it has; the same `seq` must always mean the same size and entries.
        revoked: indices of the revoked grants.
        seq: higher than that of every list that said something else.
        now: Unix seconds.

    Raises:
        UsageError: see `pack_bits`.
    """
    fingerprint, iat = keys.public.fingerprint, int(now)
    bits = StatusBits(1, encode_base64url(zlib.compress(pack_bits(size, revoked), 9)))
    claims = StatusClaims(fingerprint, status_uri(fingerprint), iat, iat + LIFE_S, TTL_S, seq, bits)
    return sign_token(STATUS_LIST, claims, keys)


def read_status(token: str, owner: PublicKeys) -> StatusSnapshot:
    """Verify a status list by `owner`.

    Raises:
        NotVerified: "malformed", "oversize", "bad_header", "bad_signature", or "wrong_list" if it is another owner's.
    """
    claims = open_token(token, STATUS_LIST, StatusClaims, lambda kid: _known(kid, owner, _LIST), _LIST, TOKEN_LIMIT)
    uri = status_uri(owner.fingerprint)
    if claims.iss != owner.fingerprint or claims.sub != uri:
        raise NotVerified(f"{_LIST} is not that of the owner who signed it", _HINT, "wrong_list")
    if not claims.iat < claims.exp <= claims.iat + LIFE_S:
        raise NotVerified(f"{_LIST} ends before it begins, or lasts longer than a day", _HINT, "malformed")
    return StatusSnapshot(uri, claims.seq, claims.iat, claims.exp, claims.ttl, unpack_bits(claims.status_list.lst))


def unpack_bits(lst: str) -> bytes:
    """Read the `lst` member of a status list: base64url of one zlib stream and nothing after it.

    Raises:
        NotVerified: "malformed"; "oversize" when it would inflate to more than a list may hold (it is not inflated).
    """
    inflater = zlib.decompressobj()
    limit = MAX_ENTRIES // 8
    try:
        bits = inflater.decompress(decode_base64url(lst, _LIST), limit + 1)
    except zlib.error:
        raise NotVerified(f"{_LIST} does not inflate", _HINT, "malformed") from None
    if len(bits) > limit:
        raise NotVerified(f"{_LIST} has more than {MAX_ENTRIES} entries", _HINT, "oversize")
    if not bits or not inflater.eof or inflater.unused_data:
        raise NotVerified(f"{_LIST} is empty, cut off, or followed by something else", _HINT, "malformed")
    return bits


def sign_revocation(claims: Revocation, owner: KeyProvider) -> str:
    """Sign a revocation statement.

    Raises:
        UsageError: hosts would refuse it.
    """
    token = sign_token(REVOCATION, claims, owner)
    try:
        read_revocation(token, owner.public)
    except NotVerified as error:
        raise UsageError(error.message, "hosts would refuse this statement: state it otherwise") from None
    return token


def read_revocation(token: str, owner: PublicKeys) -> Revocation:
    """Verify a revocation statement by `owner`.

    Raises:
        NotVerified: "malformed", "oversize", "bad_header", "bad_signature", or "wrong_list" if it is another owner's.
    """
    what = _STATEMENT
    claims = open_token(token, REVOCATION, Revocation, lambda kid: _known(kid, owner, what), what, TOKEN_LIMIT)
    if claims.iss != owner.fingerprint:
        raise NotVerified(f"{what} names another owner than its signer", _HINT, "wrong_list")
    if list(claims.index) != sorted(set(claims.index)) or (claims.grant and len(claims.index) != 1):
        raise NotVerified(f"{what} points to entries that contradict it", _HINT, "malformed")
    return claims


def _known(kid: str, owner: PublicKeys, what: str) -> PublicKeys:
    if kid != owner.fingerprint:
        raise NotVerified(f"{what} is another owner's", "check the address and the .pub file", "wrong_list")
    return owner
