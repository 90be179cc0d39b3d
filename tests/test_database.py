"""Databases: which are taken, who may read them, how they are brought up to date, and that writers are alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from cameo import database as module
from cameo.database import Database, Schema
from cameo.errors import CameoError, OutputError, UsageError
from cameo.grants import ledger_schema
from cameo.registry import schema as registry_schema
from tests.postgres import fresh_database

ROOT = Path(__file__).parents[1]
SCHEMAS = [(registry_schema.SCHEMA, registry_schema.metadata), (ledger_schema.SCHEMA, ledger_schema.metadata)]
Opener = Callable[..., Database]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/some.sqlite" if request.param == "sqlite" else fresh_database()


@pytest.fixture
def open_database(tmp_path: Path) -> Iterator[Opener]:
    opened: list[Database] = []

    def open_one(url: str | None, schema: Schema = ledger_schema.SCHEMA) -> Database:
        opened.append(Database(schema, url, tmp_path / "home" / "default.sqlite"))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


def count_of(connection: Connection) -> int:
    return int(connection.scalar(text("SELECT used FROM uses")) or 0)


def begin_counting(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("INSERT INTO uses (issuer, jti, used) VALUES ('a', 'b', 0)"))


# Which are taken.


@pytest.mark.parametrize(
    "wrong",
    ["", "nonsense", "mysql://a:secret@b/c", "sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"],
)
def test_what_is_no_place_for_it(open_database: Opener, wrong: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_database(wrong)
    assert "secret" not in str(caught.value)
    assert caught.value.hint


def test_a_server_that_does_not_answer(open_database: Opener) -> None:
    with pytest.raises(CameoError, match="the ledger .* failed: ") as caught:
        open_database("postgresql://ada:secret@127.0.0.1:1/x")
    assert "secret" not in caught.value.message
    assert "\n" not in caught.value.message
    assert "server" in caught.value.hint


def test_a_file_and_its_folder_are_for_their_owner_alone(open_database: Opener, tmp_path: Path) -> None:
    database = open_database(None)
    begin_counting(database)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir()}
    assert modes == {"default.sqlite": 0o600, "default.sqlite-wal": 0o600, "default.sqlite-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_only_the_default_file_is_narrowed_afterwards(open_database: Opener, tmp_path: Path) -> None:
    for path in (tmp_path / "home" / "default.sqlite", tmp_path / "named.sqlite"):
        path.parent.mkdir(exist_ok=True)
        path.touch(0o644)
    open_database(None)
    open_database(f"sqlite:///{tmp_path}/named.sqlite")
    assert stat.S_IMODE((tmp_path / "home" / "default.sqlite").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "named.sqlite").stat().st_mode) == 0o644


def test_what_cannot_be_opened(open_database: Opener, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot open .*: is a directory"):
        open_database(f"sqlite:///{tmp_path}/folder")


def test_a_relative_path_stays_where_it_was(
    open_database: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///here.sqlite")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert database.peek("SELECT count(*) FROM uses", {}) == (0,)
    begin_counting(database)
    assert not list((tmp_path / "below").iterdir())


# Migrations.


@pytest.mark.parametrize(("schema", "metadata"), SCHEMAS, ids=lambda value: getattr(value, "name", ""))
def test_migrations_make_the_tables_of_the_code(
    open_database: Opener, url: str, schema: Schema, metadata: MetaData
) -> None:
    script = ScriptDirectory(str(schema.migrations))
    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == schema.revisions
    database = open_database(url, schema)
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.version_table, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_two_schemas_share_a_database(open_database: Opener, url: str) -> None:
    for schema, _ in SCHEMAS * 2:
        open_database(url, schema)


def test_a_database_of_a_newer_cameo_is_left_alone(open_database: Opener, url: str) -> None:
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE cameo_ledger_version SET version_num = '9999'"))
    with pytest.raises(CameoError, match="was written by a newer cameo") as caught:
        open_database(url)
    assert "update cameo" in caught.value.hint
    with database.reading() as connection:
        assert connection.scalar(text("SELECT version_num FROM cameo_ledger_version")) == "9999"


def test_a_migration_that_fails_leaves_nothing(open_database: Opener, url: str, tmp_path: Path) -> None:
    # A percent sign in the path is Alembic's business, and must not be.
    folder = tmp_path / "50%s off"
    shutil.copytree(ledger_schema.SCHEMA.migrations, folder)
    version = folder / "versions" / "v0001_ledger.py"
    whole = version.read_text("utf-8")
    version.write_text(whole.replace("    _make_revocations()\n", "    op.execute('SELECT nonsense')\n"), "utf-8")
    schema = replace(ledger_schema.SCHEMA, migrations=folder)
    with pytest.raises(CameoError, match="failed"):
        open_database(url, schema)
    version.write_text(whole, "utf-8")
    assert open_database(url, schema).peek("SELECT count(*) FROM uses", {}) == (0,)


def test_processes_that_open_it_first_at_once(url: str) -> None:
    code = (
        "import sys; from pathlib import Path; from cameo.database import Database; "
        "from cameo.grants.ledger_schema import SCHEMA; import alembic.command; sys.stdin.read(); "
        f"Database(SCHEMA, {url!r}, Path('x')).close()"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE) for _ in range(4)]
    for worker in workers:
        assert worker.stdin
        worker.stdin.close()
    assert [worker.wait(60) for worker in workers] == [0, 0, 0, 0]


def test_alembic_is_loaded_only_when_there_is_something_to_do(open_database: Opener, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/some.sqlite"
    open_database(url)
    code = (
        "import sys; from pathlib import Path; from cameo.database import Database; "
        f"from cameo.grants.ledger_schema import SCHEMA; Database(SCHEMA, {url!r}, Path('x')).close(); "
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# Transactions.


def test_writers_are_alone(open_database: Opener, url: str) -> None:
    databases = [open_database(url) for _ in range(4)]
    begin_counting(databases[0])

    def count(database: Database) -> None:
        for _ in range(10):
            with database.writing() as connection:
                seen = count_of(connection)
                connection.execute(text("UPDATE uses SET used = :used"), {"used": seen + 1})

    threads = [threading.Thread(target=count, args=(database,)) for database in databases * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].reading() as connection:
        assert count_of(connection) == 80


def test_a_block_that_raises_writes_nothing(open_database: Opener, url: str) -> None:
    database = open_database(url)
    with suppress(ZeroDivisionError), database.writing() as connection:
        connection.execute(text("INSERT INTO uses (issuer, jti, used) VALUES ('a', 'b', 7)"))
        raise ZeroDivisionError
    assert database.peek("SELECT used FROM uses", {}) is None


def test_a_reader_sees_one_state(open_database: Opener, url: str) -> None:
    ours, theirs = open_database(url), open_database(url)
    begin_counting(ours)
    with ours.reading() as reader:
        assert count_of(reader) == 0
        with theirs.writing() as writer:
            writer.execute(text("UPDATE uses SET used = 1"))
        assert count_of(reader) == 0
    assert ours.peek("SELECT used FROM uses WHERE issuer = :issuer", {"issuer": "a"}) == (1,)


def test_waiting_for_another_writer_ends(open_database: Opener, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.2)
    ours, theirs = open_database(url), open_database(url)
    with theirs.writing():
        with pytest.raises(CameoError, match="the ledger .* failed: .*lock") as caught, ours.writing():
            pass
        assert "\n" not in caught.value.message
    begin_counting(ours)


def test_every_commit_reaches_the_disk(open_database: Opener, url: str) -> None:
    with open_database(url).writing() as connection:
        if url.startswith("sqlite"):
            settings = [connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
            assert settings == ["wal", 2]
        else:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
            assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_postgresql_may_not_say_otherwise(open_database: Opener) -> None:
    url = fresh_database()
    with open_database(url).writing() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"))
    with open_database(url).writing() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"


def test_a_fork_gets_its_own_connection(open_database: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_database(f"sqlite:///{tmp_path}/some.sqlite")
    assert database.peek("SELECT count(*) FROM uses", {}) == (0,)
    assert database._peeker
    parents: sqlite3.Connection = database._peeker[1]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert database.peek("SELECT count(*) FROM uses", {}) == (0,)
    assert database._peeker[1] is not parents
    assert parents.execute("SELECT 1").fetchone() == (1,)
    parents.close()
