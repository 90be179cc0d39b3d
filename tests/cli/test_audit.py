"""`cameo audit`: a table for people, everything for programs, and nothing that was tampered with."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from cameo.cli.audit import audit_lines
from cameo.errors import NotPermitted
from cameo.unlocking import unlock
from tests.lendable import Lendable, a_use

from .conftest import Cli
from .test_lend import fails, plain


@pytest.fixture
def used(desk: Lendable) -> Lendable:
    """Used by the tool of a friend, refused for its words, refused to a stranger; used by the owner."""
    desk.grant(delegable=True)
    desk.delegate()
    tool = desk.people.tool
    desk.open("tool.grant", holder=tool)
    for use, holder in ((a_use(prompt="go vote at the polling station"), tool), (a_use(), desk.people.eve)):
        with suppress(NotPermitted):
            desk.open("tool.grant", use, holder=holder)
    with unlock(desk.double, a_use(seconds=12.34), keys=desk.people.ada):
        pass
    return desk


def test_a_table(cli: Cli, used: Lendable) -> None:
    done = cli("audit", "--cameo", "ada.cameo")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert all(len(line) < 120 for line in lines)
    people = used.people
    (granted, *_), passed_on = used.receipts(), used.receipts()[0].delegation
    by, grant = people.tool.public.fingerprint[:8], f"{granted.grant[:8]} > {passed_on[:8]}"
    host = f"host {people.studio.public.fingerprint[:16]}…: 4 receipts, chain and signatures hold, from the first"
    begin = lines.index(host)
    assert lines[begin + 1].split() == ["when", "(UTC)", "what", "purpose", "by", "grant", "length", "why"]
    shown = [line[23:].split("  ") for line in lines[begin + 2 : begin + 6]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in shown]
    assert cells == [
        ["allowed", "birthday", by, grant, "1.0 s"],
        ["released", "birthday", by, grant, "1.0 s"],
        ["refused", "birthday", by, grant, "1.0 s", "prompt_refused (political/campaign)"],
        ["refused", "birthday", "?", grant, "1.0 s", "wrong_holder"],
    ]
    assert f"host {people.ada.public.fingerprint[:16]}…: 2 receipts" in done.out
    owners = [line for line in lines if "  owner  " in line]
    assert len(owners) == 2 and all(line.endswith("12.3 s") for line in owners)


def test_as_json(cli: Cli, used: Lendable) -> None:
    told = json.loads(cli("audit", "--cameo", used.bundle_id, "--json").out)
    assert set(told) == {"verified", "bundle_id", "hosts", "exported"}
    assert (told["verified"], told["bundle_id"], told["exported"]) == (True, used.bundle_id, None)
    hosts = {host["host"]: host for host in told["hosts"]}
    studio = hosts[used.people.studio.public.fingerprint]
    assert studio["from_first"] is True
    assert [receipt["decision"] for receipt in studio["receipts"]] == ["allow", "released", "deny", "deny"]
    assert studio["receipts"][2]["rule"] == "political/campaign"


def test_exported_and_read_again(cli: Cli, used: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cli("audit", "--host", "studio.pub", "--export", "receipts.jsonl")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "exported to receipts.jsonl"
    monkeypatch.setenv("CAMEO_HOME", str(used.folder / "elsewhere"))
    again = cli("audit", "receipts.jsonl", "--host", "studio.pub")
    assert again.out.splitlines() == done.out.splitlines()[:-1]
    told = json.loads(cli("audit", "receipts.jsonl", "--host", "studio.pub", "--json").out)
    assert len(told["hosts"][0]["receipts"]) == 4
    Path("receipts.jsonl").write_bytes(Path("receipts.jsonl").read_bytes().replace(b'"sig":"', b'"sig":"A', 1))
    fails(cli("audit", "receipts.jsonl", "--host", "studio.pub"), 3)


def test_what_was_tampered_with_is_no_audit(cli: Cli, used: Lendable, home: Path) -> None:
    with closing(sqlite3.connect(home / "ledger.sqlite")) as database:
        database.execute("DELETE FROM receipts WHERE seq = 3")
        database.commit()
    for words in ([], ["--json"], ["--cameo", "ada.cameo"], ["--host", "studio.pub", "-o", "x.jsonl"]):
        fails(cli("audit", *words), 3)
    assert not Path("x.jsonl").exists()


def test_nothing_yet(cli: Cli, desk: Lendable) -> None:
    assert plain(cli("audit")) == ["nothing is on record"]
    assert json.loads(cli("audit", "--json").out)["hosts"] == []


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (["--cameo", "none.cameo"], 2, "neither a double's id nor its file"),
        (["--cameo", "ada.pub"], 3, ""),
        (["--host", "none.pub"], 2, "none.pub"),
        (["--export", "x.jsonl"], 2, "give --host studio.pub"),
        (["r.jsonl", "--host", "studio.pub", "--export", "x.jsonl"], 2, "one host of this machine"),
        (["ada.cameo"], 2, "whose receipts"),
        (["none.jsonl", "--host", "studio.pub"], 2, "cannot read none.jsonl"),
        (["ada.cameo", "--host", "studio.pub"], 3, ""),
        (["--host", "eve.pub", "--export", "x.jsonl"], 2, "nothing of this host"),
        (["--host", "studio.pub", "--export", "ada.key"], 1, "ada.key exists already"),
    ],
)
def test_wrong_calls(cli: Cli, used: Lendable, words: list[str], exit_status: int, said: str) -> None:
    fails(cli("audit", *words), exit_status, said)
    assert not Path("x.jsonl").exists()


def test_what_is_missing_at_the_beginning_is_said(used: Lendable) -> None:
    from cameo.auditing import Audit

    studio = used.people.studio.public.fingerprint
    (head, *_) = audit_lines(Audit(studio, False, tuple(used.receipts()[1:2])))
    assert head.endswith("1 receipt, chain and signatures hold, earlier ones are not here")
