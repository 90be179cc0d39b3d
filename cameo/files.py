"""Write files so that a reader sees the old content or the whole new one, never a part."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cameo.errors import OutputError

_BLOCK = 1024 * 1024
_OPEN_FILES = Path("/proc/self/fd")

_HINTS = {
    errno.ENOENT: "create the folder first",
    errno.ENOTDIR: "a part of the path is a file, choose another folder",
    errno.EACCES: "choose a folder you may write to",
    errno.EPERM: "choose a folder you may write to",
    errno.EROFS: "choose a folder you may write to",
    errno.ENOSPC: "free some disk space and run the command again",
    errno.EDQUOT: "free some disk space and run the command again",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def atomic_path(path: str | os.PathLike[str], mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends well, and is removed when it does not.

    The temporary file is in the same folder and has the same suffix. Keep only the writing in the block:
    any `OSError` raised there is reported as a failure to write `path`.

    Args:
        path: where the result shall stand; a regular file there is replaced, a link is followed.
        mode: permissions of the new file, narrowed by the umask.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    target = Path(path)
    try:
        target = target.resolve()
        if target.exists() and not target.is_file():
            raise OutputError(f"cannot write {path}: it is not a regular file", "choose a file name for the result")
        temporary = target.with_name(f".{target.stem[:64]}-{secrets.token_hex(6)}{target.suffix}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def require_writable(path: str | os.PathLike[str]) -> None:
    """Find out before long work whether `path` can be written; nothing is left behind.

    Raises:
        OutputError: it cannot.
    """
    with suppress(_JustTrying), atomic_path(path):
        raise _JustTrying


def require_free(path: str | os.PathLike[str]) -> None:
    """Find out before long work whether `path` can be made, nothing standing there yet.

    Raises:
        OutputError: something does, or it cannot be written.
    """
    if os.path.lexists(path):
        raise OutputError(f"{path} exists already", "choose another name, or move the old file away")
    require_writable(path)


class _JustTrying(Exception):
    """Leave `atomic_path` before anything takes the name."""


def atomic_write(path: str | os.PathLike[str], data: bytes, mode: int = 0o644) -> None:
    """Write `data` to `path` in one step.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    with atomic_path(path, mode) as temporary:
        temporary.write_bytes(data)


def atomic_create(path: str | os.PathLike[str], data: bytes, mode: int = 0o644) -> None:
    """Write `data` to `path` in one step, unless something stands there already.

    Raises:
        OutputError: `path` exists, or cannot be written; what stood there before is untouched.
    """
    with atomic_file(path, mode) as file:
        file.write(data)


@contextmanager
def atomic_file(path: str | os.PathLike[str], mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield an open file that has no name, and takes `path` when the block ends well.

    A process that is killed leaves nothing: the file goes with it. Where the file system knows no files without names
    (it must be Linux's, and not that of every network), it has a hidden one beside `path`, which a kill would leave.
    Keep only the writing in the block: any `OSError` raised there is reported as a failure to write `path`.

    Raises:
        OutputError: `path` exists, or cannot be written; what stood there before is untouched.
    """
    target, hidden = Path(path), None
    try:
        handle = _nameless(target.parent, mode)
        if handle is None:
            hidden = target.with_name(f".{target.stem[:64]}-{secrets.token_hex(6)}{target.suffix}")
            handle = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(handle)
            if hidden is None:
                # Only with a folder's handle does it follow the link in /proc, which is a name for what has none.
                os.link(_OPEN_FILES / str(handle), target, src_dir_fd=handle, follow_symlinks=True)
            else:
                _take_name(hidden, target)
        _flush(target.parent)
    except FileExistsError as error:
        raise OutputError(f"{path} exists already", "choose another name, or move the old file away") from error
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if hidden is not None:
            with suppress(OSError):
                hidden.unlink()


def _nameless(folder: Path, mode: int) -> int | None:
    """Open a file without a name in a folder; None where there is no such thing."""
    if not hasattr(os, "O_TMPFILE") or not _OPEN_FILES.is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return None
        raise


def destroy(path: str | os.PathLike[str]) -> str:
    """Overwrite a file, then remove it.

    The file system or the disk may keep an older copy; no program can reach that.

    Returns:
        SHA-256 (hex) of what it held.

    Raises:
        OutputError: it cannot be overwritten or removed.
    """
    target = Path(path)
    digest = hashlib.sha256()
    try:
        with target.open("r+b") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                file.seek(-len(block), os.SEEK_CUR)
                file.write(bytes(len(block)))
            file.flush()
            os.fsync(file.fileno())
        target.unlink()
        _flush(target.parent)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot destroy {path}: {reason}", "remove it by hand, then run this again") from error
    return digest.hexdigest()


def _take_name(temporary: Path, target: Path) -> None:
    """Move `temporary` to `target`, failing when the name is taken."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        # No hard links here (exFAT and the like): take the name first, then fill it.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC))
        temporary.replace(target)


def _flush(path: Path) -> None:
    """Force a file or folder to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> OutputError:
    """Say in one line why `path` could not be written, and what helps."""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    hint = _HINTS.get(error.errno or 0, "check the path and the disk")
    return OutputError(f"cannot write {path}: {reason}", hint)
