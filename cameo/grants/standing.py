"""What a host knows of revocations: never less than it knew before, whatever anyone shows it later."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from cameo.crypto.encoding import sha256_hex
from cameo.database import Database
from cameo.errors import NotPermitted, NotVerified
from cameo.grants.ledger_schema import group_lists, status_lists
from cameo.grants.status import MAX_ENTRIES, StatusSnapshot

GRACE_S = 300.0
SKEW_S = 30.0
_KEPT_LISTS = 32
_FETCH = "fetch the owner's status list: cameo status fetch"

_LOOK = """
SELECT s.seq, s.iat, s.exp, s.size, s.changes,
  EXISTS (SELECT 1 FROM revoked r WHERE r.uri = :uri AND r.place = :place),
  EXISTS (SELECT 1 FROM withdrawn w WHERE w.uri = :uri AND w.bundle_id = :bundle_id)
FROM (SELECT 1 AS one) AS always LEFT JOIN status_lists AS s ON s.uri = :uri
"""


class Standing:
    """Remember status lists, revocation statements and group lists; every method is one transaction."""

    _database: Database
    _clock: Callable[[], float]

    def __init__(self) -> None:
        # Unpacked lists, by uri: how often the row had been written, and the bits.
        self._unpacked: dict[str, tuple[int, bytes]] = {}
        self._unpacking = threading.Lock()

    def absorb(self, snapshot: StatusSnapshot) -> None:
        """Take in a verified status list. What was revoked once stays revoked, whatever this one says.

        Raises:
            NotPermitted: "status_rollback": it is older than one seen before, or another one of the same number.
        """
        this = status_lists.c.uri == snapshot.uri
        digest = sha256_hex(snapshot.bits)
        with self._database.writing() as connection:
            row = connection.execute(select(status_lists).where(this)).one_or_none()
            if row is None:
                first = _columns(snapshot, digest, snapshot.bits, 1)
                connection.execute(insert(status_lists).values(uri=snapshot.uri, **first))
                return
            if snapshot.seq < row.seq:
                raise _rollback(f"the status list is number {snapshot.seq}; number {row.seq} was seen before")
            if snapshot.seq == row.seq and digest != row.sha256:
                raise _rollback(f"there are two different status lists of number {row.seq}")
            known = zlib.decompress(row.bits)
            merged = snapshot.bits if snapshot.bits == known else _either(snapshot.bits, known)
            values = _columns(snapshot, digest, merged, row.changes + 1)
            if snapshot.iat < row.iat <= self._clock() + SKEW_S:
                # What it says counts, but it is no fresher than what is known (unless that is dated in the future).
                values |= {"iat": row.iat, "exp": row.exp, "ttl": row.ttl}
            connection.execute(update(status_lists).where(this).values(values))

    def mark_revoked(self, uri: str, *indices: int) -> None:
        """Take in what a verified statement revokes, whether a list shows it or not."""
        with self._database.writing() as connection:
            _insert_revoked(connection, uri, indices)

    def mark_withdrawn(self, uri: str, bundle_id: str, *indices: int) -> None:
        """Take in that consent was withdrawn: no grant of this double by this owner holds, listed or not."""
        values = {"uri": uri, "bundle_id": bundle_id}
        with self._database.writing() as connection:
            connection.execute(
                text("INSERT INTO withdrawn (uri, bundle_id) VALUES (:uri, :bundle_id) ON CONFLICT DO NOTHING"), values
            )
            _insert_revoked(connection, uri, indices)

    def standing(self, uri: str, index: int, now: float, grace_s: float = GRACE_S, bundle_id: str = "") -> None:
        """Require that a grant holds: not revoked, by what is known and fresh enough to know it.

        Args:
            uri: of the owner's status list.
            index: of the grant in it.
            now: Unix seconds, from `tick`.
            grace_s: for how long after a list was signed it is good enough.
            bundle_id: of the double, to see whether consent was withdrawn.

        Raises:
            NotPermitted: "revoked", "withdrawn", "status_unknown" or "status_stale".
            NotVerified: "malformed": the list has no such entry.
        """
        if not 0 <= index < MAX_ENTRIES:
            raise _outside(index)
        row = self._database.peek(_LOOK, {"uri": uri, "place": index, "bundle_id": bundle_id})
        seq, iat, exp, size, changes, is_revoked, is_withdrawn = row or (None,) * 7
        if is_withdrawn:
            raise NotPermitted("the consent for this double was withdrawn", "ask its owner", "withdrawn")
        if is_revoked:
            raise _revoked()
        if seq is None:
            raise NotPermitted("the owner's status list was never seen here", _FETCH, "status_unknown")
        if index >= int(size):
            raise _outside(index)
        # Before its age: what is known to be revoked is so however old the list is.
        if self._bits(uri, int(changes))[index >> 3] >> (index & 7) & 1:
            raise _revoked()
        _require_fresh(float(iat), float(exp), now, grace_s)

    def age(self, uri: str, now: float) -> float | None:
        """Return how many seconds ago the newest known list was signed; None if there is none."""
        row = self._database.peek("SELECT iat FROM status_lists WHERE uri = :uri", {"uri": uri})
        return None if row is None else now - float(row[0])

    def seen_group(self, owner: str, group_id: str, seq: int, sha256: str) -> None:
        """Take in that a verified group list was seen; `sha256` is of the token.

        Raises:
            NotPermitted: "status_rollback": it is older than one seen before, or another one of the same number.
        """
        this = (group_lists.c.owner == owner) & (group_lists.c.group_id == group_id)
        with self._database.writing() as connection:
            row = connection.execute(select(group_lists).where(this)).one_or_none()
            if row is None:
                named = {"owner": owner, "group_id": group_id}
                connection.execute(insert(group_lists).values(**named, seq=seq, sha256=sha256))
            elif seq < row.seq:
                raise _rollback(f"the group list is number {seq}; number {row.seq} was seen before")
            elif seq == row.seq and sha256 != row.sha256:
                raise _rollback(f"there are two different group lists of number {seq}")
            elif seq > row.seq:
                connection.execute(update(group_lists).where(this).values(seq=seq, sha256=sha256))

    def _bits(self, uri: str, changes: int) -> bytes:
        """Return the bits of a list, unpacked again only when the row was written since."""
        kept = self._unpacked.get(uri)
        if kept is not None and kept[0] == changes:
            return kept[1]
        query = select(status_lists.c.changes, status_lists.c.bits).where(status_lists.c.uri == uri)
        with self._database.reading() as connection:
            row = connection.execute(query).one()
        bits = zlib.decompress(row.bits)
        with self._unpacking:
            self._unpacked.pop(uri, None)
            if len(self._unpacked) >= _KEPT_LISTS:
                del self._unpacked[next(iter(self._unpacked))]
            self._unpacked[uri] = (int(row.changes), bits)
        return bits


def _columns(snapshot: StatusSnapshot, digest: str, bits: bytes, changes: int) -> dict[str, Any]:
    return {
        "seq": snapshot.seq,
        "iat": snapshot.iat,
        "exp": snapshot.exp,
        "ttl": snapshot.ttl,
        "sha256": digest,
        "size": len(bits) * 8,
        "bits": zlib.compress(bits, 1),
        "changes": changes,
    }


def _either(one: bytes, other: bytes) -> bytes:
    """Set every bit that is set in either."""
    both = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return both.to_bytes(max(len(one), len(other)), "little")


def _insert_revoked(connection: Connection, uri: str, indices: Iterable[int]) -> None:
    places = sorted(set(indices))
    for place in places[:1] + places[-1:]:
        if not 0 <= place < MAX_ENTRIES:
            raise _outside(place)
    if places:
        statement = text("INSERT INTO revoked (uri, place) VALUES (:uri, :place) ON CONFLICT DO NOTHING")
        connection.execute(statement, [{"uri": uri, "place": place} for place in places])


def _require_fresh(iat: float, exp: float, now: float, grace_s: float) -> None:
    if iat > now + SKEW_S:
        message = f"the owner's status list is dated {iat - now:.0f} s in the future"
        raise NotPermitted(message, "set this machine's clock right, or the owner's", "status_stale")
    if now - iat > grace_s or now >= exp:
        message = f"the owner's status list is {max(0.0, now - iat):.0f} s old, more than the {grace_s:.0f} s allowed"
        raise NotPermitted(message, _FETCH, "status_stale")


def _revoked() -> NotPermitted:
    return NotPermitted("this grant was revoked", "ask its owner for a new one", "revoked")


def _rollback(message: str) -> NotPermitted:
    return NotPermitted(message, "get the newest one from where its owner publishes it", "status_rollback")


def _outside(index: int) -> NotVerified:
    return NotVerified(f"the status list has no entry {index}", "ask the owner for a new grant", "malformed")
