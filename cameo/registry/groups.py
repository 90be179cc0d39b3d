"""Remember the newest signed list of every group an owner lends to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, insert, select, update

from cameo.database import Database
from cameo.errors import NotPermitted, UsageError
from cameo.registry.lent import Group
from cameo.registry.schema import groups


class Groups:
    """Store groups; every method is one transaction."""

    _database: Database

    def put_group(self, group: Group) -> None:
        """Store a new or newer list of a group; putting the same one again changes nothing.

        Raises:
            NotPermitted: "status_rollback": a newer one, or another one with this `seq`, is stored already.
        """
        this = (groups.c.owner == group.owner) & (groups.c.group_id == group.group_id)
        with self._database.writing() as connection:
            known = connection.execute(select(groups.c.seq, groups.c.token).where(this)).one_or_none()
            if known is None:
                row = {"owner": group.owner, "group_id": group.group_id, "seq": group.seq, "token": group.token}
                connection.execute(insert(groups).values(row))
            elif group.seq > known.seq:
                connection.execute(update(groups).where(this).values(seq=group.seq, token=group.token))
            elif (group.seq, group.token) != (known.seq, known.token):
                message = f"group {group.group_id} has a newer list already (number {known.seq}, not {group.seq})"
                raise NotPermitted(message, "read the group again and repeat the change", "status_rollback")

    def group(self, group_id: str, owner: str | None = None) -> Group:
        """Look up the newest list of a group.

        Raises:
            UsageError: it is not known here.
        """
        query = select(groups).where(groups.c.group_id == group_id).order_by(groups.c.seq.desc()).limit(1)
        if owner is not None:
            query = query.where(groups.c.owner == owner)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise UsageError(f"no group {group_id} was made on this machine", "check the id")
        return _group(row)

    def groups(self, owner: str) -> list[Group]:
        """List the groups of an owner, by id."""
        query = select(groups).where(groups.c.owner == owner).order_by(groups.c.group_id)
        with self._database.reading() as connection:
            return [_group(row) for row in connection.execute(query)]


def _group(row: Row[Any]) -> Group:
    return Group(group_id=row.group_id, owner=row.owner, seq=row.seq, token=row.token)
