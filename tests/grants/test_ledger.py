"""Nonces, uses, the clock and the chain, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.grants.ledger import Ledger, UseLimit
from cameo.grants.ledger_reader import LedgerReader
from cameo.grants.receipt import Entry, verify_receipts
from tests.grants.conftest import HOST, NOON, Clock, keys_of

ADA, BOB = "a" * 64, "b" * 64
GRANT, DELEGATION = "1" * 32, "2" * 32
DOUBLE, OTHER = "c" * 32, "d" * 32
ALLOW = Entry("allow", bundle_id=DOUBLE, owner=ADA, grant=GRANT, holder=BOB, purpose="birthday", seconds=4.04)

Opener = Callable[..., Ledger]


def refused(code: str, ledger: Ledger, nonce: str, *limits: UseLimit) -> None:
    with pytest.raises(NotPermitted) as caught:
        ledger.reserve(nonce, limits, ALLOW)
    assert caught.value.code == code
    assert caught.value.hint


# Nonces.


def test_a_nonce_is_spent_once(ledger: Ledger) -> None:
    nonce = ledger.nonce()
    assert len(nonce) == 22
    ledger.reserve(nonce, [], ALLOW)
    refused("replayed", ledger, nonce)
    assert len(ledger.receipts()) == 1


def test_a_spent_nonce_stays_spent_when_the_ledger_is_opened_again(open_ledger: Opener) -> None:
    first = open_ledger()
    spent, open_one = first.nonce(), first.nonce()
    first.reserve(spent, [], ALLOW)
    first.close()
    again = open_ledger()
    refused("replayed", again, spent)
    again.reserve(open_one, [], ALLOW)


@pytest.mark.parametrize(
    "nonce", ["", "A" * 22, "A" * 21, "é" * 22, "\0" * 22, "\ud800" * 22, "' OR 1=1 --" + " " * 11]
)
def test_a_nonce_nobody_drew(ledger: Ledger, nonce: str) -> None:
    ledger.nonce()
    refused("replayed", ledger, nonce)


def test_a_nonce_expires_and_is_purged(ledger: Ledger, ledger_url: str, clock: Clock) -> None:
    nonce = ledger.nonce()
    clock.now += 119
    in_time = ledger.nonce()
    clock.now += 2
    refused("replayed", ledger, nonce)
    ledger.nonce()
    engine = create_engine(ledger_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM nonces")) == 2
    engine.dispose()
    ledger.reserve(in_time, [], ALLOW)


def test_setting_the_clock_back_does_not_prolong_a_nonce(ledger: Ledger, clock: Clock) -> None:
    nonce = ledger.nonce()
    clock.now += 121
    ledger.tick()
    clock.now -= 50
    refused("replayed", ledger, nonce)


def test_a_nonce_of_another_host_in_the_same_database(open_ledger: Opener) -> None:
    mine, theirs = open_ledger(), open_ledger(keys_of(2))
    nonce = mine.nonce()
    refused("replayed", theirs, nonce)
    mine.reserve(nonce, [], ALLOW)


# Uses.


def test_the_fifth_use_of_four(ledger: Ledger) -> None:
    limit = UseLimit(ADA, GRANT, 4)
    for number in range(1, 5):
        ledger.reserve(ledger.nonce(), [limit], ALLOW)
        assert ledger.used(ADA, GRANT) == number
    nonce = ledger.nonce()
    refused("uses_exhausted", ledger, nonce, limit)
    refused("replayed", ledger, nonce, limit)
    assert ledger.used(ADA, GRANT) == 4
    assert len(ledger.receipts()) == 4


def test_an_exhausted_delegation_does_not_cost_the_grant_a_use(ledger: Ledger) -> None:
    grant, delegation = UseLimit(ADA, GRANT, 9), UseLimit(BOB, DELEGATION, 1)
    ledger.reserve(ledger.nonce(), [grant, delegation], ALLOW)
    refused("uses_exhausted", ledger, ledger.nonce(), grant, delegation)
    assert (ledger.used(ADA, GRANT), ledger.used(BOB, DELEGATION)) == (1, 1)
    ledger.reserve(ledger.nonce(), [grant], ALLOW)
    assert ledger.used(ADA, GRANT) == 2


def test_nobody_uses_up_what_another_granted_by_taking_its_id(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.reserve(ledger.nonce(), [UseLimit(BOB, GRANT, None)], ALLOW)
    ledger.reserve(ledger.nonce(), [UseLimit(ADA, GRANT, 1)], ALLOW)
    assert (ledger.used(ADA, GRANT), ledger.used(BOB, GRANT)) == (1, 3)


def test_the_same_limit_named_twice_counts_twice(ledger: Ledger) -> None:
    limit = UseLimit(ADA, GRANT, 3)
    ledger.reserve(ledger.nonce(), [limit, limit], ALLOW)
    refused("uses_exhausted", ledger, ledger.nonce(), limit, limit)
    assert ledger.used(ADA, GRANT) == 2


def test_unlimited_uses_are_counted(ledger: Ledger) -> None:
    ledger.reserve(ledger.nonce(), [UseLimit(ADA, GRANT)], ALLOW)
    assert ledger.used(ADA, GRANT) == 1
    assert ledger.used(ADA, DELEGATION) == 0


# The clock.


def test_the_clock_set_back(open_ledger: Opener, clock: Clock) -> None:
    ledger = open_ledger()
    assert ledger.tick() == NOON
    clock.now -= 60
    assert ledger.tick() == NOON - 60
    clock.now -= 1
    for opened in (ledger, open_ledger()):
        with pytest.raises(NotPermitted) as caught:
            opened.tick()
        assert caught.value.code == "clock_set_back"
        with pytest.raises(NotPermitted) as caught:
            opened.nonce()
        assert caught.value.code == "clock_set_back"
        refused("clock_set_back", opened, "A" * 22)


def test_a_refusal_is_recorded_whatever_the_clock_says(ledger: Ledger, clock: Clock) -> None:
    ledger.tick()
    clock.now -= 3600
    assert ledger.record(Entry("deny", "clock_set_back")).at == NOON - 3600
    clock.now = -5.0
    assert ledger.record(Entry("deny", "clock_set_back")).at == 0


def test_small_steps_of_the_clock_are_remembered_too(open_ledger: Opener, clock: Clock) -> None:
    ledger = open_ledger()
    for _ in range(20):
        clock.now += 0.5
        ledger.tick()
    clock.now -= 61
    for opened in (ledger, open_ledger()):
        with pytest.raises(NotPermitted, match="behind"):
            opened.tick()


# Receipts.


def test_the_chain_of_a_host(ledger: Ledger) -> None:
    ledger.record(Entry("deny", "bad_signature"))
    allowed = ledger.reserve(ledger.nonce(), [], ALLOW)
    ledger.record(Entry("deny", "wrong_purpose", bundle_id=OTHER, owner=BOB))
    ledger.record(Entry("released", bundle_id=DOUBLE, owner=ADA, output_sha256="e" * 64))
    receipts = verify_receipts(ledger.export(), HOST.public)
    assert receipts == ledger.receipts()
    assert ledger.verify_chain() == 4
    assert [r.seq for r in receipts] == [1, 2, 3, 4]
    assert [r.double_seq for r in receipts] == [0, 1, 1, 2]
    assert receipts[1] == allowed
    assert (allowed.at, allowed.host, allowed.seconds) == (NOON, HOST.public.fingerprint, 4.04)
    assert [r.decision for r in ledger.receipts(bundle_id=DOUBLE)] == ["allow", "released"]
    assert [r.decision for r in ledger.receipts(owner=BOB)] == ["deny"]


def test_the_export_of_one_double_is_complete_and_tells_nothing_of_others(ledger: Ledger) -> None:
    for double in (DOUBLE, OTHER, OTHER, DOUBLE, OTHER, DOUBLE):
        ledger.record(Entry("deny", "expired", bundle_id=double, owner=ADA))
    lines = ledger.export(DOUBLE)
    receipts = verify_receipts(lines, HOST.public)
    assert [r.seq for r in receipts] == [1, 4, 6]
    assert [r.double_seq for r in receipts] == [1, 2, 3]
    assert {r.bundle_id for r in receipts} == {DOUBLE}
    with pytest.raises(NotVerified) as caught:
        verify_receipts([lines[0], lines[2]], HOST.public)
    assert caught.value.code == "bad_receipt"


def test_hosts_that_share_a_database_have_their_own_chains(open_ledger: Opener) -> None:
    one, two = open_ledger(), open_ledger(keys_of(2))
    for number in range(6):
        (one, two)[number % 2].record(Entry("deny", "expired", bundle_id=DOUBLE))
    for ledger, keys in ((one, HOST), (two, keys_of(2))):
        assert ledger.verify_chain() == 3
        assert [r.double_seq for r in verify_receipts(ledger.export(), keys.public)] == [1, 2, 3]


def test_an_empty_ledger(ledger: Ledger) -> None:
    assert ledger.verify_chain() == 0
    assert ledger.export() == []
    assert ledger.receipts() == []


def test_whatever_a_stranger_asks_for_can_be_recorded(ledger: Ledger) -> None:
    bad = "\0\ud800\n\x1b[31m" + "\u202e" + "x" * 100_000
    texts = dict.fromkeys(("code", "rule", "purpose", "action", "generator"), bad)
    ids = dict.fromkeys(("bundle_id", "owner", "consent_sha256", "grant", "delegation", "holder"), bad)
    digests = {"request_sha256": "A" * 64, "output_sha256": "a" * 64 + "\n"}
    for seconds in (math.inf, math.nan, -1.0):
        receipt = ledger.record(Entry("deny", **texts, **ids, **digests, seconds=seconds))
        assert receipt.purpose == "????[31m?" + "x" * 55
        assert receipt.bundle_id == receipt.owner == receipt.request_sha256 == receipt.output_sha256 == ""
        assert receipt.seconds == 0
    assert ledger.verify_chain() == 3
    assert len(verify_receipts(ledger.export(), HOST.public)) == 3


def test_what_an_allowing_entry_may_not_hold(ledger: Ledger) -> None:
    nonce = ledger.nonce()
    for wrong in (
        Entry("deny"),
        Entry("allow", bundle_id="C" * 32),
        Entry("allow", purpose="x" * 65),
        Entry("allow", seconds=math.inf),
        Entry("allow", seconds=math.nan),
    ):
        with pytest.raises(UsageError):
            ledger.reserve(nonce, [], wrong)
    with pytest.raises(UsageError, match="with the use it allows"):
        ledger.record(ALLOW)
    ledger.reserve(nonce, [], Entry("allow", seconds=1 / 3))
    assert ledger.verify_chain() == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE receipts SET owner = '' WHERE seq = 2",
        "UPDATE receipts SET bundle_id = '' WHERE seq = 2",
        "UPDATE receipts SET envelope = (SELECT envelope FROM receipts WHERE seq = 1) WHERE seq = 2",
        "DELETE FROM receipts WHERE seq = 1",
        "DELETE FROM receipts WHERE seq = 2",
        "UPDATE receipts SET seq = 9 WHERE seq = 3",
    ],
)
def test_receipts_changed_in_the_database(tmp_path: Path, change: str) -> None:
    ledger = Ledger(HOST, f"sqlite:///{tmp_path}/ledger.sqlite")
    for _ in range(3):
        ledger.record(Entry("deny", "expired", bundle_id=DOUBLE, owner=ADA))
    assert ledger.verify_chain() == 3
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute(change)
    connection.commit()
    connection.close()
    with pytest.raises(NotVerified) as caught:
        ledger.verify_chain()
    assert caught.value.code == "bad_receipt"
    ledger.close()


def test_a_ledger_says_whose_it_is(open_ledger: Opener, ledger_url: str) -> None:
    for _ in range(2):
        open_ledger()
        open_ledger(keys_of(2)).record(Entry("deny", "expired", bundle_id=DOUBLE))
    with closing(LedgerReader(ledger_url)) as reader:
        assert set(reader.hosts()) == {HOST.public, keys_of(2).public}
        assert len(verify_receipts(reader.lines(keys_of(2).public.fingerprint), keys_of(2).public)) == 2
        assert reader.lines(HOST.public.fingerprint) == []


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAMEO_LEDGER", f"sqlite:///{tmp_path}/elsewhere.sqlite")
    Ledger(HOST).close()
    assert (tmp_path / "elsewhere.sqlite").exists()
    assert not (tmp_path / "home").exists()


def test_the_default_lies_in_cameos_home_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    Ledger(HOST).close()
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "ledger.sqlite").stat().st_mode) == 0o600
