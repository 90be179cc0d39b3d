"""The signed life of a consent: given, renewed, narrowed, handed over to another key, withdrawn.

Every event names the digest of the one before it and of the record as it was then. A hand-over is signed by both keys
and carries them in full, so that whoever has the present owner's key can follow the chain back to the first event.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_json, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope, sign_envelope, unverified_payload, verify_envelope
from cameo.crypto.fullkeys import FullKeys
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified
from cameo.seal.manifest import has_sane_year

EVENT_TYPE = "application/vnd.cameo.consent-event.v1+json"
EVENT_LIMIT = 4096
MAX_EVENTS = 256

_WHAT = "a consent event"
_Hex = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
_Time = Annotated[datetime.datetime, msgspec.Meta(tz=True)]
Change = Literal["renewed", "narrowed", "withdrawn"]


class HandOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name the double that is handed over, and the keys it goes from and to."""

    bundle_id: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    old: FullKeys
    new: FullKeys


class ConsentEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Record one event in the life of a consent; `hand_over` stands in those of kind "rekeyed", and only there."""

    kind: Literal["given", "renewed", "narrowed", "rekeyed", "withdrawn"]
    at: _Time
    record_sha256: _Hex
    previous_sha256: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64})?\Z")]
    hand_over: HandOver | None = None


def sign_event(event: ConsentEvent, *signers: KeyProvider) -> Envelope:
    """Sign an event: by the owner, or by both owners when the double is handed over."""
    return sign_envelope(EVENT_TYPE, encode_json(event), signers)


def read_event(envelope: Envelope) -> ConsentEvent:
    """Read an event without looking at its signatures.

    Raises:
        NotVerified: malformed.
    """
    event = decode_json(unverified_payload(envelope, EVENT_TYPE, _WHAT), ConsentEvent, _WHAT, EVENT_LIMIT)
    if (event.kind == "rekeyed") != (event.hand_over is not None) or not has_sane_year(event.at):
        raise _bad("has an event that contradicts itself", "malformed")
    return event


def event_digest(envelope: Envelope) -> str:
    """Hash an event, as the next one names it."""
    return sha256_hex(unverified_payload(envelope, EVENT_TYPE, _WHAT))


def verify_events(
    envelopes: Sequence[Envelope], owner: PublicKeys, bundle_id: str, record_sha256: str
) -> tuple[ConsentEvent, ...]:
    """Check the whole chain, beginning with the one key that is trusted: the present owner's.

    Raises:
        NotVerified: an event is not signed by whoever owned the double then, is out of order, or about something else.
    """
    events = [read_event(envelope) for envelope in envelopes]
    holder = owner
    # Backwards: only a hand-over that the holder of the later key signed says who held the double before.
    for event, envelope in zip(reversed(events), reversed(envelopes), strict=True):
        signers = [holder]
        if event.hand_over:
            holder = _former(event.hand_over, holder, bundle_id)
            signers.append(holder)
        verify_envelope(envelope, EVENT_TYPE, signers, _WHAT, threshold=len(signers))
    previous = ""
    for event, envelope in zip(events, envelopes, strict=True):
        if event.previous_sha256 != previous or (event.kind == "given") != (not previous):
            raise _bad("has its events out of order")
        previous = event_digest(envelope)
    if events[-1].record_sha256 != record_sha256:
        raise _bad("is not the one its last event signed")
    return tuple(events)


def is_withdrawn(events: Sequence[ConsentEvent]) -> bool:
    """Say whether the consent stands withdrawn: only giving or renewing it makes a withdrawal undone."""
    decisive = (event.kind for event in reversed(events) if event.kind in ("given", "renewed", "withdrawn"))
    return next(decisive, "withdrawn") == "withdrawn"


def _former(hand_over: HandOver, holder: PublicKeys, bundle_id: str) -> PublicKeys:
    former = hand_over.old.load("a key in a hand-over")
    if hand_over.bundle_id != bundle_id or hand_over.new.load("a key in a hand-over") != holder or former == holder:
        raise _bad("has a hand-over of another double, or to another key")
    return former


def _bad(reason: str, code: str = "spliced") -> NotVerified:
    return NotVerified(f"the consent record {reason}", "the file was changed or is damaged: do not use it", code)
