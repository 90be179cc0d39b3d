"""Those that `benchmarks/trust.py` measures cameo against, set up to say, as nearly as they can, what a grant says."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jwt
import msgspec
from biscuit_auth import AuthorizerBuilder, Biscuit, BiscuitBuilder, BlockBuilder, KeyPair, PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cameo.grants.check import Target
from cameo.grants.grant import GrantClaims
from cameo.grants.proof import use_digest
from cameo.records import Use

Step = Callable[[], object]

_POLICY = """
grant({jti});
check if time($t), $t >= {nbf}, $t < {exp};
check if host($h), $h == {aud};
check if double($id, $sha256, $consent), $id == {sub}, $sha256 == {sha256}, $consent == {consent};
check if purpose($p), {purposes}.contains($p);
check if generator($g), {generators}.contains($g);
check if output($o), {outputs}.contains($o);
check if modality($m), {modalities}.contains($m);
check if seconds($s), $s <= {seconds};
check if pixels($p), $p <= {pixels};
"""
_HOLDER = "check if proof($nonce, $request), request($request) trusting authority, {friend};"
_REQUEST = """
time({now}); host({aud}); double({sub}, {sha256}, {consent}); purpose({purpose}); generator({generator});
output({output}); modality({modality}); seconds({seconds}); pixels({pixels}); request({request});
allow if grant($jti);
"""
# As many as the status list has.
_REVOKED = frozenset(secrets.token_hex(64) for _ in range(100_000))


@dataclass(frozen=True)
class Case:
    """Hold grants, and what is asked with them."""

    grants: Sequence[GrantClaims]
    use: Use
    target: Target
    now: float


def bare_steps(case: Case) -> list[Step]:
    """Verify a bare Ed25519 signature over as many bytes as a grant has: what everybody pays."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    messages = [secrets.token_bytes(len(msgspec.json.encode(claims)) * 4 // 3) for claims in case.grants]
    return [partial(public.verify, key.sign(message), message) for message in messages]


def pyjwt_steps(case: Case, short: bool) -> list[Step]:
    """Decode JWTs: signature, `exp`, `nbf`, `iat`, `iss` and `aud` are checked.

    They have the claims of the grants, or with `short` only those that are checked.
    """
    key = Ed25519PrivateKey.generate()
    public, first = key.public_key(), case.grants[0]
    named = ("iss", "aud", "iat", "nbf", "exp") if short else GrantClaims.__struct_fields__
    said = [{name: value for name, value in msgspec.to_builtins(g).items() if name in named} for g in case.grants]
    tokens = [jwt.encode(claims, key, "EdDSA") for claims in said]
    return [partial(jwt.decode, token, public, ["EdDSA"], audience=first.aud, issuer=first.iss) for token in tokens]


def biscuit_steps(case: Case, held: bool) -> list[Step]:
    """Authorize Biscuits that say what the grants say, each for another holder.

    With `held`, a Biscuit can be used only with a block that its holder signs for this request (a third-party block),
    which is what our proof is; without, whoever has it may use it.
    """
    root = KeyPair()
    tokens = [_biscuit(claims, case, root, held) for claims in case.grants]
    return [partial(_authorize, token, case, root.public_key) for token in tokens]


def _biscuit(claims: GrantClaims, case: Case, root: KeyPair, held: bool) -> str:
    scope, friend = claims.scope, KeyPair()
    says: dict[str, Any] = {
        "jti": claims.jti,
        "aud": claims.aud,
        "nbf": _moment(claims.nbf),
        "exp": _moment(claims.exp),
    }
    says |= {"sub": claims.sub, "sha256": claims.bundle_sha256, "consent": claims.consent_sha256}
    says |= {name: set(getattr(scope, name)) for name in ("purposes", "generators", "outputs", "modalities")}
    says |= {"seconds": int(scope.max_seconds or 0), "pixels": scope.max_pixels or 0}
    if not held:
        return BiscuitBuilder(_POLICY, says).build(root.private_key).to_base64()
    token = BiscuitBuilder(_POLICY + _HOLDER, says, {"friend": friend.public_key}).build(root.private_key)
    proof = BlockBuilder(
        "proof({nonce}, {request});", {"nonce": secrets.token_urlsafe(16), "request": use_digest(case.use)}
    )
    signed = token.third_party_request().create_block(friend.private_key, proof)
    return token.append_third_party(friend.public_key, signed).to_base64()


def _authorize(token: str, case: Case, root: PublicKey) -> None:
    use, target = case.use, case.target
    facts: dict[str, Any] = {"now": _moment(case.now), "aud": case.grants[0].aud, "request": use_digest(use)}
    facts |= {"sub": target.bundle_id, "sha256": target.sha256, "consent": target.consent_sha256}
    facts |= {"purpose": use.purpose, "generator": use.generator, "output": use.outputs[0]}
    facts |= {"modality": use.modalities[0], "seconds": int(use.seconds), "pixels": use.pixels}
    builder = AuthorizerBuilder(_REQUEST, facts)
    limits = builder.limits()  # type: ignore[attr-defined]
    # It would give up after a millisecond, which a busy machine takes easily.
    limits.max_time = datetime.timedelta(seconds=5)
    builder.set_limits(limits)  # type: ignore[attr-defined]
    biscuit = Biscuit.from_base64(token, root)
    if not _REVOKED.isdisjoint(biscuit.revocation_ids):
        raise ValueError("revoked")
    builder.build(biscuit).authorize()


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
