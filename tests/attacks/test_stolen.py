"""Stolen things: a token, a bundle, a key. One of them alone opens nothing, and neither do two of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.grants.grant import Confirmation, sealed_keys, unverified_chain
from cameo.seal.bundle import Bundle
from cameo.seal.unlock import unlock_as_host, unlock_as_owner
from cameo.unlocking import draw_nonce, prove, unlock
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab, seal
from tests.attacks.forging import resigned


def test_the_friend_opens_it(lab: Lab) -> None:
    """What everything else here is measured against."""
    parts = lab.open(lab.by(lab.grant()))
    assert parts == {name: data for name, data in lab.plain.items() if name.endswith("face")}
    assert lab.decisions() == [("allow", ""), ("released", "")]


def test_stolen_token(lab: Lab) -> None:
    """The thief has the grant file and the double, not the friend's key."""
    grant = lab.grant()
    lab.refused("wrong_holder", NotPermitted, lab.by(grant, EVE))


def test_stolen_token_with_the_thief_written_into_it(lab: Lab) -> None:
    token = lab.token(lab.grant())
    cnf = msgspec.to_builtins(Confirmation.of(EVE.public))
    lab.refused("bad_signature", NotVerified, lab.by(lab.token_file(resigned(token, EVE, cnf=cnf)), EVE))


def test_stolen_token_at_another_host(lab: Lab) -> None:
    """Even where friend and thief are one: the grant opens at the host it names."""
    lab.refused("wrong_host", NotPermitted, lab.by(lab.grant(), host=EVE))


def test_stolen_token_taken_to_another_host_past_its_checks(lab: Lab) -> None:
    """A host that skips every check still lacks the key."""
    grant = unverified_chain((lab.token(lab.grant()),)).grant
    verified = Bundle.open(lab.double).verify(ADA.public)
    for thief in (EVE, BOB, TOOL):
        with pytest.raises(NotPermitted) as caught:
            unlock_as_host(verified, sealed_keys(grant), thief, grant.jti)
        assert caught.value.code == "wrong_host"


def test_stolen_proof_with_the_key_of_the_thief_in_the_header(lab: Lab) -> None:
    grant = lab.grant()
    proof = prove(grant, USE, BOB, STUDIO.public.fingerprint, draw_nonce(STUDIO), lab.clock())
    lab.refused("wrong_holder", NotPermitted, lab.by(grant, None, proof=resigned(proof, EVE)))


def test_stolen_delegation_is_not_the_friends_any_more(lab: Lab) -> None:
    """A delegated token is the tool's: neither a thief nor the friend who made it proves it."""
    narrowed = lab.delegate(lab.grant())
    for holder in (EVE, BOB):
        lab.refused("wrong_holder", NotPermitted, lab.by(narrowed, holder))
    assert lab.open(lab.by(narrowed, TOOL))


@pytest.mark.parametrize("thief", [EVE, BOB, TOOL, STUDIO], ids=["eve", "bob", "tool", "studio"])
def test_stolen_bundle_with_any_wrong_key(lab: Lab, thief: Keys) -> None:
    """Nobody's keys but the owner's: neither by the front door nor behind it."""
    lab.refused("bad_signature", NotVerified, keys=thief)
    verified = Bundle.open(lab.double).verify(ADA.public)
    with pytest.raises(NotPermitted) as caught:
        unlock_as_owner(verified, thief)
    assert caught.value.code == "wrong_key"


def test_stolen_bundle_with_a_key_that_claims_to_be_the_owners(lab: Lab) -> None:
    """Public halves of the owner over private halves of the thief."""

    class Claimed:
        public = ADA.public

        def sign(self, message: bytes) -> bytes:
            return EVE.sign(message)

        def open_box(self, sealed: bytes, info: bytes) -> bytes:
            return EVE.open_box(sealed, info)

    verified = Bundle.open(lab.double).verify(ADA.public)
    with pytest.raises(NotPermitted) as caught:
        unlock_as_owner(verified, Claimed())
    assert caught.value.code == "wrong_key"


def test_stolen_bundle_with_a_grant_that_the_thief_signed(lab: Lab) -> None:
    """A grant by somebody else, for their own key, says nothing about the owner's double."""
    token = lab.token(lab.grant())
    forged = resigned(token, EVE, iss=EVE.public.fingerprint)
    lab.refused("bad_signature", NotVerified, lab.by(lab.token_file(forged)))
    # Trusting the thief as the owner does not help either: then the double is not theirs.
    lab.refused("bad_signature", NotVerified, lab.by(lab.token_file(forged), owner=EVE.public))


def test_grant_for_another_double(lab: Lab) -> None:
    grant = lab.grant()
    seal(lab.folder / "other.cameo", shift=1.0)
    lab.refused("wrong_double", NotPermitted, lab.by(grant), double=lab.folder / "other.cameo")


def test_friend_and_host_together_without_a_grant(lab: Lab) -> None:
    """Both private keys, the double, and no grant: there is no key to be had."""
    with pytest.raises(UsageError), unlock(lab.double, USE, borrowed=lab.by(lab.folder / "none.grant")):
        raise AssertionError("open")
    verified = Bundle.open(lab.double).verify(ADA.public)
    for keys in (BOB, STUDIO):
        with pytest.raises(NotPermitted):
            unlock_as_host(verified, {}, keys, "0" * 32)
        with pytest.raises(NotPermitted):
            unlock_as_owner(verified, keys)


def test_grant_alone(lab: Lab) -> None:
    """A grant and a host, nobody who proves to hold it."""
    with pytest.raises(UsageError), unlock(lab.double, USE, borrowed=lab.by(lab.grant(), None)):
        raise AssertionError("open")
    assert not [receipt for receipt in lab.receipts() if receipt.decision == "allow"]


def test_grant_that_has_expired(lab: Lab) -> None:
    grant = lab.grant(expires_s=60)
    lab.clock.offset = 61
    lab.refused("expired", NotPermitted, lab.by(grant))


def test_grant_that_has_not_begun(lab: Lab) -> None:
    grant = lab.grant()
    lab.clock.offset = -120
    lab.refused("not_yet", NotPermitted, lab.by(grant))


def test_grant_on_a_machine_that_never_heard_of_it(lab: Lab, elsewhere: Callable[[], None]) -> None:
    """Without a status list to look at, nothing opens."""
    grant = lab.grant()
    elsewhere()
    lab.refused("status_unknown", NotPermitted, lab.by(grant))


def test_modality_that_was_not_granted(lab: Lab) -> None:
    """The key of the voice is not in a grant for the face, whatever is asked for."""
    grant = lab.grant()
    lab.refused("out_of_scope", NotPermitted, lab.by(grant), replace(USE, modalities=("face", "voice")))
    chain = unverified_chain((lab.token(grant),))
    verified = Bundle.open(lab.double).verify(ADA.public)
    content = unlock_as_host(verified, sealed_keys(chain.grant), STUDIO, chain.grant.jti)
    with pytest.raises(NotPermitted) as caught:
        verified.read_part("template.voice", content)
    assert caught.value.code == "out_of_scope"
