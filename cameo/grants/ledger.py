"""The host's ledger: nonces, uses, revocations and receipts, durable before anything is generated.

Open one for every process, after any fork. Its tables and receipts are described in
`docs/reference/ledger-format.md`.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from cameo import config
from cameo.crypto.encoding import encode_base64url
from cameo.crypto.provider import KeyProvider
from cameo.database import Database
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.grants import ledger_schema as tables
from cameo.grants.ledger_reader import receipt_lines
from cameo.grants.receipt import ChainCheck, Entry, Link, Receipt, cleaned, read_receipt, write_receipt
from cameo.grants.standing import Standing

NONCE_LIFE_S = 120.0
CLOCK_TOLERANCE_S = 60.0
# How far the clock runs before a mere look at it is written down.
_CLOCK_STEP_S = 1.0
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class UseLimit:
    """Name what is used up by a use, a grant or a delegation.

    Attributes:
        issuer: fingerprint of who signed it. Whoever signs chooses the id, so uses are counted apart for each issuer:
            nobody can use up what another one granted.
        jti: its id.
        max_uses: how often it may be used; None for no limit. Uses are counted all the same.
    """

    issuer: str
    jti: str
    max_uses: int | None = None


class Ledger(Standing):
    """Remember what a host must not forget; every method is one transaction.

    Several hosts may share a database: each has its own chain of receipts and its own nonces.
    """

    def __init__(self, host: KeyProvider, url: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """Open the ledger, made if it is not there, and note in it whose it is.

        Args:
            host: signs the receipts.
            url: of an SQLite file or a PostgreSQL database; None for $CAMEO_LEDGER, or else `ledger.sqlite` in
                cameo's home folder.
            clock: gives Unix seconds.

        Raises:
            CameoError: it cannot be opened.
        """
        super().__init__()
        self._keys = host
        self._host = host.public.fingerprint
        self._clock = clock
        self._highest = 0.0
        self._database = Database(tables.SCHEMA, url or config.ledger_url(), config.home() / tables.FILE_NAME)
        self._note_host()

    def close(self) -> None:
        """Let go of the database's files."""
        self._database.close()

    def tick(self) -> float:
        """Read the clock and remember the highest time seen (written down every second, and with every use).

        Raises:
            NotPermitted: "clock_set_back": it is more than a minute behind that.
        """
        now = self._clock()
        row = self._database.peek("SELECT highest FROM clock WHERE id = 1", {})
        stored = 0.0 if row is None else float(row[0])
        self._require_not_back(now, stored)
        if row is None or now >= stored + _CLOCK_STEP_S:
            with self._database.writing() as connection:
                self._advance(connection, now)
        return now

    def nonce(self) -> str:
        """Draw a challenge (128 bits, base64url) that can be answered once, within two minutes.

        Raises:
            NotPermitted: "clock_set_back".
        """
        fresh = encode_base64url(secrets.token_bytes(16))
        nonces = tables.nonces
        with self._database.writing() as connection:
            # Their time never runs backwards, even where the clock does a little.
            latest = self._advance(connection, self._clock())
            connection.execute(delete(nonces).where(nonces.c.expires < latest))
            connection.execute(insert(nonces).values(host=self._host, nonce=fresh, expires=latest + NONCE_LIFE_S))
        return fresh

    def reserve(self, nonce: str, limits: Sequence[UseLimit], entry: Entry) -> Receipt:
        """Allow one use: spend the nonce, count the use for each of `limits`, append the receipt; all or nothing.

        Call it when everything else was checked, right before generating. The use is spent from then on, whatever
        becomes of the generation.

        Raises:
            NotPermitted: "replayed": the nonce was answered before, is too old, or is not of this host;
                "uses_exhausted" (the nonce is spent then, too); "clock_set_back".
            UsageError: the entry does not allow, or names what is no identifier.
        """
        entry = _require_allow(entry)
        with self._database.writing() as connection:
            now = self._advance(connection, self._clock())
            self._spend(connection, nonce, now)
            exhausted = _count(connection, limits)
            if exhausted is None:
                return self._append(connection, entry, now)
        what = "grant" if exhausted is limits[0] else "delegation"
        spent = f"all {exhausted.max_uses} uses" if exhausted.max_uses != 1 else "the one use"
        message = f"{spent} of this {what} {'are' if exhausted.max_uses != 1 else 'is'} spent"
        raise NotPermitted(message, "ask whoever granted it for more", "uses_exhausted")

    def record(self, entry: Entry) -> Receipt:
        """Append a receipt for what was refused, released, withheld or erased.

        What a stranger may have put into the entry is made harmless (see `receipt.cleaned`): a refusal is recorded in
        any case.

        Raises:
            UsageError: the entry allows; only `reserve` does.
        """
        if entry.decision == "allow":
            raise UsageError("a receipt that allows is written with the use it allows", "call reserve")
        with self._database.writing() as connection:
            return self._append(connection, cleaned(entry), self._clock())

    def used(self, issuer: str, jti: str) -> int:
        """Return how often a grant or delegation was used."""
        query = "SELECT used FROM uses WHERE issuer = :issuer AND jti = :jti"
        row = self._database.peek(query, {"issuer": issuer, "jti": jti})
        return 0 if row is None else int(row[0])

    def receipts(self, bundle_id: str | None = None, owner: str | None = None) -> list[Receipt]:
        """List this host's receipts, of one double or owner if given, oldest first; `verify_chain` verifies them.

        Raises:
            NotVerified: "bad_receipt": one is malformed.
        """
        receipts = tables.receipts
        query = self._mine(receipts.c.envelope)
        if bundle_id is not None:
            query = query.where(receipts.c.bundle_id == bundle_id)
        if owner is not None:
            query = query.where(receipts.c.owner == owner)
        with self._database.reading() as connection:
            return [read_receipt(bytes(line)) for line in connection.scalars(query)]

    def export(self, bundle_id: str | None = None) -> list[bytes]:
        """Return this host's receipts as lines for `verify_receipts`: the whole chain, or all of one double."""
        return receipt_lines(self._database, self._host, bundle_id)

    def verify_chain(self) -> int:
        """Check every receipt of this host, from the first to the last. Returns how many there are.

        Raises:
            NotVerified: "bad_receipt": one was changed, removed or added.
        """
        check, count = ChainCheck(self._keys.public), 0
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=1000).execute(self._mine(*tables.receipts.c)):
                count += 1
                receipt = check.add(bytes(row.envelope))
                found = (row.seq, row.bundle_id, row.double_seq, row.owner)
                told = (receipt.seq, receipt.bundle_id, receipt.double_seq, receipt.owner)
                if receipt.seq != count or found != told:
                    message = f"the ledger has receipt {receipt.seq} in the place of receipt {count}"
                    raise NotVerified(message, "its database was changed by something else", "bad_receipt")
        return count

    def _note_host(self) -> None:
        query = "SELECT fingerprint FROM hosts WHERE fingerprint = :fingerprint"
        if self._database.peek(query, {"fingerprint": self._host}) is None:
            public, hosts = self._keys.public, tables.hosts
            row = {"fingerprint": self._host, "sign": public.sign_bytes, "decrypt": public.decrypt_bytes}
            with self._database.writing() as connection:
                known = connection.scalar(select(hosts.c.fingerprint).where(hosts.c.fingerprint == self._host))
                if known is None:
                    connection.execute(insert(hosts).values(row))

    def _mine(self, *columns: Any) -> Select[Any]:
        receipts = tables.receipts
        return select(*columns).where(receipts.c.host == self._host).order_by(receipts.c.seq)

    def _require_not_back(self, now: float, stored: float) -> None:
        self._highest = max(self._highest, stored, now)
        behind = self._highest - now
        if behind > CLOCK_TOLERANCE_S:
            message = f"the clock is {behind:.0f} s behind a time seen before"
            raise NotPermitted(message, "set this machine's clock right", "clock_set_back")

    def _advance(self, connection: Connection, now: float) -> float:
        """Write down and return the highest time seen, within a transaction that needs it."""
        clock = tables.clock
        stored = connection.scalar(select(clock.c.highest).where(clock.c.id == 1))
        self._require_not_back(now, stored or 0.0)
        if stored is None:
            connection.execute(insert(clock).values(id=1, highest=now))
        elif now > stored:
            connection.execute(update(clock).where(clock.c.id == 1).values(highest=now))
        return max(now, stored or 0.0)

    def _spend(self, connection: Connection, nonce: str, latest: float) -> None:
        nonces = tables.nonces
        this = (nonces.c.host == self._host) & (nonces.c.nonce == nonce) & (nonces.c.expires >= latest)
        if not _NONCE.fullmatch(nonce) or connection.execute(delete(nonces).where(this)).rowcount != 1:
            message = (
                f"this proof answers no open challenge of this host: used before, or older than {NONCE_LIFE_S:.0f} s"
            )
            raise NotPermitted(message, "ask for a new challenge and sign a new proof", "replayed")

    def _append(self, connection: Connection, entry: Entry, at: float) -> Receipt:
        """Sign and append the next receipt; the transaction is alone, so nobody else is at the same place."""
        seq, digest = self._tip(connection, tables.receipts.c.seq)
        double_seq, double_digest = 0, ""
        if entry.bundle_id:
            double_seq, double_digest = self._tip(connection, tables.receipts.c.double_seq, entry.bundle_id)
            double_seq += 1
        link = Link(seq + 1, digest, double_seq, double_digest)
        receipt, line, sha256 = write_receipt(entry, link, at, self._keys)
        row = {"host": self._host, "seq": link.seq, "bundle_id": entry.bundle_id, "double_seq": double_seq}
        row |= {"owner": entry.owner, "sha256": sha256, "envelope": line}
        connection.execute(insert(tables.receipts).values(row))
        return receipt

    def _tip(self, connection: Connection, number: Any, bundle_id: str | None = None) -> tuple[int, str]:
        receipts = tables.receipts
        query = select(number, receipts.c.sha256).where(receipts.c.host == self._host)
        if bundle_id is not None:
            query = query.where(receipts.c.bundle_id == bundle_id)
        row = connection.execute(query.order_by(number.desc()).limit(1)).one_or_none()
        return (0, "") if row is None else (int(row[0]), str(row[1]))


def _require_allow(entry: Entry) -> Entry:
    if entry.decision != "allow":
        raise UsageError(f"a use is reserved with a receipt that allows, not {entry.decision}", "call record")
    fit = cleaned(entry)
    if replace(fit, seconds=entry.seconds) != entry or not abs(fit.seconds - entry.seconds) < 0.001:
        raise UsageError("the entry holds what cannot stand in a receipt", "give identifiers as hex, and short texts")
    return fit


def _count(connection: Connection, limits: Sequence[UseLimit]) -> UseLimit | None:
    """Count one use for every limit; if one is exhausted, count nothing and return it."""
    uses = tables.uses
    before: dict[tuple[str, str], int | None] = {}
    after: dict[tuple[str, str], int] = {}
    for limit in limits:
        key = (limit.issuer, limit.jti)
        if key not in before:
            this = (uses.c.issuer == limit.issuer) & (uses.c.jti == limit.jti)
            before[key] = connection.scalar(select(uses.c.used).where(this))
            after[key] = before[key] or 0
        after[key] += 1
        if limit.max_uses is not None and after[key] > limit.max_uses:
            return limit
    for (issuer, jti), used in after.items():
        this = (uses.c.issuer == issuer) & (uses.c.jti == jti)
        if before[issuer, jti] is None:
            connection.execute(insert(uses).values(issuer=issuer, jti=jti, used=used))
        else:
            connection.execute(update(uses).where(this).values(used=used))
    return None
