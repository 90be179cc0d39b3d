"""Fetching what owners publish: from the server, from files, and from places that mean no good."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotVerified
from cameo.grants import group as groups
from cameo.grants import status
from cameo.grants.fetch import fetch, fetch_either, fetch_group, fetch_statements, fetch_status, is_url
from cameo.grants.publish import Published, StatusServer, publish_files
from cameo.grants.status import Revocation

ADA, EVE = Keys.generate(), Keys.generate()
BOB = Keys.generate().public
NOW = 1_800_000_000
TOKEN = status.sign_status(ADA, 64, [5], 3, NOW)
BAND = groups.new_group(ADA.public, "the band", [BOB])
GROUP = groups.sign_group(BAND, ADA, NOW)
STATEMENT = Revocation(ADA.public.fingerprint, "1" * 32, NOW, 3, "2" * 32, "3" * 32, (5,), "")
SIGNED = status.sign_revocation(STATEMENT, ADA)
EVERYTHING = Published(TOKEN, {BAND.sub: GROUP}, [SIGNED])


@pytest.fixture
def url() -> Iterator[str]:
    with StatusServer(lambda: EVERYTHING, lambda: 3, ("127.0.0.1", 0)).running() as url:
        yield url


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Listen, and let `talk` say what it likes to whoever asks."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    with line, suppress(OSError):
                        line.recv(65536)
                        talk(line)

        threading.Thread(target=run, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def said(text: str, body: bytes = b"") -> Callable[[socket.socket], None]:
    head = text.replace("\n", "\r\n").encode() + b"\r\nConnection: close\r\n\r\n"
    return lambda line: line.sendall(head + body)


def unreachable(call: Callable[[], object], why: str = "") -> CameoError:
    with pytest.raises(CameoError, match=why or None) as caught:
        call()
    assert caught.value.code == "status_unreachable"
    assert (caught.value.message + caught.value.hint).isprintable()
    return caught.value


# What is published comes back.


@pytest.mark.parametrize("end", ["", "/", "/status"])
def test_from_a_server(url: str, end: str) -> None:
    snapshot = fetch_status(url + end, ADA.public)
    assert (snapshot.seq, snapshot.revoked) == (3, 1)
    assert fetch_group(url + end, BAND.sub, ADA.public).holds(BOB.fingerprint)
    assert fetch_statements(url + end, ADA.public) == [STATEMENT]
    assert fetch_either(url + end, ADA.public) == snapshot


@pytest.mark.parametrize("form", ["{}", "{}/status", "file://{}", "file://localhost{}/status", "FILE:{}"])
def test_from_a_folder(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    publish_files(folder, EVERYTHING.status_token, EVERYTHING.groups, EVERYTHING.statements)
    where = form.format(folder)
    if where.lower().startswith("file:"):
        where = where.replace(" ", "%20")
    assert fetch_status(where, ADA.public).seq == 3
    assert fetch_group(where, BAND.sub, ADA.public).name == "the band"
    assert fetch_statements(where, ADA.public) == [STATEMENT]


def test_from_a_file(tmp_path: Path) -> None:
    publish_files(tmp_path / "ada.jwt", TOKEN, {BAND.sub: GROUP})
    assert fetch_status(str(tmp_path / "ada.jwt"), ADA.public).seq == 3
    assert fetch_group(str(tmp_path / "ada.jwt"), BAND.sub, ADA.public).name == "the band"


@pytest.mark.parametrize("end", ["", "/", "/status", "/ada.jwt"])
def test_what_is_published_as_files_under_any_web_server(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "people" / "ada"
    publish_files(f"{folder}/", EVERYTHING.status_token, EVERYTHING.groups, EVERYTHING.statements)
    publish_files(folder / "ada.jwt", EVERYTHING.status_token, EVERYTHING.groups)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}/people/ada{end}"
        try:
            assert fetch_status(where, ADA.public).seq == 3
            assert fetch_group(where, BAND.sub, ADA.public).name == "the band"
        finally:
            server.shutdown()


def test_a_statement_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "bob.revocation").write_text(SIGNED + "\r\n")
    assert fetch_either(str(tmp_path / "bob.revocation"), ADA.public) == STATEMENT
    with pytest.raises(NotVerified):
        fetch_either(str(tmp_path / "bob.revocation"), EVE.public)
    with pytest.raises(NotVerified):
        fetch_status(str(tmp_path / "bob.revocation"), ADA.public)


def test_no_statements_yet(tmp_path: Path) -> None:
    publish_files(tmp_path, TOKEN, {})
    assert fetch_statements(str(tmp_path), ADA.public) == []


def test_what_is_a_url() -> None:
    assert is_url("http://a")
    assert is_url("HTTPS://a")
    assert not any(map(is_url, ("status.jwt", "/http://a", "file:///a", "ftp://a", "")))


# What is not the owner's, or not what was asked for.


def test_of_another_owner(url: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: fetch_status(url, EVE.public),
        lambda: fetch_group(url, BAND.sub, EVE.public),
        lambda: fetch_statements(url, EVE.public),
    ]
    for call in calls:
        with pytest.raises(NotVerified) as caught:
            call()
        assert caught.value.code == "wrong_list"


def test_another_group_under_the_name(tmp_path: Path) -> None:
    publish_files(tmp_path, TOKEN, {"0" * 32: GROUP})
    with pytest.raises(NotVerified) as caught:
        fetch_group(str(tmp_path), "0" * 32, ADA.public)
    assert caught.value.code == "wrong_list"


@pytest.mark.parametrize("group_id", ["../status", "", "A" * 32, "0" * 32 + "/x"])
def test_only_group_ids_become_paths(url: str, group_id: str) -> None:
    for where in (url, "/tmp"):  # noqa: S108
        with pytest.raises(NotVerified, match="32 hex digits"):
            fetch_group(where, group_id, ADA.public)


@pytest.mark.parametrize("data", [b"", b"\xff" * 10, b"not a token", TOKEN.encode() + b"\n\n", b" " + TOKEN.encode()])
def test_files_that_are_no_token(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ada.jwt").write_bytes(data)
    for call in (fetch_status, fetch_either):
        with pytest.raises(NotVerified) as caught:
            call(str(tmp_path / "ada.jwt"), ADA.public)
        assert caught.value.code == "malformed"


@pytest.mark.parametrize("line", ["", "{}", '{"statement":1}', '{"statement":"a","statement":"b"}', SIGNED])
def test_statement_lines_that_do_not_hold(tmp_path: Path, line: str) -> None:
    publish_files(tmp_path, TOKEN, {}, [SIGNED])
    with (tmp_path / "revocations").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(NotVerified):
        fetch_statements(str(tmp_path), ADA.public)


# Places that do not answer as they should.


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for where in (tmp_path / "none", tmp_path / "none" / "ada.jwt", "\0", "ftp://x/status", ""):
        unreachable(lambda where=where: fetch(str(where), 100))  # type: ignore[misc]
    unreachable(lambda: fetch_status(str(tmp_path), ADA.public), "no such file")
    unreachable(lambda: fetch_status("file://elsewhere/ada.jwt", ADA.public), "another machine")


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ada.jwt")
    unreachable(lambda: fetch(str(tmp_path / "ada.jwt"), 100))


def test_limits(tmp_path: Path, url: str) -> None:
    (tmp_path / "ada.jwt").write_bytes(b"x" * 101)
    with answering(said("HTTP/1.1 200 OK", b"x" * 101)) as endless:
        for where in (str(tmp_path / "ada.jwt"), url + "/status", endless):
            with pytest.raises(NotVerified) as caught:
                fetch(where, 100)
            assert caught.value.code == "oversize"
            assert len(fetch(where, 1000)) >= 101


def test_an_endless_answer_is_cut_off() -> None:
    def flood(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            line.sendall(b"x" * 65536)

    with answering(flood) as url, pytest.raises(NotVerified) as caught:
        fetch(url, 1_000_000)
    assert caught.value.code == "oversize"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("HTTP/1.1 404 Not Found", "the answer is 404"),
        ("HTTP/1.1 204 No Content", "the answer is 204"),
        ("HTTP/1.1 206 Partial Content", "the answer is 206"),
        ("HTTP/1.1 503 Busy", "the answer is 503"),
        ("HTTP/1.1 302 Found\nLocation: http://127.0.0.1:9/status", "the answer is 302"),
        ("HTTP/1.1 200 OK\nContent-Length: 10", ""),
        ("HTTP/1.1 200 OK\nContent-Length: x", ""),
        ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", ""),
        ("SMTP ready", ""),
        ("HTTP/1.1 200 OK\nX: " + "x" * 200_000, ""),
    ],
)
def test_other_answers(head: str, why: str) -> None:
    with answering(said(head, b"body\n")) as url:
        unreachable(lambda: fetch(url, 1000), why)


def test_a_redirect_is_not_followed(url: str) -> None:
    with answering(said(f"HTTP/1.1 301 Moved\nLocation: {url}/status")) as moved:
        unreachable(lambda: fetch_status(moved, ADA.public), "the answer is 301")


def test_a_compressed_answer_is_not_inflated() -> None:
    body = gzip.compress(bytes(10_000_000))
    with answering(said(f"HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {len(body)}", body)) as url:
        unreachable(lambda: fetch(url, 1_000_000), "compressed")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    unreachable(lambda: fetch(f"http://127.0.0.1:{port}/status", 100))


@pytest.mark.parametrize(
    "place", ["http://", "http://[", "http://exa mple/", "http://a:x/", "https://\x00/", "http://é" * 99]
)
def test_addresses_that_are_none(place: str) -> None:
    unreachable(lambda: fetch(place, 100, 2.0))
    unreachable(lambda: fetch_status(place, ADA.public))


def _slow(parts: bytes, pause_s: float) -> Callable[[socket.socket], None]:
    def talk(line: socket.socket) -> None:
        for byte in parts:
            line.sendall(bytes([byte]))
            time.sleep(pause_s)

    return talk


@pytest.mark.parametrize(
    "talk",
    [
        lambda line: time.sleep(1.5),
        _slow(b"HTTP/1.1 200 OK\r\nX-Slow: yes indeed", 0.05),
        lambda line: (line.sendall(b"HTTP/1.1 200 OK\r\n\r\n"), _slow(b"x" * 40, 0.05)(line)),
    ],
    ids=["silent", "slow head", "slow body"],
)
def test_a_slow_server_does_not_hold_the_host_up(talk: Callable[[socket.socket], None]) -> None:
    with answering(talk) as url:
        began = time.monotonic()
        unreachable(lambda: fetch(url, 1000, 0.4), "within 0.4 s")
        assert time.monotonic() - began < 1.2


def test_a_password_in_the_address_is_not_printed() -> None:
    error = unreachable(lambda: fetch("http://ada:secret@127.0.0.1:9/status", 100))
    assert "secret" not in error.message
    assert "127.0.0.1:9" in error.message


def test_no_proxy_for_this_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch_status(url, ADA.public).seq == 3
