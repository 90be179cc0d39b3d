"""Unfinished runs: only the owner, and only the same run, gets them back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cameo.crypto.keys import Keys
from cameo.errors import OutputError
from cameo.seal.checkpoint import KEPT_S, SealedCheckpoint, forget_unfinished

STATE = b"weights of a person" * 9000


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys.generate()


def test_it_comes_back_and_goes(keys: Keys, tmp_path: Path) -> None:
    store = SealedCheckpoint(keys, "clip", "recipe", folder=tmp_path / "unfinished")
    assert store.load() is None
    store.save(b"older")
    store.save(STATE)
    assert SealedCheckpoint(keys, "clip", "recipe", folder=tmp_path / "unfinished").load() == STATE
    store.clear()
    assert store.load() is None
    store.clear()


def test_it_is_encrypted_and_private(keys: Keys, tmp_path: Path) -> None:
    SealedCheckpoint(keys, "clip", folder=tmp_path / "u").save(STATE)
    (file,) = (tmp_path / "u").iterdir()
    assert STATE[:19] not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert (tmp_path / "u").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("run", [("clip", "other"), ("clip",), ("cliprecipe",), ("", "cliprecipe")])
def test_another_run_does_not_get_it(keys: Keys, tmp_path: Path, run: tuple[str, ...]) -> None:
    SealedCheckpoint(keys, "clip", "recipe", folder=tmp_path).save(STATE)
    assert SealedCheckpoint(keys, *run, folder=tmp_path).load() is None


def test_another_runs_file_under_its_name_does_not_open(keys: Keys, tmp_path: Path) -> None:
    SealedCheckpoint(keys, "a", folder=tmp_path).save(STATE)
    (file,) = tmp_path.iterdir()
    SealedCheckpoint(keys, "b", folder=tmp_path).save(STATE)
    (other,) = set(tmp_path.iterdir()) - {file}
    file.replace(other)
    assert SealedCheckpoint(keys, "b", folder=tmp_path).load() is None
    assert not other.exists(), "what does not open is not kept"


def test_another_owner_does_not_get_it(keys: Keys, tmp_path: Path) -> None:
    SealedCheckpoint(keys, "clip", folder=tmp_path).save(STATE)
    (file,) = tmp_path.iterdir()
    eve = SealedCheckpoint(Keys.generate(), "clip", folder=tmp_path)
    eve.save(b"hers")
    (hers,) = set(tmp_path.iterdir()) - {file}
    file.replace(hers)
    assert eve.load() is None


@pytest.mark.parametrize("place", [0, 1, 40, 200, -1])
def test_a_damaged_one_counts_as_none(keys: Keys, tmp_path: Path, place: int) -> None:
    store = SealedCheckpoint(keys, "clip", folder=tmp_path)
    store.save(STATE)
    (file,) = tmp_path.iterdir()
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)
    assert store.load() is None


def test_that_a_damaged_one_is_dropped_is_told_once(keys: Keys, tmp_path: Path) -> None:
    told: list[str] = []
    store = SealedCheckpoint(keys, "clip", folder=tmp_path, tell=told.append)
    assert store.load() is None
    assert told == [], "there was none"
    store.save(STATE)
    assert store.load() == STATE
    assert told == []
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert store.load() is None
    assert store.load() is None
    assert told == ["the unfinished run does not open, so tuning starts anew"]


@pytest.mark.parametrize("size", [0, 1, 2, 60, 150])
def test_a_short_one_counts_as_none(keys: Keys, tmp_path: Path, size: int) -> None:
    store = SealedCheckpoint(keys, "clip", folder=tmp_path)
    store.save(STATE)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:size])
    assert store.load() is None


def test_old_ones_are_forgotten(keys: Keys, tmp_path: Path) -> None:
    SealedCheckpoint(keys, "old", folder=tmp_path).save(STATE)
    (old,) = tmp_path.iterdir()
    os.utime(old, (time.time() - KEPT_S - 60,) * 2)
    SealedCheckpoint(keys, "new", folder=tmp_path).save(STATE)
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_all_of_one_owner_are_forgotten_and_no_others(keys: Keys, tmp_path: Path) -> None:
    other = SealedCheckpoint(Keys.generate(), "clip", folder=tmp_path)
    other.save(STATE)
    for run in ("a", "b"):
        SealedCheckpoint(keys, run, folder=tmp_path).save(STATE)
    owner = keys.public.fingerprint
    assert forget_unfinished(owner, tmp_path) == 2
    assert forget_unfinished(owner, tmp_path) == 0
    assert forget_unfinished(owner, tmp_path / "none") == 0
    assert other.load() == STATE
    assert SealedCheckpoint(keys, "a", folder=tmp_path).load() is None


def test_a_folder_that_cannot_be_made_is_said(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make"):
        SealedCheckpoint(keys, "clip", folder=tmp_path / "file" / "unfinished").save(STATE)
