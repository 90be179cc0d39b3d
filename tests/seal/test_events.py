"""The life of a consent: each event follows the one before, signed by whoever owned the double then."""

from __future__ import annotations

import datetime
from typing import Any, Literal

import msgspec
import pytest

from cameo.crypto.encoding import decode_base64, encode_base64, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope, sign_envelope
from cameo.crypto.fullkeys import FullKeys
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.seal.consent import (
    Agreement,
    Consent,
    agree,
    append_event,
    hand_over_consent,
    read_events,
    verify_consent,
    write_consent,
)
from cameo.seal.events import EVENT_TYPE, MAX_EVENTS, ConsentEvent, HandOver, is_withdrawn

from .conftest import agreement

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
BUNDLE, OTHER = "ab" * 16, "cd" * 16
ITEMS = [("template.face", "face", "cd" * 32)]
NEW_ITEMS = [("template.face", "face", "ef" * 32)]
ADA, BEA, CLEO, EVE = (Keys.generate() for _ in range(4))


def given(keys: Keys = ADA, bundle_id: str = BUNDLE) -> bytes:
    return write_consent(agreement(), keys, bundle_id, ITEMS, NOW)


def verified(raw: bytes, keys: Keys = ADA) -> Consent:
    return verify_consent(raw, keys.public, BUNDLE)


def kinds(consent: Consent) -> list[str]:
    return [event.kind for event in consent.events]


def shorter() -> Agreement:
    terms = agreement().terms
    purpose = msgspec.structs.replace(terms.purposes[0], modalities=("face",))
    return agree(msgspec.structs.replace(terms, purposes=(purpose,)), "api")


def test_events_are_appended_and_nothing_before_them_changes() -> None:
    raw = given()
    record_id = verified(raw).record.record_id
    for kind, new in (("renewed", None), ("narrowed", shorter()), ("withdrawn", None), ("renewed", agreement())):
        before = msgspec.json.decode(raw)["events"]
        raw = append_event(raw, ADA, kind, NOW, new)  # type: ignore[arg-type]
        assert msgspec.json.decode(raw)["events"][:-1] == before
        consent = verified(raw)
        assert consent.withdrawn == (kind == "withdrawn")
        assert consent.events == read_events(raw)
    assert kinds(consent) == ["given", "renewed", "narrowed", "withdrawn", "renewed"]
    assert consent.record.record_id == record_id


def test_new_terms_take_the_place_of_the_old() -> None:
    consent = verified(append_event(given(), ADA, "narrowed", NOW, shorter()))
    assert consent.record.terms == shorter().terms
    assert consent.record.act == shorter().act
    wider = agreement('name = "Ada"\n[[purposes]]\nid = "comedy"')
    consent = verified(append_event(given(), ADA, "renewed", NOW, wider))
    assert [purpose.id for purpose in consent.record.terms.purposes] == ["comedy"]
    assert consent.record.parties[0].name == "Ada"


@pytest.mark.parametrize(
    ("kind", "new", "words"),
    [
        ("narrowed", agreement('[[purposes]]\nid = "comedy"'), "not narrower"),
        ("narrowed", None, "belong to"),
        ("withdrawn", agreement(), "belong to"),
    ],
)
def test_changes_that_are_none(kind: Literal["narrowed", "withdrawn"], new: Agreement | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        append_event(given(), ADA, kind, NOW, new)


def test_only_renewal_undoes_a_withdrawal() -> None:
    raw = append_event(given(), ADA, "withdrawn", NOW)
    for kind, new in (("withdrawn", None), ("narrowed", shorter())):
        with pytest.raises(UsageError, match="withdrawn already"):
            append_event(raw, ADA, kind, NOW, new)  # type: ignore[arg-type]
    # Nor does a narrowing that somebody's own program signed, nor handing the double to another key.
    digest = sha256_hex(b"x")
    withdrawn, narrowed = (ConsentEvent(kind, NOW, digest, digest) for kind in ("withdrawn", "narrowed"))
    assert is_withdrawn([withdrawn, narrowed])
    handed = hand_over_consent(raw, ADA, BEA, NEW_ITEMS, NOW)
    assert verified(handed, BEA).withdrawn
    assert not verified(append_event(handed, BEA, "renewed", NOW), BEA).withdrawn


def test_a_stranger_appends_nothing() -> None:
    for kind in ("renewed", "withdrawn"):
        with pytest.raises(NotPermitted) as caught:
            append_event(given(), EVE, kind, NOW)
        assert caught.value.code == "wrong_key"
    with pytest.raises(NotPermitted):
        hand_over_consent(given(), EVE, BEA, NEW_ITEMS, NOW)


def test_times_have_a_zone() -> None:
    with pytest.raises(UsageError, match="time zone"):
        append_event(given(), ADA, "withdrawn", NOW.replace(tzinfo=None))


def test_there_is_always_room_for_a_withdrawal() -> None:
    raw, added = given(), 1
    with pytest.raises(UsageError, match="no room"):
        while True:
            raw, added = append_event(raw, ADA, "renewed", NOW), added + 1
    assert added > 100
    assert verified(append_event(raw, ADA, "withdrawn", NOW)).withdrawn
    assert added <= MAX_EVENTS


# Hand-over.


def handed_over(*owners: Keys) -> bytes:
    raw = given(owners[0])
    for old, new in zip(owners, owners[1:], strict=False):
        raw = hand_over_consent(raw, old, new, NEW_ITEMS, NOW)
    return raw


def test_the_new_owner_answers_for_the_whole_life() -> None:
    raw = append_event(handed_over(ADA, BEA), BEA, "narrowed", NOW, shorter())
    consent = verified(raw, BEA)
    assert kinds(consent) == ["given", "rekeyed", "narrowed"]
    hand_over = consent.events[1].hand_over
    assert hand_over is not None
    assert (hand_over.old.load("x"), hand_over.new.load("x")) == (ADA.public, BEA.public)
    assert [party.key for party in consent.record.parties] == [BEA.public.fingerprint]
    assert [item.sha256 for item in consent.record.items] == ["ef" * 32]
    for former in (ADA, EVE):
        with pytest.raises(NotVerified):
            verified(raw, former)


def test_any_number_of_hand_overs() -> None:
    owners = [ADA, BEA, CLEO, ADA, BEA, ADA]
    assert kinds(verified(handed_over(*owners), ADA)) == ["given", *["rekeyed"] * 5]
    many = [Keys.generate() for _ in range(40)]
    assert len(verified(handed_over(*many), many[-1]).events) == 40


def test_the_old_key_has_no_say_after_the_hand_over() -> None:
    raw = handed_over(ADA, BEA)
    with pytest.raises(NotPermitted):
        append_event(raw, ADA, "withdrawn", NOW)
    with pytest.raises(NotVerified):
        verified(appended(raw, ADA, kind="withdrawn"), BEA)


def test_nobody_is_handed_a_double_they_do_not_know_of() -> None:
    with pytest.raises(UsageError, match="is the old one"):
        hand_over_consent(given(), ADA, ADA, NEW_ITEMS, NOW)


def appended(raw: bytes, *signers: Keys, **change: Any) -> bytes:
    """Append an event as somebody's own program could sign it, over the record as it stands."""
    file = msgspec.json.decode(raw)
    record = raw.removeprefix(b'{"record":').rpartition(b',"events":')[0]
    last = decode_base64(file["events"][-1]["payload"], "a payload")
    event: dict[str, Any] = {
        "kind": "renewed",
        "at": NOW,
        "record_sha256": sha256_hex(record),
        "previous_sha256": sha256_hex(last),
        **change,
    }
    envelope = sign_envelope(EVENT_TYPE, encode_json(event), signers)
    return b'{"record":' + record + b',"events":' + encode_json([*file["events"], msgspec.to_builtins(envelope)]) + b"}"


def hand(old: Keys, new: Keys, bundle_id: str = BUNDLE) -> HandOver:
    return HandOver(bundle_id, FullKeys.of(old.public), FullKeys.of(new.public))


def owned_by(raw: bytes, old: Keys, new: Keys) -> bytes:
    """Name another owner in the record."""
    return raw.replace(old.public.fingerprint.encode(), new.public.fingerprint.encode(), 1)


def test_a_hand_over_is_accepted_when_it_is_right() -> None:
    """The tests below change one thing each in this one."""
    raw = appended(owned_by(given(), ADA, EVE), ADA, EVE, kind="rekeyed", hand_over=hand(ADA, EVE))
    assert kinds(verified(raw, EVE)) == ["given", "rekeyed"]


@pytest.mark.parametrize(
    ("signers", "change"),
    [
        ((EVE,), {"kind": "rekeyed", "hand_over": hand(ADA, EVE)}),
        ((ADA,), {"kind": "rekeyed", "hand_over": hand(ADA, EVE)}),
        ((BEA, EVE), {"kind": "rekeyed", "hand_over": hand(ADA, EVE)}),
        ((BEA, EVE), {"kind": "rekeyed", "hand_over": hand(BEA, EVE)}),
        ((ADA, EVE), {"kind": "rekeyed", "hand_over": hand(ADA, BEA)}),
        ((ADA, EVE), {"kind": "rekeyed", "hand_over": hand(EVE, ADA)}),
        ((EVE,), {"kind": "rekeyed", "hand_over": hand(EVE, EVE)}),
        ((ADA, EVE), {"kind": "rekeyed", "hand_over": hand(ADA, EVE, OTHER)}),
        ((ADA, EVE), {"kind": "rekeyed"}),
        ((ADA, EVE), {"kind": "renewed", "hand_over": hand(ADA, EVE)}),
        ((ADA, EVE), {"kind": "rekeyed", "hand_over": hand(ADA, EVE), "previous_sha256": "0" * 64}),
        ((ADA, EVE), {"kind": "rekeyed", "hand_over": hand(ADA, EVE), "record_sha256": "0" * 64}),
        ((ADA, EVE), {"kind": "given", "previous_sha256": ""}),
    ],
)
def test_a_double_is_not_taken_over(signers: tuple[Keys, ...], change: dict[str, Any]) -> None:
    with pytest.raises(NotVerified):
        verified(appended(owned_by(given(), ADA, EVE), *signers, **change), EVE)


@pytest.mark.parametrize("field", ["sign", "decrypt", "fingerprint"])
def test_the_keys_in_a_hand_over_are_whole(field: str) -> None:
    """A fingerprint cannot stand in for a key that was swapped under it, and weak keys are refused."""
    old = FullKeys.of(ADA.public)
    for value in (getattr(FullKeys.of(BEA.public), field), encode_base64(bytes(32)), "AA"):
        if field == "fingerprint" and len(value) != 64:
            value = "0" * 64
        spoiled = HandOver(BUNDLE, msgspec.structs.replace(old, **{field: value}), FullKeys.of(EVE.public))
        raw = appended(owned_by(given(), ADA, EVE), ADA, EVE, kind="rekeyed", hand_over=spoiled)
        with pytest.raises(NotVerified):
            verified(raw, EVE)


def test_a_hand_over_of_one_double_does_not_hand_over_another() -> None:
    """Ada gave Eve one double. With its events Eve claims another, whose record she wrote herself."""
    theirs = hand_over_consent(write_consent(agreement(), ADA, OTHER, ITEMS, NOW), ADA, EVE, NEW_ITEMS, NOW)
    mine = owned_by(given(), ADA, EVE)
    record = mine.removeprefix(b'{"record":').rpartition(b',"events":')[0]
    events = theirs.rpartition(b',"events":')[2]
    spliced = appended(b'{"record":' + record + b',"events":' + events, EVE)
    with pytest.raises(NotVerified, match="another double"):
        verified(spliced, EVE)


def test_events_of_another_double_do_not_fit() -> None:
    other = append_event(given(ADA, OTHER), ADA, "withdrawn", NOW)
    file, theirs = msgspec.json.decode(given()), msgspec.json.decode(other)
    record = given().removeprefix(b'{"record":').rpartition(b',"events":')[0]
    for events in (theirs["events"], [*file["events"], theirs["events"][-1]], theirs["events"][:1]):
        raw = b'{"record":' + record + b',"events":' + encode_json(events) + b"}"
        with pytest.raises(NotVerified) as caught:
            verified(raw)
        assert caught.value.code == "spliced"


def test_an_event_cannot_be_dropped_or_moved() -> None:
    raw = given()
    for _ in range(3):
        raw = append_event(raw, ADA, "renewed", NOW)
    record, _, tail = raw.removeprefix(b'{"record":').rpartition(b',"events":')
    events = msgspec.json.decode(tail[:-1])
    for order in ([0, 1, 3], [1, 2, 3], [0, 2, 1, 3], [0, 1, 2, 3, 3], [3]):
        changed = b'{"record":' + record + b',"events":' + encode_json([events[n] for n in order]) + b"}"
        with pytest.raises(NotVerified):
            verified(changed)


def test_a_time_nobody_can_tell_is_refused() -> None:
    for at in ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-03-01T12:00:00"):
        with pytest.raises(NotVerified):
            verified(appended(given(), ADA, at=at))


def test_an_oversize_event_is_refused() -> None:
    raw = appended(given(), ADA, at="2026-03-01T12:00:00Z", pad="x" * 5000)
    with pytest.raises(NotVerified, match="more than"):
        verified(raw)
    assert isinstance(msgspec.convert(msgspec.json.decode(raw)["events"][0], Envelope), Envelope)
