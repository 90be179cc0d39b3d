"""Download a file so that a broken connection costs nothing and a wrong byte is noticed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from cameo.errors import MissingWeights

Progress = Callable[[str, float], None]

ATTEMPTS = 5
PAUSE_S = 1.0  # before the second attempt; doubled each time
_TIMEOUT_S = 30.0
LARGEST = 4 << 30  # of a file whose size nobody states
_ABANDONED_S = 2 * _TIMEOUT_S  # nobody writes to a partial file that was left alone for so long
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """Name a file that can be fetched, or comes in an archive that can.

    Attributes:
        size: bytes; 0 when nobody states it.
        sha256: hex; None when nobody states it.
        url: where it is had alone; "" for a file of an archive.
        required: whether what it belongs to is of no use without it.
    """

    name: str
    size: int
    sha256: str | None
    url: str = ""
    required: bool = True


def fetch_file(file: RemoteFile, folder: Path, progress: Progress | None) -> Path:
    """Download one file into `folder` and hash it; a broken download goes on where it stopped, now and in the next run.

    Returns:
        Where it lies, under a name of no meaning; the caller moves it.

    Raises:
        MissingWeights: it cannot be had, or what arrived is not what is known.
        OSError: it cannot be written.
    """
    part = folder / f"{file.name}.part"
    mine = _claim(part, fresh=file.sha256 is None)
    try:
        _download(file, mine, progress)
        digest = sha256_of(mine)
        if file.sha256 and digest != file.sha256:
            mine.unlink()
            message = f"{file.name} arrived with SHA-256 {digest}, {file.sha256} is expected"
            raise MissingWeights(message, "nothing of it was kept; try again, or get it another way and check it")
    except BaseException:
        with suppress(OSError):
            mine.replace(part) if file.sha256 else mine.unlink()
        raise
    return mine


def _claim(part: Path, fresh: bool) -> Path:
    """Take over what an earlier run left, under a name that no other run writes to.

    Without a digest to tell in the end (`fresh`), bytes of two editions could be joined: nothing is taken over.
    """
    mine = part.with_name(f"{part.name}-{time.time_ns():x}")
    for left in [] if fresh else [part, *part.parent.glob(f"{part.name}-*")]:
        with suppress(FileNotFoundError):
            if left == part or time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.rename(mine)
                break
    return mine


def _download(file: RemoteFile, part: Path, progress: Progress | None) -> None:
    """Append to `part` until it is whole, trying again after a broken connection."""
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        have = part.stat().st_size if part.is_file() else 0
        if have and have == file.size:
            return
        try:
            _append(file, part, have, progress)
            if file.size in (0, part.stat().st_size):
                return
            why = "it ended too early"
        except httpx.HTTPError as error:
            why = (str(error) or type(error).__name__).splitlines()[0]
    raise MissingWeights(f"cannot download {file.url}: {why}", "run the command again: it goes on where it stopped")


def _append(file: RemoteFile, part: Path, have: int, progress: Progress | None) -> None:
    """Ask once for what is missing, and write what comes."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    limit = file.size or LARGEST
    with httpx.stream("GET", file.url, headers=headers, timeout=_TIMEOUT_S, follow_redirects=True) as answer:
        _require_secure(answer)
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if answer.status_code in (206, 416) and not resumed:
            part.unlink()  # the server has another file than the one that was begun
            raise httpx.RemoteProtocolError("the server does not go on where it stopped")
        if answer.status_code >= 500 or answer.status_code == 429:
            raise httpx.RemoteProtocolError(f"the server answers {answer.status_code}")
        if not resumed and answer.status_code != 200:
            hint = "check the network and its proxy, or get the pack another way: see docs/reference/models.md"
            raise MissingWeights(f"cannot download {file.url}: the server answers {answer.status_code}", hint)
        done = have if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            for block in answer.iter_bytes():
                done += len(block)
                if done > limit:
                    raise MissingWeights(f"{file.url} is longer than {limit} bytes", "this is not the known file")
                out.write(block)
                if progress and file.size:
                    progress(f"downloading {file.name}", done / file.size)


def _require_secure(answer: httpx.Response) -> None:
    for step in (*answer.history, answer):
        if step.url.scheme != "https" and urlsplit(str(step.url)).hostname not in _LOOPBACK:
            raise MissingWeights(f"{step.url} is not asked over HTTPS", "get the pack another way")


def sha256_of(path: Path) -> str:
    """Hash a file.

    Raises:
        MissingWeights: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MissingWeights(f"cannot read {path}: {reason}", "check the path and its permissions") from error
