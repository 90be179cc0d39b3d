"""Prove that the holder of a grant asks for this very use, once, at this host.

Source: the shape follows RFC 9449 (DPoP): `ath` binds the proof to the grant, `req` to the request, `nonce` to one
answer of the host.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import msgspec

from cameo.crypto.encoding import encode_base64url, encode_json, sha256_hex
from cameo.crypto.jws import open_token, sign_token, unverified_claims
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted
from cameo.grants.grant import Chain, Confirmation, Encoded, Hex256, Seconds
from cameo.records import Use

PROOF = "cameo-pop+jwt"
LIFE_S = 120
SKEW_S = 60
_LIMIT = 4096


class ProofClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what the holder says; `cnf` is their own key, only where the grant names a group or everyone."""

    iat: Seconds
    aud: Hex256
    nonce: Annotated[str, msgspec.Meta(min_length=22, max_length=64)]
    ath: Encoded
    req: Encoded
    cnf: Confirmation | None = None


def write_use(use: Use) -> bytes:
    """Write a use as it is signed: compact JSON, members in the order of `Use`, `line_sha256` only if there is one."""
    members = {member.name: getattr(use, member.name) for member in fields(use)}
    if not use.line_sha256:
        del members["line_sha256"]
    return encode_json(members)


def use_sha256(use: Use) -> str:
    """Hash a use: SHA-256 (hex) of what `write_use` makes of it.

    Raises:
        NotPermitted: "prompt_refused": its words are no Unicode text.
    """
    try:
        return sha256_hex(write_use(use))
    except UnicodeEncodeError:
        message = "the request holds half a character"
        raise NotPermitted(message, "write the prompt as UTF-8 text", "prompt_refused") from None


def use_digest(use: Use) -> str:
    """Hash a use as proofs hold it: `use_sha256`, base64url."""
    return encode_base64url(bytes.fromhex(use_sha256(use)))


def sign_proof(chain: Chain, use: Use, holder: KeyProvider, host: str, nonce: str, now: float) -> str:
    """Prove possession for one request.

    Args:
        chain: the grant, and the delegation if there is one.
        use: what is asked for.
        holder: the keys of the friend, or of the tool they delegated to.
        host: fingerprint of the host that gave the nonce.
        nonce: from that host.
        now: Unix seconds.
    """
    named = Confirmation.of(holder.public) if chain.holder is None else None
    return sign_token(PROOF, ProofClaims(int(now), host, nonce, chain.digest, use_digest(use), named), holder)


def verify_proof(token: str, chain: Chain, use: Use, host: str, now: float) -> tuple[PublicKeys, str]:
    """Check a proof; whether its nonce is fresh is the ledger's to say.

    Returns:
        The holder's keys and the nonce.

    Raises:
        NotVerified: malformed, or the signature does not hold.
        NotPermitted: "wrong_holder", "wrong_host", "wrong_grant", "request_changed" or "stale_proof".
    """
    what = "the proof of possession"
    holder = _holder_of(token, chain, what)

    def holders(kid: str) -> PublicKeys:
        if kid != holder.fingerprint:
            message = f"the grant is held by {holder.fingerprint[:16]}…, not by the key that asks"
            raise NotPermitted(message, "use the key it was granted to", "wrong_holder")
        return holder

    claims = open_token(token, PROOF, ProofClaims, holders, what, _LIMIT)
    if claims.aud != host:
        raise NotPermitted("the proof was made for another host", "prove it again, for this one", "wrong_host")
    if claims.ath != chain.digest:
        raise NotPermitted("the proof was made for another grant", "prove it again, for this one", "wrong_grant")
    if claims.req != use_digest(use):
        message = "the request is not the one that was signed"
        raise NotPermitted(message, "sign the request that is sent", "request_changed")
    if not now - LIFE_S - SKEW_S <= claims.iat <= now + SKEW_S:
        raise NotPermitted("the proof is too old, or from the future", "check both clocks", "stale_proof")
    return holder, claims.nonce


def _holder_of(token: str, chain: Chain, what: str) -> PublicKeys:
    if chain.holder is not None:
        return chain.holder.keys()
    claimed = unverified_claims(token, PROOF, ProofClaims, what, _LIMIT).cnf
    if claimed is None:
        raise NotPermitted("the proof does not say who asks", "use the cameo that made the grant", "wrong_holder")
    return claimed.keys()
