"""Fetch what an owner publishes, from a URL or from files, and verify it.

Nothing is believed because of where it came from: everything is signed. HTTPS keeps others from seeing who asks, and
from holding a newer list back.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
import msgspec

from cameo.crypto.encoding import decode_json
from cameo.crypto.jws import token_type
from cameo.crypto.keys import PublicKeys
from cameo.errors import CameoError, NotVerified
from cameo.grants import group as groups
from cameo.grants import status
from cameo.grants.group import Group
from cameo.grants.status import Revocation, StatusSnapshot

TIMEOUT_S = 5.0
STATEMENTS_LIMIT = 16 * 1024 * 1024
_GROUP_ID = re.compile(r"[0-9a-f]{32}")
_HINT = "check the address, and that its owner publishes there: cameo status serve, or cameo status publish"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    statement: str


def is_url(where: str) -> bool:
    """Say whether `where` is fetched over the network."""
    return where.lower().startswith(("http://", "https://"))


def fetch(where: str, limit: int, timeout_s: float = TIMEOUT_S) -> bytes:
    """Fetch a URL (`http`, `https`) or a file (a path, or a `file:` URL).

    Args:
        where: redirects are not followed, and nothing but status 200 is taken.
        limit: the most bytes that are read.
        timeout_s: for all of it, name look-up and a server that sends a byte now and then included.

    Raises:
        NotVerified: "oversize".
        CameoError: "status_unreachable": no answer in time, another one than 200, or no such file.
    """
    if is_url(where):
        return _within(timeout_s, lambda: _fetch_url(where, limit, timeout_s), where)
    return _read_file(_local_path(where), limit)


def fetch_status(where: str, owner: PublicKeys) -> StatusSnapshot:
    """Fetch and verify the status list of `owner`.

    Args:
        where: what an owner publishes at: a base URL or a folder (the list is `status` in it), or the list itself: a
            URL that ends in `/status` or `.jwt`, or a file.
        owner: who must have signed it.

    Raises:
        NotVerified: see `status.read_status`.
        CameoError: "status_unreachable".
    """
    return status.read_status(_text(fetch(_status_place(where), status.TOKEN_LIMIT)), owner)


def fetch_group(where: str, group_id: str, owner: PublicKeys) -> Group:
    """Fetch and verify a group list of `owner`; `where` as for `fetch_status`.

    Raises:
        NotVerified: see `group.read_group`; "wrong_list" if it is another group's.
        CameoError: "status_unreachable".
    """
    found = groups.read_group(_text(fetch(_group_place(where, group_id), groups.TOKEN_LIMIT)), owner)
    if found.sub != group_id:
        raise NotVerified("the group list is that of another group", "check the address", "wrong_list")
    return found


def fetch_statements(where: str, owner: PublicKeys) -> list[Revocation]:
    """Fetch and verify all revocation statements of `owner`; `where` as for `fetch_status`.

    Raises:
        NotVerified: see `status.read_revocation`; one that does not hold spoils all.
        CameoError: "status_unreachable".
    """
    raw = fetch(_statements_place(where), STATEMENTS_LIMIT)
    lines = raw.removesuffix(b"\n").split(b"\n") if raw else []
    what = "a line of the revocation statements"
    tokens = [decode_json(line, _Line, what, status.TOKEN_LIMIT + 64).statement for line in lines]
    return [status.read_revocation(token, owner) for token in tokens]


def fetch_either(where: str, owner: PublicKeys) -> StatusSnapshot | Revocation:
    """Fetch and verify what stands at `where`: a status list, as `fetch_status` does, or one revocation statement.

    Raises:
        NotVerified: it is neither, or does not hold.
        CameoError: "status_unreachable".
    """
    token = _text(fetch(_status_place(where), status.TOKEN_LIMIT))
    if token_type(token, "the answer", status.TOKEN_LIMIT) == status.REVOCATION:
        return status.read_revocation(token, owner)
    return status.read_status(token, owner)


def _status_place(where: str) -> str:
    """Find the status list of whatever `where` names."""
    if is_url(where):
        url = _split(where)
        return where if url.path.endswith(("/status", ".jwt")) else _below(url, url.path, "status")
    path = _local_path(where)
    return str(path / "status" if path.is_dir() else path)


def _group_place(where: str, group_id: str) -> str:
    """Find a group list of whatever `where` names: one rule for URLs and files."""
    if not _GROUP_ID.fullmatch(group_id):
        raise NotVerified("a group's id is 32 hex digits", "get the grant again from its owner", "malformed")
    beside, below = f"group-{group_id}.jwt", f"groups/{group_id}"
    if is_url(where):
        url = _split(where)
        if url.path.endswith(".jwt"):
            return _below(url, url.path.rpartition("/")[0], beside)
        return _below(url, url.path.removesuffix("/status"), below)
    path = _local_path(where)
    if path.is_dir():
        return str(path / below)
    return str(path.parent / (below if path.name == "status" else beside))


def _statements_place(where: str) -> str:
    if is_url(where):
        url = _split(where)
        return _below(url, url.path.removesuffix("/status"), "revocations")
    path = _local_path(where)
    return str((path if path.is_dir() else path.parent) / "revocations")


def _below(url: SplitResult, folder: str, name: str) -> str:
    return url._replace(path=f"{folder.rstrip('/')}/{name}", fragment="").geturl()


def _split(where: str) -> SplitResult:
    try:
        return urlsplit(where)
    except ValueError as error:
        raise _unreachable(where, str(error)) from None


def _local_path(where: str) -> Path:
    if not where.lower().startswith("file:"):
        return Path(where)
    url = _split(where)
    if url.netloc not in ("", "localhost"):
        raise _unreachable(where, "the file is on another machine")
    return Path(unquote(url.path))


def _within(timeout_s: float, work: Callable[[], bytes], where: str) -> bytes:
    """Do `work`, but wait no longer than `timeout_s`.

    The library's own time limits start again with every byte, and do not cover the name look-up.
    """
    done: Future[bytes] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # handed to the caller, who raises it
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return done.result(timeout_s)
    except TimeoutError:
        raise _unreachable(where, f"no answer within {timeout_s:g} s") from None


def _fetch_url(where: str, limit: int, timeout_s: float) -> bytes:
    deadline = time.monotonic() + timeout_s
    # Whatever proxy the environment names is not asked for this very machine.
    environment = _split(where).hostname not in _LOOPBACK
    headers = {"Accept-Encoding": "identity", "User-Agent": "cameo"}
    body = bytearray()
    try:
        with (
            httpx.Client(timeout=timeout_s, follow_redirects=False, trust_env=environment, headers=headers) as client,
            client.stream("GET", where) as answer,
        ):
            if answer.status_code != 200:
                raise _unreachable(where, f"the answer is {answer.status_code}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _unreachable(where, "the answer is compressed, which was not asked for")
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > limit:
                    raise _oversize(where, limit)
                if time.monotonic() > deadline:
                    raise _unreachable(where, f"not complete within {timeout_s:g} s")
    except httpx.TimeoutException:
        raise _unreachable(where, f"no answer within {timeout_s:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _unreachable(where, str(error) or type(error).__name__) from None
    return bytes(body)


def _read_file(path: Path, limit: int) -> bytes:
    try:
        if not path.is_file():
            raise _unreachable(str(path), "there is no such file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise _unreachable(str(path), (error.strerror or str(error)).lower()) from None
    if len(data) > limit:
        raise _oversize(str(path), limit)
    return data


def _text(raw: bytes) -> str:
    """Read a token as it stands in a file or an answer; a line end after it is an editor's habit."""
    try:
        return raw.removesuffix(b"\n").removesuffix(b"\r").decode("ascii")
    except ValueError:
        raise NotVerified("what was fetched is not a signed token", _HINT, "malformed") from None


def _unreachable(where: str, why: str) -> CameoError:
    return CameoError(f"cannot fetch {_shown(where)}: {_line(why)}", _HINT, "status_unreachable")


def _oversize(where: str, limit: int) -> NotVerified:
    return NotVerified(f"{_shown(where)} is longer than the {limit} bytes allowed", _HINT, "oversize")


def _shown(where: str) -> str:
    """Print an address without the password it may hold."""
    return _line(re.sub(r"//[^/@]*@", "//", where))


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
