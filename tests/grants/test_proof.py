"""A proof of possession is bound to one holder, one host, one grant, one request and a short time."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from cameo.crypto.jws import sign_token
from cameo.errors import CameoError, NotPermitted, NotVerified
from cameo.grants.grant import Chain, Confirmation, verify_chain
from cameo.grants.proof import LIFE_S, PROOF, SKEW_S, ProofClaims, sign_proof, use_digest, verify_proof
from cameo.records import Use
from tests.grants.chain import ADA, BOB, EVE, NOW, STUDIO, TOOL, delegation_token, grant_token
from tests.lendable import a_use

HOST = STUDIO.public.fingerprint
NONCE = "n" * 22
OTHER: dict[str, Any] = {
    "action": "train",
    "purpose": "comedy",
    "prompt": "a cake",
    "generator": "wan",
    "outputs": ("video", "audio"),
    "modalities": ("face", "voice"),
    "seconds": 1.5,
    "pixels": 4,
    "seed": 1,
    "commercial": True,
    "line_sha256": "ab" * 32,
}


def chain_of(**changes: Any) -> Chain:
    return verify_chain((grant_token(**changes),), ADA.public)


def test_a_proof() -> None:
    chain, use = chain_of(), a_use()
    token = sign_proof(chain, use, BOB, HOST, NONCE, NOW)
    assert verify_proof(token, chain, use, HOST, NOW) == (BOB.public, NONCE)


def test_the_tool_proves_for_a_delegation() -> None:
    grant = grant_token()
    chain, use = verify_chain((grant, delegation_token(grant)), ADA.public), a_use()
    token = sign_proof(chain, use, TOOL, HOST, NONCE, NOW)
    assert verify_proof(token, chain, use, HOST, NOW)[0] == TOOL.public
    # The friend passed it on: what they hold is the grant, not the narrowed one.
    with pytest.raises(NotPermitted) as caught:
        verify_proof(sign_proof(chain, use, BOB, HOST, NONCE, NOW), chain, use, HOST, NOW)
    assert caught.value.code == "wrong_holder"


def test_whoever_asks_names_themselves_where_the_grant_does_not() -> None:
    for changes in ({"group": "cc" * 16}, {"everyone": True}):
        chain, use = chain_of(cnf=None, delegable=False, **changes), a_use()
        token = sign_proof(chain, use, EVE, HOST, NONCE, NOW)
        assert verify_proof(token, chain, use, HOST, NOW) == (EVE.public, NONCE)
        silent = sign_token(PROOF, ProofClaims(NOW, HOST, NONCE, chain.digest, use_digest(use)), EVE)
        with pytest.raises(NotPermitted, match="does not say who asks") as caught:
            verify_proof(silent, chain, use, HOST, NOW)
        assert caught.value.code == "wrong_holder"
        named = ProofClaims(NOW, HOST, NONCE, chain.digest, use_digest(use), Confirmation.of(BOB.public))
        with pytest.raises(NotPermitted) as caught:
            verify_proof(sign_token(PROOF, named, EVE), chain, use, HOST, NOW)
        assert caught.value.code == "wrong_holder", "nobody speaks for another"


def test_a_stranger_is_refused() -> None:
    chain, use = chain_of(), a_use()
    with pytest.raises(NotPermitted, match="not by the key that asks") as caught:
        verify_proof(sign_proof(chain, use, EVE, HOST, NONCE, NOW), chain, use, HOST, NOW)
    assert caught.value.code == "wrong_holder"
    # Naming the grant's holder, or themselves, changes nothing.
    for named in (Confirmation.of(BOB.public), Confirmation.of(EVE.public)):
        claims = ProofClaims(NOW, HOST, NONCE, chain.digest, use_digest(use), named)
        with pytest.raises(NotPermitted):
            verify_proof(sign_token(PROOF, claims, EVE), chain, use, HOST, NOW)


def test_another_host_cannot_use_it() -> None:
    chain, use = chain_of(), a_use()
    token = sign_proof(chain, use, BOB, EVE.public.fingerprint, NONCE, NOW)
    with pytest.raises(NotPermitted) as caught:
        verify_proof(token, chain, use, HOST, NOW)
    assert caught.value.code == "wrong_host"


def test_another_grant_cannot_use_it() -> None:
    use = a_use()
    token = sign_proof(chain_of(), use, BOB, HOST, NONCE, NOW)
    with pytest.raises(NotPermitted) as caught:
        verify_proof(token, chain_of(jti="03" * 16), use, HOST, NOW)
    assert caught.value.code == "wrong_grant"


def test_the_fields_that_are_changed_below_are_all_there_are() -> None:
    assert set(OTHER) == {field.name for field in dataclasses.fields(Use)}


@pytest.mark.parametrize("field", OTHER)
def test_any_change_of_the_request_is_seen(field: str) -> None:
    chain, use = chain_of(), a_use()
    token = sign_proof(chain, use, BOB, HOST, NONCE, NOW)
    with pytest.raises(NotPermitted) as caught:
        verify_proof(token, chain, a_use(**{field: OTHER[field]}), HOST, NOW)
    assert caught.value.code == "request_changed"


@pytest.mark.parametrize(
    ("late", "fine"),
    [(0, True), (LIFE_S + SKEW_S, True), (-SKEW_S, True), (LIFE_S + SKEW_S + 1, False), (-SKEW_S - 1, False)],
)
def test_it_is_good_for_a_short_time(late: int, fine: bool) -> None:
    chain, use = chain_of(), a_use()
    token = sign_proof(chain, use, BOB, HOST, NONCE, NOW)
    if fine:
        verify_proof(token, chain, use, HOST, NOW + late)
        return
    with pytest.raises(NotPermitted) as caught:
        verify_proof(token, chain, use, HOST, NOW + late)
    assert caught.value.code == "stale_proof"


def test_what_is_no_proof() -> None:
    chain, use = chain_of(), a_use()
    good = sign_proof(chain, use, BOB, HOST, NONCE, NOW)
    head, payload, signature = good.split(".")
    other = sign_proof(chain, a_use(seed=1), BOB, HOST, NONCE, NOW).split(".")[1]
    short = sign_token(PROOF, ProofClaims(NOW, HOST, "n", chain.digest, use_digest(use)), BOB)
    for token, code in (
        ("", "malformed"),
        ("a.b.c", "malformed"),
        (good + "=", "malformed"),
        (f"{head}.{other}.{signature}", "bad_signature"),
        (f"{head}.{payload}.{'A' * 86}", "bad_signature"),
        (chain.tokens[0], "bad_header"),
        ("a" * 5000, "oversize"),
        (short, "malformed"),
    ):
        with pytest.raises(NotVerified) as caught:
            verify_proof(token, chain, use, HOST, NOW)
        assert isinstance(caught.value, CameoError) and caught.value.code == code, token[:40]
