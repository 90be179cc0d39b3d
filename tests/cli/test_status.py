"""`cameo status`: publish, serve, fetch; the workflows behind it are stand-ins here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.request import urlopen

import pytest

from cameo.cli import VERBS, Verb
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import CameoError
from cameo.grants import status
from cameo.grants.fetch import fetch_either, fetch_status
from cameo.grants.publish import Published
from cameo.grants.status import Revocation

from .conftest import PASSPHRASE, Cli

GROUP = "ab" * 16


class Workflows:
    """Stand in for `cameo.publishing` and the ledger."""

    def __init__(self) -> None:
        self.seq = 4
        self.revoked = [2, 9]
        self.signed = 0
        self.taken: list[object] = []
        self.hosts: list[str] = []
        self.closed = 0

    def published(self, keys: Keys) -> Published:
        self.signed += 1
        return Published(status.sign_status(keys, 64, self.revoked, self.seq, time.time()), {GROUP: "a.group"}, ["s"])

    def registry_seq(self, _fingerprint: str) -> int:
        return self.seq

    def take_status(self, where: str, owner: PublicKeys, ledger: object) -> object:
        found = fetch_either(where, owner)
        self.taken.append(found)
        assert isinstance(ledger, _Ledger)
        return found


class _Ledger:
    workflows: Workflows

    def __init__(self, host: Keys) -> None:
        self.workflows.hosts.append(host.public.fingerprint)

    def close(self) -> None:
        self.workflows.closed += 1


@pytest.fixture
def workflows(monkeypatch: pytest.MonkeyPatch) -> Workflows:
    made = Workflows()
    publishing, ledger = ModuleType("cameo.publishing"), ModuleType("cameo.grants.ledger")
    for name in ("published", "registry_seq", "take_status"):
        setattr(publishing, name, getattr(made, name))
    monkeypatch.setattr(_Ledger, "workflows", made, raising=False)
    ledger.Ledger = _Ledger  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cameo.publishing", publishing)
    monkeypatch.setitem(sys.modules, "cameo.grants.ledger", ledger)
    monkeypatch.setitem(VERBS, "status", Verb("cameo.cli.status:status", "say and learn which grants are revoked"))
    return made


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    for name in ("ada", "studio", "eve"):
        Keys.generate().save(folder / f"{name}.key", PASSPHRASE)
    return folder


def ada(people: Path) -> PublicKeys:
    return PublicKeys.load(people / "ada.pub")


# The verb itself.


def test_it_lists_its_three_parts(cli: Cli, workflows: Workflows) -> None:
    asked, bare = cli("status", "--help"), cli("status")
    assert (asked.status, bare.status) == (0, 2)
    assert (asked.err, bare.out) == ("", "")
    for part in ("cameo status publish", "cameo status serve", "cameo status fetch"):
        assert part in asked.out
        assert part in bare.err


@pytest.mark.parametrize(
    "words", [["lend"], ["--json"], ["publish"], ["serve"], ["fetch"], ["fetch", "x", "--owner", "y"]]
)
def test_wrong_calls(cli: Cli, workflows: Workflows, words: list[str]) -> None:
    shown = cli("status", *words)
    assert (shown.status, shown.out) == (2, "")
    assert "hint: see: cameo status" in shown.err


# Publish.


def test_publish_into_a_folder(cli: Cli, workflows: Workflows, people: Path, tmp_path: Path) -> None:
    shown = cli("status", "publish", "--key", people / "ada.key", "--out", tmp_path)
    assert (shown.status, shown.err) == (0, "")
    snapshot = fetch_status(str(tmp_path), ada(people))
    assert (snapshot.seq, snapshot.revoked) == (4, 2)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [GROUP, "revocations", "status"]
    assert str(tmp_path / "status") in shown.out


def test_publish_into_a_file(cli: Cli, workflows: Workflows, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "ada.jwt"
    value = json.loads(cli("status", "publish", "--key", people / "ada.key", "-o", out, "--json").out)
    files = [str(out), str(tmp_path / f"group-{GROUP}.jwt")]
    assert value == {"owner": ada(people).fingerprint, "seq": 4, "revoked": 2, "groups": [GROUP], "files": files}
    assert fetch_status(str(out), ada(people)).seq == 4


@pytest.mark.parametrize("every", ["0", "-1", "nan", "0.5", "86401", "often"])
def test_every_must_make_sense(cli: Cli, workflows: Workflows, people: Path, tmp_path: Path, every: str) -> None:
    shown = cli("status", "publish", "--key", people / "ada.key", "--out", tmp_path, "--every", every)
    assert (shown.status, workflows.signed) == (2, 0)
    assert not list(tmp_path.iterdir())


class Clock:
    """Stand in for `time`: sleeping passes time, and something happens at given seconds; the last is Ctrl-C."""

    def __init__(self, events: dict[int, Callable[[], None]], until: float) -> None:
        self.now, self.events, self.until = 0.0, events, until

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 <= seconds <= 1
        self.now += max(seconds, 0.001)
        for at in [at for at in self.events if at <= self.now]:
            self.events.pop(at)()
        if self.now > self.until:
            raise KeyboardInterrupt


def test_every_signs_again_and_at_once_after_a_revocation(
    cli: Cli, workflows: Workflows, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, int]] = []

    def revoke() -> None:
        workflows.seq, workflows.revoked = 5, [2, 9, 11]

    def look() -> None:
        snapshot = fetch_status(str(tmp_path), ada(people))
        seen.append((workflows.signed, snapshot.revoked))

    clock = Clock({59: look, 62: look, 70: revoke, 72: look, 125: look, 132: look}, 133)
    monkeypatch.setattr("cameo.cli.status.time", clock)
    shown = cli("status", "publish", "--key", people / "ada.key", "--out", tmp_path, "--every", "60")
    assert shown.status == 0
    assert shown.err.splitlines()[0] == "published: seq 5, 3 revoked"
    assert seen == [(1, 2), (2, 2), (3, 3), (3, 3), (4, 3)]


def test_every_that_is_too_seldom_warns(
    cli: Cli, workflows: Workflows, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cameo.cli.status.time", Clock({}, 3))
    shown = cli("status", "publish", "--key", people / "ada.key", "--out", tmp_path, "--every", "300")
    assert shown.status == 0
    assert shown.err.startswith("warning: hosts refuse a list older than 300 s")


# Serve.


def test_serve_prints_its_url_first(
    cli: Cli, workflows: Workflows, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    def answer_once(server: Any) -> None:
        with server.running() as url:
            heard.append(urlopen(url + "/status", timeout=5).read())  # noqa: S310

    monkeypatch.setattr("cameo.grants.publish.StatusServer.serve", _first(answer_once))
    words = ["status", "serve", "--key", people / "ada.key", "--port", "0"]
    shown = cli(*words)
    assert shown.status == 0
    assert shown.out.startswith("http://127.0.0.1:")
    assert len(shown.out.splitlines()) == 1
    assert status.read_status(heard[0].decode(), ada(people)).revoked == 2


def _first(call: Callable[[Any], None]) -> Callable[[Any], None]:
    """Call `call` in place of `StatusServer.serve`, and the real one from then on."""
    from cameo.grants.publish import StatusServer

    real = StatusServer.serve

    def serve(self: Any) -> None:
        StatusServer.serve = real  # type: ignore[method-assign]
        call(self)

    return serve


@pytest.mark.parametrize("port", ["70000", "-1", "x"])
def test_ports_that_are_none(cli: Cli, workflows: Workflows, people: Path, port: str) -> None:
    shown = cli("status", "serve", "--key", people / "ada.key", "--port", port)
    assert shown.status in (1, 2)
    assert shown.out == ""
    assert "hint: " in shown.err


SERVER = """
import sys, time
from types import ModuleType
from cameo.cli import VERBS, Verb, main
from cameo.grants import status
from cameo.grants.publish import Published
publishing = ModuleType("cameo.publishing")
publishing.published = lambda keys: Published(status.sign_status(keys, 64, [1], 1, time.time()), {})
publishing.registry_seq = lambda fingerprint: 1
sys.modules["cameo.publishing"] = publishing
VERBS["status"] = Verb("cameo.cli.status:status", "")
sys.exit(main(sys.argv[1:]))
"""


def test_serve_in_a_process_until_ctrl_c(people: Path) -> None:
    words = ["status", "serve", "--key", str(people / "ada.key"), "--port", "0", "--json"]
    command = [sys.executable, "-c", textwrap.dedent(SERVER), *words]
    env = {**os.environ, "CAMEO_PASSPHRASE": PASSPHRASE}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, **pipes) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(4)]
            value = json.loads("".join(lines))
            assert value["owner"] == ada(people).fingerprint
            assert fetch_status(value["url"], ada(people)).revoked == 1
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0
    assert said.splitlines()[-1].startswith("stopped")
    assert "127.0.0.1" not in said, "no clients on the terminal"
    with pytest.raises(CameoError):
        fetch_status(value["url"], ada(people))


# Fetch.


def test_fetch_a_list(cli: Cli, workflows: Workflows, people: Path, tmp_path: Path) -> None:
    cli("status", "publish", "--key", people / "ada.key", "--out", tmp_path)
    words = ["status", "fetch", tmp_path, "--owner", people / "ada.pub", "--host", people / "studio.key"]
    shown = cli(*words)
    assert (shown.status, shown.err) == (0, "")
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["seq", "age", "revoked"]
    value = json.loads(cli(*words, "--json").out)
    assert 0 <= value.pop("age_s") < 60
    owner = ada(people).fingerprint
    assert value == {"kind": "status", "owner": owner, "seq": 4, "revoked": 2, "bundle_id": "", "grant": ""}
    assert workflows.hosts == [PublicKeys.load(people / "studio.pub").fingerprint] * 2
    assert workflows.closed == 2


@pytest.mark.parametrize(("grant", "index"), [("3" * 32, (7,)), ("", (7, 8))])
def test_fetch_a_statement(
    cli: Cli, workflows: Workflows, people: Path, tmp_path: Path, grant: str, index: tuple[int, ...]
) -> None:
    keys = Keys.load(people / "ada.key", PASSPHRASE)
    made = Revocation(keys.public.fingerprint, "1" * 32, int(time.time()), 5, "2" * 32, grant, index)
    (tmp_path / "taken.back").write_text(status.sign_revocation(made, keys))
    words = ["status", "fetch", tmp_path / "taken.back", "--owner", people / "ada.pub", "--host", people / "studio.key"]
    shown = cli(*words)
    assert shown.out.startswith("taken in: a revocation of ")
    assert (grant or "every one of this double") in shown.out
    value = json.loads(cli(*words, "--json").out)
    assert (value["kind"], value["grant"], value["revoked"]) == ("revocation", grant, len(index))
    assert workflows.taken == [made, made]


def test_fetch_what_is_anothers(cli: Cli, workflows: Workflows, people: Path, tmp_path: Path) -> None:
    cli("status", "publish", "--key", people / "eve.key", "--out", tmp_path)
    shown = cli("status", "fetch", tmp_path, "--owner", people / "ada.pub", "--host", people / "studio.key")
    assert (shown.status, shown.out, workflows.taken) == (3, "", [])
    assert workflows.closed == 1, "the ledger is let go"


def test_fetch_from_nowhere(cli: Cli, workflows: Workflows, people: Path, tmp_path: Path) -> None:
    shown = cli("status", "fetch", tmp_path, "--owner", people / "ada.pub", "--host", people / "studio.key")
    assert shown.status == 1
    assert "cannot fetch" in shown.err
