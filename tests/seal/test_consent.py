"""The consent record: what was agreed to, and that nobody but its owner had a hand in it."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.crypto.encoding import decode_base64, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope, sign_envelope
from cameo.crypto.keys import Keys
from cameo.errors import NotVerified, UsageError
from cameo.seal.consent import (
    agree,
    append_event,
    read_consent,
    read_events,
    text_shown,
    verify_consent,
    write_consent,
)
from cameo.seal.events import EVENT_TYPE, ConsentEvent
from cameo.seal.terms import ConsentTerms, Purpose, parse_terms, resolve_terms

from .conftest import agreement
from .test_terms import FULL, SMALLEST

TODAY = datetime.date(2026, 3, 1)
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
BUNDLE = "ab" * 16
ITEMS = [("template.face", "face", "cd" * 32)]


def test_agreeing_records_the_words_that_were_shown() -> None:
    terms = resolve_terms(parse_terms(FULL), ["reference"], TODAY)
    agreed = agree(terms, "interactive", "challenge answered")
    assert list(agreed.act.text) == text_shown(terms)
    assert agreed.act.text_sha256 == sha256_hex("\n".join(text_shown(terms)).encode())
    assert agreed.act.liveness == "challenge answered"
    assert any("18 or older" in line for line in agreed.act.text)
    with pytest.raises(UsageError, match="open"):
        agree(parse_terms(SMALLEST), "api")


def test_the_longest_words_still_fit() -> None:
    longest = Purpose("a", "x" * 1024, generators=tuple(f"g{n:031d}" for n in range(30)))
    keys = Keys.generate()
    for count in (1, 10):
        purposes = tuple(msgspec.structs.replace(longest, id=f"p{n}") for n in range(count))
        agreed = agree(resolve_terms(ConsentTerms(purposes), ["reference"], TODAY), "api")
        verify_consent(write_consent(agreed, keys, BUNDLE, ITEMS, NOW), keys.public, BUNDLE)
    purposes = tuple(msgspec.structs.replace(longest, id=f"p{n}") for n in range(64))
    with pytest.raises(UsageError, match="too long to be sealed"):
        agree(resolve_terms(ConsentTerms(purposes), ["reference"], TODAY), "api")


def test_a_record_leaves_nothing_open() -> None:
    keys = Keys.generate()
    agreed = agreement()
    open_ended = msgspec.structs.replace(agreed.terms.purposes[0], valid_until=None)
    spoiled = msgspec.structs.replace(agreed, terms=msgspec.structs.replace(agreed.terms, purposes=(open_ended,)))
    raw = write_consent(spoiled, keys, BUNDLE, ITEMS, NOW)
    with pytest.raises(NotVerified, match="open"):
        verify_consent(raw, keys.public, BUNDLE)


def written(keys: Keys) -> bytes:
    return write_consent(agreement(), keys, BUNDLE, ITEMS, NOW)


def test_a_record_verifies_for_its_owner_and_double_only() -> None:
    keys, stranger = Keys.generate(), Keys.generate()
    raw = written(keys)
    consent = verify_consent(raw, keys.public, BUNDLE)
    assert [event.kind for event in consent.events] == ["given"]
    assert consent.events[0].at == NOW
    assert consent.record == read_consent(raw)
    assert [(i.part, i.category) for i in consent.record.items] == [("template.face", "dpv-pd:FacialPrint")]
    with pytest.raises(NotVerified):
        verify_consent(raw, stranger.public, BUNDLE)
    with pytest.raises(NotVerified, match="another double"):
        verify_consent(raw, keys.public, "cd" * 16)


def with_events(raw: bytes, *kinds: str, keys: Keys, previous: str | None = None) -> bytes:
    """Append signed events to a stored record."""
    file = msgspec.json.decode(raw)
    record = encode_json(read_consent(raw))
    last = sha256_hex(_payload(file["events"][-1]))
    for kind in kinds:
        event = ConsentEvent(kind, NOW, sha256_hex(record), last if previous is None else previous)  # type: ignore[arg-type]
        envelope = sign_envelope(EVENT_TYPE, encode_json(event), [keys])
        file["events"].append(msgspec.to_builtins(envelope))
        last = sha256_hex(encode_json(event))
    return encode_json(file)


def _payload(envelope: dict) -> bytes:
    return decode_base64(msgspec.convert(envelope, Envelope).payload, "a payload")


def test_a_withdrawal_is_the_last_word() -> None:
    keys = Keys.generate()
    raw = with_events(written(keys), "withdrawn", keys=keys)
    assert verify_consent(raw, keys.public, BUNDLE).withdrawn
    again = with_events(written(keys), "withdrawn", "renewed", keys=keys)
    assert not verify_consent(again, keys.public, BUNDLE).withdrawn


def test_a_renewal_names_other_parts() -> None:
    keys = Keys.generate()
    raw, items = written(keys), [*ITEMS, ("adapter.wan.face", "face", "ef" * 32)]
    before = verify_consent(raw, keys.public, BUNDLE).record
    renewed = verify_consent(append_event(raw, keys, "renewed", NOW, None, items), keys.public, BUNDLE)
    assert [(item.part, item.sha256) for item in renewed.record.items] == [(name, digest) for name, _, digest in items]
    assert msgspec.structs.replace(renewed.record, items=before.items) == before
    assert [event.kind for event in renewed.events] == ["given", "renewed"]
    other = agreement('[[purposes]]\nid = "comedy"')
    both = verify_consent(append_event(raw, keys, "renewed", NOW, other, items), keys.public, BUNDLE).record
    assert (both.terms, both.act, both.items) == (other.terms, other.act, renewed.record.items)
    with pytest.raises(UsageError, match="other parts belong to a renewed consent"):
        append_event(raw, keys, "narrowed", NOW, agreement(), items)


def test_events_chain() -> None:
    keys, stranger = Keys.generate(), Keys.generate()
    raw = written(keys)
    for bad in (
        with_events(raw, "given", keys=keys),
        with_events(raw, "renewed", keys=keys, previous="0" * 64),
        with_events(raw, "renewed", keys=stranger),
    ):
        with pytest.raises(NotVerified):
            verify_consent(bad, keys.public, BUNDLE)


def test_a_changed_record_is_not_the_signed_one() -> None:
    keys = Keys.generate()
    raw = written(keys)
    for old, new in ((b'"commercial":false', b'"commercial":true'), (b'"video"', b'"image"')):
        assert old in raw
        with pytest.raises(NotVerified):
            verify_consent(raw.replace(old, new, 1), keys.public, BUNDLE)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_raises_nothing_else(raw: bytes) -> None:
    for read in (read_consent, read_events):
        with pytest.raises(NotVerified):
            read(raw)
