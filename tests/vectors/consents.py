"""Consent records: whole ones, then one defect each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors.case import Vector
from tests.vectors.double import EVENT_TYPE, MANIFEST_TYPE, Change, Double
from tests.vectors.forge import ADA, EVE, Person, b64, compact, envelope


def _consent(name: str, expected: str, description: str, file: bytes, owner: Person = ADA) -> Vector:
    given = {"file_base64": b64(file), "bundle_id": Double().bundle_id}
    return Vector("consent", name, description, expected, given, {"owner": owner})


def consents() -> Iterator[Vector]:
    """Vectors of kind "consent"."""
    one = Double()
    yield _consent("ok", "ok", "given", one.consent())
    allowed = one.record()
    allowed["terms"]["purposes"][0]["actions"] = ["generate", "export"]
    record = compact(allowed)
    event = envelope(EVENT_TYPE, one.event("given", record), ADA)
    yield _consent("ok-export", "ok", "to a plain file, too", one.consent_file(record, [event]))
    yield _consent("other-double", "spliced", "the record of another double", Double("two").consent())
    yield _consent("other-owner", "spliced", "the record of another person", one.consent(), EVE)
    yield from _events(one)
    yield from _records(one)


def _events(one: Double) -> Iterator[Vector]:
    record = compact(one.record())
    given = one.event("given", record)
    withdrawn = one.event("withdrawn", record, given, "2027-01-02T00:00:00Z")
    first, second = (envelope(EVENT_TYPE, payload, ADA) for payload in (given, withdrawn))
    loose = {**first, "signatures": [{"keyid": ADA.fingerprint, "sig": b64(ADA.sign(b"something else"))}]}
    odd, kind = one.event("given", record, at="2027-01-01T00:00:00"), one.event("forgiven", record)
    for name, code, description, events in (
        ("ok-withdrawn", "ok", "given, then withdrawn", [first, second]),
        ("signed-by-another", "bad_signature", "signed by somebody else", [envelope(EVENT_TYPE, given, EVE)]),
        ("signature", "bad_signature", "the signature is of something else", [loose]),
        ("payload-type", "bad_header", "signed as a manifest", [envelope(MANIFEST_TYPE, given, ADA)]),
        ("no-event", "malformed", "no event", []),
        ("first-missing", "spliced", "the first event is missing", [second]),
        ("order", "spliced", "the events are out of order", [second, first]),
        ("event-twice", "spliced", "an event twice", [first, first]),
        ("no-time-zone", "malformed", "a time without its zone", [envelope(EVENT_TYPE, odd, ADA)]),
        ("event-kind", "malformed", "an event nobody knows", [envelope(EVENT_TYPE, kind, ADA)]),
    ):
        yield _consent(name, code, description, one.consent_file(record, events))
    wider = one.record()
    wider["terms"]["purposes"][0]["commercial"] = True
    spaced = record.replace(b'{"version":1', b'{ "version":1')
    doubled = record.replace(b'"version":1', b'"version":1,"version":1', 1)
    for name, code, description, raw in (
        ("wider-terms", "spliced", "the terms are not those that were signed", compact(wider)),
        ("other-spelling", "spliced", "a space in the record", spaced),
        ("duplicate-member", "malformed", "two members of the same name", doubled),
    ):
        yield _consent(name, code, description, one.consent_file(raw, [first]))


def _records(one: Double) -> Iterator[Vector]:
    """Records that contradict themselves, though the owner signed them."""

    def with_value(value: Any, *path: str | int) -> Change:
        def bend(document: Any) -> None:
            for step in path[:-1]:
                document = document[step]
            document[path[-1]] = value

        return bend

    def purpose(name: str, value: Any) -> Change:
        return with_value(value, "terms", "purposes", 0, name)

    for name, description, bend in (
        ("unknown-member", "a member nobody knows", with_value("", "terms", "notes")),
        ("minors", "does not prohibit what nobody can allow", with_value(["intimate"], "terms", "prohibited")),
        ("no-end", "a purpose without its last day", purpose("valid_until", None)),
        ("ends-first", "a purpose that ends before it begins", purpose("valid_until", "2026-01-01")),
        ("no-such-day", "a purpose that ends on a day that never comes", purpose("valid_until", "2027-02-30")),
        ("no-generator", "a purpose for no generator", purpose("generators", [])),
        ("no-purpose", "no purpose", with_value([], "terms", "purposes")),
        ("other-text", "the hash is of another text", with_value(["whatever"], "act", "text")),
        ("not-adult", "given for a child", with_value("minor", "act", "age_statement")),
        ("version", "a version nobody knows", with_value(2, "version")),
    ):
        yield _consent(name, "malformed", description, one.consent(bend))
