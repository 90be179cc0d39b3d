"""`cameo group`: make it, edit it, look at it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.lendable import Lendable

from .conftest import Cli
from .test_lend import fails, plain


def test_a_group(cli: Cli, desk: Lendable) -> None:
    people = desk.people
    lines = plain(cli("group", "friends.group", "--key", "ada.key", "--add", "bob.pub", "--add", "eve.pub"))
    assert lines[0] == "friends.group: the group friends"
    assert lines[2] == "  seq      1"
    both = sorted(keys.public.fingerprint for keys in (people.bob, people.eve))
    assert lines[3:] == [f"  members  {both[0]}", f"           {both[1]}"]
    lines = plain(cli("group", "friends.group", "--key", "ada.key", "--remove", "eve.pub", "--remove", "bob.pub"))
    assert lines[2:] == ["  seq      2", "  members  nobody"]


def test_a_group_as_json(cli: Cli, desk: Lendable) -> None:
    told = json.loads(cli("group", "a.group", "--key", "ada.key", "--name", "best friends", "--json").out)
    assert set(told) == {"file", "id", "name", "seq", "members"}
    assert (told["file"], told["name"], told["seq"], told["members"]) == ("a.group", "best friends", 1, [])
    looked = json.loads(cli("group", "a.group", "--key", "ada.key", "--json").out)
    assert looked == told


def test_wrong_calls(cli: Cli, desk: Lendable) -> None:
    cli("group", "friends.group", "--key", "ada.key", "--add", "bob.pub")
    raw = Path("friends.group").read_bytes()
    for words, exit_status, said in (
        (["friends.group"], 2, "--key"),
        (["friends.group", "--key", "ada.key", "--add", "bob.pub"], 2, "in the group already"),
        (["friends.group", "--key", "ada.key", "--remove", "eve.pub"], 2, "is not in the group"),
        (["friends.group", "--key", "ada.key", "--add", "none.pub"], 2, "none.pub"),
        (["friends.group", "--key", "ada.key", "--name", "others"], 2, "has a name already"),
        (["friends.group", "--key", "eve.key", "--add", "eve.pub"], 3, "another owner's"),
        (["new.group", "--key", "ada.key", "--remove", "bob.pub"], 2, "to remove anybody from"),
        (["ada.cameo", "--key", "ada.key", "--add", "bob.pub"], 2, "is not a group"),
        (["ada.pub", "--key", "ada.key", "--add", "bob.pub"], 3, ""),
    ):
        fails(cli("group", *words), exit_status, said)
    assert Path("friends.group").read_bytes() == raw
    assert not Path("new.group").exists()
    assert Path("ada.cameo").read_bytes()[:2] == b"PK"
