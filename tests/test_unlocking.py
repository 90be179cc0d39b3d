"""Unlocking: who may, for what, how often; what is on record afterwards, and what never opens."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.grants.ledger import Ledger
from cameo.lending import EVERYONE
from cameo.recalling import revoke
from cameo.seal.terms import today
from cameo.unlocking import draw_nonce, prove, unlock
from tests.lendable import Lendable, People, a_use, refused, seal_lendable
from tests.seal.conftest import ENCODER, some_parts

FACE = {part.name: part.data for part in some_parts() if part.modality == "face"}
VOICE = {part.name: part.data for part in some_parts() if part.modality == "voice"}
BEFORE, AFTER = ("allow", ""), ("released", "")


def set_clock(patch: pytest.MonkeyPatch, ahead_s: float) -> None:
    """Let every ledger that is opened from now on believe in another time."""

    def init(self: Ledger, host: Any, url: str | None = None, clock: Any = None) -> None:
        _OPEN(self, host, url, clock=lambda: time.time() + ahead_s)

    patch.setattr(Ledger, "__init__", init)


_OPEN = Ledger.__init__


# The owner


def test_the_owner_opens_what_is_theirs(lending: Lendable) -> None:
    ada = lending.people.ada
    with unlock(lending.double, a_use(), keys=ada) as opened:
        assert opened.parts == FACE
        assert (opened.bundle_id, opened.purpose, opened.released) == (lending.bundle_id, "birthday", False)
        assert lending.decisions(ada) == [BEFORE], "on record before anything is made of it"
    allowed, released = lending.receipts(ada)
    assert (allowed.decision, released.decision) == ("allow", "released")
    assert allowed.holder == allowed.owner == allowed.host == ada.public.fingerprint
    assert (allowed.grant, allowed.bundle_id, allowed.purpose) == ("", lending.bundle_id, "birthday")
    assert allowed.request_sha256 == released.request_sha256 != ""
    assert released.double_previous_sha256 == opened.receipt_sha256


def test_the_owner_may_leave_the_purpose_open(lending: Lendable) -> None:
    with unlock(lending.double, a_use(purpose=""), keys=lending.people.ada) as opened:
        assert opened.purpose == "birthday", "the first that allows it"
    assert lending.receipts(lending.people.ada)[0].purpose == "birthday"


def test_only_the_modalities_asked_for(lending: Lendable) -> None:
    ada = lending.people.ada
    with unlock(lending.double, a_use(modalities=("voice",)), keys=ada) as opened:
        assert opened.parts == VOICE
    with unlock(lending.double, a_use(modalities=("face", "voice")), keys=ada) as opened:
        assert opened.parts == FACE | VOICE


def test_a_generator_gets_no_templates(lending: Lendable) -> None:
    with unlock(lending.double, a_use(), keys=lending.people.ada, generator_parts_only=True) as opened:
        assert set(opened.parts) == {"adapter.reference.face", "identity.reference.face"}


@pytest.mark.parametrize(
    ("use", "code"),
    [
        ({"purpose": "sports"}, "wrong_purpose"),
        ({"generator": "wan"}, "consent_exceeded"),
        ({"outputs": ("audio",)}, "consent_exceeded"),
        ({"commercial": True}, "consent_exceeded"),
        ({"prompt": "go vote at the polling station"}, "prompt_refused"),
    ],
)
def test_the_owner_is_held_to_the_consent_as_well(lending: Lendable, use: dict[str, Any], code: str) -> None:
    ada = lending.people.ada
    with pytest.raises(NotPermitted) as caught, unlock(lending.double, a_use(**use), keys=ada):
        pytest.fail("it opened")
    assert caught.value.code == code
    assert lending.decisions(ada) == [("deny", code)]


def test_another_key_opens_nothing(lending: Lendable) -> None:
    eve = lending.people.eve
    with pytest.raises(NotVerified) as caught, unlock(lending.double, a_use(), keys=eve):
        pytest.fail("it opened")
    assert caught.value.code == "bad_signature"
    (receipt,) = lending.receipts(eve)
    assert (receipt.decision, receipt.owner, receipt.bundle_id) == ("deny", "", ""), "nobody's history is written"


def test_one_right_and_not_two(lending: Lendable) -> None:
    lending.grant()
    both: dict[str, Any] = {"keys": lending.people.ada, "borrowed": lending.borrowed()}
    rights: dict[str, Any]
    for rights in ({}, both):
        with pytest.raises(UsageError, match="owner's keys or with a grant"), unlock(lending.double, a_use(), **rights):
            pytest.fail("it opened")


# The friend


def test_a_friend_opens_what_was_lent(lending: Lendable) -> None:
    made = lending.grant(modalities=("face",))
    assert lending.open() == FACE
    allowed, released = lending.receipts()
    assert (allowed.decision, released.decision) == ("allow", "released")
    assert (allowed.grant, allowed.delegation) == (made.id, "")
    assert allowed.holder == lending.people.bob.public.fingerprint
    assert allowed.owner == lending.people.ada.public.fingerprint
    refused(lending, "out_of_scope", use=a_use(modalities=("face", "voice")))


def test_a_tool_opens_what_was_passed_on(lending: Lendable) -> None:
    lending.grant(max_uses=4, delegable=True)
    made = lending.delegate(max_uses=1, max_seconds=2.0)
    tool: dict[str, Any] = {"holder": lending.people.tool}
    refused(lending, "too_long", "tool.grant", a_use(seconds=2.5), **tool)
    refused(lending, "wrong_holder", "tool.grant")
    refused(lending, "wrong_holder", "bob.grant", **tool)
    assert lending.open("tool.grant", **tool) == FACE
    assert lending.receipts()[-1].delegation == made.id
    refused(lending, "uses_exhausted", "tool.grant", **tool)
    # Bob's own uses go on, less the one that was spent by the tool.
    for _ in range(3):
        lending.open()
    refused(lending, "uses_exhausted")


def test_uses_are_counted_before_and_stay_counted(lending: Lendable) -> None:
    lending.grant(max_uses=2)
    with pytest.raises(ZeroDivisionError), unlock(lending.double, a_use(), borrowed=lending.borrowed()):
        raise ZeroDivisionError
    assert lending.decisions() == [BEFORE, ("withheld", "failed")]
    refused(lending, "wrong_purpose", use=a_use(purpose="comedy"))
    lending.open()
    refused(lending, "uses_exhausted")


def test_strangers_and_wrong_places(lending: Lendable) -> None:
    people = lending.people
    lending.grant()
    assert "not by the key that asks" in refused(lending, "wrong_holder", holder=people.eve).message
    with pytest.raises(NotPermitted) as caught:
        lending.open(host=people.eve)
    assert caught.value.code == "wrong_host"
    assert lending.decisions(people.eve) == [("deny", "wrong_host")]
    refused(lending, "bad_signature", owner=people.eve.public)
    # Whoever may not, may not even by changing what the grant says of them: see tests/attacks.


def test_for_oneself_elsewhere(lending: Lendable) -> None:
    """An owner who is not at their own machine holds a grant like anybody else."""
    people = lending.people
    lending.grant(to=people.ada.public, out="ada.grant")
    assert lending.open("ada.grant", holder=people.ada) == FACE
    refused(lending, "wrong_holder", "ada.grant")


def test_a_grant_needs_its_holder(lending: Lendable) -> None:
    lending.grant()
    with pytest.raises(UsageError, match="needs its holder's keys, or a proof"):
        lending.open(holder=None)


def test_a_proof_from_another_machine(lending: Lendable) -> None:
    lending.grant()
    people, use = lending.people, a_use(seed=7)
    grant, host = lending.folder / "bob.grant", people.studio.public.fingerprint
    proof = prove(grant, use, people.bob, host, draw_nonce(people.studio), time.time())
    refused(lending, "request_changed", use=a_use(seed=8), holder=None, proof=proof)
    assert lending.open(use=use, holder=None, proof=proof) == FACE
    refused(lending, "replayed", use=use, holder=None, proof=proof)
    invented = prove(grant, use, people.bob, host, "A" * 22, time.time())
    refused(lending, "replayed", use=use, holder=None, proof=invented)


def test_before_and_after_its_time(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    lending.grant(expires_s=600)
    set_clock(monkeypatch, -120)
    refused(lending, "not_yet")
    set_clock(monkeypatch, 601)
    refused(lending, "expired")
    set_clock(monkeypatch, 0)
    with pytest.raises(NotPermitted) as caught:
        lending.open()
    assert caught.value.code == "clock_set_back"


def test_a_double_that_was_sealed_again_needs_another_grant(lending: Lendable) -> None:
    lending.grant()
    seal_again = seal_lendable(lending.folder, lending.people, some_parts(), ENCODER)
    error = refused(seal_again, "wrong_double")
    assert "for another double" in error.message


def test_a_host_cannot_be_tricked_by_a_name(lending: Lendable, tmp_path: Path) -> None:
    """The grant is for the very bytes: a copy is as good, a changed file is not."""
    lending.grant()
    copy = tmp_path / "copy.cameo"
    copy.write_bytes(lending.double.read_bytes())
    assert dataclasses.replace(lending, double=copy).open() == FACE
    changed = bytearray(copy.read_bytes())
    changed[len(changed) // 2] ^= 1
    copy.write_bytes(changed)
    with pytest.raises(NotVerified):
        dataclasses.replace(lending, double=copy).open()


def test_a_grant_that_exceeds_the_consent_opens_nothing(
    home: Path, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever made it, with whatever program: the host holds the consent against it again."""
    toml = f'[[purposes]]\nid = "birthday"\nvalid_until = {today()}\n[[purposes]]\nid = "comedy"'
    lending = seal_lendable(tmp_path, people, some_parts(), ENCODER, toml)
    monkeypatch.setattr("cameo.lending.require_grantable", lambda *_args: None)
    lending.grant(to=EVERYONE, out="all.grant")
    assert "is for approved, not for everyone" in refused(lending, "consent_exceeded", "all.grant").message
    lending.grant(outputs=("audio",), out="audio.grant")
    refused(lending, "consent_exceeded", "audio.grant", a_use(outputs=("audio",)))
    lending.grant(commercial=True, out="commercial.grant")
    refused(lending, "consent_exceeded", "commercial.grant", a_use(commercial=True))
    lending.grant(expires_s=3 * 86_400)
    assert lending.open() == FACE

    set_clock(monkeypatch, 86_400)
    assert "the consent to birthday ended" in refused(lending, "expired").message


# Until it leaves


def test_what_was_revoked(lending: Lendable) -> None:
    lending.grant()
    lending.open()
    revoke(lending.folder / "bob.grant", keys=lending.people.ada)
    refused(lending, "revoked")


def test_revoked_between_the_check_and_the_release(lending: Lendable) -> None:
    made = lending.grant(max_uses=4)
    with pytest.raises(NotPermitted) as caught, unlock(lending.double, a_use(), borrowed=lending.borrowed()) as opened:
        opened.recheck()
        revoke(made.id, keys=lending.people.ada)
        opened.release("ab" * 32)
    assert caught.value.code == "revoked"
    assert not opened.released
    assert lending.decisions() == [BEFORE, ("withheld", "revoked")]
    # Nobody called `release`: the end of the block does.
    made = lending.grant(out="again.grant")
    with pytest.raises(NotPermitted), unlock(lending.double, a_use(), borrowed=lending.borrowed("again.grant")):
        revoke(made.id, keys=lending.people.ada)
    assert lending.decisions()[-1] == ("withheld", "revoked")


def test_recheck_during_long_work(lending: Lendable) -> None:
    made = lending.grant()
    with pytest.raises(NotPermitted), unlock(lending.double, a_use(), borrowed=lending.borrowed()) as opened:
        opened.recheck()
        revoke(made.id, keys=lending.people.ada)
        opened.recheck()
        pytest.fail("it went on")


def test_a_release_is_recorded_once(lending: Lendable) -> None:
    lending.grant()
    with unlock(lending.double, a_use(), borrowed=lending.borrowed()) as opened:
        opened.release("ab" * 32)
        assert opened.released
    allowed, released = lending.receipts()
    assert (allowed.output_sha256, released.output_sha256) == ("", "ab" * 32)


def test_a_code_of_what_went_wrong_is_on_record(lending: Lendable) -> None:
    lending.grant()
    for error, code in ((NotVerified("x", "y", "spliced"), "spliced"), (KeyboardInterrupt(), "failed")):
        with pytest.raises(type(error)), unlock(lending.double, a_use(), borrowed=lending.borrowed()):
            raise error
        assert lending.decisions()[-2:] == [BEFORE, ("withheld", code)]


# Words


class Strict:
    """See what no word list sees."""

    name = "strict"

    def __init__(self, verdict: str | None) -> None:
        self.verdict = verdict
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def judge(self, prompt: str, prohibited: tuple[str, ...]) -> str | None:
        self.asked.append((prompt, tuple(prohibited)))
        return self.verdict


def test_a_classifier_can_only_refuse_more(lending: Lendable) -> None:
    lending.grant()
    calm, strict = Strict(None), Strict("intimate")
    assert lending.open(classifier=calm) == FACE
    assert calm.asked[0][0] == a_use().prompt and "intimate" in calm.asked[0][1]
    refused(lending, "prompt_refused", classifier=strict)
    assert lending.receipts()[-1].rule == "classifier/strict:intimate"
    refused(lending, "prompt_refused", use=a_use(prompt="go vote at the polling station"), classifier=calm)
    assert lending.receipts()[-1].rule.startswith("political/")
    assert len(calm.asked) == 1, "what the words refuse is not asked again"


def test_a_prompt_is_never_on_record(lending: Lendable, home: Path) -> None:
    lending.grant()
    secret = "zanzibar lighthouse"  # noqa: S105
    lending.open(use=a_use(prompt=secret))
    refused(lending, "prompt_refused", use=a_use(prompt=f"{secret} nude"))
    assert not [path for path in home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_an_owners_words(home: Path, people: People, tmp_path: Path) -> None:
    toml = '[[purposes]]\nid = "birthday"\n[[words]]\nid = "exes"\nwords = ["carlos"]'
    lending = seal_lendable(tmp_path, people, some_parts(), ENCODER, toml)
    lending.grant()
    refused(lending, "prompt_refused", use=a_use(prompt="with Carl0s at the beach"))
    assert lending.receipts()[-1].rule == "owner/exes"
    assert lending.open(use=a_use(prompt="with Anna at the beach")) == FACE


# What must hold whatever happens


def test_nothing_opens_when_nothing_can_be_recorded(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    lending.grant()

    def full(*_args: object) -> None:
        raise CameoError("the ledger cannot be written: disk full")

    monkeypatch.setattr(Ledger, "reserve", full)
    with pytest.raises(CameoError, match="disk full"):
        lending.open()


def test_no_key_is_touched_before_the_use_is_spent(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    lending.grant(max_uses=1)
    seen: list[list[tuple[str, str]]] = []

    def look(*_args: object) -> None:
        seen.append(lending.decisions())
        raise ZeroDivisionError

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("cameo.deciding.unlock_as_host", look)
        lending.open()
    assert seen == [[BEFORE]]
    assert lending.decisions() == [BEFORE, ("withheld", "failed")]
    refused(lending, "uses_exhausted")


def test_files_that_cannot_be_read(lending: Lendable, tmp_path: Path) -> None:
    lending.grant()
    with pytest.raises(UsageError, match="cannot read"):
        lending.open("none.grant")
    with pytest.raises(UsageError, match="cannot read"):
        dataclasses.replace(lending, double=tmp_path / "none.cameo").open()
    (tmp_path / "bad.grant").write_bytes(b"no grant")
    refused(lending, "malformed", "bad.grant")


def test_the_grant_that_was_used_is_the_one_on_record(lending: Lendable) -> None:
    lending.grant()
    lending.grant("comedy", out="comedy.grant")
    lending.open("comedy.grant", a_use(purpose="comedy"))
    jti = unverified_chain(read_tokens(lending.folder / "comedy.grant")).grant.jti
    assert {receipt.grant for receipt in lending.receipts()} == {jti}
