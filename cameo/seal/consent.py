"""Record what a person agreed to: which uses, by whom, until when, and the words they were shown.

The fields follow ISO/IEC TS 27560:2023 (consent record information structure); what is not said is not allowed.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_json, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope, sign_envelope, verify_envelope
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified, UsageError

EVENT_TYPE = "application/vnd.cameo.consent-event.v1+json"
RECORD_LIMIT = 256 * 1024
VALID_DAYS = 365

Prohibition = Literal["intimate", "minors", "political", "financial-fraud", "identity-fraud", "endorsement"]
PROHIBITIONS: tuple[Prohibition, ...] = (
    "intimate",
    "minors",
    "political",
    "financial-fraud",
    "identity-fraud",
    "endorsement",
)
# No owner can allow these, not even for themselves.
ALWAYS_PROHIBITED = frozenset({"minors", "financial-fraud", "identity-fraud"})

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z")]
_GeneratorId = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?\Z")]
_Text = Annotated[str, msgspec.Meta(max_length=1024)]
_Hex = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
_Time = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
Method = Literal["interactive", "flag", "api"]


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describe one allowed use. Every default is the narrowest that is still a use.

    `generators` empty means those the double is tuned for when it is sealed; `valid_from` and `valid_until`
    (both inclusive) default to the day of consent and a year after it.
    """

    id: _Id
    description: _Text = ""
    audience: Literal["owner", "approved", "group", "everyone"] = "approved"
    actions: tuple[Literal["generate"], ...] = ("generate",)
    outputs: tuple[Literal["video", "image", "audio"], ...] = ("video",)
    modalities: tuple[Literal["face", "voice"], ...] = ("face", "voice")
    generators: tuple[_GeneratorId, ...] = ()
    commercial: bool = False
    delegable: bool = False
    valid_from: datetime.date | None = None
    valid_until: datetime.date | None = None


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Say what is kept: the footage itself only if asked for."""

    captures: bool = False
    until: Literal["erased-by-owner"] = "erased-by-owner"


class ConsentTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what an owner allows; the shape of `consent.toml`."""

    purposes: Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1, max_length=64)]
    name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    prohibited: tuple[Prohibition, ...] = PROHIBITIONS
    retention: Retention = Retention()
    jurisdiction: Annotated[str, msgspec.Meta(max_length=64)] = ""


DEFAULT_TERMS = ConsentTerms((Purpose("personal", "clips the owner makes of themselves", "owner"),))


class Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record how consent was given: the text shown, line by line, and the SHA-256 of its lines joined by newlines."""

    text: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=1, max_length=256)]
    text_sha256: _Hex
    language: Literal["en"]
    age_statement: Literal["adult"]
    method: Method
    liveness: _Text


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
    record_id: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    bundle_id: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    lawful_basis: Literal["dpv:ExplicitlyExpressedConsent"]
    collection: Literal["recording-by-subject"]
    parties: Annotated[tuple[Party, ...], msgspec.Meta(min_length=1, max_length=8)]
    items: Annotated[tuple[Item, ...], msgspec.Meta(min_length=1, max_length=64)]
    terms: ConsentTerms
    act: Act
    rights: tuple[Literal["access", "rectify", "withdraw", "erase", "complain"], ...]


class ConsentEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record one event in the life of a consent; each names the SHA-256 of the event before it."""

    kind: Literal["given", "renewed", "narrowed", "withdrawn"]
    at: _Time
    record_sha256: _Hex
    previous_sha256: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")]


class _ConsentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # Raw, because the events sign the record's bytes as they are stored, not as some encoder would write them.
    record: msgspec.Raw
    events: Annotated[tuple[Envelope, ...], msgspec.Meta(min_length=1, max_length=256)]


class Consent(msgspec.Struct, frozen=True):
    """Hold a consent record and its events, as read."""

    record: ConsentRecord
    events: tuple[ConsentEvent, ...]

    @property
    def withdrawn(self) -> bool:
        """Whether the last word was a withdrawal."""
        return self.events[-1].kind == "withdrawn"


def parse_terms(text: str, what: str = "the consent file") -> ConsentTerms:
    """Read terms from TOML; unknown keys are refused, missing ones take the narrowest value.

    Raises:
        UsageError: not TOML, or not terms.
    """
    import tomllib  # here, because reading a sealed record does not need it

    hint = 'the smallest file that works is [[purposes]] with id = "birthday"'
    try:
        terms = msgspec.convert(tomllib.loads(text), ConsentTerms, builtin_types=(datetime.date,))
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{what}: {reason}", hint) from None
    _check_terms(terms, what)
    return terms


def load_terms(path: str | os.PathLike[str]) -> ConsentTerms:
    """Read terms from a TOML file.

    Raises:
        UsageError: the file cannot be read, is not TOML, or is not terms.
    """
    try:
        raw = Path(path).read_bytes()[: RECORD_LIMIT + 1]
        text = raw.decode("utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {path}: {reason}", "check the path after --consent") from None
    except ValueError:
        raise UsageError(f"{path} is not UTF-8 text", "save the file as UTF-8") from None
    if len(raw) > RECORD_LIMIT:
        raise UsageError(f"{path} is larger than a consent file may be", "check the path after --consent")
    return parse_terms(text, str(path))


def resolve_terms(terms: ConsentTerms, generators: Iterable[str], today: datetime.date) -> ConsentTerms:
    """Fill what a purpose left open: the generators at hand and a year from `today`."""
    known = tuple(sorted(generators))
    year = datetime.timedelta(days=VALID_DAYS)
    purposes = tuple(
        msgspec.structs.replace(
            purpose,
            generators=purpose.generators or known,
            valid_from=purpose.valid_from or today,
            valid_until=purpose.valid_until or (purpose.valid_from or today) + year,
        )
        for purpose in terms.purposes
    )
    return msgspec.structs.replace(terms, purposes=purposes)


def permits(terms: ConsentTerms, generator: str, day: datetime.date) -> bool:
    """Say whether some purpose lets the owner make videos of the face with a generator on a day."""
    return any(
        generator in purpose.generators
        and "generate" in purpose.actions
        and "video" in purpose.outputs
        and "face" in purpose.modalities
        and (purpose.valid_from or day) <= day <= (purpose.valid_until or day)
        for purpose in terms.purposes
    )


def describe(terms: ConsentTerms) -> list[str]:
    """Say in plain words what the terms allow, a line each; the lines a person is shown before agreeing."""
    lines = [_describe_purpose(purpose) for purpose in terms.purposes]
    lines.append(f"never: {', '.join(terms.prohibited)}")
    kept = "the recording itself is kept, encrypted" if terms.retention.captures else "the recording itself is not kept"
    lines.append(f"{kept}; the rest until its owner erases it")
    if terms.jurisdiction:
        lines.append(f"under the law of: {terms.jurisdiction}")
    return lines


def agree(terms: ConsentTerms, method: Method, liveness: str = "not checked") -> Agreement:
    """Record that the person was shown `text_shown(terms)` and agreed.

    Args:
        terms: resolved terms.
        method: "interactive" when they typed yes, "flag" for `--yes`, "api" for a caller that asked by itself.
        liveness: what the liveness checks said, one line.

    Raises:
        UsageError: the terms leave something open.
    """
    if any(not (p.generators and p.valid_from and p.valid_until) for p in terms.purposes):
        raise UsageError("the terms leave generators or dates open", "call resolve_terms first")
    text = tuple(text_shown(terms))
    digest = sha256_hex("\n".join(text).encode())
    return Agreement(terms, Act(text, digest, "en", "adult", method, liveness))


def text_shown(terms: ConsentTerms) -> list[str]:
    """Write the text a person agrees to, a line each."""
    return [
        "I am 18 or older, and the person in this recording is me.",
        "From it a double of my face and voice is made, encrypted so that only my key opens it.",
        "It may be used:",
        *(f"  - {line}" for line in describe(terms)),
        "I can withdraw this at any time. Copies already decrypted by someone cannot be called back.",
    ]


def write_consent(
    agreement: Agreement,
    keys: KeyProvider,
    bundle_id: str,
    items: Iterable[tuple[str, str, str]],
    at: datetime.datetime,
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
        parties=(Party("subject-and-controller", keys.public.fingerprint, agreement.terms.name),),
        items=tuple(Item(name, _CATEGORIES[modality], digest) for name, modality, digest in items),
        terms=agreement.terms,
        act=agreement.act,
        rights=("access", "rectify", "withdraw", "erase", "complain"),
    )
    raw = encode_json(record)
    event = ConsentEvent("given", at, sha256_hex(raw), "")
    envelope = sign_envelope(EVENT_TYPE, encode_json(event), [keys])
    return encode_json(_ConsentFile(msgspec.Raw(raw), (envelope,)))


def read_consent(raw: bytes) -> ConsentRecord:
    """Read the record without checking who signed it, for showing.

    Raises:
        NotVerified: malformed.
    """
    file = decode_json(raw, _ConsentFile, "the consent record", RECORD_LIMIT)
    return _read_record(bytes(file.record))


def verify_consent(raw: bytes, owner: PublicKeys, bundle_id: str) -> Consent:
    """Read a consent record and check that `owner` signed every event, about this record and this bundle.

    Raises:
        NotVerified: malformed, not signed by `owner`, or about something else.
    """
    file = decode_json(raw, _ConsentFile, "the consent record", RECORD_LIMIT)
    record_raw = bytes(file.record)
    record = _read_record(record_raw)
    if record.bundle_id != bundle_id:
        raise _bad("is about another double")
    if [party.key for party in record.parties] != [owner.fingerprint]:
        raise _bad("names another person than the bundle's owner")
    if record.act.text_sha256 != sha256_hex("\n".join(record.act.text).encode()):
        raise _bad("does not contain the text that was agreed to")
    return Consent(record, _verify_events(file.events, owner, sha256_hex(record_raw)))


def _verify_events(envelopes: Iterable[Envelope], owner: PublicKeys, record_sha256: str) -> tuple[ConsentEvent, ...]:
    events: list[ConsentEvent] = []
    previous = ""
    for envelope in envelopes:
        payload = verify_envelope(envelope, EVENT_TYPE, [owner], "a consent event")
        event = decode_json(payload, ConsentEvent, "a consent event", 4096)
        if event.previous_sha256 != previous or (event.kind == "given") != (not events):
            raise _bad("has its events out of order")
        events.append(event)
        previous = sha256_hex(payload)
    if events[-1].record_sha256 != record_sha256:
        raise _bad("is not the one its last event signed")
    return tuple(events)


_CATEGORIES: dict[str, Literal["dpv-pd:FacialPrint", "dpv-pd:VoiceBiometric", "dpv-pd:Picture"]] = {
    "face": "dpv-pd:FacialPrint",
    "voice": "dpv-pd:VoiceBiometric",
    "captures": "dpv-pd:Picture",
}


def _read_record(raw: bytes) -> ConsentRecord:
    record = decode_json(raw, ConsentRecord, "the consent record", RECORD_LIMIT)
    try:
        _check_terms(record.terms, "the consent record")
    except UsageError as error:
        raise NotVerified(error.message, "the file contradicts itself: do not use it") from None
    return record


def _check_terms(terms: ConsentTerms, what: str) -> None:
    ids = [purpose.id for purpose in terms.purposes]
    if len(set(ids)) != len(ids):
        raise UsageError(f"{what}: two purposes have the same id", "give every purpose its own id")
    missing = ALWAYS_PROHIBITED - set(terms.prohibited)
    if missing:
        names = ", ".join(sorted(missing))
        raise UsageError(f"{what}: prohibited must contain {names}", "these uses cannot be allowed")
    for purpose in terms.purposes:
        if not (purpose.actions and purpose.outputs and purpose.modalities):
            raise UsageError(f"{what}: purpose {purpose.id} allows nothing", "leave the empty list out")
        if purpose.valid_from and purpose.valid_until and purpose.valid_until < purpose.valid_from:
            raise UsageError(f"{what}: purpose {purpose.id} ends before it begins", "check valid_from and valid_until")


def _describe_purpose(purpose: Purpose) -> str:
    who = {
        "owner": "only the owner",
        "approved": "people the owner approves",
        "group": "a group the owner keeps",
        "everyone": "everyone",
    }[purpose.audience]
    about = f"{purpose.id} ({purpose.description})" if purpose.description else purpose.id
    until = f"until {_day(purpose.valid_until)}" if purpose.valid_until else "for one year"
    tools = f"with {', '.join(purpose.generators)}" if purpose.generators else "with the generators it is tuned for"
    words = [
        f"{' and '.join(purpose.modalities)} for {about}",
        f"by {who}",
        f"as {' or '.join(purpose.outputs)}",
        tools,
        until,
        "commercial use allowed" if purpose.commercial else "not commercially",
        "may be passed on once" if purpose.delegable else "not to be passed on",
    ]
    return ", ".join(words)


def _day(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _bad(reason: str) -> NotVerified:
    return NotVerified(f"the consent record {reason}", "the file was changed or is damaged: do not use it")
