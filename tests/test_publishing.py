"""Telling the hosts: everything the owner publishes is signed and current; groups are kept; a host takes news in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cameo.errors import CameoError, NotPermitted, NotVerified, OutputError, UsageError
from cameo.grants import status
from cameo.grants.group import Group, read_group
from cameo.grants.ledger import Ledger
from cameo.grants.publish import publish_files
from cameo.publishing import keep_group, load_group, published, registry_seq, take_status
from cameo.recalling import revoke, withdraw
from cameo.registry.store import Registry
from tests.lendable import Lendable, People


@pytest.fixture
def ledger(home: Path, people: People) -> Iterator[Ledger]:
    with closing(Ledger(people.studio)) as opened:
        yield opened


def members(group: Group) -> set[str]:
    return {member.fingerprint for member in group.members}


def prints(*keys: object) -> set[str]:
    return {key.public.fingerprint for key in keys}  # type: ignore[attr-defined]


def test_an_owner_who_lent_nothing_publishes_an_empty_list(home: Path, people: People) -> None:
    made = published(people.ada)
    listed = status.read_status(made.status_token, people.ada.public)
    assert (listed.revoked, made.groups, made.statements) == (0, {}, ())
    assert listed.uri == status.status_uri(people.ada.public.fingerprint)
    assert abs(listed.iat - time.time()) < 5


def test_what_is_published_is_what_holds(lending: Lendable, tmp_path: Path) -> None:
    ada = lending.people.ada
    group = keep_group(tmp_path / "friends.group", keys=ada, add=[lending.people.bob.public])
    made = [lending.grant(out=f"{number}.grant") for number in range(2)]
    before = registry_seq(ada.public.fingerprint)
    done = revoke(made[0].id, keys=ada)
    assert registry_seq(ada.public.fingerprint) > before
    news = published(ada)
    listed = status.read_status(news.status_token, ada.public)
    assert (listed.seq, listed.revoked) == (done.seq, 1)
    assert set(news.groups) == {group.sub}
    assert read_group(news.groups[group.sub], ada.public) == load_group(tmp_path / "friends.group", ada.public)
    assert news.statements == done.statements
    assert published(lending.people.eve).statements == (), "everybody publishes their own"


def test_the_number_rises_with_every_edit_of_a_group(home: Path, people: People, tmp_path: Path) -> None:
    owner = people.ada.public.fingerprint
    seen = [registry_seq(owner)]
    for who in (people.bob, people.tool):
        keep_group(tmp_path / "friends.group", keys=people.ada, add=[who.public])
        seen.append(registry_seq(owner))
    assert seen == sorted(set(seen))


# Groups


def test_a_group_is_made_and_edited(home: Path, people: People, tmp_path: Path) -> None:
    path = tmp_path / "friends.group"
    made = keep_group(path, keys=people.ada, add=[people.bob.public])
    assert (made.name, made.seq, members(made)) == ("friends", 1, prints(people.bob))
    edited = keep_group(
        path, keys=people.ada, add=[people.tool.public, people.eve.public], remove=[people.bob.public.fingerprint]
    )
    assert (edited.sub, edited.name, edited.seq) == (made.sub, "friends", 2)
    assert members(edited) == prints(people.tool, people.eve)
    kept = load_group(path, people.ada.public)
    assert (kept.seq, members(kept)) == (2, members(edited))


def test_looking_at_a_group_changes_nothing(home: Path, people: People, tmp_path: Path) -> None:
    path = tmp_path / "friends.group"
    keep_group(path, keys=people.ada, add=[people.bob.public])
    raw = path.read_bytes()
    assert keep_group(path, keys=people.ada).seq == 1
    assert path.read_bytes() == raw


def test_a_name_of_ones_own(home: Path, people: People, tmp_path: Path) -> None:
    path = tmp_path / "a.group"
    assert keep_group(path, keys=people.ada, name="best friends").name == "best friends"
    with pytest.raises(UsageError, match="has a name already"):
        keep_group(path, keys=people.ada, name="others")
    with pytest.raises(UsageError):
        keep_group(tmp_path / "b.group", keys=people.ada, name="x" * 65)
    assert not (tmp_path / "b.group").exists()


def test_wrong_edits(home: Path, people: People, tmp_path: Path) -> None:
    path = tmp_path / "friends.group"
    with pytest.raises(UsageError, match="no group in"):
        keep_group(path, keys=people.ada, remove=[people.bob.public.fingerprint])
    assert not path.exists()
    keep_group(path, keys=people.ada, add=[people.bob.public])
    raw = path.read_bytes()
    with pytest.raises(UsageError, match="is in the group already"):
        keep_group(path, keys=people.ada, add=[people.bob.public])
    with pytest.raises(UsageError, match="is not in the group"):
        keep_group(path, keys=people.ada, remove=[people.eve.public.fingerprint])
    with pytest.raises(NotVerified) as caught:
        keep_group(path, keys=people.eve, add=[people.eve.public])
    assert caught.value.code == "wrong_list"
    assert path.read_bytes() == raw
    assert registry_seq(people.ada.public.fingerprint) == registry_seq(people.eve.public.fingerprint) + 1


def test_files_that_are_no_group(home: Path, people: People, tmp_path: Path) -> None:
    path = tmp_path / "x.group"
    path.write_bytes(b"precious")
    with pytest.raises(NotVerified):
        keep_group(path, keys=people.ada, add=[people.bob.public])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not a group"):
        load_group(path, people.ada.public)
    assert path.read_bytes() == b"\xff\xfe"
    with pytest.raises(UsageError, match="cannot read"):
        load_group(tmp_path / "none.group", people.ada.public)
    with pytest.raises(OutputError):
        keep_group(tmp_path / "missing" / "x.group", keys=people.ada)


def test_killed_between_the_registry_and_the_file(
    home: Path, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts know the newer list already, so the next edit starts from that one."""
    path = tmp_path / "friends.group"
    keep_group(path, keys=people.ada, add=[people.bob.public, people.eve.public])

    def killed(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.publishing.atomic_write", killed)
        keep_group(path, keys=people.ada, remove=[people.eve.public.fingerprint])
    assert load_group(path, people.ada.public).seq == 1
    made = keep_group(path, keys=people.ada, add=[people.tool.public])
    assert (made.seq, members(made)) == (3, prints(people.bob, people.tool)), "who was removed stays so"


def test_an_old_file_does_not_bring_anybody_back(home: Path, people: People, tmp_path: Path) -> None:
    path = tmp_path / "friends.group"
    keep_group(path, keys=people.ada, add=[people.bob.public])
    old = path.read_bytes()
    keep_group(path, keys=people.ada, remove=[people.bob.public.fingerprint])
    path.write_bytes(old)
    assert members(keep_group(path, keys=people.ada, add=[people.tool.public])) == prints(people.tool)


def test_a_group_from_another_machine_is_taken_over(
    home: Path, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "friends.group"
    keep_group(path, keys=people.ada, add=[people.bob.public])
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "laptop"))
    made = keep_group(path, keys=people.ada, add=[people.tool.public])
    assert (made.seq, members(made)) == (2, prints(people.bob, people.tool))
    with closing(Registry()) as registry:
        assert registry.group(made.sub).seq == 2


# A host takes news in


def test_a_list_is_taken_in(lending: Lendable, ledger: Ledger, tmp_path: Path) -> None:
    ada = lending.people.ada
    made = lending.grant()
    revoke(made.id, keys=ada)
    news = published(ada)
    publish_files(tmp_path / "status.jwt", news.status_token, news.groups, news.statements)
    taken = take_status(str(tmp_path / "status.jwt"), ada.public, ledger)
    assert isinstance(taken, status.StatusSnapshot)
    assert taken.revoked == 1
    age = ledger.age(taken.uri, time.time())
    assert age is not None and age < 60
    with pytest.raises(NotVerified) as caught:
        take_status(str(tmp_path / "status.jwt"), lending.people.eve.public, ledger)
    assert caught.value.code == "wrong_list"
    with pytest.raises(CameoError) as unreachable:
        take_status(str(tmp_path / "none.jwt"), ada.public, ledger)
    assert unreachable.value.code == "status_unreachable"


def test_one_statement_is_enough(lending: Lendable, ledger: Ledger, tmp_path: Path) -> None:
    """The host has a list from before; the statement that came by mail counts at once, and for ever."""
    ada = lending.people.ada
    made = lending.grant()
    lending.grant(out="other.grant")
    site, letter = tmp_path / "status.jwt", tmp_path / "letter.jwt"
    news = published(ada)
    publish_files(site, news.status_token, news.groups, news.statements)
    assert lending.open(status=str(site))
    letter.write_text(revoke(made.id, keys=ada).statements[0] + "\n")
    taken = take_status(str(letter), ada.public, ledger)
    assert isinstance(taken, status.Revocation)
    assert taken.grant == made.id
    with pytest.raises(NotPermitted) as caught:
        lending.open(status=str(site))
    assert caught.value.code == "revoked"
    assert lending.open("other.grant", status=str(site))
    letter.write_text(withdraw(lending.double, keys=ada).statements[0])
    assert take_status(str(letter), ada.public, ledger).grant == ""  # type: ignore[union-attr]


def test_a_withdrawal_reaches_a_host_with_an_old_file(
    lending: Lendable, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, letter = tmp_path / "status.jwt", tmp_path / "letter.jwt"
    lending.grant()
    news = published(people.ada)
    publish_files(site, news.status_token, news.groups, news.statements)
    copy = lending.double.read_bytes()
    letter.write_text(withdraw(lending.double, keys=people.ada).statements[0])
    lending.double.write_bytes(copy)
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "host"))
    assert lending.open(status=str(site))
    with closing(Ledger(people.studio)) as ledger:
        take_status(str(letter), people.ada.public, ledger)
    with pytest.raises(NotPermitted) as caught:
        lending.open(status=str(site))
    assert caught.value.code == "withdrawn"


def test_a_group_is_no_status_list(home: Path, people: People, ledger: Ledger, tmp_path: Path) -> None:
    keep_group(tmp_path / "friends.group", keys=people.ada)
    with pytest.raises(NotVerified) as caught:
        take_status(str(tmp_path / "friends.group"), people.ada.public, ledger)
    assert caught.value.code == "bad_header"
