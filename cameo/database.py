"""Open a database of cameo's: a private SQLite file by default, PostgreSQL by URL; brought up to date on opening.

A writing transaction is alone: SQLite begins it with BEGIN IMMEDIATE, PostgreSQL takes one advisory lock for it. So
what a transaction has read cannot change before it writes, and nothing needs to be tried again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from cameo.errors import CameoError, MissingExtra, OutputError, UsageError

WAIT_S = 10
_FOLDER_HINT = "set CAMEO_HOME to a folder you may write to"
_SERVER_HINT = "check the address, and that the server runs"
_ALONE = "cameo_alone"

# Alembic keeps the migration that runs in a global of its module.
_migrating = threading.Lock()


@dataclass(frozen=True, slots=True)
class Schema:
    """Describe the tables of one database.

    Attributes:
        name: "registry" or "ledger".
        migrations: Alembic's folder.
        revisions: ids of all migrations, oldest first; the last one is what the code needs.
    """

    name: str
    migrations: Path
    revisions: tuple[str, ...]

    @property
    def version_table(self) -> str:
        """Where the database says which migrations it has had; several schemas may share one database."""
        return f"cameo_{self.name}_version"

    @property
    def lock_id(self) -> int:
        """The advisory lock of its writers, a signed 64-bit number."""
        return int.from_bytes(hashlib.sha256(f"cameo/{self.name}".encode()).digest()[:8], "big", signed=True)


class Database:
    """Hold an open database; threads may share it, processes open their own (after a fork, too)."""

    def __init__(self, schema: Schema, url: str | None, default: Path) -> None:
        """Open `url`, or the SQLite file `default`, made if it is not there, and bring its tables up to date.

        Raises:
            UsageError: the URL cannot be used.
            OutputError: the folder or file cannot be made.
            CameoError: the database cannot be opened, or is of a newer cameo.
        """
        self._schema = schema
        self._url = _read_url(schema, url, default)
        self._turn = threading.Lock()
        self._peeking = threading.Lock()
        self._peeker: tuple[int, sqlite3.Connection] | None = None
        if self.is_sqlite:
            _make_private(Path(str(self._url.database)), narrow=url is None)
        with self._reported():
            self._engine = _make_engine(self._url)
        try:
            self._update()
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file here, not a server."""
        return self._url.get_backend_name() == "sqlite"

    def close(self) -> None:
        """Let go of the database's files and connections."""
        with self._peeking:
            if self._peeker is not None and self._peeker[0] == os.getpid():
                self._peeker[1].close()
            self._peeker = None
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection to read from; it sees one state of the database, whatever others write meanwhile.

        Raises:
            CameoError: the database cannot be read.
        """
        # SQLite does so by itself.
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._reported(), self._engine.connect() as connection:
            yield connection.execution_options(**options)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that no other writer runs beside; it is durable when the block has ended.

        Raises:
            CameoError: the database cannot be written; then, and when the block raises, nothing was.
        """
        alone = self._engine.execution_options(**{_ALONE: True})
        # Threads queue here: SQLite would have them poll, and starve some.
        with self._turn, self._reported(), alone.begin() as connection:
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(self._schema.lock_id)))
            yield connection

    def peek(self, query: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Read at most one row, cheaply: `query` is plain SQL with `:name` for each of `values`.

        On SQLite this costs a hundredth of a pooled connection; hosts ask on every request.

        Raises:
            CameoError: the database cannot be read.
        """
        with self._reported():
            if self.is_sqlite:
                with self._peeking:
                    row = self._own_connection().execute(query, values).fetchone()
            else:
                with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    row = connection.execute(text(query), values).fetchone()
        return None if row is None else tuple(row)

    def _own_connection(self) -> sqlite3.Connection:
        if self._peeker is None or self._peeker[0] != os.getpid():
            connection = sqlite3.connect(str(self._url.database), check_same_thread=False, isolation_level=None)
            connection.execute(f"PRAGMA busy_timeout={int(WAIT_S * 1000)}")
            self._peeker = (os.getpid(), connection)
        return self._peeker[1]

    def _update(self) -> None:
        """Run the migrations this database has not had."""
        newest = self._schema.revisions[-1]
        with self.reading() as connection:
            if self._revision(connection) == newest:
                return
        with _migrating, self.writing() as connection:
            # Another process may have been faster.
            if self._revision(connection) != newest:
                _upgrade(connection, self._schema)

    def _revision(self, connection: Connection) -> str | None:
        table = self._schema.version_table
        if not inspect(connection).has_table(table):
            return None
        found = [str(row[0]) for row in connection.execute(text(f"SELECT version_num FROM {table}"))]
        if len(found) > 1 or not set(found) <= set(self._schema.revisions):
            message = f"the {self._schema.name} {self._shown()} was written by a newer cameo"
            raise CameoError(message, "update cameo here: pip install --upgrade cameo-double")
        return found[0] if found else None

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn the database's errors into ours."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            reason = (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
            message = f"the {self._schema.name} {self._shown()} failed: {reason}"
            raise CameoError(message, _FOLDER_HINT if self.is_sqlite else _SERVER_HINT) from error

    def _shown(self) -> str:
        return self._url.render_as_string(hide_password=True)


def _read_url(schema: Schema, given: str | None, default: Path) -> URL:
    if given is None:
        return URL.create("sqlite", database=str(default.absolute()))
    try:
        url = make_url(given)
    except SQLAlchemyError:
        message = f"the address of the {schema.name} is not the URL of a database"
        raise UsageError(message, "write it like postgresql://user:password@host/name") from None
    if url.drivername in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "postgresql":
        return url
    shown = url.render_as_string(hide_password=True)
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise UsageError(f"the {schema.name} cannot be kept in {shown}", "use SQLite or PostgreSQL")
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:") or url.query:
        # It would be another database for every thread, and forget what must not be forgotten.
        raise UsageError(f"the {schema.name} must be a file, not {shown}", "write it like sqlite:////path/to/file")
    return url.set(database=str(Path(str(url.database)).absolute()))


def _make_private(file: Path, narrow: bool) -> None:
    """Make the file and its folder for their owner alone; with `narrow`, a file that was there before as well."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot("make", file.parent, error) from None
    try:
        os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        for suffix in ("", "-wal", "-shm") if narrow else ():
            with suppress(FileNotFoundError):
                Path(f"{file}{suffix}").chmod(0o600)
    except OSError as error:
        raise _cannot("open", file, error) from None


def _cannot(what: str, path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot {what} {path}: {(error.strerror or str(error)).lower()}", _FOLDER_HINT)


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)
    except ImportError as error:
        message = f"PostgreSQL needs the package {error.name}, which is not installed"
        raise MissingExtra(message, "install it: pip install 'psycopg[binary]'") from error
    event.listen(engine, "connect", _configure_postgresql)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    """Let readers and a writer work side by side, and have every commit reach the disk."""
    # The driver would begin transactions by itself, and not where we want them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={int(WAIT_S * 1000)}")
    _enter_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")  # what was removed is overwritten, not only unlinked


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; SQLite does not wait when two processes do that at once."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes would fail when another one wrote in between.
    alone = connection.get_execution_options().get(_ALONE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if alone else "BEGIN")


def _configure_postgresql(connection: Any, _record: ConnectionPoolEntry) -> None:
    """Wait as long as SQLite does, and have every commit reach the disk even where the server says otherwise."""
    connection.execute(f"SET lock_timeout = '{WAIT_S}s'")
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


def _upgrade(connection: Connection, schema: Schema) -> None:
    # A third of a second to import, needed once for every database.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(schema.migrations).replace("%", "%%"))
    config.attributes.update(connection=connection, version_table=schema.version_table)
    command.upgrade(config, "head")
