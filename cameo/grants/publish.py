"""Publish what an owner has signed: as files for any web server, or with a small server of its own.

Everything published is signed, and public: the server needs no secrets and checks none.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from cameo.crypto.encoding import encode_json
from cameo.errors import CameoError, OutputError
from cameo.files import atomic_write
from cameo.grants.status import TTL_S

DEFAULT_PORT = 8765
MAX_CONNECTIONS = 64
_READ_TIMEOUT_S = 5.0
_GROUP_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Published:
    """Hold everything an owner publishes.

    Attributes:
        status_token: the signed status list.
        groups: signed group lists by id.
        statements: signed revocation statements, oldest first.
    """

    status_token: str
    groups: Mapping[str, str]
    statements: Sequence[str] = ()


def statement_lines(statements: Sequence[str]) -> bytes:
    """Write revocation statements as JSON lines: `{"statement":"…"}` each."""
    return b"".join(encode_json({"statement": token}) + b"\n" for token in statements)


def publish_files(
    folder_or_file: str | os.PathLike[str],
    status_token: str,
    groups: Mapping[str, str],
    statements: Sequence[str] = (),
) -> list[Path]:
    """Write the status list and the groups, each in one step.

    Args:
        folder_or_file: a folder (one that exists, or a path that ends in `/`) gets the layout of the server: `status`,
            `groups/ID`, `revocations`. Anything else is the file of the status list; the groups are put beside it as
            `group-ID.jwt`.
        status_token: the signed status list.
        groups: signed group lists by id.
        statements: signed revocation statements; only a folder has a place for them.

    Returns:
        What was written.

    Raises:
        OutputError: something could not be; every file is the old or the new one, never a part.
    """
    where = Path(folder_or_file)
    if where.is_dir() or os.fspath(folder_or_file).endswith(("/", os.sep)):
        # The status list first: it is what takes a grant back.
        files = {where / "status": status_token.encode()}
        files |= {where / "groups" / _checked(group): token.encode() for group, token in groups.items()}
        files[where / "revocations"] = statement_lines(statements)
        _make_folder(where / "groups")
    else:
        files = {where: status_token.encode()}
        files |= {where.with_name(f"group-{_checked(group)}.jwt"): token.encode() for group, token in groups.items()}
    for path, data in files.items():
        atomic_write(path, data)
    return list(files)


class StatusServer:
    """Serve `/status`, `/groups/ID`, `/revocations` and `/health` over HTTP.

    Attributes:
        url: where it listens.
    """

    def __init__(
        self,
        source: Callable[[], Published],
        version: Callable[[], int],
        address: tuple[str, int] = ("127.0.0.1", DEFAULT_PORT),
        report: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Sign once, to see that it can be done, and listen; `serve` or `running` answers.

        Args:
            source: signs everything afresh.
            version: a cheap look at a number that changes with whatever the registry knows: `source` is asked at once
                then, so that a revocation by another process shows in the next answer.
            address: host and port to listen on; port 0 picks a free one.
            report: told, in one line, when `source` or `version` fails; that request is answered with 503.
            clock: Unix seconds.

        Raises:
            CameoError: it cannot listen there, or whatever `source` raises.
        """
        self._shelf = _Shelf(source, version, clock)
        self._shelf.current()
        self._server = _listen(address, self._shelf, report)
        host, port = self._server.server_address[:2]
        shown = f"[{host!s}]" if ":" in str(host) else str(host)
        self.url = f"http://{shown}:{port}"

    def serve(self) -> None:
        """Answer until Ctrl-C, or `stop` in another thread."""
        try:
            self._server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            pass
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """Let `serve`, running in another thread, come back."""
        self._server.shutdown()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Answer in a thread while the block runs; yields the URL."""
        thread = threading.Thread(target=self.serve, daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self.stop()
            thread.join()


class _Shelf:
    """Keep what was signed last, for half of its time to live."""

    def __init__(self, source: Callable[[], Published], version: Callable[[], int], clock: Callable[[], float]) -> None:
        self._source, self._version, self._clock = source, version, clock
        self._lock = threading.Lock()
        self._kept: tuple[Published, int, float] | None = None

    def current(self) -> tuple[Published, int]:
        """Return what holds now, and its version."""
        with self._lock:
            version, now = self._version(), self._clock()
            if self._kept is not None:
                published, kept_version, at = self._kept
                # Not `now - at`: a clock that is set back must not keep an old list alive.
                if kept_version == version and abs(now - at) <= TTL_S / 2:
                    return published, version
            # Asked before signing: a change in between is signed now, and once more at the next request.
            published = self._source()
            self._kept = published, version, now
            return published, version


class _Handler(BaseHTTPRequestHandler):
    """Answer one request. There is no path to a file here: every answer is one of four known ones."""

    server: _Server
    timeout = _READ_TIMEOUT_S

    def do_GET(self) -> None:  # noqa: N802
        """Answer with the document at the path."""
        try:
            published, version = self.server.shelf.current()
        except Exception as error:
            # Whatever went wrong here, other requests are still to be answered; hosts fall back on their grace.
            self.server.complain(error)
            self._answer(503, "text/plain", b"the list cannot be signed at the moment\n")
            return
        found = _document(self.path.partition("?")[0], published, version)
        if found is None:
            self._answer(404, "text/plain", b"there is nothing here; see /status\n")
            return
        self._answer(200, *found)

    def do_HEAD(self) -> None:  # noqa: N802
        """Answer as GET does, without the document."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the library refuses: a method without a function here is 405, not its 501."""
        self.close_connection = True
        code = 405 if code == 501 else code
        self._answer(code, "text/plain", b"only GET and HEAD\n" if code == 405 else b"not a request\n")

    def version_string(self) -> str:
        """Name the server, and not what it is made with."""
        return "cameo"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep no record of who asked."""

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", f"max-age={TTL_S}" if code == 200 and kind != _JSON else "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if code == 405:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_JSON = "application/json"


def _document(path: str, published: Published, version: int) -> tuple[str, bytes] | None:
    """Find what stands at `path`: its type and its bytes."""
    if path == "/status":
        return "application/statuslist+jwt", published.status_token.encode()
    if path == "/revocations":
        return "application/jsonl", statement_lines(published.statements)
    if path == "/health":
        return _JSON, encode_json({"ok": True, "version": version})
    folder, _, group = path.removeprefix("/").partition("/")
    if folder == "groups" and _GROUP_ID.fullmatch(group) and group in published.groups:
        return "application/jwt", published.groups[group].encode()
    return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # the default of 5 makes hosts that ask together wait for a second

    def __init__(self, address: tuple[str, int], shelf: _Shelf, report: Callable[[str], None] | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.shelf = shelf
        self._report = report
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the library's look-up of the host's full name, which may ask a name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a place for the connection, or close it when there is none."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Give the place back when the connection is done."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that go away in the middle, and print no addresses."""

    def complain(self, error: Exception) -> None:
        """Tell the owner, in one line, why a request could not be answered."""
        if self._report is not None:
            told = error.message if isinstance(error, CameoError) else f"unexpected {type(error).__name__}: {error}"
            self._report(f"cannot publish: {told}")


def _listen(address: tuple[str, int], shelf: _Shelf, report: Callable[[str], None] | None) -> _Server:
    try:
        return _Server(address, shelf, report)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        hint = "choose another --address or --port; port 0 picks a free one"
        raise CameoError(f"cannot listen on {address[0]} port {address[1]}: {reason}", hint) from None


def _checked(group_id: str) -> str:
    if not _GROUP_ID.fullmatch(group_id):
        raise OutputError(f"{group_id[:64]!r} is not the id of a group", "an id is 32 hex digits")
    return group_id


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot make the folder {path}: {reason}", "choose another place") from None
