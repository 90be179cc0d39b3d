"""Remember enrolled doubles in a database: SQLite by default, any SQLAlchemy URL otherwise."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, delete, event, make_url, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cameo import config
from cameo.errors import CameoError, OutputError, UsageError
from cameo.registry.schema import Base, DoubleRow


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
        assurance: what their scores can promise.
    """

    bundle_id: str
    owner: str
    path: Path
    sha256: str
    created: datetime.datetime
    encoders: tuple[str, ...]
    assurance: str


class Registry:
    """Store doubles; every method is one transaction."""

    def __init__(self, url: str | None = None) -> None:
        """Open the registry at `url`, or `registry.sqlite` in cameo's home folder, made if it is not there.

        Raises:
            CameoError: it cannot be opened.
        """
        self._url = make_url(url) if url else _default_url()
        if self._url.database and self._url.drivername.startswith("sqlite") and self._url.database != ":memory:":
            _make_private(Path(self._url.database).parent)
        with self._reported():
            self._engine = create_engine(self._url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _configure_sqlite)
            Base.metadata.create_all(self._engine)

    def close(self) -> None:
        """Let go of the database's files."""
        self._engine.dispose()

    def register(self, double: Double) -> None:
        """Add a double, or replace what is known of it and of another that stood at its path.

        Raises:
            CameoError: the database cannot be written.
        """
        row = DoubleRow(
            bundle_id=double.bundle_id,
            owner=double.owner,
            path=str(double.path),
            sha256=double.sha256,
            created=double.created.astimezone(datetime.UTC).replace(tzinfo=None),
            encoders=list(double.encoders),
            assurance=double.assurance,
        )
        with self._reported(), Session(self._engine) as session, session.begin():
            # What stood at this path before is gone.
            gone = delete(DoubleRow).where(DoubleRow.path == row.path, DoubleRow.bundle_id != row.bundle_id)
            session.execute(gone)
            session.merge(row)

    def list(self, owner: str | None = None) -> list[Double]:
        """List the doubles, of one owner if given, newest first."""
        query = select(DoubleRow).order_by(DoubleRow.created.desc(), DoubleRow.bundle_id)
        if owner is not None:
            query = query.where(DoubleRow.owner == owner)
        with self._reported(), Session(self._engine) as session:
            return [_double(row) for row in session.scalars(query)]

    def get(self, bundle_id: str) -> Double:
        """Look one up.

        Raises:
            UsageError: it is not known here.
        """
        with self._reported(), Session(self._engine) as session:
            row = session.get(DoubleRow, bundle_id)
            if row is None:
                raise UsageError(f"no double {bundle_id} was enrolled on this machine", "check the id")
            return _double(row)

    def forget(self, bundle_id: str) -> bool:
        """Remove one; the file itself is left alone. Returns whether it was known."""
        with self._reported(), Session(self._engine) as session, session.begin():
            row = session.get(DoubleRow, bundle_id)
            if row is None:
                return False
            session.delete(row)
            return True

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn the database's errors into ours."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            where = self._url.render_as_string(hide_password=True)
            message = f"the registry {where} failed: {reason}"
            raise CameoError(message, "set CAMEO_HOME to a folder you may write to") from error


def _default_url() -> URL:
    return URL.create("sqlite", database=str(config.home() / "registry.sqlite"))


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot make {folder}: {reason}", "set CAMEO_HOME to a folder you may write to") from None


def _configure_sqlite(connection: Any, _record: Any) -> None:
    """Let readers and a writer work side by side, and wait for each other instead of failing."""
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _double(row: DoubleRow) -> Double:
    created = row.created.replace(tzinfo=datetime.UTC)
    return Double(row.bundle_id, row.owner, Path(row.path), row.sha256, created, tuple(row.encoders), row.assurance)
