"""`cameo consent`, `rekey` and `erase`: what they say, and what is asked before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cameo.custody import read_deletion
from cameo.seal.bundle import Bundle
from tests.lendable import Lendable, a_use

from .conftest import Cli, Outcome
from .test_lend import fails


def says(done: Outcome) -> list[str]:
    assert done.status == 0, done.err
    return done.out.splitlines()


# cameo consent


def test_other_terms(cli: Cli, desk: Lendable) -> None:
    made = desk.grant()
    Path("terms.toml").write_text('[[purposes]]\nid = "comedy"')
    done = cli("consent", "ada.cameo", "--key", "ada.key", "--consent", "terms.toml", "--yes")
    assert says(done) == [
        "ada.cameo: consent narrowed",
        f"  revoked  grant {made.id}: issue it again, if it shall go on",
        "  hosts    need the file as it is now, with new grants",
    ]
    assert "for comedy" in done.err and "for birthday" not in done.err, "the terms are shown first"
    assert "may be used in: comedy;" in cli("inspect", "ada.cameo", "--owner", "ada.pub").out
    Path("terms.toml").write_text('[[purposes]]\nid = "sports"')
    told = json.loads(cli("consent", "ada.cameo", "--key", "ada.key", "--consent", "terms.toml", "--yes", "--json").out)
    assert set(told) == {"file", "bundle_id", "kind", "sha256", "revoked"}
    assert (told["kind"], told["revoked"], told["bundle_id"]) == ("renewed", [], desk.bundle_id)
    assert told["sha256"] == Bundle.open("ada.cameo").sha256


def test_other_terms_that_nobody_agreed_to(cli: Cli, desk: Lendable) -> None:
    desk.grant()
    raw = Path("ada.cameo").read_bytes()
    Path("terms.toml").write_text('[[purposes]]\nid = "comedy"')
    words = ["consent", "ada.cameo", "--key", "ada.key"]
    fails(cli(*words, "--consent", "terms.toml"), 2, "--yes")
    fails(cli(*words, "--consent", "none.toml", "--yes"), 2, "none.toml")
    Path("bad.toml").write_text("id = 1")
    fails(cli(*words, "--consent", "bad.toml", "--yes"), 2)
    fails(cli("consent", "ada.cameo", "--key", "eve.key", "--consent", "terms.toml", "--yes"), 3)
    assert Path("ada.cameo").read_bytes() == raw
    assert desk.open()


# cameo rekey


def test_another_key(cli: Cli, desk: Lendable) -> None:
    made = desk.grant()
    lines = says(cli("rekey", "ada.cameo", "--key", "ada.key", "--new", "bob.key"))
    assert lines == [
        "ada.cameo: handed over",
        f"  from       {desk.people.ada.public.fingerprint}",
        f"  to         {desk.people.bob.public.fingerprint}",
        f"  revoked    grant {made.id}: issue it again with the new key",
        "  tell them  bob.pub is what others verify with from now on",
    ]
    assert cli("verify", "ada.cameo", "--owner", "bob.pub").status == 0
    refused = cli("verify", "ada.cameo", "--owner", "ada.pub")
    assert refused.status == 3 and "handed over" in refused.err
    told = json.loads(cli("rekey", "ada.cameo", "--key", "bob.key", "--new", "tool.key", "--json").out)
    assert set(told) == {"file", "bundle_id", "old", "new", "sha256", "revoked"}
    assert told["revoked"] == []


def test_keys_that_do_not_do(cli: Cli, desk: Lendable) -> None:
    for words, exit_status, said in (
        (["--key", "ada.key"], 2, "--new"),
        (["--key", "ada.key", "--new", "none.key"], 2, "cameo keygen --out none.key"),
        (["--key", "ada.key", "--new", "ada.key"], 2, "the new key is the old one"),
        (["--key", "eve.key", "--new", "bob.key"], 3, "not signed"),
    ):
        fails(cli("rekey", "ada.cameo", *words), exit_status, said)
    assert cli("verify", "ada.cameo", "--owner", "ada.pub").status == 0


# cameo erase


def test_erased(cli: Cli, desk: Lendable) -> None:
    made = desk.grant()
    done = cli("erase", "ada.cameo", "--yes")
    assert says(done) == [
        f"erased: double {desk.bundle_id}",
        f"  destroyed    double  {desk.double}",
        f"               grant   {desk.folder / 'bob.grant'}",
        f"  revoked      grant {made.id}",
        "  receipt      ada.erased.json  signed; keep it",
        "  not reached  copies on other machines and in backups; there, your key still opens them",
    ]
    assert done.err == "ada.cameo will be destroyed, and every grant of it revoked. This cannot be undone.\n"
    assert not Path("ada.cameo").exists() and not Path("bob.grant").exists()
    deletion = read_deletion(Path("ada.erased.json").read_bytes(), desk.people.ada.public)
    assert deletion.bundle_id == desk.bundle_id


def test_erased_as_json(cli: Cli, desk: Lendable) -> None:
    told = json.loads(cli("erase", "ada.cameo", "--key", "ada.key", "-o", "gone.json", "--yes", "--json").out)
    assert told["receipt"] == "gone.json"
    assert told["deletion"]["bundle_id"] == desk.bundle_id
    assert [item["kind"] for item in told["deletion"]["files"]] == ["double"]
    assert Path("gone.json").exists()


@pytest.mark.parametrize(
    ("words", "exit_status", "said"),
    [
        ([], 2, "there is no terminal to ask"),
        (["--yes", "--key", "eve.key"], 3, "not signed"),
        (["--yes", "--key", "none.key"], 2, "none.key"),
        (["--yes", "-o", "ada.key"], 1, "ada.key exists already"),
        (["--yes", "-o", "missing/r.json"], 1, "cannot write"),
    ],
)
def test_nothing_is_erased(cli: Cli, desk: Lendable, words: list[str], exit_status: int, said: str) -> None:
    desk.grant()
    fails(cli("erase", "ada.cameo", *words), exit_status, said)
    assert desk.open(use=a_use())
    assert not list(Path().glob("*.json"))


def test_whose_it_is_must_be_known(cli: Cli, desk: Lendable) -> None:
    Path("ada.cameo").rename("other.cameo")
    fails(cli("erase", "other.cameo", "--yes"), 2, "there is no other.key beside it")
    fails(cli("erase", "none.cameo", "--key", "ada.key", "--yes"), 2, "no double of yours")
    assert Path("other.cameo").exists()
