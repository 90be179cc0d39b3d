"""Publishing: files that are whole, and a server that shows a revocation at the next request."""

from __future__ import annotations

import json
import socket
import stat
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cameo.errors import CameoError, OutputError
from cameo.grants import publish
from cameo.grants.publish import Published, StatusServer, publish_files

GROUP = "ab" * 16


class Registry:
    """Stand in for the owner's registry: what is signed says how often it was signed."""

    def __init__(self) -> None:
        self.seq = 1
        self.signed = 0
        self.broken: Exception | None = None
        self.now = 1000.0
        self.said: list[str] = []

    def source(self) -> Published:
        self.signed += 1
        return Published(f"list.{self.seq}.{self.signed}", {GROUP: "a.group.token"}, ["one", "two"])

    def version(self) -> int:
        if self.broken is not None:
            raise self.broken
        return self.seq

    def server(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> StatusServer:
        return StatusServer(self.source, self.version, address, self.said.append, lambda: self.now)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def url(registry: Registry) -> Iterator[str]:
    with registry.server().running() as url:
        yield url


def ask(url: str, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def raw(url: str, data: bytes) -> bytes:
    host, _, port = urlsplit(url).netloc.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


# Files.


def test_a_folder_has_the_layout_of_the_server(tmp_path: Path) -> None:
    written = publish_files(tmp_path, "the.list", {GROUP: "the.group"}, ["one", "two"])
    assert written == [tmp_path / "status", tmp_path / "groups" / GROUP, tmp_path / "revocations"]
    assert (tmp_path / "status").read_bytes() == b"the.list"
    assert (tmp_path / "groups" / GROUP).read_bytes() == b"the.group"
    assert (tmp_path / "revocations").read_bytes() == b'{"statement":"one"}\n{"statement":"two"}\n'
    assert stat.S_IMODE((tmp_path / "status").stat().st_mode) & 0o044 == 0o044, "a web server may read it"


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    publish_files(f"{tmp_path}/site/", "the.list", {})
    assert (tmp_path / "site" / "status").read_bytes() == b"the.list"


def test_a_file_has_the_groups_beside_it(tmp_path: Path) -> None:
    written = publish_files(tmp_path / "ada.jwt", "the.list", {GROUP: "the.group"}, ["one"])
    assert written == [tmp_path / "ada.jwt", tmp_path / f"group-{GROUP}.jwt"]
    assert (tmp_path / f"group-{GROUP}.jwt").read_bytes() == b"the.group"


def test_publishing_again_replaces(tmp_path: Path) -> None:
    for text in ("old", "new"):
        publish_files(tmp_path / "ada.jwt", text, {})
    assert (tmp_path / "ada.jwt").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["ada.jwt"]


@pytest.mark.parametrize("group", ["../" + "a" * 29, "A" * 32, "", "a" * 32 + "\n"])
@pytest.mark.parametrize("where", ["", "ada.jwt"])
def test_only_group_ids_become_names(tmp_path: Path, group: str, where: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(OutputError, match="not the id of a group"):
        publish_files(folder / where, "the.list", {group: "the.group"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list(folder.iterdir())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for where in (tmp_path / "none" / "ada.jwt", f"{tmp_path}/file/site/"):
        with pytest.raises(OutputError):
            publish_files(where, "the.list", {})


# The server.


def test_the_four_documents(url: str) -> None:
    answer, body = ask(url, "/status")
    assert (answer.status, body) == (200, b"list.1.1")
    assert answer.headers["Content-Type"] == "application/statuslist+jwt"
    assert answer.headers["Cache-Control"] == "max-age=10"
    assert ask(url, f"/groups/{GROUP}")[1] == b"a.group.token"
    assert ask(url, "/revocations")[1] == b'{"statement":"one"}\n{"statement":"two"}\n'
    answer, body = ask(url, "/health")
    assert json.loads(body) == {"ok": True, "version": 1}
    assert answer.headers["Cache-Control"] == "no-store"
    assert ask(url, "/status?time=1")[1] == b"list.1.1"


def test_head_is_get_without_the_document(url: str) -> None:
    got, body = ask(url, "/status")
    answer, nothing = ask(url, "/status", "HEAD")
    assert (answer.status, nothing) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(body))
    assert ask(url, "/none", "HEAD")[0].status == 404
    assert raw(url, b"HEAD /status HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_other_methods(url: str, method: str) -> None:
    answer, _ = ask(url, "/status", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/status/",
        "/status/../../etc/passwd",
        "/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/groups/../status",
        "/groups/",
        f"/groups/{GROUP}/",
        f"/groups/{GROUP.upper()}",
        "/groups/" + "0" * 32,
        f"/groups//{GROUP}",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_there(url: str, path: str) -> None:
    assert raw(url, f"GET {path} HTTP/1.0\r\n\r\n".encode()).split()[1] == b"404"


@pytest.mark.parametrize("line", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /status HTTP/9.9\r\n\r\n", b"\0\xff\r\n\r\n", b""])
def test_lines_that_are_no_request(url: str, line: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    assert b"list.1" not in raw(url, line)
    assert ask(url, "/health")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_a_revocation_shows_in_the_next_answer(registry: Registry, url: str) -> None:
    assert ask(url, "/status")[1] == ask(url, "/status")[1] == b"list.1.1"
    registry.seq = 2
    assert ask(url, "/status")[1] == b"list.2.2"


@pytest.mark.parametrize("seconds", [5.1, -5.1])
def test_it_signs_again_after_half_its_life_or_when_the_clock_jumps(
    registry: Registry, url: str, seconds: float
) -> None:
    ask(url, "/status")
    registry.now += seconds / 2
    assert ask(url, "/status")[1] == b"list.1.1"
    registry.now += seconds / 2
    assert ask(url, "/status")[1] == b"list.1.2"


@pytest.mark.parametrize("error", [CameoError("the registry is locked", "wait"), KeyError("bug")])
def test_a_registry_that_fails(registry: Registry, url: str, error: Exception) -> None:
    registry.broken = error
    answer, body = ask(url, "/status")
    assert (answer.status, answer.headers["Cache-Control"]) == (503, "no-store")
    assert b"list" not in body.replace(b"the list cannot", b"")
    assert len(registry.said) == 1
    assert registry.said[0].startswith("cannot publish: ")
    registry.broken = None
    assert ask(url, "/status")[0].status == 200


def test_what_cannot_be_signed_is_not_served(registry: Registry) -> None:
    registry.broken = CameoError("no registry", "make one")
    with pytest.raises(CameoError, match="no registry"):
        registry.server()


def test_many_ask_at_once(registry: Registry, url: str) -> None:
    registry.seq = 2
    heard: list[bytes] = []
    threads = [threading.Thread(target=lambda: heard.append(ask(url, "/status")[1])) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [b"list.2.2"] * 20


def test_connections_are_limited_and_given_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish._Handler, "timeout", 0.3)
    host, _, port = urlsplit(url).netloc.rpartition(":")
    idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(publish.MAX_CONNECTIONS)]
    try:
        time.sleep(0.1)
        with socket.create_connection((host, int(port)), timeout=5) as late:
            assert late.recv(1) == b"", "closed at once"
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                assert ask(url, "/health")[0].status == 200
                break
            except OSError:
                time.sleep(0.05)
        else:
            pytest.fail("idle connections were never closed")
    finally:
        for line in idle:
            line.close()


def test_it_says_who_it_is_and_not_with_what_it_is_made(url: str) -> None:
    answer, _ = ask(url, "/status")
    assert answer.headers["Server"] == "cameo"


def test_an_address_in_use(registry: Registry) -> None:
    with registry.server().running() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(CameoError, match="cannot listen"):
            registry.server(("127.0.0.1", port))
    for address in (("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no such host.invalid", 0)):
        with pytest.raises(CameoError, match="cannot listen"):
            registry.server(address)


def test_ipv6(registry: Registry) -> None:
    try:
        server = registry.server(("::1", 0))
    except CameoError:
        pytest.skip("this machine has no IPv6")
    with server.running() as url:
        assert url.startswith("http://[::1]:")
        assert ask(url, "/status")[1] == b"list.1.1"
