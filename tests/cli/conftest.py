"""Run verbs as a user does, and have a double at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from cameo.cli import main
from cameo.crypto.keys import Keys
from tests.lendable import Lendable, People
from tests.seal.conftest import ENCODER, agreement, some_parts

PASSPHRASE = "a passphrase for tests"  # noqa: S105


@dataclass(frozen=True)
class Outcome:
    """What a verb left behind: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run `cameo` in this process; the passphrase is set unless a test removes it."""
    monkeypatch.setenv("CAMEO_PASSPHRASE", PASSPHRASE)

    def run(*words: object) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        return Outcome(status, said.out, said.err)

    return run


def run_process(*words: object, code: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `cameo`, or some code, in a process of its own."""
    command = [sys.executable, *(("-c", code) if code else ("-m", "cameo")), *map(str, words)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAMEO_") and name != "NO_COLOR"}
    return subprocess.run(command, capture_output=True, text=True, env={**kept, **env}, timeout=60, check=False)


@dataclass(frozen=True)
class Folder:
    """A folder with a double, its owner's keys, and a stranger's public key."""

    path: Path
    keys: Keys
    double: Path
    pub: Path
    stranger: Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    from cameo.seal.bundle import seal_bundle

    path = tmp_path_factory.mktemp("cli")
    keys = Keys.generate()
    (path / "ada.pub").write_bytes(keys.public.to_bytes())
    (path / "eve.pub").write_bytes(Keys.generate().public.to_bytes())
    seal_bundle(path / "ada.cameo", keys, agreement(), some_parts(), [ENCODER], {"note": "made\x1b[31m by a test"})
    return Folder(path, keys, path / "ada.cameo", path / "ada.pub", path / "eve.pub")


@pytest.fixture(scope="session")
def key_files(people: People, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the `.key` and `.pub` files of everybody: ada, bob, tool, studio, eve."""
    path = tmp_path_factory.mktemp("keys")
    for who in fields(people):
        getattr(people, who.name).save(path / f"{who.name}.key", PASSPHRASE)
    return path


@pytest.fixture
def desk(lending: Lendable, key_files: Path, monkeypatch: pytest.MonkeyPatch) -> Lendable:
    """The folder with a small double and all keys, as the current one: words are file names then."""
    for file in key_files.iterdir():
        shutil.copy(file, lending.folder)
    monkeypatch.chdir(lending.folder)
    return lending
