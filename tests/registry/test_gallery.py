"""Turned templates in the registry: only under its own key, and gone with their double; SQLite and PostgreSQL."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from cameo.crypto.box import derive
from cameo.errors import CameoError, OutputError
from cameo.registry.gallery import TurnedVector
from cameo.registry.store import Registry
from tests.postgres import fresh_database
from tests.registry.test_store import double

ADA, BEA = "ab" * 32, "cd" * 32
FACE = TurnedVector("face", "made-1", "5c" * 32, "0123456789abcdef", b"a face, turned " * 40)
VOICE = dataclasses.replace(FACE, modality="voice", data=b"a voice, turned " * 9)

Opener = Callable[[], Registry]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, home: Path) -> str:
    home.mkdir()
    return f"sqlite:///{tmp_path}/registry.sqlite" if request.param == "sqlite" else fresh_database()


@pytest.fixture
def open_registry(url: str) -> Iterator[Opener]:
    opened: list[Registry] = []

    def open_one() -> Registry:
        opened.append(Registry(url))
        return opened[-1]

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: Opener) -> Registry:
    """Hold a double of Ada's with face and voice, and one of Bea's with a face."""
    opened = open_registry()
    opened.register(double(1), [FACE, VOICE])
    opened.register(double(2, "cd"), [dataclasses.replace(FACE, data=b"another")])
    return opened


def kept(registry: Registry, like: TurnedVector = FACE) -> dict[str, tuple[str, bytes]]:
    return {vector.bundle_id: (vector.owner, vector.data) for vector in registry.turned_vectors(like)}


ID1, ID2 = double(1).bundle_id, double(2).bundle_id


def test_what_is_kept_comes_back(registry: Registry, open_registry: Opener) -> None:
    for opened in (registry, open_registry()):
        assert kept(opened) == {ID1: (ADA, FACE.data), ID2: (BEA, b"another")}
        assert kept(opened, VOICE) == {ID1: (ADA, VOICE.data)}
    others = (
        dataclasses.replace(FACE, encoder="made-2"),
        dataclasses.replace(FACE, digest="6d" * 32),
        dataclasses.replace(FACE, rotation="f" * 16),
        dataclasses.replace(FACE, modality="none"),
    )
    assert [kept(registry, other) for other in others] == [{}] * 4


def test_a_copy_of_the_database_tells_nothing(registry: Registry, url: str) -> None:
    registry.register(double(3), [FACE])
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        rows = [bytes(row) for row in connection.execute(text("SELECT sealed FROM vectors")).scalars()]
    engine.dispose()
    assert len(rows) == 4
    assert not any(FACE.data[i : i + 8] in row for row in rows for i in range(0, 64, 8))
    assert len(set(rows)) == 4, "one template kept twice is two texts"


def test_registering_again_keeps_or_replaces(registry: Registry) -> None:
    registry.register(double(1))
    assert kept(registry)[ID1] == (ADA, FACE.data)
    registry.register(double(1), [dataclasses.replace(FACE, data=b"anew")])
    assert kept(registry)[ID1] == (ADA, b"anew")
    assert kept(registry, VOICE) == {}


def test_they_follow_their_double_to_another_owner(registry: Registry) -> None:
    registry.move_owner(ADA, "ef" * 32, ID1)
    assert kept(registry)[ID1] == ("ef" * 32, FACE.data)


def _forget(registry: Registry) -> None:
    registry.forget(ID1)


def _replace(registry: Registry) -> None:
    registry.register(dataclasses.replace(double(4), path=double(1).path))


def _withdraw(registry: Registry) -> None:
    registry.withdraw(ID1, lambda _said: "signed")


def _erase(registry: Registry) -> None:
    registry.mark_erased(ID1)


@pytest.mark.parametrize("end", [_forget, _replace, _withdraw, _erase])
def test_they_end_with_their_double(registry: Registry, end: Callable[[Registry], None]) -> None:
    end(registry)
    assert kept(registry) == {ID2: (BEA, b"another")}
    assert kept(registry, VOICE) == {}


def test_what_was_removed_is_overwritten(tmp_path: Path, home: Path) -> None:
    path = tmp_path / "some.sqlite"
    registry = Registry(f"sqlite:///{path}")
    registry.register(double(1), [FACE])
    registry.close()
    sealed = b"".join(file.read_bytes() for file in tmp_path.glob("some.sqlite*"))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        (row,) = connection.execute(text("SELECT sealed FROM vectors")).scalars()
    engine.dispose()
    assert row in sealed
    registry = Registry(f"sqlite:///{path}")
    _erase(registry)
    registry.close()
    left = b"".join(file.read_bytes() for file in tmp_path.glob("some.sqlite*"))
    assert row[:64] not in left and row[-64:] not in left


def test_counting_the_living(registry: Registry) -> None:
    registry.register(double(3))
    assert registry.living(ADA) == (2, 1)
    assert registry.living("ef" * 32) == (0, 3)
    _withdraw(registry)
    registry.mark_erased(ID2)
    assert registry.living(ADA) == (1, 0)


# The key.


def test_the_secret_is_for_its_owner_alone(registry: Registry, home: Path) -> None:
    secret = home / "gallery.secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) == 32
    assert secret.read_bytes() != registry.gallery_key(), "each registry has its own key"


def test_two_registries_share_nothing(registry: Registry, home: Path, tmp_path: Path) -> None:
    """Even of one machine, which has one secret."""
    other = Registry(f"sqlite:///{tmp_path}/other.sqlite")
    assert other.gallery_key() != registry.gallery_key()
    assert derive((home / "gallery.secret").read_bytes(), "gallery", "") not in (
        other.gallery_key(),
        registry.gallery_key(),
    )
    other.close()


def test_without_its_secret_nothing_opens(registry: Registry, home: Path) -> None:
    """Whoever removes the file has removed all that was kept: the rows are noise."""
    (home / "gallery.secret").rename(home / "away")
    assert kept(registry) == {}
    assert registry.living(ADA) == (1, 1)
    (home / "away").replace(home / "gallery.secret")
    assert len(kept(registry)) == 2


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_not_replaced(registry: Registry, home: Path, content: bytes) -> None:
    (home / "gallery.secret").write_bytes(content)
    with pytest.raises(CameoError, match="is damaged"):
        registry.turned_vectors(FACE)
    assert (home / "gallery.secret").read_bytes() == content


def test_a_secret_that_cannot_be_read_or_made(registry: Registry, home: Path, tmp_path: Path) -> None:
    (home / "gallery.secret").unlink()
    (home / "gallery.secret").mkdir()
    with pytest.raises(CameoError, match="cannot read"):
        registry.gallery_key()
    (home / "gallery.secret").rmdir()
    home.rmdir()
    home.write_text("no folder")
    with pytest.raises(OutputError, match="cannot make"):
        registry.gallery_key()


def test_a_row_that_was_put_in_by_hand_is_left_out(registry: Registry, url: str) -> None:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE vectors SET sealed = (SELECT sealed FROM vectors WHERE bundle_id = :two) WHERE bundle_id = :one"
            ),
            {"one": ID1, "two": ID2},
        )
    engine.dispose()
    assert kept(registry) == {ID2: (BEA, b"another")}
