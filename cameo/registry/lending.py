"""Remember what was lent and taken back: grants, status lists, revocation statements."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from cameo.database import Database
from cameo.errors import NotPermitted, UsageError
from cameo.registry.gallery import drop_vectors
from cameo.registry.lent import Lent, Revocation, Statement, StatusState
from cameo.registry.schema import doubles, endings, grants, lists, statements
from cameo.registry.times import from_column, to_column

# So many that an index says nothing about how many grants there are (a herd to hide in).
# Source: draft-ietf-oauth-status-list, "Privacy Considerations".
FIRST_SIZE = 131_072
_LARGEST_SIZE = 2**24
_FIRST_SEQ = 1

Signer = Callable[[Revocation], str]


class Lending:
    """Store grants and revocations; every method is one transaction."""

    _database: Database

    def allot(self, grant: Lent) -> Lent:
        """Store a grant that is about to be issued, and draw its index in the owner's status list.

        Returns:
            The grant with its index: unused, and drawn at random, so that it says nothing about when it was issued.

        Raises:
            NotPermitted: "withdrawn" or "erased": nothing may be lent of this double any more.
            UsageError: a grant of this id was issued before.
        """
        with self._database.writing() as connection:
            _require_living(connection, grant.bundle_id)
            if connection.scalar(select(grants.c.jti).where(grants.c.jti == grant.jti)) is not None:
                raise UsageError(f"grant {grant.jti} was issued before", "give it a fresh id")
            index = _draw_index(connection, grant.owner)
            row = {
                "jti": grant.jti,
                "bundle_id": grant.bundle_id,
                "owner": grant.owner,
                "kind": grant.kind,
                "holder": grant.holder,
                "host": grant.host,
                "place": index,
                "purposes": list(grant.purposes),
                "issued": to_column(grant.issued),
                "expires": to_column(grant.expires),
                "delegable": grant.delegable,
                "path": str(grant.path),
                "parent": grant.parent,
            }
            stored = connection.execute(insert(grants).values(row).returning(grants)).one()
            return _lent(stored)

    def forget_grant(self, jti: str) -> bool:
        """Remove a grant whose file never came to be. Returns whether it did: a revoked one stays for ever."""
        this = (grants.c.jti == jti) & grants.c.revoked_at.is_(None)
        with self._database.writing() as connection:
            return connection.execute(delete(grants).where(this)).rowcount > 0

    def lent(self, bundle_id: str | None = None, owner: str | None = None) -> list[Lent]:
        """List grants, of one double or owner if given, newest first; revoked and expired ones as well."""
        query = select(grants).order_by(grants.c.issued.desc(), grants.c.jti)
        if bundle_id is not None:
            query = query.where(grants.c.bundle_id == bundle_id)
        if owner is not None:
            query = query.where(grants.c.owner == owner)
        with self._database.reading() as connection:
            return [_lent(row) for row in connection.execute(query)]

    def find_grant(self, jti: str) -> Lent:
        """Look a grant up.

        Raises:
            UsageError: it was not issued here.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(grants).where(grants.c.jti == jti)).one_or_none()
        if row is None:
            raise UsageError(f"no grant {jti} was issued on this machine", "check the id, or give the grant file")
        return _lent(row)

    def revoke(self, jtis: Iterable[str], statement: Signer) -> int:
        """Take grants of one owner back, all of them or none.

        Args:
            jtis: ids of grants; those revoked before stay as they are.
            statement: signs what it is given; called once for every grant that is newly revoked, within the
                transaction, so that statement and list cannot disagree.

        Returns:
            The `seq` of the status list that has them all.

        Raises:
            UsageError: one was not issued here, or they are of several owners.
        """
        wanted = sorted(set(jtis))
        with self._database.writing() as connection:
            rows = connection.execute(select(grants).where(grants.c.jti.in_(wanted)).order_by(grants.c.jti)).all()
            missing = sorted(set(wanted) - {row.jti for row in rows})
            if missing or not rows:
                raise UsageError(
                    f"no grant {', '.join(missing) or 'at all'} was issued on this machine", "check the id"
                )
            owners = {row.owner for row in rows}
            if len(owners) > 1:
                raise UsageError("these grants are of several owners", "revoke those of each owner with their key")
            (owner,) = owners
            fresh = [row for row in rows if row.revoked_at is None]
            if not fresh:
                return _state(connection, owner)[0]
            seq, now = _raise_seq(connection, owner), _now()
            for row in fresh:
                said = Revocation(secrets.token_hex(16), owner, row.bundle_id, row.jti, (row.place,), seq, now)
                _store_statement(connection, said, statement(said))
            touched = grants.c.jti.in_([row.jti for row in fresh])
            connection.execute(update(grants).where(touched).values(revoked_at=to_column(now)))
            return seq

    def withdraw(self, bundle_id: str, statement: Signer, owner: str | None = None) -> int:
        """Withdraw consent: every grant of the double is revoked and none is issued any more, in one transaction.

        Its turned templates are removed in the same one.

        Args:
            bundle_id: of the double; withdrawing again changes nothing.
            statement: signs one statement for all grants, within the transaction.
            owner: fingerprint; needed only for a double this registry knows nothing of.

        Returns:
            The `seq` of the status list that shows it.

        Raises:
            UsageError: the double is not known here and no owner is given, or it is another owner's.
        """
        with self._database.writing() as connection:
            owner = _owner_of(connection, bundle_id, owner)
            at = connection.scalar(select(endings.c.withdrawn_at).where(endings.c.bundle_id == bundle_id))
            if at is not None:
                return _state(connection, owner)[0]
            of_double = grants.c.bundle_id == bundle_id
            places = sorted(connection.scalars(select(grants.c.place).where(of_double, grants.c.owner == owner)))
            seq, now = _raise_seq(connection, owner), _now()
            said = Revocation(secrets.token_hex(16), owner, bundle_id, None, tuple(places), seq, now)
            _store_statement(connection, said, statement(said))
            living = of_double & grants.c.revoked_at.is_(None)
            # Grants signed with an earlier key stand in that key's list.
            for earlier in set(connection.scalars(select(grants.c.owner).where(living))) - {owner}:
                _raise_seq(connection, earlier)
            connection.execute(update(grants).where(living).values(revoked_at=to_column(now)))
            _mark(connection, bundle_id, owner, withdrawn_at=now)
            drop_vectors(connection, bundle_id)
            return seq

    def mark_erased(self, bundle_id: str, owner: str | None = None) -> None:
        """Remember that a double was erased; the first time counts. See `withdraw` for `owner` and what is raised."""
        with self._database.writing() as connection:
            owner = _owner_of(connection, bundle_id, owner)
            at = connection.scalar(select(endings.c.erased_at).where(endings.c.bundle_id == bundle_id))
            if at is None:
                _mark(connection, bundle_id, owner, erased_at=_now())
            drop_vectors(connection, bundle_id)

    def require_living(self, bundle_id: str) -> None:
        """Check that a double was neither withdrawn nor erased on this machine.

        Raises:
            NotPermitted: "withdrawn" or "erased".
        """
        with self._database.reading() as connection:
            _require_living(connection, bundle_id)

    def status(self, owner: str) -> StatusState:
        """Say what the owner's status list must say now."""
        revoked = select(grants.c.place).where(grants.c.owner == owner, grants.c.revoked_at.is_not(None))
        with self._database.reading() as connection:
            seq, size = _state(connection, owner)
            return StatusState(owner, seq, size, tuple(sorted(connection.scalars(revoked))))

    def statements(self, owner: str, jti: str | None = None) -> list[Statement]:
        """List the owner's signed revocation statements, those of one grant if given, oldest first."""
        query = select(statements).where(statements.c.owner == owner).order_by(statements.c.number)
        if jti is not None:
            query = query.where(statements.c.jti == jti)
        with self._database.reading() as connection:
            return [
                Statement(row.id, row.owner, row.bundle_id, row.jti, row.body, from_column(row.at))
                for row in connection.execute(query)
            ]

    def version(self, owner: str) -> int:
        """Return a number that rises with every revocation and every edit of a group; cheap to ask for."""
        query = (
            "SELECT coalesce((SELECT seq FROM lists WHERE owner = :owner), 1)"
            " + coalesce((SELECT sum(seq) FROM groups WHERE owner = :owner), 0)"
        )
        row = self._database.peek(query, {"owner": owner})
        return int(row[0]) if row else 0


def _require_living(connection: Connection, bundle_id: str) -> None:
    row = connection.execute(select(endings).where(endings.c.bundle_id == bundle_id)).one_or_none()
    if row is not None and row.erased_at is not None:
        raise NotPermitted(f"double {bundle_id} was erased", "enrol again", "erased")
    if row is not None and row.withdrawn_at is not None:
        hint = "enrol again to lend anew: what was withdrawn stays so"
        raise NotPermitted(f"the consent for double {bundle_id} was withdrawn", hint, "withdrawn")


def _draw_index(connection: Connection, owner: str) -> int:
    """Draw an unused index; the list grows when it is half full, so a few draws are enough."""
    seq, size = _state(connection, owner)
    if connection.scalar(select(lists.c.owner).where(lists.c.owner == owner)) is None:
        connection.execute(insert(lists).values(owner=owner, seq=seq, size=size))
    used = connection.scalar(select(func.count()).select_from(grants).where(grants.c.owner == owner)) or 0
    if 2 * used >= size:
        if 2 * size > _LARGEST_SIZE:
            raise UsageError(
                f"the status list is full: {used} grants were issued", "hand over to a new key: cameo rekey"
            )
        size *= 2
        # A list of another size is another list: hosts refuse it under the old number.
        connection.execute(update(lists).where(lists.c.owner == owner).values(seq=seq + 1, size=size))
    while True:
        index = secrets.randbelow(size)
        taken = select(grants.c.place).where(grants.c.owner == owner, grants.c.place == index)
        if connection.scalar(taken) is None:
            return index


def _state(connection: Connection, owner: str) -> tuple[int, int]:
    """Return seq and size of an owner's list, as it is published before anything was lent, too."""
    row = connection.execute(select(lists.c.seq, lists.c.size).where(lists.c.owner == owner)).one_or_none()
    return (_FIRST_SEQ, FIRST_SIZE) if row is None else (row.seq, row.size)


def _raise_seq(connection: Connection, owner: str) -> int:
    seq, size = _state(connection, owner)
    if connection.execute(update(lists).where(lists.c.owner == owner).values(seq=seq + 1)).rowcount == 0:
        connection.execute(insert(lists).values(owner=owner, seq=seq + 1, size=size))
    return seq + 1


def _owner_of(connection: Connection, bundle_id: str, given: str | None) -> str:
    """Find whose double it is: as enrolled, as it ended, as it was lent last, or as the caller says."""
    known: str | None = None
    for table in (doubles, endings):
        known = known or connection.scalar(select(table.c.owner).where(table.c.bundle_id == bundle_id))
    if known is None and given is None:
        newest = select(grants.c.owner).where(grants.c.bundle_id == bundle_id).order_by(grants.c.issued.desc()).limit(1)
        known = connection.scalar(newest)
    if known is not None and given is not None and known != given:
        message = f"double {bundle_id} belongs to {known[:16]}…, not to {given[:16]}…"
        raise UsageError(message, "give the key of its owner")
    owner = known or given
    if owner is None:
        raise UsageError(f"nothing is known of double {bundle_id} on this machine", "check the id, or give the file")
    return owner


def _mark(connection: Connection, bundle_id: str, owner: str, **times: datetime.datetime) -> None:
    values = {name: to_column(at) for name, at in times.items()}
    this = endings.c.bundle_id == bundle_id
    if connection.execute(update(endings).where(this).values(values)).rowcount == 0:
        connection.execute(insert(endings).values(bundle_id=bundle_id, owner=owner, **values))


def _store_statement(connection: Connection, said: Revocation, body: str) -> None:
    row = {"id": said.id, "owner": said.owner, "bundle_id": said.bundle_id, "jti": said.jti, "body": body}
    connection.execute(insert(statements).values(**row, at=to_column(said.at)))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _lent(row: Row[Any]) -> Lent:
    return Lent(
        jti=row.jti,
        bundle_id=row.bundle_id,
        owner=row.owner,
        kind=row.kind,
        holder=row.holder,
        host=row.host,
        purposes=tuple(row.purposes),
        issued=from_column(row.issued),
        expires=from_column(row.expires),
        delegable=row.delegable,
        path=Path(row.path),
        parent=row.parent,
        index=row.place,
        revoked_at=from_column(row.revoked_at),
    )
