"""A PostgreSQL server for tests, started once and only where its programs are installed."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest


def fresh_database() -> str:
    """Make an empty database and return its address."""
    folder = _start()
    name = f"t{secrets.token_hex(6)}"
    with psycopg.connect(host=str(folder), user="cameo", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://cameo@/{name}?host={folder}"


@functools.cache
def _start() -> Path:
    programs = _programs()
    # Not below tmp_path: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="cameo-pg-"))
    runner: list[str] = []
    if os.geteuid() == 0:
        # The server refuses to run as root.
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        runner = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]

    def call(program: str, *words: str) -> None:
        command = [*runner, str(programs / program), *words]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            log = folder / "log"
            pytest.fail(f"{program}: {done.stderr}{log.read_text() if log.exists() else ''}")

    data = str(folder / "data")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    call("initdb", "--no-sync", "--auth=trust", "--username=cameo", "--encoding=UTF8", "--no-locale", "-D", data)
    # Killed clients are what is tested here, not a machine without power.
    settings = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=80"
    call("pg_ctl", "start", "--wait", "-D", data, "-o", settings, "-l", str(folder / "log"))
    atexit.register(call, "pg_ctl", "stop", "--wait", "-m", "immediate", "-D", data)
    return folder


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    here = shutil.which("initdb")
    if here:
        found.append(Path(here))
    if not found or (os.geteuid() == 0 and not shutil.which("setpriv")):
        pytest.skip("no PostgreSQL server is installed (initdb), or as root no setpriv to run it with")
    return found[-1].parent
