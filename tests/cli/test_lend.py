"""`cameo grant`, `delegate`, `revoke`: what they take, say and leave behind."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from cameo.crypto.keys import PublicKeys
from cameo.grants import status
from cameo.grants.grant import read_tokens, verify_chain
from cameo.seal.bundle import Bundle
from tests.lendable import Lendable, seal_lendable
from tests.seal.conftest import ENCODER, some_parts

from .conftest import Cli, Outcome

TO_BOB = ["--key", "ada.key", "--to", "bob.pub", "--host", "studio.pub"]
LENT = [*TO_BOB, "--purpose", "birthday"]


def fails(done: Outcome, exit_status: int, *said: str) -> None:
    """Expect nothing on stdout, and two lines that help on stderr."""
    assert (done.status, done.out) == (exit_status, ""), done.err
    error, hint = done.err.splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ")
    assert len(error) < 200 and len(hint) < 200
    for words in said:
        assert words in done.err


def plain(done: Outcome) -> list[str]:
    """Expect lines that a person can read."""
    assert (done.status, done.err) == (0, ""), done.err
    lines = done.out.splitlines()
    assert all(len(line) < 120 for line in lines), max(lines, key=len)
    for marks in ("(", "=", "None", "True", "False", "{", "'"):
        assert marks not in done.out, marks
    return lines


def lend(cli: Cli, *more: object, out: str = "bob.grant") -> Outcome:
    return cli("grant", "ada.cameo", *LENT, *more, "--out", out)


# cameo grant


def test_a_grant(cli: Cli, desk: Lendable) -> None:
    lines = plain(lend(cli, "--max-uses", 4, "--expires", "30d", "--delegable"))
    claims = verify_chain(read_tokens("bob.grant"), desk.people.ada.public).grant
    assert lines == [
        "bob.grant: lent, give it to them together with ada.cameo",
        f"  id         {claims.jti}",
        "  allows     for: birthday",
        "             what: face, voice as video, with reference",
        "             not commercially",
        "             at most: 4 uses",
        f"  held by    {desk.people.bob.public.fingerprint}",
        f"  opens at   host {desk.people.studio.public.fingerprint}",
        lines[8],
        "  passed on  once, narrowed",
    ]
    until = datetime.datetime.fromtimestamp(claims.exp, datetime.UTC)
    assert lines[8] == f"  until      {until.day} {until:%B %Y, %H:%M} UTC"
    assert abs((until - datetime.datetime.now(datetime.UTC)).days - 30) <= 1


def test_a_grant_as_json(cli: Cli, desk: Lendable) -> None:
    done = lend(
        cli, "--json", "--modality", "face", "--output", "video", "--generator", "reference",
        "--max-seconds", 2.5, "--max-pixels", 1000,
    )  # fmt: skip
    told = json.loads(done.out)
    assert set(told) == {"file", "id", "bundle_id", "holder", "host", "scope", "expires", "delegable"}
    assert (told["file"], told["bundle_id"], told["delegable"]) == ("bob.grant", desk.bundle_id, False)
    assert told["holder"] == desk.people.bob.public.fingerprint
    assert told["host"] == desk.people.studio.public.fingerprint
    scope = told["scope"]
    assert (scope["modalities"], scope["outputs"], scope["generators"]) == (["face"], ["video"], ["reference"])
    assert (scope["max_uses"], scope["max_seconds"], scope["max_pixels"]) == (None, 2.5, 1000)
    assert datetime.datetime.fromisoformat(told["expires"]).tzinfo is not None


def test_to_a_group_and_to_everyone(cli: Cli, desk: Lendable) -> None:
    toml = '[[purposes]]\nid = "birthday"\naudience = "everyone"\ndelegable = true'
    seal_lendable(desk.folder, desk.people, some_parts(), ENCODER, toml)
    group = json.loads(cli("group", "friends.group", "--key", "ada.key", "--add", "bob.pub", "--json").out)
    common = ["grant", "ada.cameo", "--key", "ada.key", "--host", "studio.pub", "--purpose", "birthday"]
    lines = plain(cli(*common, "--to-group", "friends.group", "-o", "friends.grant"))
    assert f"  held by    the group {group['id']}" in lines
    lines = plain(cli(*common, "--to-everyone", "-o", "all.grant"))
    assert "  held by    everyone" in lines
    fails(cli(*common, "--to-everyone", "--delegable", "-o", "x.grant"), 2, "cannot be passed on")
    fails(cli(*common, "--to-group", "bob.pub", "-o", "x.grant"), 3)
    assert sorted(path.name for path in Path().glob("*.grant")) == ["all.grant", "friends.grant"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--key", "ada.key", "--to", "bob.pub", "--purpose", "birthday"], "--host"),
        (TO_BOB, "--purpose"),
        (["--key", "ada.key", "--host", "studio.pub", "--purpose", "birthday"], "--to"),
        ([*LENT, "--to-everyone"], "not allowed with"),
        ([*LENT, "--max-uses", "0"], "--max-uses 0 allows nothing"),
        ([*LENT, "--max-uses", "-1"], "--max-uses -1 allows nothing"),
        ([*LENT, "--max-uses", "many"], "invalid int value"),
        ([*LENT, "--max-seconds", "0"], "--max-seconds 0 allows nothing"),
        ([*LENT, "--max-pixels", "0"], "--max-pixels 0 allows nothing"),
        ([*LENT, "--max-seconds", "nan"], ""),
        ([*LENT, "--max-seconds", "inf"], ""),
        ([*LENT, "--expires", "soon"], "is no length of time"),
        ([*LENT, "--expires", "2001-01-01"], "is past"),
        ([*LENT, "--modality", "captures"], "invalid choice"),
        ([*LENT, "--output", "smell"], "invalid choice"),
        ([*LENT, "--generator", "Not A Name"], "cannot be granted"),
        ([*LENT, "--status-at", "https://ada.example/" + "a" * 600], "longer than 512"),
        ([*LENT, "--uses", "4"], "unrecognized"),
    ],
)
def test_wrong_calls_of_grant(cli: Cli, desk: Lendable, words: list[str], said: str) -> None:
    fails(cli("grant", "ada.cameo", *words, "-o", "bob.grant"), 2, said)
    assert not list(Path().glob("*.grant"))
    fails(cli("grant", "ada.cameo", *LENT), 2, "--out")


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        ([*TO_BOB, "--purpose", "sports"], 4, "it knows: birthday, comedy"),
        ([*LENT, "--purpose", "comedy", "--delegable"], 4, "does not let comedy be passed on"),
        ([*LENT, "--commercial"], 4, "commercial use"),
        ([*LENT, "--expires", "700d"], 4, "ends on"),
        (["--key", "ada.key", "--to-everyone", "--host", "studio.pub", "--purpose", "birthday"], 4, "not for everyone"),
        (["--key", "eve.key", "--to", "bob.pub", "--host", "studio.pub", "--purpose", "birthday"], 3, "not signed"),
        (["--key", "ada.key", "--to", "none.pub", "--host", "studio.pub", "--purpose", "birthday"], 2, "none.pub"),
        (["--key", "none.key", "--to", "bob.pub", "--host", "studio.pub", "--purpose", "birthday"], 2, "none.key"),
    ],
)
def test_grants_that_are_not_made(cli: Cli, desk: Lendable, words: list[str], exit_status: int, said: str) -> None:
    fails(cli("grant", "ada.cameo", *words, "-o", "bob.grant"), exit_status, said)
    assert not list(Path().glob("*.grant"))


def test_a_grant_replaces_nothing(cli: Cli, desk: Lendable) -> None:
    fails(lend(cli, out="ada.key"), 1, "ada.key exists already")
    assert PublicKeys.load(Path("ada.pub")) == desk.people.ada.public


# cameo delegate


def test_a_delegation(cli: Cli, desk: Lendable) -> None:
    lend(cli, "--delegable", "--max-uses", 4)
    narrow = ["delegate", "bob.grant", "--key", "bob.key", "--to", "tool.pub"]
    lines = plain(cli(*narrow, "--max-uses", 1, "--expires", "1h", "--modality", "face", "-o", "tool.grant"))
    assert lines[0] == "tool.grant: narrowed, for the tool alone"
    assert "             at most: 1 use" in lines
    assert f"  held by    {desk.people.tool.public.fingerprint}" in lines
    assert lines[-1] == "  passed on  not"
    told = json.loads(cli(*narrow, "-o", "same.grant", "--json").out)
    assert told["scope"]["max_uses"] == 4


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (["--key", "bob.key", "--to", "tool.pub", "--max-uses", "5"], 4, "widens max_uses: 5, the grant has 4"),
        (["--key", "bob.key", "--to", "tool.pub", "--purpose", "comedy"], 4, "widens purposes: comedy"),
        (["--key", "bob.key", "--to", "tool.pub", "--expires", "60d"], 4, "lasts longer"),
        (["--key", "eve.key", "--to", "tool.pub"], 4, "does not hold the grant"),
        (["--key", "bob.key", "--to", "tool.pub", "--max-uses", "0"], 2, "allows nothing"),
        (["--key", "bob.key"], 2, "--to"),
        (["--to", "tool.pub"], 2, "--key"),
    ],
)
def test_delegations_that_are_not_made(cli: Cli, desk: Lendable, words: list[str], exit_status: int, said: str) -> None:
    lend(cli, "--delegable", "--max-uses", 4)
    fails(cli("delegate", "bob.grant", *words, "-o", "tool.grant"), exit_status, said)
    assert not Path("tool.grant").exists()


def test_what_may_not_be_passed_on(cli: Cli, desk: Lendable) -> None:
    lend(cli)
    words = ["--key", "bob.key", "--to", "tool.pub"]
    fails(cli("delegate", "bob.grant", *words, "-o", "tool.grant"), 4, "--delegable")
    fails(cli("delegate", "ada.cameo", *words, "-o", "tool.grant"), 3)
    fails(cli("delegate", "none.grant", *words, "-o", "tool.grant"), 2, "cannot read none.grant")


# cameo revoke


def test_revoked(cli: Cli, desk: Lendable) -> None:
    lend(cli)
    jti = verify_chain(read_tokens("bob.grant"), desk.people.ada.public).grant.jti
    lines = plain(cli("revoke", "bob.grant", "--key", "ada.key", "--reason", "a quarrel", "-o", "letter.jwt"))
    assert lines == [
        "revoked",
        f"  grants       {jti}  ended now",
        "  status list  seq 2; publish it, if hosts are elsewhere: cameo status publish",
        "  statement    letter.jwt",
    ]
    said = status.read_revocation(Path("letter.jwt").read_text().strip(), desk.people.ada.public)
    assert (said.grant, said.reason) == (jti, "a quarrel")
    assert plain(cli("revoke", "--id", jti, "--key", "ada.key"))[0] == "nothing changed: it was revoked before"


def test_revoked_as_json(cli: Cli, desk: Lendable) -> None:
    told: dict[str, Any] = json.loads(lend(cli, "--json").out)
    done = json.loads(cli("revoke", "--id", told["id"], "--key", "ada.key", "--json").out)
    assert done == {
        "bundle_id": desk.bundle_id, "revoked": [told["id"]], "withdrawn": False, "seq": 2, "statement": None,
    }  # fmt: skip
    again = json.loads(cli("revoke", "bob.grant", "--key", "ada.key", "--json").out)
    assert (again["revoked"], again["seq"]) == ([], 2)


def test_withdrawn(cli: Cli, desk: Lendable) -> None:
    lend(cli)
    lend(cli, out="other.grant")
    lines = plain(cli("revoke", "--all", "ada.cameo", "--key", "ada.key"))
    assert lines[0] == f"withdrawn: no grant of double {desk.bundle_id} holds any more"
    assert sum("ended now" in line for line in lines) == 2
    assert Bundle.open("ada.cameo").verify(desk.people.ada.public).consent.withdrawn
    fails(lend(cli, out="new.grant"), 4, "withdrawn")
    assert "withdrawn: may not be used any more" in cli("inspect", "ada.cameo").out


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        (["--key", "ada.key"], 2, "GRANT --id --all"),
        (["bob.grant"], 2, "--key"),
        (["bob.grant", "--id", "ab" * 16, "--key", "ada.key"], 2, "not allowed with"),
        (["--id", "xyz", "--key", "ada.key"], 2, "'xyz' is no grant's id"),
        (["--id", "ab" * 16, "--key", "ada.key"], 2, "issued on this machine"),
        (["none.grant", "--key", "ada.key"], 2, "cannot read none.grant"),
        (["bob.grant", "--key", "eve.key"], 4, "only the owner"),
        (["bob.grant", "--key", "bob.key"], 4, "only the owner"),
        (["--all", "ada.cameo", "--key", "eve.key"], 3, "not signed"),
        (["bob.grant", "--key", "ada.key", "-o", "ada.key"], 1, "ada.key exists already"),
    ],
)
def test_what_is_not_taken_back(cli: Cli, desk: Lendable, words: list[str], exit_status: int, said: str) -> None:
    lend(cli)
    fails(cli("revoke", *words), exit_status, said)
    assert desk.open()
