"""Writing a file replaces it whole or leaves it alone."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from cameo.errors import OutputError
from cameo.files import atomic_create, atomic_file, atomic_path, atomic_write, require_free


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    atomic_write(target, b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_failure_keeps_the_old_file(tmp_path: Path, failure: BaseException) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    expected = OutputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise failure
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_disk_full_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space left") as caught, atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "free" in caught.value.hint


def test_missing_folder_and_folder_as_target(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        atomic_write(tmp_path / "none" / "a", b"")
    assert caught.value.hint == "create the folder first"
    with pytest.raises(OutputError, match="not a regular file"):
        atomic_write(tmp_path, b"")


def test_a_free_place_stays_free_and_a_taken_one_is_said(tmp_path: Path) -> None:
    require_free(tmp_path / "a")
    assert not list(tmp_path.iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in (tmp_path, tmp_path / "link"):
        with pytest.raises(OutputError, match="exists already"):
            require_free(taken)
    with pytest.raises(OutputError, match="cannot write"):
        require_free(tmp_path / "none" / "a")


@pytest.fixture(params=["without a name", "under a hidden name"])
def nameless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Write files as Linux's own file systems can, and as others must."""
    if request.param == "under a hidden name":
        monkeypatch.delattr("os.O_TMPFILE", raising=False)
        return False
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("a file without a name is Linux's")
    return True


def test_a_file_has_no_name_before_it_is_whole(tmp_path: Path, nameless: bool) -> None:
    target = tmp_path / "a.bin"
    with atomic_file(target, 0o600) as file:
        file.write(b"new")
        assert not target.exists()
        assert len(list(tmp_path.iterdir())) == (0 if nameless else 1)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_file_that_fails_gets_none(tmp_path: Path, nameless: bool, failure: BaseException) -> None:
    expected = OutputError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), atomic_file(tmp_path / "a.bin") as file:
        file.write(b"half")
        raise failure
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken_meanwhile_stays_taken(tmp_path: Path, nameless: bool) -> None:
    target = tmp_path / "a.bin"
    with pytest.raises(OutputError, match="exists already"), atomic_file(target) as file:
        file.write(b"new")
        target.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists already"):
        atomic_create(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(OutputError, match="cannot write") as caught:
        atomic_create(tmp_path / "none" / "a.bin", b"new")
    assert "create the folder" in caught.value.hint


def test_where_hard_links_are_not_known_the_name_is_taken_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_given: object, **_named: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.delattr("os.O_TMPFILE", raising=False)
    monkeypatch.setattr("os.link", unknown)
    atomic_create(tmp_path / "a.bin", b"new")
    with pytest.raises(OutputError, match="exists already"):
        atomic_create(tmp_path / "a.bin", b"newer")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_device_is_never_replaced() -> None:
    with pytest.raises(OutputError, match="not a regular file"):
        atomic_write(os.devnull, b"x")
    assert Path(os.devnull).is_char_device()


def test_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    atomic_write(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
