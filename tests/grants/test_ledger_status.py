"""What a host knows of revocations only ever grows, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cameo.errors import NotPermitted, NotVerified
from cameo.grants import standing as standing_module
from cameo.grants.ledger import Ledger
from cameo.grants.status import StatusSnapshot, pack_bits, status_uri
from tests.grants.conftest import NOON, Clock

ADA = "a" * 64
URI = status_uri(ADA)
DOUBLE, GROUP = "c" * 32, "9" * 32

Opener = Callable[..., Ledger]


def snapshot(seq: int, *revoked: int, at: float = NOON, size: int = 1024) -> StatusSnapshot:
    return StatusSnapshot(URI, seq, int(at), int(at) + 86_400, 10, pack_bits(size, revoked))


def refused(code: str, call: Callable[..., object], *words: object, **more: object) -> None:
    with pytest.raises((NotPermitted, NotVerified)) as caught:
        call(*words, **more)
    assert caught.value.code == code
    assert caught.value.hint


def test_what_stands_and_what_does_not(ledger: Ledger) -> None:
    refused("status_unknown", ledger.standing, URI, 1, NOON)
    ledger.absorb(snapshot(1, 7, 1023))
    ledger.standing(URI, 6, NOON)
    ledger.standing(URI, 0, NOON + 300)
    refused("revoked", ledger.standing, URI, 7, NOON)
    refused("revoked", ledger.standing, URI, 1023, NOON)
    refused("status_unknown", ledger.standing, status_uri("b" * 64), 6, NOON)


@pytest.mark.parametrize("index", [-1, 1024, 2**24, 2**80])
def test_an_entry_that_is_not_on_the_list(ledger: Ledger, index: int) -> None:
    ledger.absorb(snapshot(1))
    refused("malformed", ledger.standing, URI, index, NOON)


def test_a_list_too_old_to_go_by(ledger: Ledger) -> None:
    ledger.absorb(snapshot(1, 7))
    ledger.standing(URI, 6, NOON + 300)
    refused("status_stale", ledger.standing, URI, 6, NOON + 301)
    ledger.standing(URI, 6, NOON + 301, grace_s=600)
    refused("status_stale", ledger.standing, URI, 6, NOON + 86_400, grace_s=10**6)
    refused("revoked", ledger.standing, URI, 7, NOON + 10**6)


def test_a_list_from_the_future(ledger: Ledger) -> None:
    ledger.absorb(snapshot(1, at=NOON + 31))
    refused("status_stale", ledger.standing, URI, 6, NOON)
    ledger.standing(URI, 6, NOON + 1)


def test_a_list_dated_wrongly_once_does_not_spoil_later_ones(ledger: Ledger) -> None:
    ledger.absorb(snapshot(1, 7, at=NOON + 10**6))
    ledger.absorb(snapshot(2, 7))
    ledger.standing(URI, 6, NOON)
    refused("status_rollback", ledger.absorb, snapshot(1, 7, at=NOON + 10**6))


def test_a_list_is_never_taken_back(open_ledger: Opener) -> None:
    open_ledger().absorb(snapshot(5, 7))
    for ledger in (open_ledger(), open_ledger()):
        refused("status_rollback", ledger.absorb, snapshot(4, 7))
        refused("status_rollback", ledger.absorb, snapshot(5))
        refused("status_rollback", ledger.absorb, snapshot(5, 7, size=2048))
        refused("revoked", ledger.standing, URI, 7, NOON)


def test_what_was_revoked_once_stays_so(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.absorb(snapshot(1, 7, 900))
    ledger.absorb(snapshot(2, 8, size=256))
    ledger.absorb(snapshot(2, 8, size=256, at=NOON + 5))
    for opened in (ledger, open_ledger()):
        for index in (7, 8, 900):
            refused("revoked", opened.standing, URI, index, NOON)
        opened.standing(URI, 9, NOON + 305)


def test_the_newest_date_counts(ledger: Ledger, clock: Clock) -> None:
    clock.now += 100
    assert ledger.age(URI, NOON) is None
    ledger.absorb(snapshot(1))
    ledger.absorb(snapshot(1, at=NOON + 100))
    assert ledger.age(URI, NOON + 100) == 0
    ledger.absorb(snapshot(1))
    ledger.absorb(snapshot(2, 7, at=NOON + 50))
    assert ledger.age(URI, NOON + 100) == 0
    refused("revoked", ledger.standing, URI, 7, NOON)


def test_another_process_saw_a_newer_list(open_ledger: Opener) -> None:
    ours, theirs = open_ledger(), open_ledger()
    ours.absorb(snapshot(1))
    ours.standing(URI, 7, NOON)
    theirs.absorb(snapshot(2, 7))
    refused("revoked", ours.standing, URI, 7, NOON)


def test_a_statement_holds_without_any_list(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.mark_revoked(URI, 7, 7, 900)
    ledger.mark_revoked(URI, 7)
    ledger.mark_revoked(URI)
    refused("revoked", ledger.standing, URI, 7, NOON)
    ledger.absorb(snapshot(1))
    refused("revoked", open_ledger().standing, URI, 900, NOON)
    ledger.standing(URI, 8, NOON)
    refused("malformed", ledger.mark_revoked, URI, 8, 2**24)
    refused("malformed", ledger.mark_revoked, URI, 8, -1)
    ledger.standing(URI, 8, NOON)


def test_withdrawn_consent_holds_for_grants_nobody_listed(open_ledger: Opener) -> None:
    ledger = open_ledger()
    ledger.absorb(snapshot(1))
    ledger.mark_withdrawn(URI, DOUBLE, 3)
    ledger.mark_withdrawn(URI, DOUBLE, 3, 4)
    refused("withdrawn", open_ledger().standing, URI, 100, NOON, bundle_id=DOUBLE)
    refused("revoked", ledger.standing, URI, 4, NOON)
    ledger.standing(URI, 100, NOON, bundle_id="d" * 32)
    ledger.absorb(replace(snapshot(1), uri=status_uri("b" * 64)))
    ledger.standing(status_uri("b" * 64), 100, NOON, bundle_id=DOUBLE)


def test_group_lists_only_go_forward(open_ledger: Opener) -> None:
    ledger = open_ledger()
    for seq, digest in ((3, "1" * 64), (3, "1" * 64), (5, "2" * 64)):
        ledger.seen_group(ADA, GROUP, seq, digest)
    refused("status_rollback", open_ledger().seen_group, ADA, GROUP, 4, "3" * 64)
    refused("status_rollback", open_ledger().seen_group, ADA, GROUP, 5, "1" * 64)
    ledger.seen_group("b" * 64, GROUP, 1, "4" * 64)
    ledger.seen_group(ADA, GROUP, 2**53 - 1, "5" * 64)


def test_more_lists_than_are_kept_unpacked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_module, "_KEPT_LISTS", 3)
    uris = [status_uri(f"{number:064x}") for number in range(5)]
    for number, uri in enumerate(uris):
        ledger.absorb(replace(snapshot(1, number), uri=uri))
    for _ in range(2):
        for number, uri in enumerate(uris):
            refused("revoked", ledger.standing, uri, number, NOON)
            ledger.standing(uri, number + 1, NOON)
    assert len(ledger._unpacked) == 3


def test_a_million_entries_are_unpacked_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    bits = os.urandom(2**17)
    ledger.absorb(replace(snapshot(1), bits=bits))
    ledger.standing(URI, next(i for i in range(2**20) if not bits[i >> 3] >> (i & 7) & 1), NOON)
    unpacked: list[int] = []
    monkeypatch.setattr(zlib, "decompress", lambda packed: unpacked.append(len(packed)))
    taken = []
    for index in range(0, 2**20, 2**14):
        started = time.perf_counter()
        try:
            ledger.standing(URI, index, NOON)
            assert not bits[index >> 3] >> (index & 7) & 1
        except NotPermitted:
            assert bits[index >> 3] >> (index & 7) & 1
        taken.append(time.perf_counter() - started)
    assert unpacked == []
    assert sorted(taken)[len(taken) // 2] < 0.002


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 4), st.sets(st.integers(0, 15), max_size=4)), max_size=12))
def test_nothing_shown_later_brings_a_grant_back(ledger: Ledger, shown: list) -> None:
    uri = status_uri(secrets.token_hex(32))
    highest, bits, gone = 0, None, set()
    for seq, revoked in shown:
        offered = replace(snapshot(seq, *revoked, size=16), uri=uri)
        if seq < highest or (seq == highest and offered.bits != bits):
            refused("status_rollback", ledger.absorb, offered)
            continue
        ledger.absorb(offered)
        highest, bits = seq, offered.bits
        gone |= revoked
    for index in range(16) if highest else ():
        if index in gone:
            refused("revoked", ledger.standing, uri, index, NOON)
        else:
            ledger.standing(uri, index, NOON)
