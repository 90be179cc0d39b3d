"""Points of `benchmarks.scaling` that remember what was lent: grants, revocations and receipts in their databases.

Rows are put into the tables many at once, by the code that writes them one by one otherwise: so many grants, issued one
after the other, would wait an hour for the disk. What is measured goes through the front door.
"""

from __future__ import annotations

import datetime
import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from benchmarks.scaling_points import BLOCK, Costs, blocks, per_call
from cameo.crypto.keys import Keys
from cameo.grants.ledger import Ledger, UseLimit
from cameo.grants.receipt import Entry
from cameo.grants.status import StatusSnapshot, read_status, sign_status, status_uri
from cameo.publishing import published
from cameo.recalling import revoke
from cameo.registry.lending import FIRST_SIZE
from cameo.registry.lent import Lent
from cameo.registry.schema import grants, lists, statements
from cameo.registry.store import Registry

SHARE_REVOKED = 4  # one in so many grants, and one in so many entries of a status list
STATEMENT_BYTES = 700  # about as long as a signed one
NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)


# Grants.


def begin_grants(size: int, _folder: Path) -> Callable[[], Costs]:
    """Issue, find, list, publish and take back one of so many grants of a double, a quarter of them taken back."""
    owner = Keys.generate()
    registry, who, bundle_id = Registry(), owner.public.fingerprint, secrets.token_hex(16)
    entries = FIRST_SIZE
    while entries < 2 * size + 1000:
        entries *= 2
    places = random.Random(0).sample(range(entries), size)
    names = [secrets.token_hex(16) for _ in range(size)]
    with registry._database.writing() as connection:
        connection.execute(insert(lists).values(owner=who, seq=1, size=entries))
        for block in blocks(size):
            rows = [_grant_row(names[k], bundle_id, who, places[k]) for k in block]
            back = [_statement_row(row) for row in rows[::SHARE_REVOKED]]
            for row in rows[::SHARE_REVOKED]:
                row["revoked_at"] = row["issued"]
            connection.execute(insert(grants), rows)
            connection.execute(insert(statements), back)
    living = iter(name for k, name in enumerate(names) if k % BLOCK % SHARE_REVOKED)

    def issue() -> None:
        lent = Lent(secrets.token_hex(16), bundle_id, who, "friend", "ab" * 32, "cd" * 32, ("birthday",), NOW,
                    NOW + datetime.timedelta(days=30), False, Path("a.grant"))  # fmt: skip
        registry.allot(lent)

    return lambda: {
        "issue one more": per_call(issue),
        "find one": per_call(lambda: registry.find_grant(names[-1])),
        "list": per_call(lambda: registry.lent(owner=who)),
        "publish": per_call(lambda: published(owner)),
        "take one back": _calls(lambda: revoke(next(living), keys=owner), min(size // 2, 50)),
    }


def _grant_row(name: str, bundle_id: str, owner: str, place: int) -> dict[str, Any]:
    issued = NOW.replace(tzinfo=None)
    return {"jti": name, "bundle_id": bundle_id, "owner": owner, "kind": "friend", "holder": "ab" * 32,
            "host": "cd" * 32, "place": place, "purposes": ["birthday"], "issued": issued,
            "expires": issued + datetime.timedelta(days=30), "delegable": False, "path": f"{name}.grant",
            "parent": None, "revoked_at": None}  # fmt: skip


def _statement_row(grant: dict[str, Any]) -> dict[str, Any]:
    return {"id": secrets.token_hex(16), "owner": grant["owner"], "bundle_id": grant["bundle_id"],
            "jti": grant["jti"], "body": "x" * STATEMENT_BYTES, "at": grant["issued"]}  # fmt: skip


def _calls(work: Callable[[], object], count: int) -> float:
    """Mean processor time of so many calls."""
    began = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - began) / count


# Revocations.


def begin_revocations(size: int, folder: Path) -> Callable[[], Costs]:
    """Sign a status list with so many revoked entries, take it in as a host, and look whether a grant holds.

    A list has four entries for each that is revoked. As many statements, by which a grant is taken back at once, are in
    the host's ledger as well.
    """
    owner, entries = Keys.generate(), max(FIRST_SIZE, SHARE_REVOKED * size)
    uri, numbers = status_uri(owner.public.fingerprint), iter(range(1, 10_000))
    some = random.Random(0).sample(range(1, entries), size)
    revoked, now = set(some), time.time()
    ledger = Ledger(Keys.generate(), f"sqlite:///{folder}/{secrets.token_hex(4)}.sqlite")
    for block in blocks(size):
        ledger.mark_revoked(uri, *[some[k] for k in block])

    def sign() -> str:
        return sign_status(owner, entries, revoked, next(numbers), now)

    def read() -> StatusSnapshot:
        return read_status(token, owner.public)

    def take_in() -> None:
        ledger.absorb(read_status(tokens.pop(), owner.public))

    def look() -> None:
        ledger.standing(uri, 0, now)

    token = sign()
    tokens = [sign() for _ in range(12)][::-1]
    return lambda: {
        "sign the list": _calls(sign, 3),
        "read it": per_call(read),
        "take it in": _calls(take_in, len(tokens)),
        "look": per_call(look),
    }


# Receipts.


def begin_receipts(size: int, folder: Path) -> Callable[[], Costs]:
    """Reserve a use where so many receipts stand already, and verify and export all of them."""
    ledger = Ledger(Keys.generate(), f"sqlite:///{folder}/{secrets.token_hex(4)}.sqlite")
    bundle_id, owner = secrets.token_hex(16), "ab" * 32
    entry = Entry("allow", bundle_id=bundle_id, owner=owner, grant="cd" * 16, purpose="birthday")
    for block in blocks(size):
        with ledger._database.writing() as connection:
            for _ in block:
                ledger._append(connection, entry, time.time())
    limit = UseLimit(owner, "cd" * 16)
    # A nonce is drawn apart, in time that counts: it is written down, too.
    return lambda: {
        "reserve a use": per_call(lambda: ledger.reserve(ledger.nonce(), [limit], entry)),
        "verify all": per_call(ledger.verify_chain),
        "export": per_call(ledger.export),
    }
