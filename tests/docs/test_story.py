"""Run the story of `how-to/lend-to-a-friend.md` as it is printed: two machines, four keys, a server between them."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import cameo
from cameo.adapt.recipe import Recipe
from cameo.synthetic.selfie import write_selfie
from tests.docs.markdown import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "lend-to-a-friend.md"
PORT = "8765"


class Call(NamedTuple):
    """One command line of the page: who runs it, and what it must print, first line by first line."""

    who: str
    line: str
    told: tuple[str, ...]


def story() -> Iterator[Call]:
    for block in blocks(PAGE):
        if block.language != "console":
            continue
        _, who = block.info.split()
        for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
            line, *told = part.splitlines()
            yield Call(who, line, tuple(told))


def _shape(text: str) -> str:
    """Make what differs from run to run the same: ids, times."""
    text = re.sub(r"[0-9a-f]{16,64}", "HEX", text)
    return re.sub(r"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC", "TIME", text)


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


class Stage:
    """Run command lines for Ada and Bob on one machine, for the studio on another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.servers: list[subprocess.Popen[str]] = []

    def run(self, call: Call) -> None:
        words = shlex.split(call.line.replace(PORT, self.port))
        assert words[0] == "cameo"
        if words[1] == "enroll":
            return self._enrol(words)
        if words[1] in ("consent", "erase"):
            words.append("--yes")  # nobody is there to ask
        if words[1:3] == ["status", "serve"]:
            return self._serve(call, words)
        done = subprocess.run(self._command(words), **self._where(call.who), capture_output=True, timeout=300)  # type: ignore[call-overload]
        said = done.stdout + done.stderr
        refused = any(line.startswith("error:") for line in call.told)
        assert done.returncode == (cameo.NotPermitted.exit_code if refused else 0), f"{call.line}\n{said}"
        shapes = [_shape(line) for line in said.splitlines()]
        for line in call.told:
            assert _shape(line) in shapes, f"{call.line}\n{said}"
        return None

    def _enrol(self, words: list[str]) -> None:
        """Do what the command does, without the tuning that takes its time."""
        file = {name: self.folder / words[words.index(name) + 1] for name in ("--key", "--out", "--consent")}
        write_selfie(self.folder / words[2], 0, 5.0)
        options = cameo.EnrollOptions(recipe=Recipe(steps=0), terms=cameo.load_terms(file["--consent"]))
        keys = cameo.Keys.load(file["--key"], os.environ["CAMEO_PASSPHRASE"])
        cameo.enroll(self.folder / words[2], keys=keys, out=file["--out"], options=options)

    def _serve(self, call: Call, words: list[str]) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        server = subprocess.Popen(self._command(words), **self._where(call.who), **pipes)  # type: ignore[call-overload]
        self.servers.append(server)
        assert server.stdout.readline().strip() == call.told[0].replace(PORT, self.port)

    def _command(self, words: list[str]) -> list[str]:
        return [sys.executable, "-m", "cameo", *words[1:]]

    def _where(self, who: str) -> dict[str, object]:
        home = self.folder / ("studio-home" if who == "studio" else "ada-home")
        return {"cwd": self.folder, "env": {**os.environ, "CAMEO_HOME": str(home)}, "text": True}


@pytest.mark.slow
def test_the_story_works_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMEO_PASSPHRASE", "a passphrase for tests")
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "ada-home"))
    (terms,) = [block.code for block in blocks(PAGE) if block.language == "toml"]
    (tmp_path / "consent.toml").write_text(terms, "utf-8")
    (tmp_path / "narrower.toml").write_text('[[purposes]]\nid = "comedy"\n', "utf-8")
    stage = Stage(tmp_path)
    try:
        for call in story():
            stage.run(call)
    finally:
        for server in stage.servers:
            server.terminate()
            server.communicate(timeout=30)
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == ["clip.mp4", "selfie.mp4", "tool.mp4"]
    assert not (tmp_path / "ada.cameo").exists()


def test_the_story_is_all_there() -> None:
    calls = list(story())
    verbs = {shlex.split(call.line)[1] for call in calls}
    assert verbs >= {"keygen", "enroll", "grant", "cast", "delegate", "revoke", "status", "audit", "consent", "erase"}
    assert {call.who for call in calls} == {"ada", "bob", "studio"}
    assert sum(line.startswith("error:") for call in calls for line in call.told) >= 7
