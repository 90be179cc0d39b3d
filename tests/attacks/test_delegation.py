"""Delegations that would reach further than their grant, belong to another one, or are passed on again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cameo.crypto.jws import sign_token, token_digest
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified
from cameo.grants.grant import DELEGATION, Confirmation, DelegationClaims, fresh_id, read_tokens, unverified_chain
from tests.attacks.conftest import ADA, BOB, EVE, TOOL, USE, Lab

LIMITS: dict[str, Any] = {"max_uses": 3, "max_seconds": 5.0, "max_pixels": 70_000}


def forged(lab: Lab, grant: Path, by: Keys = BOB, to: Keys = TOOL, scope: Any = None, **changes: Any) -> Path:
    """Sign a delegation as no cameo would: without looking at the grant."""
    token = lab.token(grant)
    parent = unverified_chain((token,)).grant
    said: dict[str, Any] = {
        "iss": by.public.fingerprint,
        "parent": token_digest(token),
        "jti": fresh_id(),
        "iat": parent.iat,
        "nbf": parent.nbf,
        "exp": parent.exp,
        "scope": msgspec.structs.replace(parent.scope, **(scope or {})),
        "cnf": Confirmation.of(to.public),
        **changes,
    }
    return lab.token_file(token, sign_token(DELEGATION, DelegationClaims(**said), by))


def test_a_forged_delegation_that_does_not_widen_is_one(lab: Lab) -> None:
    """So that what is refused below is refused for what it changes."""
    assert lab.open(lab.by(forged(lab, lab.grant(**LIMITS)), TOOL))


@pytest.mark.parametrize(
    "wider",
    [
        {"purposes": ("birthday", "comedy")},
        {"purposes": ("comedy",)},
        {"outputs": ("audio", "video")},
        {"outputs": ("image",)},
        {"modalities": ("face", "voice")},
        {"modalities": ("voice",)},
        {"generators": ("reference", "wan")},
        {"max_uses": 4},
        {"max_uses": None},
        {"max_seconds": 5.5},
        {"max_seconds": None},
        {"max_pixels": 70_001},
        {"max_pixels": None},
        {"commercial": True},
    ],
    ids=str,
)
def test_widened_delegation(lab: Lab, wider: dict[str, Any]) -> None:
    grant = lab.grant(outputs=("video",), **LIMITS)
    lab.refused("widened", NotPermitted, lab.by(forged(lab, grant, scope=wider), TOOL))


@pytest.mark.parametrize(("name", "by_s"), [("exp", 1), ("nbf", -1)])
def test_widened_delegation_in_time(lab: Lab, name: str, by_s: int) -> None:
    grant = lab.grant()
    at = getattr(unverified_chain(read_tokens(grant)).grant, name)
    lab.refused("widened", NotPermitted, lab.by(forged(lab, grant, **{name: at + by_s}), TOOL))


def test_narrowed_delegation_holds_the_tool_to_it(lab: Lab) -> None:
    """What the tool got is less than what the friend has, and the friend keeps the rest."""
    grant = lab.grant(purposes=("birthday", "comedy"))
    narrowed = lab.delegate(grant, purposes=("comedy",), max_uses=1, max_seconds=2.0)
    lab.refused("wrong_purpose", NotPermitted, lab.by(narrowed, TOOL))
    funny = replace(USE, purpose="comedy")
    lab.refused("too_long", NotPermitted, lab.by(narrowed, TOOL), funny)
    short = replace(funny, seconds=2.0)
    lab.open(lab.by(narrowed, TOOL), short)
    lab.refused("uses_exhausted", NotPermitted, lab.by(narrowed, TOOL), short)
    assert lab.open(lab.by(grant))


def test_many_delegations_do_not_multiply_the_uses(lab: Lab) -> None:
    grant = lab.grant(max_uses=2)
    tools = [lab.delegate(grant, max_uses=2) for _ in range(3)]
    for narrowed in tools[:2]:
        lab.open(lab.by(narrowed, TOOL))
    for borrowed in (lab.by(tools[2], TOOL), lab.by(tools[0], TOOL), lab.by(grant)):
        lab.refused("uses_exhausted", NotPermitted, borrowed)


def test_delegation_that_ends_sooner(lab: Lab) -> None:
    grant = lab.grant()
    narrowed = lab.delegate(grant, expires_s=60)
    lab.clock.offset = 61
    lab.refused("expired", NotPermitted, lab.by(narrowed, TOOL))
    assert lab.open(lab.by(grant))


def test_spliced_delegation(lab: Lab) -> None:
    """A delegation of a narrow grant under a wide grant of the same owner, friend, host and double."""
    narrow, wide = lab.grant(max_uses=1), lab.grant(modalities=("face", "voice"))
    delegation = read_tokens(lab.delegate(narrow))[1]
    lab.refused("spliced", NotVerified, lab.by(lab.token_file(lab.token(wide), delegation), TOOL))


def test_spliced_delegation_of_another_friend(lab: Lab) -> None:
    theirs = lab.grant(EVE.public, delegable=True)
    delegation = read_tokens(lab.delegate(theirs, EVE))[1]
    lab.refused("bad_signature", NotVerified, lab.by(lab.token_file(lab.token(lab.grant()), delegation), TOOL))


@pytest.mark.parametrize("by", [EVE, TOOL, ADA], ids=["eve", "tool", "ada"])
def test_delegation_by_somebody_else(lab: Lab, by: Keys) -> None:
    """Only who holds the grant passes it on: no thief, not the tool itself, not even the owner."""
    grant = lab.grant()
    for issuer in (by, BOB):
        path = forged(lab, grant, by, iss=issuer.public.fingerprint)
        lab.refused("bad_signature", NotVerified, lab.by(path, TOOL))


def test_delegation_of_a_grant_that_may_not_be_passed_on(lab: Lab) -> None:
    lab.refused("not_delegable", NotPermitted, lab.by(forged(lab, lab.grant(delegable=False)), TOOL))


def test_delegation_of_a_grant_for_everyone(lab: Lab) -> None:
    """Who may use it needs no delegation; who made one would hide who they are."""
    grant = lab.grant("everyone", delegable=False)
    lab.refused("not_delegable", NotPermitted, lab.by(forged(lab, grant), TOOL))


def test_delegation_passed_on_again(lab: Lab) -> None:
    """Three tokens; or the second delegation in the place of the first."""
    grant = lab.grant()
    first, second = read_tokens(lab.delegate(grant)), read_tokens(forged(lab, grant, TOOL, EVE))
    lab.refused("malformed", NotVerified, lab.by(lab.token_file(*first, second[1]), EVE))
    lab.refused("bad_signature", NotVerified, lab.by(lab.token_file(first[0], second[1]), EVE))
    with pytest.raises(NotPermitted) as caught:
        lab.delegate(lab.token_file(*first), TOOL, EVE)
    assert caught.value.code == "not_delegable"


def test_delegation_left_off(lab: Lab) -> None:
    """The tool throws its delegation away, to have what the friend has."""
    narrowed = lab.delegate(lab.grant(), max_uses=1)
    lab.refused("wrong_holder", NotPermitted, lab.by(lab.token_file(lab.token(narrowed)), TOOL))


def test_grant_that_exceeds_the_consent(lab: Lab) -> None:
    """A grant signed by the owner's own key, past the checks of `cameo grant`: the host holds it to the consent."""
    token = lab.token(lab.grant())
    claims = unverified_chain((token,)).grant
    scope = msgspec.structs.replace(claims.scope, outputs=("image", "video"), commercial=True)
    path = lab.token_file(sign_token("cameo-grant+jwt", msgspec.structs.replace(claims, scope=scope), ADA))
    for wrong in (replace(USE, outputs=("image",)), replace(USE, commercial=True)):
        lab.refused("consent_exceeded", NotPermitted, lab.by(path), wrong)
    assert lab.open(lab.by(path))
