"""Grants and delegations with everything in them, for tests that change one thing."""

from __future__ import annotations

from typing import Any

import msgspec

from cameo.crypto.encoding import encode_base64
from cameo.crypto.jws import sign_token, token_digest
from cameo.crypto.keys import Keys
from cameo.grants.grant import (
    DELEGATION,
    GRANT,
    Confirmation,
    DelegationClaims,
    GrantClaims,
    SealedKey,
    StatusClaim,
    StatusIndex,
)
from cameo.grants.scope import Scope
from cameo.grants.status import status_uri
from tests.grants.conftest import NOON, keys_of

ADA, BOB, TOOL, STUDIO, EVE = (keys_of(number) for number in (11, 12, 13, 14, 15))
NOW = int(NOON)
SCOPE = Scope(("generate",), ("birthday",), ("video",), ("face",), ("reference",), max_uses=4)


def grant_claims(**changes: Any) -> GrantClaims:
    """Say that Ada lends to Bob at the studio, delegable, for an hour from now."""
    claims = GrantClaims(
        iss=ADA.public.fingerprint,
        aud=STUDIO.public.fingerprint,
        sub="ab" * 16,
        jti="01" * 16,
        iat=NOW,
        nbf=NOW,
        exp=NOW + 3600,
        scope=SCOPE,
        delegable=True,
        bundle_sha256="cd" * 32,
        consent_sha256="ef" * 32,
        status=StatusClaim(StatusIndex(7, status_uri(ADA.public.fingerprint))),
        keys=(SealedKey("face", encode_base64(bytes(80))),),
        cnf=Confirmation.of(BOB.public),
    )
    return msgspec.structs.replace(claims, **changes)


def grant_token(signer: Keys = ADA, **changes: Any) -> str:
    """Sign a grant whatever it says."""
    return sign_token(GRANT, grant_claims(**changes), signer)


def delegation_claims(grant: str, **changes: Any) -> DelegationClaims:
    """Say that Bob narrows a grant to one use for his tool, for half an hour."""
    claims = DelegationClaims(
        iss=BOB.public.fingerprint,
        parent=token_digest(grant),
        jti="02" * 16,
        iat=NOW,
        nbf=NOW,
        exp=NOW + 1800,
        scope=msgspec.structs.replace(SCOPE, max_uses=1),
        cnf=Confirmation.of(TOOL.public),
    )
    return msgspec.structs.replace(claims, **changes)


def delegation_token(grant: str, signer: Keys = BOB, **changes: Any) -> str:
    """Sign a delegation whatever it says."""
    return sign_token(DELEGATION, delegation_claims(grant, **changes), signer)
