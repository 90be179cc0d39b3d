"""Remember enrolled doubles, and what was lent of them, in a database: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from cameo import config
from cameo.database import Database
from cameo.errors import UsageError
from cameo.registry.gallery import GalleryShelf, TurnedVector, put_vectors
from cameo.registry.groups import Groups
from cameo.registry.lending import Lending
from cameo.registry.schema import SCHEMA, doubles, endings
from cameo.registry.times import from_column, to_column


@dataclass(frozen=True, slots=True)
class Double:
    """Describe one enrolled double.

    Attributes:
        bundle_id: as in its manifest.
        owner: fingerprint of the owner's key.
        path: where the file was written.
        sha256: of the whole file, hex.
        created: with a time zone.
        encoders: ids of the encoders it was made with.
        assurance: what their scores can promise, and whether a challenge was answered; see `records.assurance_of`.
        withdrawn_at, erased_at: when consent was withdrawn, when it was erased; the registry sets them, not `register`.
    """

    bundle_id: str
    owner: str
    path: Path
    sha256: str
    created: datetime.datetime
    encoders: tuple[str, ...]
    assurance: str
    withdrawn_at: datetime.datetime | None = None
    erased_at: datetime.datetime | None = None


class Registry(Lending, Groups, GalleryShelf):
    """Store doubles, grants, revocations and groups of this machine's owners; every method is one transaction.

    Turned templates are kept beside their double until it is withdrawn, erased or forgotten.
    """

    def __init__(self, url: str | None = None) -> None:
        """Open the registry, made if it is not there.

        Args:
            url: of an SQLite file or a PostgreSQL database; None for $CAMEO_REGISTRY, or else `registry.sqlite` in
                cameo's home folder.

        Raises:
            CameoError: it cannot be opened.
        """
        self._database = Database(SCHEMA, url or config.registry_url(), _default_path())

    @staticmethod
    def exists() -> bool:
        """Say whether this machine has a registry, without making one."""
        return config.registry_url() is not None or _default_path().is_file()

    def close(self) -> None:
        """Let go of the database's files."""
        self._database.close()

    def register(self, double: Double, turned: Iterable[TurnedVector] = ()) -> None:
        """Add a double, or replace what is known of it and of another that stood at its path.

        Args:
            double: what to remember.
            turned: its turned templates; without any, those that are kept of it stay.

        Raises:
            CameoError: the database cannot be written.
        """
        rows = self._sealed(double.bundle_id, turned)
        values = {
            "owner": double.owner,
            "path": str(double.path),
            "sha256": double.sha256,
            "created": to_column(double.created),
            "encoders": list(double.encoders),
            "assurance": double.assurance,
        }
        with self._database.writing() as connection:
            # What stood at this path before is gone; what was lent of it is not.
            connection.execute(
                delete(doubles).where(doubles.c.path == values["path"], doubles.c.bundle_id != double.bundle_id)
            )
            known = doubles.c.bundle_id == double.bundle_id
            if connection.execute(update(doubles).where(known).values(values)).rowcount == 0:
                connection.execute(insert(doubles).values(bundle_id=double.bundle_id, **values))
            if rows:
                put_vectors(connection, double.bundle_id, rows)

    def follow(self, bundle_id: str, owner: str, path: Path, sha256: str) -> None:
        """Note the file of a double as it is now, if the double is known: not every one was enrolled on this machine.

        Raises:
            CameoError: the database cannot be written.
        """
        try:
            known = self.get(bundle_id)
        except UsageError:
            return
        self.register(replace(known, owner=owner, path=path.resolve(), sha256=sha256))

    def list(self, owner: str | None = None) -> list[Double]:
        """List the doubles, of one owner if given, newest first."""
        query = _everything().order_by(doubles.c.created.desc(), doubles.c.bundle_id)
        if owner is not None:
            query = query.where(doubles.c.owner == owner)
        with self._database.reading() as connection:
            return [_double(row) for row in connection.execute(query)]

    def get(self, bundle_id: str) -> Double:
        """Look one up.

        Raises:
            UsageError: it is not known here.
        """
        with self._database.reading() as connection:
            row = connection.execute(_everything().where(doubles.c.bundle_id == bundle_id)).one_or_none()
        if row is None:
            raise UsageError(f"no double {bundle_id} was enrolled on this machine", "check the id")
        return _double(row)

    def forget(self, bundle_id: str) -> bool:
        """Remove one; its file and what was lent of it are left alone. Returns whether it was known."""
        with self._database.writing() as connection:
            return connection.execute(delete(doubles).where(doubles.c.bundle_id == bundle_id)).rowcount > 0

    def move_owner(self, old: str, new: str, bundle_id: str) -> None:
        """Hand a double over from the fingerprint `old` to `new`.

        Grants stay in the status list of `old`, whose key signed them: revoke them first.

        Raises:
            UsageError: no such double of `old` is known here.
        """
        with self._database.writing() as connection:
            for table in (doubles, endings):
                mine = (table.c.bundle_id == bundle_id) & (table.c.owner == old)
                moved = connection.execute(update(table).where(mine).values(owner=new)).rowcount
                if table is doubles and moved == 0:
                    raise UsageError(f"no double {bundle_id} of {old[:16]}… was enrolled on this machine", "check both")


def _default_path() -> Path:
    return config.home() / "registry.sqlite"


def _everything() -> Any:
    joined = doubles.outerjoin(endings, doubles.c.bundle_id == endings.c.bundle_id)
    return select(doubles, endings.c.withdrawn_at, endings.c.erased_at).select_from(joined)


def _double(row: Row[Any]) -> Double:
    return Double(
        bundle_id=row.bundle_id,
        owner=row.owner,
        path=Path(row.path),
        sha256=row.sha256,
        created=from_column(row.created),
        encoders=tuple(row.encoders),
        assurance=row.assurance,
        withdrawn_at=from_column(row.withdrawn_at),
        erased_at=from_column(row.erased_at),
    )
