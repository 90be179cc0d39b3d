"""The whole story from the command line: lend a double, narrow it, take it back, and see what was done with it.

Ada owns the double; Bob is her friend and passes some of it on to his tool; the studio is the host; Eve was given
nothing. Ada publishes what is revoked over HTTP from a process of her own; the studio has nothing of Ada's machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PASSPHRASE, Cli, Outcome, run_process
from tests.cli.conftest import cli as cli
from tests.cli.conftest import key_files as key_files
from tests.lendable import Lendable

REFRESH_S = 10.0


@dataclass(frozen=True)
class Machine:
    """One machine: a home of cameo's and a folder to work in."""

    home: Path
    folder: Path
    cli: Cli
    patch: pytest.MonkeyPatch

    def __call__(self, *words: object) -> Outcome:
        """Run a verb there, in this process."""
        self.patch.setenv("CAMEO_HOME", str(self.home))
        self.patch.chdir(self.folder)
        return self.cli(*words)

    def done(self, *words: object) -> str:
        """Run a verb that must succeed and return what it printed."""
        outcome = self(*words)
        assert outcome.status == 0, outcome.err
        return outcome.out

    def told(self, *words: object) -> Any:
        """Run a verb that must succeed and return its JSON."""
        return json.loads(self.done(*words, "--json"))

    def gets(self, other: Machine, *names: str) -> None:
        """Receive files from another machine."""
        for name in names:
            shutil.copy(other.folder / name, self.folder / name)


@contextmanager
def serving(machine: Machine) -> Iterator[str]:
    """Publish what is revoked from a process of its own; yield its URL."""
    env = {**os.environ, "CAMEO_HOME": str(machine.home), "CAMEO_PASSPHRASE": PASSPHRASE}
    command = [sys.executable, "-m", "cameo", "status", "serve", "--key", "ada.key", "--port", "0"]
    with subprocess.Popen(
        command, cwd=machine.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), url
            yield url
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=20)
    assert server.returncode == 0


@pytest.fixture
def ada(lendable: Lendable, home: Path, key_files: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Ada's machine, on which she was enrolled, and the public keys of the others."""
    for name in ("ada.key", "ada.pub", "bob.pub", "studio.pub", "tool.pub", "eve.pub"):
        shutil.copy(key_files / name, lendable.folder)
    return Machine(home, lendable.folder, cli, monkeypatch)


@pytest.fixture
def studio(tmp_path: Path, key_files: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The host's machine, where Bob, his tool and Eve come with their keys."""
    folder = tmp_path / "studio"
    folder.mkdir()
    for name in ("studio.key", "studio.pub", "bob.key", "tool.key", "tool.pub", "eve.key", "ada.pub"):
        shutil.copy(key_files / name, folder)
    return Machine(tmp_path / "studio-home", folder, cli, monkeypatch)


def cast(
    grant: str, *more: object, by: str = "bob.key", host: str = "studio.key", purpose: str = "birthday"
) -> list[object]:
    """Write the words that cast a short clip with a grant."""
    words = ["cast", "ada.cameo", "--grant", grant, "--as", by, "--host", host, "--purpose", purpose]
    return [*words, "--prompt", "a cake with candles", "--out", "clip.mp4", "--frames", 8, *more]


@pytest.mark.slow
def test_lend_it_narrow_it_take_it_back(ada: Machine, studio: Machine, lendable: Lendable) -> None:
    def lend(out: str, *more: object) -> str:
        words = ["--key", "ada.key", "--to", "bob.pub", "--host", "studio.pub", "--purpose", "birthday"]
        made = ada.told("grant", "ada.cameo", *words, "--status-at", url, *more, "-o", out)
        studio.gets(ada, out)
        return str(made["id"])

    def refused(words: list[object], said: str) -> None:
        (studio.folder / "clip.mp4").unlink(missing_ok=True)
        outcome = studio(*words)
        assert (outcome.status, outcome.out) == (4, ""), outcome
        error, hint = outcome.err.splitlines()[-2:]
        assert error.startswith("error: ") and said in error, error
        assert hint.startswith("hint: ")
        assert not (studio.folder / "clip.mp4").exists()

    with serving(ada) as url:
        # Lent: four uses, and Bob may pass it on.
        studio.gets(ada, "ada.cameo")
        lend("bob.grant", "--max-uses", 4, "--delegable")
        lend("short.grant", "--expires", "1s")
        ends = time.monotonic() + 1.1

        # Used, from a process that knows nothing but its files.
        env = {"CAMEO_HOME": str(studio.home), "CAMEO_PASSPHRASE": PASSPHRASE}
        studio.patch.chdir(studio.folder)
        first = run_process(*cast("bob.grant"), **env)
        assert first.returncode == 0, first.stderr
        assert "a generated clip, not a recording" in first.stdout
        assert (studio.folder / "clip.mp4").stat().st_size > 1000

        # Refused, each for its own reason.
        refused(cast("bob.grant", purpose="comedy"), "the grant is for birthday, not for 'comedy'")
        refused(cast("bob.grant", by="eve.key"), "not by the key that asks")
        refused(cast("bob.grant", host="eve.key"), "the grant is for the host")
        refused(cast("bob.grant", "--prompt", "go vote at the polling station"), "political/campaign")
        time.sleep(max(0.0, ends - time.monotonic()))
        refused(cast("short.grant"), "the grant ended on")

        # Narrowed for a tool: one use, of a second at most.
        narrow = ["--key", "bob.key", "--to", "tool.pub", "--max-uses", 1, "--max-seconds", 1, "-o", "tool.grant"]
        studio.done("delegate", "bob.grant", *narrow)
        refused(cast("tool.grant"), "not by the key that asks")
        refused(cast("tool.grant", "--frames", 50, by="tool.key"), "up to 1 s, not 2 s")
        studio.done(*cast("tool.grant", by="tool.key"))
        refused(cast("tool.grant", by="tool.key"), "the one use of this delegation is spent")

        # The tool's use was the second of four; the fifth is refused.
        for _ in range(2):
            studio.done(*cast("bob.grant"))
        refused(cast("bob.grant"), "all 4 uses of this grant are spent")

        # Taken back: refused within one refresh.
        revoked = lend("more.grant")
        kept = lend("kept.grant")
        studio.done(*cast("more.grant"))
        began = time.monotonic()
        ada.done("revoke", "more.grant", "--key", "ada.key", "--reason", "a quarrel")
        refused(cast("more.grant"), "this grant was revoked")
        assert time.monotonic() - began < REFRESH_S
        studio.done(*cast("kept.grant"))

        # On record: every use and every refusal, at the studio and, exported, at Ada's.
        shown = studio.done("audit", "--cameo", "ada.cameo", "--host", "studio.pub", "--export", "receipts.jsonl")
        ada.gets(studio, "receipts.jsonl")
        told = ada.told("audit", "receipts.jsonl", "--host", "studio.pub", "--cameo", lendable.bundle_id)
        (host,) = told["hosts"]
        assert host["from_first"] and told["verified"]
        use = [("allow", ""), ("released", "")]
        assert [(receipt["decision"], receipt["code"]) for receipt in host["receipts"]] == [
            *use,
            ("deny", "wrong_purpose"),
            ("deny", "wrong_holder"),
            ("deny", "prompt_refused"),
            ("deny", "expired"),
            ("deny", "wrong_holder"),
            ("deny", "too_long"),
            *use,
            ("deny", "uses_exhausted"),
            *use,
            *use,
            ("deny", "uses_exhausted"),
            *use,
            ("deny", "revoked"),
            *use,
        ]
        lines = shown.splitlines()
        assert len(lines) == 2 + len(host["receipts"]) + 1, "a line each, head, host and where it was exported"
        for code in ("wrong_purpose", "wrong_holder", "expired", "too_long", "uses_exhausted", "revoked"):
            assert any(code in line for line in lines)
        # The wrong host has it in its own chain.
        (wrong,) = [found for found in studio.told("audit")["hosts"] if found["host"] != host["host"]]
        assert [receipt["code"] for receipt in wrong["receipts"]] == ["wrong_host"]

        # Erased: nothing opens any more, here or there, not even copies that somebody kept.
        copy = (ada.folder / "ada.cameo").read_bytes()
        deletion = ada.told("erase", "ada.cameo", "--yes")["deletion"]
        assert {revoked, kept} <= set(deletion["revoked"])
        assert not list(ada.folder.glob("*.cameo")) and not list(ada.folder.glob("*.grant"))
        for grant in ("bob.grant", "kept.grant", "more.grant"):
            refused(cast(grant), "revoked")
        refused(cast("tool.grant", by="tool.key"), "revoked")
        owners = ["cast", "ada.cameo", "--key", "ada.key", "--frames", 8, "--out", "clip.mp4"]
        assert ada(*owners).status == 2, "there is no such file"
        (ada.folder / "ada.cameo").write_bytes(copy)
        outcome = ada(*owners)
        assert outcome.status == 4 and "was erased" in outcome.err
        assert not list(ada.folder.glob("*.mp4"))
        assert "a deletion receipt" in ada.done("inspect", "ada.erased.json", "--owner", "ada.pub")

    # And when Ada's machine is silent: what is known stays known.
    refused(cast("kept.grant"), "revoked")
