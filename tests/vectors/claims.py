"""The whole claims that the broken ones are made from, by one change each."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.vectors.forge import (
    ADA,
    BOB,
    HOST,
    NOW,
    TOOL,
    Claims,
    Person,
    b64,
    b64url,
    chance,
    compact,
    digest_of,
    header,
    hpke_seal,
    sha256_hex,
    status_bits,
    token,
    words,
    zlib_stored,
)

GRANT = "cameo-grant+jwt"
DELEGATION = "cameo-delegation+jwt"
PROOF = "cameo-pop+jwt"
STATUS = "statuslist+jwt"
REVOCATION = "cameo-revocation+jwt"
GROUP = "cameo-group+jwt"

DAY = 86_400
BUNDLE_ID = chance("bundle", size=16).hex()
GRANT_ID = chance("grant", size=16).hex()
GROUP_ID = chance("group", size=16).hex()
TARGET = {
    "bundle_id": BUNDLE_ID,
    "sha256": sha256_hex(b"some double"),
    "consent_sha256": sha256_hex(b"some consent"),
}
NONCE = b64url(chance("nonce", size=16))
LIST_SIZE = 64
INDEX = 17

USE = {
    "action": "generate",
    "purpose": "birthday",
    "prompt": "a cake with candles",
    "generator": "reference",
    "outputs": ["video"],
    "modalities": ["face"],
    "seconds": 4.0,
    "pixels": 65536,
    "seed": 7,
    "commercial": False,
}

SCOPE = {
    "actions": ["generate"],
    "purposes": ["birthday", "comedy"],
    "outputs": ["audio", "video"],
    "modalities": ["face"],
    "generators": ["reference", "wan"],
    "max_uses": 4,
    "max_seconds": 10.0,
    "max_pixels": 1_000_000,
    "commercial": False,
}


def changed(base: Claims, without: str = "", **changes: Any) -> Claims:
    """Copy claims, with other members or without one."""
    return {name: value for name, value in (base | changes).items() if name != without}


def sealed_key(modality: str, host: Person = HOST, grant_id: str = GRANT_ID) -> str:
    """Wrap a content key to a host, as a grant carries it."""
    info = words("wrap", "content", "host", BUNDLE_ID, grant_id, modality)
    return b64(hpke_seal(chance("ephemeral", modality), host.decrypt_bytes, info, chance("content key", modality)))


def grant_claims(without: str = "", **changes: Any) -> Claims:
    base: Claims = {
        "iss": ADA.fingerprint,
        "aud": HOST.fingerprint,
        "sub": BUNDLE_ID,
        "jti": GRANT_ID,
        "iat": NOW - DAY,
        "nbf": NOW - DAY,
        "exp": NOW + DAY,
        "scope": SCOPE,
        "delegable": True,
        "bundle_sha256": TARGET["sha256"],
        "consent_sha256": TARGET["consent_sha256"],
        "status": {"status_list": {"idx": INDEX, "uri": f"urn:cameo:status:{ADA.fingerprint}"}},
        "keys": [{"modality": "face", "sealed": sealed_key("face")}],
        "cnf": BOB.confirmation(),
    }
    return changed(base, without, **changes)


def grant(without: str = "", signer: Person = ADA, head: Claims | bytes | None = None, **changes: Any) -> str:
    return token(header(GRANT, signer) if head is None else head, grant_claims(without, **changes), signer)


def narrowed(**changes: Any) -> Claims:
    """What the tool may do of what the friend may."""
    base = changed(SCOPE, purposes=["birthday"], max_uses=1)
    return changed(base, **changes)


def delegation(parent: str, without: str = "", signer: Person = BOB, head: Claims | None = None, **changes: Any) -> str:
    base: Claims = {
        "iss": BOB.fingerprint,
        "parent": digest_of(parent),
        "jti": chance("delegation", size=16).hex(),
        "iat": NOW - 60,
        "nbf": NOW - 60,
        "exp": NOW + 3600,
        "scope": narrowed(),
        "cnf": TOOL.confirmation(),
    }
    return token(header(DELEGATION, signer) if head is None else head, changed(base, without, **changes), signer)


def use_digest(use: Claims) -> str:
    return b64url(hashlib.sha256(compact(use)).digest())


def proof(*chain: str, signer: Person = BOB, head: Claims | None = None, **changes: Any) -> str:
    base: Claims = {
        "iat": NOW - 1,
        "aud": HOST.fingerprint,
        "nonce": NONCE,
        "ath": digest_of(*chain),
        "req": use_digest(USE),
        "cnf": None,
    }
    return token(header(PROOF, signer) if head is None else head, changed(base, **changes), signer)


def status_claims(seq: int = 3, revoked: tuple[int, ...] = (5,), **changes: Any) -> Claims:
    base: Claims = {
        "iss": ADA.fingerprint,
        "sub": f"urn:cameo:status:{ADA.fingerprint}",
        "iat": NOW - 5,
        "exp": NOW - 5 + DAY,
        "ttl": 10,
        "seq": seq,
        "status_list": {"bits": 1, "lst": b64url(zlib_stored(status_bits(LIST_SIZE, revoked)))},
    }
    return changed(base, **changes)


def status(signer: Person = ADA, head: Claims | None = None, **changes: Any) -> str:
    return token(header(STATUS, signer) if head is None else head, status_claims(**changes), signer)


def revocation(without: str = "", signer: Person = ADA, **changes: Any) -> str:
    base: Claims = {
        "iss": ADA.fingerprint,
        "jti": chance("statement", size=16).hex(),
        "iat": NOW - 5,
        "seq": 4,
        "bundle_id": BUNDLE_ID,
        "grant": GRANT_ID,
        "index": [INDEX],
        "reason": "we fell out",
    }
    return token(header(REVOCATION, signer), changed(base, without, **changes), signer)


def member(person: Person) -> Claims:
    sign, decrypt = b64(person.sign_bytes), b64(person.decrypt_bytes)
    return {"fingerprint": person.fingerprint, "sign": sign, "decrypt": decrypt}


def members(*people: Person) -> list[Claims]:
    return [member(person) for person in sorted(people, key=lambda person: person.fingerprint)]


def group(without: str = "", signer: Person = ADA, **changes: Any) -> str:
    base: Claims = {
        "iss": ADA.fingerprint,
        "sub": GROUP_ID,
        "name": "the band",
        "iat": NOW - 5,
        "seq": 2,
        "members": members(BOB, TOOL),
    }
    return token(header(GROUP, signer), changed(base, without, **changes), signer)
