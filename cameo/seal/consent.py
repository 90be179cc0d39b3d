"""Record what a person agreed to: the terms, the words they were shown, and every signed event since.

The fields follow ISO/IEC TS 27560:2023 (consent record information structure).
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_json, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope
from cameo.crypto.fullkeys import FullKeys
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.records import says_live
from cameo.seal.events import (
    EVENT_TYPE as EVENT_TYPE,  # for readers of this page: the events are in this file
)
from cameo.seal.events import (
    MAX_EVENTS,
    Change,
    ConsentEvent,
    HandOver,
    event_digest,
    is_withdrawn,
    read_event,
    sign_event,
    verify_events,
)
from cameo.seal.narrowing import require_narrowed
from cameo.seal.terms import ConsentTerms, check_terms, leaves_open
from cameo.seal.wording import describe

RECORD_LIMIT = 256 * 1024
# So that no list of events, however long, stands in the way of a withdrawal.
_KEPT_FOR_WITHDRAWAL = 4096

_Text = Annotated[str, msgspec.Meta(max_length=4096)]
_Hex = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
_Hex128 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Method = Literal["interactive", "flag", "api"]
Items = Iterable[tuple[str, str, str]]


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record how consent was given: the text shown, line by line, and the SHA-256 of its lines joined by newlines."""

    text: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=256)]
    text_sha256: _Hex
    language: Literal["en"]
    age_statement: Literal["adult"]
    method: Method
    liveness: Annotated[str, msgspec.Meta(max_length=1024)]


class Agreement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold terms that were agreed to, ready to be sealed."""

    terms: ConsentTerms
    act: Act


class Party(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name a party by the fingerprint of its key."""

    role: Literal["subject-and-controller"]
    key: _Hex
    name: Annotated[str, msgspec.Meta(max_length=128)]


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name one item of personal data: a part of the bundle and the SHA-256 of its ciphertext."""

    part: Annotated[str, msgspec.Meta(max_length=64)]
    category: Literal["dpv-pd:FacialPrint", "dpv-pd:VoiceBiometric", "dpv-pd:Picture"]
    sha256: _Hex


class ConsentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold everything a consent receipt must say; it contains no biometrics."""

    version: Literal[1]
    standard: Literal["ISO/IEC TS 27560:2023"]
    record_id: _Hex128
    bundle_id: _Hex128
    lawful_basis: Literal["dpv:ExplicitlyExpressedConsent"]
    collection: Literal["recording-by-subject"]
    parties: Annotated[tuple[Party, ...], msgspec.Meta(min_length=1, max_length=8)]
    items: Annotated[tuple[Item, ...], msgspec.Meta(min_length=1, max_length=64)]
    terms: ConsentTerms
    act: Act
    rights: tuple[Literal["access", "rectify", "withdraw", "erase", "complain"], ...]

    @property
    def live(self) -> bool:
        """Whether the recording passed a challenge, as the act says; whoever sealed it answers for that."""
        return says_live(self.act.liveness)


class _ConsentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # Raw, because the events sign the record's bytes as they are stored, not as some encoder would write them.
    record: msgspec.Raw
    events: Annotated[tuple[Envelope, ...], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]


class Consent(msgspec.Struct, frozen=True):
    """Hold a consent record and its events, as read."""

    record: ConsentRecord
    events: tuple[ConsentEvent, ...]

    @property
    def withdrawn(self) -> bool:
        """Whether the consent stands withdrawn."""
        return is_withdrawn(self.events)


def agree(terms: ConsentTerms, method: Method, liveness: str = "not checked") -> Agreement:
    """Record that the person was shown `text_shown(terms)` and agreed.

    Args:
        terms: resolved terms.
        method: "interactive" when they typed yes, "flag" for `--yes`, "api" for a caller that asked by itself.
        liveness: what the liveness checks said, one line.

    Raises:
        UsageError: the terms leave something open, or are too long to be sealed.
    """
    if leaves_open(terms):
        raise UsageError("the terms leave generators or dates open", "call resolve_terms first")
    text = tuple(text_shown(terms))
    agreement = Agreement(terms, Act(text, sha256_hex("\n".join(text).encode()), "en", "adult", method, liveness))
    if len(encode_json(agreement)) > RECORD_LIMIT // 2:
        raise UsageError("the terms are too long to be sealed", "shorten the descriptions, or keep fewer purposes")
    return agreement


def text_shown(terms: ConsentTerms) -> list[str]:
    """Write the text a person agrees to, a line each."""
    return [
        "I am 18 or older, and the person in this recording is me.",
        "From it a double of my face and voice is made, encrypted: it opens with my key, or with a grant I sign.",
        "It may be used:",
        *(f"  - {line}" for line in describe(terms)),
        "I can withdraw this at any time. Copies already decrypted by someone cannot be called back.",
    ]


def write_consent(
    agreement: Agreement, keys: KeyProvider, bundle_id: str, items: Items, at: datetime.datetime
) -> bytes:
    """Write the consent record with its signed event "given".

    Args:
        agreement: what was agreed to.
        keys: the owner's.
        bundle_id: the double it is about.
        items: part name, modality, SHA-256 of the ciphertext.
        at: when, with a time zone.
    """
    record = ConsentRecord(
        version=1,
        standard="ISO/IEC TS 27560:2023",
        record_id=os.urandom(16).hex(),
        bundle_id=bundle_id,
        lawful_basis="dpv:ExplicitlyExpressedConsent",
        collection="recording-by-subject",
        parties=(_party(keys.public, agreement.terms),),
        items=_items(items),
        terms=agreement.terms,
        act=agreement.act,
        rights=("access", "rectify", "withdraw", "erase", "complain"),
    )
    raw = encode_json(record)
    event = ConsentEvent("given", at, sha256_hex(raw), "")
    return encode_json(_ConsentFile(msgspec.Raw(raw), (sign_event(event, keys),)))


def append_event(
    raw_consent: bytes,
    keys: KeyProvider,
    kind: Change,
    at: datetime.datetime,
    agreement: Agreement | None = None,
    items: Items | None = None,
) -> bytes:
    """Write a verified consent record anew, with one more event at its end.

    Args:
        raw_consent: as `verify_consent` accepted it.
        keys: the owner's.
        kind: "withdrawn"; "narrowed" to the terms of `agreement`; "renewed", to other terms if an agreement is given.
        at: when, with a time zone.
        agreement: the terms that hold from now on; those of the record otherwise.
        items: part name, modality, SHA-256 of the ciphertext, as they are from a renewal on; those of the record
            otherwise.

    Raises:
        UsageError: the consent is withdrawn already, narrowed terms are not narrower, other parts come without a
            renewal, or there are too many events.
        NotPermitted: these are not the owner's keys.
    """
    file = _read_file(raw_consent)
    record_raw = bytes(file.record)
    record = _read_record(record_raw)
    _require_owner(record, keys)
    if kind != "renewed" and is_withdrawn([read_event(envelope) for envelope in file.events]):
        raise UsageError("the consent is withdrawn already", "nothing more can be done with it but to renew it")
    if (kind, agreement is None) in (("withdrawn", False), ("narrowed", True)):
        raise UsageError(
            "new terms belong to a narrowed or renewed consent", "give them with those, and only with those"
        )
    if kind != "renewed" and items is not None:
        raise UsageError("other parts belong to a renewed consent", "give them with that, and only with that")
    if agreement is not None:
        if kind == "narrowed":
            require_narrowed(agreement.terms, record.terms)
        party = _party(keys.public, agreement.terms)
        record = msgspec.structs.replace(record, terms=agreement.terms, act=agreement.act, parties=(party,))
        record_raw = encode_json(record)
    if items is not None:
        record_raw = encode_json(msgspec.structs.replace(record, items=_items(items)))
    event = ConsentEvent(kind, at, sha256_hex(record_raw), event_digest(file.events[-1]))
    return _appended(file, record_raw, event, keys)


def hand_over_consent(
    raw_consent: bytes, old: KeyProvider, new: KeyProvider, items: Items, at: datetime.datetime
) -> bytes:
    """Write a verified consent record anew for another key, with the event "rekeyed" that both keys sign.

    Args:
        raw_consent: as `verify_consent` accepted it.
        old: the keys of the owner so far.
        new: the keys that own the double from now on.
        items: part name, modality, SHA-256 of the ciphertext, as they are from now on.
        at: when, with a time zone.

    Raises:
        UsageError: both are the same keys, or there are too many events.
        NotPermitted: `old` are not the owner's keys.
    """
    file = _read_file(raw_consent)
    record = _read_record(bytes(file.record))
    _require_owner(record, old)
    if new.public == old.public:
        raise UsageError("the new key is the old one", "make another with cameo keygen")
    party = _party(new.public, record.terms)
    record_raw = encode_json(msgspec.structs.replace(record, parties=(party,), items=_items(items)))
    hand_over = HandOver(record.bundle_id, FullKeys.of(old.public), FullKeys.of(new.public))
    event = ConsentEvent("rekeyed", at, sha256_hex(record_raw), event_digest(file.events[-1]), hand_over)
    return _appended(file, record_raw, event, old, new)


def read_consent(raw: bytes) -> ConsentRecord:
    """Read the record without checking who signed it, for showing.

    Raises:
        NotVerified: malformed.
    """
    return _read_record(bytes(_read_file(raw).record))


def read_events(raw: bytes) -> tuple[ConsentEvent, ...]:
    """Read the events without checking who signed them, for showing.

    Raises:
        NotVerified: malformed.
    """
    return tuple(read_event(envelope) for envelope in _read_file(raw).events)


def verify_consent(raw: bytes, owner: PublicKeys, bundle_id: str) -> Consent:
    """Read a consent record and check that `owner`, or who owned it before, signed every event, about this bundle.

    Raises:
        NotVerified: malformed, not signed by its owners, or about something else.
    """
    file = _read_file(raw)
    record_raw = bytes(file.record)
    record = _read_record(record_raw)
    if record.bundle_id != bundle_id:
        raise _bad("is about another double", "spliced")
    if [party.key for party in record.parties] != [owner.fingerprint]:
        raise _bad("names another person than the bundle's owner", "spliced")
    if record.act.text_sha256 != sha256_hex("\n".join(record.act.text).encode()):
        raise _bad("does not contain the text that was agreed to", "malformed")
    return Consent(record, verify_events(file.events, owner, bundle_id, sha256_hex(record_raw)))


_CATEGORIES: dict[str, Literal["dpv-pd:FacialPrint", "dpv-pd:VoiceBiometric", "dpv-pd:Picture"]] = {
    "face": "dpv-pd:FacialPrint",
    "voice": "dpv-pd:VoiceBiometric",
    "captures": "dpv-pd:Picture",
}


def _party(owner: PublicKeys, terms: ConsentTerms) -> Party:
    return Party("subject-and-controller", owner.fingerprint, terms.name)


def _items(items: Items) -> tuple[Item, ...]:
    return tuple(Item(name, _CATEGORIES[modality], digest) for name, modality, digest in items)


def _appended(file: _ConsentFile, record_raw: bytes, event: ConsentEvent, *signers: KeyProvider) -> bytes:
    if event.at.tzinfo is None:
        raise UsageError("the time of the event has no time zone", "give one, such as UTC")
    raw = encode_json(_ConsentFile(msgspec.Raw(record_raw), (*file.events, sign_event(event, *signers))))
    last = event.kind == "withdrawn"
    room = (MAX_EVENTS, RECORD_LIMIT) if last else (MAX_EVENTS - 1, RECORD_LIMIT - _KEPT_FOR_WITHDRAWAL)
    if len(file.events) + 1 > room[0] or len(raw) > room[1]:
        raise UsageError("the consent record has no room for another event", "enrol again, or withdraw the consent")
    return raw


def _require_owner(record: ConsentRecord, keys: KeyProvider) -> None:
    if [party.key for party in record.parties] != [keys.public.fingerprint]:
        raise NotPermitted("this key does not own the double", "use the owner's key file", "wrong_key")


def _read_file(raw: bytes) -> _ConsentFile:
    return decode_json(raw, _ConsentFile, "the consent record", RECORD_LIMIT)


def _read_record(raw: bytes) -> ConsentRecord:
    record = decode_json(raw, ConsentRecord, "the consent record", RECORD_LIMIT)
    try:
        check_terms(record.terms, "the consent record")
    except UsageError as error:
        raise NotVerified(error.message, "the file contradicts itself: do not use it", "malformed") from None
    if leaves_open(record.terms):
        raise _bad("leaves generators or dates open", "malformed")
    return record


def _bad(reason: str, code: str) -> NotVerified:
    return NotVerified(f"the consent record {reason}", "the file was changed or is damaged: do not use it", code)
