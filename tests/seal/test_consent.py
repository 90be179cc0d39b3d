"""Consent: what a file may say, what it means when it says little, and the signed life of a record."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.crypto.encoding import decode_base64, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope, sign_envelope
from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotVerified, UsageError
from cameo.seal.consent import (
    DEFAULT_TERMS,
    EVENT_TYPE,
    PROHIBITIONS,
    RECORD_LIMIT,
    ConsentEvent,
    agree,
    describe,
    load_terms,
    parse_terms,
    read_consent,
    resolve_terms,
    text_shown,
    verify_consent,
    write_consent,
)

from .conftest import agreement

TODAY = datetime.date(2026, 3, 1)
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
BUNDLE = "ab" * 16
ITEMS = [("template.face", "face", "cd" * 32)]
SMALLEST = '[[purposes]]\nid = "birthday"'
FULL = """
name = "Ada"
jurisdiction = "DE"
prohibited = ["intimate", "minors", "political", "financial-fraud", "identity-fraud"]
[[purposes]]
id = "advert"
description = "one spot for the bakery"
audience = "approved"
actions = ["generate"]
outputs = ["video", "image"]
modalities = ["face"]
generators = ["reference", "wan"]
commercial = true
delegable = true
valid_from = 2026-04-01
valid_until = 2026-04-30
[retention]
captures = true
until = "erased-by-owner"
"""


def test_the_smallest_file_gives_the_narrowest_use() -> None:
    terms = resolve_terms(parse_terms(SMALLEST), ["reference"], TODAY)
    (purpose,) = terms.purposes
    assert purpose.id == "birthday"
    assert (purpose.audience, purpose.actions, purpose.outputs) == ("approved", ("generate",), ("video",))
    assert (purpose.commercial, purpose.delegable) == (False, False)
    assert purpose.generators == ("reference",)
    assert purpose.valid_from == TODAY
    assert purpose.valid_until == TODAY + datetime.timedelta(days=365)
    assert terms.prohibited == PROHIBITIONS
    assert not terms.retention.captures


def test_the_default_is_for_the_owner_alone() -> None:
    assert [purpose.audience for purpose in DEFAULT_TERMS.purposes] == ["owner"]
    assert not any(purpose.commercial or purpose.delegable for purpose in DEFAULT_TERMS.purposes)


def test_a_full_file_keeps_what_it_says() -> None:
    terms = resolve_terms(parse_terms(FULL), ["reference"], TODAY)
    (purpose,) = terms.purposes
    assert purpose.generators == ("reference", "wan"), "what was said is not widened by what is at hand"
    assert (purpose.valid_from, purpose.valid_until) == (datetime.date(2026, 4, 1), datetime.date(2026, 4, 30))
    assert purpose.modalities == ("face",)
    assert terms.prohibited == tuple(p for p in PROHIBITIONS if p != "endorsement")
    said = "\n".join(describe(terms))
    for words in ("one spot for the bakery", "commercial use allowed", "30 April 2026", "passed on once", "DE", "kept"):
        assert words in said


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("", "purposes"),
        ("purposes = []", "purposes"),
        ("[[purposes]]", "id"),
        ('[[purposes]]\nid = "Birthday party"', "id"),
        (SMALLEST + '\ncolour = "red"', "colour"),
        ('colour = "red"\n' + SMALLEST, "colour"),
        (SMALLEST + "\n[retention]\nforever = true", "forever"),
        (SMALLEST + '\naudience = "all"', "audience"),
        (SMALLEST + '\noutputs = ["hologram"]', "outputs"),
        (SMALLEST + "\noutputs = []", "allows nothing"),
        (SMALLEST + "\ncommercial = 1", "commercial"),
        (SMALLEST + '\nvalid_until = "tomorrow"', "valid_until"),
        (SMALLEST + "\nvalid_from = 2026-05-02\nvalid_until = 2026-05-01", "ends before it begins"),
        (SMALLEST + "\n" + SMALLEST, "same id"),
        ('prohibited = ["political"]\n' + SMALLEST, "prohibited must contain"),
        ('prohibited = ["nothing"]\n' + SMALLEST, "prohibited"),
        (SMALLEST + "\nid = 5", "consent file"),
        ("not toml at all", "consent file"),
        (SMALLEST + '\ngenerators = ["../x"]', "generators"),
    ],
)
def test_what_a_file_may_not_say(toml: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_terms(toml)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(FULL)
    assert load_terms(path) == parse_terms(FULL)
    with pytest.raises(UsageError, match="cannot read"):
        load_terms(tmp_path / "none.toml")
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(UsageError, match="not UTF-8"):
        load_terms(path)
    path.write_text("#" * (RECORD_LIMIT + 1))
    with pytest.raises(UsageError, match="larger"):
        load_terms(path)


def test_agreeing_records_the_words_that_were_shown() -> None:
    terms = resolve_terms(parse_terms(FULL), ["reference"], TODAY)
    agreed = agree(terms, "interactive", "challenge answered")
    assert list(agreed.act.text) == text_shown(terms)
    assert agreed.act.text_sha256 == sha256_hex("\n".join(text_shown(terms)).encode())
    assert agreed.act.liveness == "challenge answered"
    assert any("18 or older" in line for line in agreed.act.text)
    with pytest.raises(UsageError, match="open"):
        agree(parse_terms(SMALLEST), "api")


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
    with pytest.raises(NotVerified):
        read_consent(raw)
    try:
        parse_terms(raw.decode("utf-8", "replace"))
    except CameoError as error:
        assert isinstance(error, UsageError)
