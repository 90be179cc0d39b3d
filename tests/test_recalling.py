"""Taking back: one grant by its file or id, or everything at once; nothing half-done, and nothing by a stranger."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.grants import status
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.lending import lent_to
from cameo.publishing import published
from cameo.recalling import Revoked, revoke, withdraw
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle
from cameo.unlocking import unlock
from tests.lendable import Lendable, a_use


def place_of(lending: Lendable, name: str = "bob.grant") -> int:
    return unverified_chain(read_tokens(lending.folder / name)).grant.status.status_list.idx


def taken_back(lending: Lendable) -> list[str]:
    with closing(Registry()) as registry:
        return sorted(grant.path.name for grant in registry.lent(lending.bundle_id) if grant.revoked_at is not None)


def refused(lending: Lendable, grant: str, code: str, **changes: Any) -> None:
    with pytest.raises(NotPermitted) as caught:
        lending.open(grant, **changes)
    assert caught.value.code == code


def test_by_its_file_and_by_its_id(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = lending.people.ada
    one, two = lending.grant(out="one.grant"), lending.grant(out="two.grant")
    lending.grant(out="three.grant")
    first = revoke(lending.folder / "one.grant", keys=ada, reason="a quarrel")
    second = revoke(two.id, keys=ada)
    assert (first.grants, second.grants) == ((one.id,), (two.id,))
    assert (first.bundle_id, first.withdrawn) == (lending.bundle_id, False)
    assert second.seq > first.seq
    assert taken_back(lending) == ["one.grant", "two.grant"]
    assert lent_to(lending.bundle_id) == 1
    refused(lending, "one.grant", "revoked")
    refused(lending, "two.grant", "revoked")
    assert lending.open("three.grant")
    # A file whose name is that of a grant comes before the grant.
    monkeypatch.chdir(lending.folder)
    Path(two.id).write_bytes((lending.folder / "three.grant").read_bytes())
    assert revoke(two.id, keys=ada).grants == (lending.receipts()[-1].grant,)


def test_the_statement_says_what_was_taken_back(lending: Lendable) -> None:
    ada = lending.people.ada
    made = lending.grant()
    done = revoke(made.id, keys=ada, reason="a quarrel")
    (token,) = done.statements
    said = status.read_revocation(token, ada.public)
    assert (said.grant, said.bundle_id, said.index) == (made.id, lending.bundle_id, (place_of(lending),))
    assert (said.seq, said.reason) == (done.seq, "a quarrel")
    listed = status.read_status(published(ada).status_token, ada.public)
    assert (listed.seq, listed.revoked) == (done.seq, 1)
    assert published(ada).statements == (token,)


def test_twice_changes_nothing(lending: Lendable) -> None:
    ada = lending.people.ada
    lending.grant()
    first = revoke(lending.folder / "bob.grant", keys=ada)
    again = revoke(lending.folder / "bob.grant", keys=ada, reason="again")
    assert again == Revoked(first.bundle_id, (), first.seq, False, first.statements)


def test_what_was_passed_on_goes_with_it(lending: Lendable) -> None:
    made = lending.grant(delegable=True)
    lending.delegate()
    tool = lending.people.tool
    assert lending.open("tool.grant", holder=tool)
    # The tool's file names the grant it came from, so it will do.
    assert revoke(lending.folder / "tool.grant", keys=lending.people.ada).grants == (made.id,)
    refused(lending, "tool.grant", "revoked", holder=tool)
    refused(lending, "bob.grant", "revoked")


def test_only_the_owner_takes_back(lending: Lendable) -> None:
    people = lending.people
    made = lending.grant()
    for who in (people.bob, people.studio, people.eve):
        for what in (lending.folder / "bob.grant", made.id):
            with pytest.raises(NotPermitted) as caught:
                revoke(what, keys=who)
            assert caught.value.code == "wrong_key"
        with pytest.raises(NotVerified):
            withdraw(lending.double, keys=who)
    assert taken_back(lending) == []
    assert lending.open()


def test_a_grant_that_was_changed_is_not_believed(lending: Lendable) -> None:
    lending.grant()
    path = lending.folder / "bob.grant"
    head, payload, signature = path.read_text().strip().split(".")
    path.write_text(f"{head}.{payload}.{'A' * len(signature)}\n")
    with pytest.raises(NotVerified) as caught:
        revoke(path, keys=lending.people.ada)
    assert caught.value.code == "bad_signature"


def test_what_is_not_known_here(lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ada = lending.people.ada
    lending.grant()
    with pytest.raises(UsageError, match="cannot read"):
        revoke(lending.folder / "none.grant", keys=ada)
    with pytest.raises(UsageError, match="issued on this machine"):
        revoke("ab" * 16, keys=ada)
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match="issued on this machine"):
        revoke(lending.folder / "bob.grant", keys=ada)


def test_a_reason_that_is_too_long_changes_nothing(lending: Lendable) -> None:
    made = lending.grant()
    with pytest.raises(UsageError):
        revoke(made.id, keys=lending.people.ada, reason="x" * 300)
    assert taken_back(lending) == []
    assert lending.open()


# Withdrawing


def test_every_grant_ends_at_once(lending: Lendable) -> None:
    ada = lending.people.ada
    ids = {lending.grant(out=f"{number}.grant").id for number in range(3)}
    earlier = lending.grant(out="earlier.grant").id
    revoke(earlier, keys=ada)
    done = withdraw(lending.double, keys=ada, reason="moved on")
    assert (set(done.grants), done.withdrawn) == (ids, True)
    (token,) = done.statements
    said = status.read_revocation(token, ada.public)
    assert (said.grant, said.reason, len(said.index)) == ("", "moved on", 4)
    assert done.seq == said.seq == status.read_status(published(ada).status_token, ada.public).seq
    for name in ("0.grant", "earlier.grant"):
        with pytest.raises(NotPermitted) as caught:
            lending.open(name)
        assert caught.value.code == "withdrawn"
    with pytest.raises(NotPermitted) as caught, unlock(lending.double, a_use(), keys=ada):
        pytest.fail("it opened for its owner")
    assert caught.value.code == "withdrawn"


def test_the_file_says_so_and_a_copy_from_before_is_refused(lending: Lendable) -> None:
    ada = lending.people.ada
    lending.grant()
    copy = lending.double.read_bytes()
    withdraw(lending.double, keys=ada)
    verified = Bundle.open(lending.double).verify(ada.public)
    assert verified.consent.withdrawn
    assert [event.kind for event in verified.consent.events] == ["given", "withdrawn"]
    lending.double.write_bytes(copy)
    refused(lending, "bob.grant", "withdrawn")
    with pytest.raises(NotPermitted) as caught, unlock(lending.double, a_use(), keys=ada):
        pytest.fail("it opened for its owner")
    assert caught.value.code == "withdrawn"


def test_withdrawing_twice_changes_nothing(lending: Lendable) -> None:
    ada = lending.people.ada
    lending.grant()
    first = withdraw(lending.double, keys=ada)
    raw = lending.double.read_bytes()
    again = withdraw(lending.double, keys=ada)
    assert again == Revoked(first.bundle_id, (), first.seq, True, first.statements)
    assert lending.double.read_bytes() == raw


def test_killed_before_the_file_was_written(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grants have ended by then; the next run does the rest."""
    ada = lending.people.ada
    lending.grant()
    raw = lending.double.read_bytes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.recalling.withdraw_bundle", _killed)
        withdraw(lending.double, keys=ada)
    assert lending.double.read_bytes() == raw
    assert taken_back(lending) == ["bob.grant"]
    refused(lending, "bob.grant", "withdrawn")
    done = withdraw(lending.double, keys=ada)
    assert done.withdrawn and len(done.statements) == 1
    assert Bundle.open(lending.double).verify(ada.public).consent.withdrawn


def test_killed_while_the_grants_were_ended(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or none: here none."""
    ada = lending.people.ada
    for number in range(3):
        lending.grant(out=f"{number}.grant")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.grants.status.sign_revocation", _killed)
        withdraw(lending.double, keys=ada)
    assert taken_back(lending) == []
    assert not Bundle.open(lending.double).verify(ada.public).consent.withdrawn
    assert lending.open("0.grant")
    assert len(withdraw(lending.double, keys=ada).grants) == 3


def test_a_file_that_cannot_be_rewritten(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OutputError("cannot write: disk full")

    lending.grant()
    monkeypatch.setattr("cameo.recalling.withdraw_bundle", full)
    with pytest.raises(OutputError):
        withdraw(lending.double, keys=lending.people.ada)
    assert taken_back(lending) == ["bob.grant"], "what was lent has ended all the same"


def test_a_double_that_was_never_enrolled_here(
    lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "elsewhere"))
    copy = lending.double.read_bytes()
    done = withdraw(lending.double, keys=lending.people.ada)
    assert (done.grants, done.withdrawn) == ((), True)
    lending.double.write_bytes(copy)
    with pytest.raises(NotPermitted) as caught, unlock(lending.double, a_use(), keys=lending.people.ada):
        pytest.fail("it opened")
    assert caught.value.code == "withdrawn"


def test_the_file_keeps_its_permissions(lending: Lendable) -> None:
    lending.double.chmod(0o600)
    withdraw(lending.double, keys=lending.people.ada)
    assert lending.double.stat().st_mode & 0o777 == 0o600


def _killed(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt
