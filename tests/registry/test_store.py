"""The registry remembers, forgets, and reports what its database cannot do."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cameo.errors import CameoError, OutputError, UsageError
from cameo.registry.store import Double, Registry

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def double(number: int, owner: str = "ab") -> Double:
    return Double(
        bundle_id=f"{number:032x}",
        owner=owner * 32,
        path=Path(f"/somewhere/{number}.cameo"),
        sha256="cd" * 32,
        created=NOON + datetime.timedelta(hours=number),
        encoders=("embedded-face-1", "embedded-voice-1"),
        assurance="consistency-only",
    )


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(f"sqlite:///{tmp_path}/registry.sqlite")
    yield opened
    opened.close()


def test_what_was_registered_comes_back(registry: Registry, tmp_path: Path) -> None:
    registry.register(double(1))
    assert registry.get(double(1).bundle_id) == double(1)
    again = Registry(f"sqlite:///{tmp_path}/registry.sqlite")
    assert again.list() == [double(1)]
    again.close()


def test_times_of_any_zone_are_kept(registry: Registry) -> None:
    east = datetime.timezone(datetime.timedelta(hours=9))
    registry.register(dataclasses.replace(double(1), created=NOON.astimezone(east)))
    assert registry.get(double(1).bundle_id).created == NOON


def test_newest_first_and_by_owner(registry: Registry) -> None:
    for number, owner in ((1, "ab"), (3, "cd"), (2, "ab")):
        registry.register(double(number, owner))
    assert [d.bundle_id for d in registry.list()] == [double(n).bundle_id for n in (3, 2, 1)]
    assert [d.bundle_id for d in registry.list("ab" * 32)] == [double(n).bundle_id for n in (2, 1)]
    assert registry.list("ef" * 32) == []


def test_registering_again_replaces(registry: Registry) -> None:
    registry.register(double(1))
    moved = dataclasses.replace(double(1), path=Path("/elsewhere/1.cameo"))
    registry.register(moved)
    assert registry.list() == [moved]


def test_a_new_double_at_the_place_of_a_deleted_one(registry: Registry) -> None:
    registry.register(double(1))
    registry.register(double(2))
    at_the_place = dataclasses.replace(double(3), path=double(1).path)
    registry.register(at_the_place)
    assert registry.list() == [at_the_place, double(2)]


def test_following_a_file_that_was_sealed_anew(registry: Registry, tmp_path: Path) -> None:
    known = double(1)
    registry.register(known)
    registry.follow(known.bundle_id, known.owner, tmp_path / "moved.cameo", "9" * 64)
    moved = dataclasses.replace(known, path=(tmp_path / "moved.cameo").resolve(), sha256="9" * 64)
    assert registry.list() == [moved]
    registry.follow("7" * 32, known.owner, tmp_path / "other.cameo", "8" * 64)
    assert registry.list() == [moved], "what was enrolled elsewhere is not ours to note"


def test_forgetting(registry: Registry) -> None:
    registry.register(double(1))
    assert registry.forget(double(1).bundle_id)
    assert not registry.forget(double(1).bundle_id)
    with pytest.raises(UsageError, match="was enrolled on this machine"):
        registry.get(double(1).bundle_id)


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.sqlite"
    Registry(url).close()
    failures: list[Exception] = []

    def write(first: int) -> None:
        own = Registry(url)
        try:
            for number in range(first, first + 10):
                own.register(double(number))
        except CameoError as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=write, args=(10 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    whole = Registry(url)
    assert len(whole.list()) == 40
    whole.close()


def test_the_default_lies_in_cameos_home_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home" / "cameo"))
    Registry().close()
    assert (tmp_path / "home" / "cameo" / "registry.sqlite").is_file()
    assert stat.S_IMODE((tmp_path / "home" / "cameo").stat().st_mode) & 0o077 == 0


def test_the_environment_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAMEO_REGISTRY", f"sqlite:///{tmp_path}/elsewhere.sqlite")
    Registry().close()
    assert (tmp_path / "elsewhere.sqlite").exists()
    assert not (tmp_path / "home").exists()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="cannot make"):
        Registry(f"sqlite:///{tmp_path}/file/registry.sqlite")
    (tmp_path / "registry.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(CameoError, match="failed: file is not a database") as caught:
        Registry(f"sqlite:///{tmp_path}/registry.sqlite")
    assert "\n" not in caught.value.message


def test_a_password_in_the_address_is_not_shown() -> None:
    with pytest.raises(CameoError) as caught:
        Registry("postgresql+nosuchdriver://ada:secret@localhost/x")
    assert "secret" not in str(caught.value)


def test_handing_a_double_over(registry: Registry) -> None:
    registry.register(double(1))
    registry.register(double(2))
    registry.move_owner("ab" * 32, "ef" * 32, double(1).bundle_id)
    assert registry.list("ef" * 32) == [dataclasses.replace(double(1), owner="ef" * 32)]
    assert registry.list("ab" * 32) == [double(2)]
    for old, bundle_id in (("ab" * 32, double(1).bundle_id), ("ef" * 32, double(2).bundle_id), ("ab" * 32, "9" * 32)):
        with pytest.raises(UsageError, match="was enrolled on this machine"):
            registry.move_owner(old, "cd" * 32, bundle_id)


def test_a_registry_from_before_there_were_migrations(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "registry.sqlite")
    old.executescript(
        """
        CREATE TABLE doubles (
            bundle_id VARCHAR(32) NOT NULL, owner VARCHAR(64) NOT NULL, path VARCHAR(4096) NOT NULL,
            sha256 VARCHAR(64) NOT NULL, created DATETIME NOT NULL, encoders JSON NOT NULL,
            assurance VARCHAR(32) NOT NULL, PRIMARY KEY (bundle_id)
        );
        CREATE INDEX ix_doubles_owner ON doubles (owner);
        """
    )
    kept = double(1)
    row = (kept.bundle_id, kept.owner, str(kept.path), kept.sha256, "2026-03-01 13:00:00.000000")
    old.execute("INSERT INTO doubles VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, json.dumps(kept.encoders), kept.assurance))
    old.commit()
    old.close()
    for _ in range(2):
        registry = Registry(f"sqlite:///{tmp_path}/registry.sqlite")
        assert registry.list() == [kept]
        assert registry.lent() == []
        registry.close()


def test_a_biometric_has_one_column_where_it_is_encrypted() -> None:
    from cameo.registry import schema

    columns = {name: {column.name for column in table.columns} for name, table in schema.metadata.tables.items()}
    assert columns == {
        "doubles": {"bundle_id", "owner", "path", "sha256", "created", "encoders", "assurance"},
        "endings": {"bundle_id", "owner", "withdrawn_at", "erased_at"},
        "lists": {"owner", "seq", "size"},
        "grants": {
            *("jti", "bundle_id", "owner", "kind", "holder", "host", "place", "purposes", "issued", "expires"),
            *("delegable", "path", "parent", "revoked_at"),
        },
        "statements": {"number", "id", "owner", "bundle_id", "jti", "body", "at"},
        "groups": {"owner", "group_id", "seq", "token"},
        "vectors": {"bundle_id", "modality", "encoder", "digest", "rotation", "sealed"},
        "identity": {"id"},
    }
