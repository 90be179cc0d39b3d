"""What was lent, taken back and withdrawn, on SQLite and on PostgreSQL."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cameo.errors import NotPermitted, UsageError
from cameo.registry import lending
from cameo.registry.lent import Group, Lent, Revocation
from cameo.registry.store import Double, Registry
from tests.postgres import fresh_database

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
ADA, BOB, EVE = "a" * 64, "b" * 64, "e" * 64
DOUBLE, OTHER = "c" * 32, "d" * 32

Opener = Callable[[], Registry]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    url = f"sqlite:///{tmp_path}/registry.sqlite" if request.param == "sqlite" else fresh_database()
    opened: list[Registry] = []

    def open_one() -> Registry:
        opened.append(Registry(url))
        return opened[-1]

    yield open_one
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: Opener) -> Registry:
    return open_registry()


def grant(number: int, owner: str = ADA, bundle_id: str = DOUBLE) -> Lent:
    return Lent(
        jti=f"{number:032x}",
        bundle_id=bundle_id,
        owner=owner,
        kind="friend",
        holder=BOB,
        host="f" * 64,
        purposes=("birthday", "comedy"),
        issued=NOON + datetime.timedelta(minutes=number),
        expires=NOON + datetime.timedelta(days=30),
        delegable=number % 2 == 0,
        path=Path(f"/somewhere/{number}.grant"),
    )


def double(owner: str = ADA, bundle_id: str = DOUBLE) -> Double:
    return Double(bundle_id, owner, Path(f"/somewhere/{bundle_id[:4]}.cameo"), "1" * 64, NOON, ("face",), "matched")


class Signer:
    """Sign by repeating what is to be said, and remember it."""

    def __init__(self) -> None:
        self.said: list[Revocation] = []

    def __call__(self, revocation: Revocation) -> str:
        self.said.append(revocation)
        return f"signed {revocation.id}"


def never(_: Revocation) -> str:
    raise ZeroDivisionError


# Grants.


def test_what_was_lent_comes_back(registry: Registry) -> None:
    given = [registry.allot(grant(number)) for number in (1, 2)]
    for number, lent in enumerate(given, 1):
        assert 0 <= lent.index < lending.FIRST_SIZE
        assert lent == dataclasses.replace(grant(number), index=lent.index)
        assert registry.find_grant(lent.jti) == lent
    other = registry.allot(dataclasses.replace(grant(3, EVE, OTHER), parent=given[0].jti))
    assert registry.lent() == [other, *given[::-1]]
    assert registry.lent(DOUBLE) == registry.lent(owner=ADA) == given[::-1]
    assert registry.lent(OTHER, ADA) == []
    with pytest.raises(UsageError, match="was issued on this machine"):
        registry.find_grant("9" * 32)


def test_an_id_is_used_once(registry: Registry) -> None:
    registry.allot(grant(1))
    with pytest.raises(UsageError, match="was issued before"):
        registry.allot(grant(1, EVE))
    assert len(registry.lent()) == 1


def test_a_grant_whose_file_never_came_to_be(registry: Registry) -> None:
    registry.allot(grant(1))
    assert registry.forget_grant(grant(1).jti)
    assert not registry.forget_grant(grant(1).jti)
    registry.allot(grant(1))
    registry.revoke([grant(1).jti], Signer())
    assert not registry.forget_grant(grant(1).jti)
    assert len(registry.status(ADA).revoked) == 1


def test_indices_are_unused_and_the_list_grows(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "FIRST_SIZE", 8)
    assert registry.status(ADA) == dataclasses.replace(registry.status(ADA), seq=1, size=8, revoked=())
    sizes = []
    for number in range(12):
        registry.allot(grant(number))
        sizes.append((registry.status(ADA).size, registry.status(ADA).seq))
    assert sizes == [(8, 1)] * 4 + [(16, 2)] * 4 + [(32, 3)] * 4
    indices = [lent.index for lent in registry.lent()]
    assert len(set(indices)) == 12
    assert registry.status(EVE).size == 8
    monkeypatch.setattr(lending, "_LARGEST_SIZE", 32)
    for number in range(12, 16):
        registry.allot(grant(number))
    with pytest.raises(UsageError, match="the status list is full"):
        registry.allot(grant(16))


def test_threads_lend_at_once(open_registry: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "FIRST_SIZE", 8)
    registries = [open_registry() for _ in range(4)]

    def lend(place: int) -> None:
        for number in range(5):
            registries[place].allot(grant(100 * place + number))

    threads = [threading.Thread(target=lend, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lent = registries[0].lent()
    assert len({one.index for one in lent}) == len(lent) == 20


# Taking back.


def test_taking_grants_back(registry: Registry) -> None:
    one, two, three = (registry.allot(grant(number)) for number in (1, 2, 3))
    signer = Signer()
    seq = registry.revoke([two.jti, one.jti], signer)
    assert seq == 2
    state = registry.status(ADA)
    assert (state.seq, state.revoked) == (2, tuple(sorted((one.index, two.index))))
    assert registry.find_grant(three.jti).revoked_at is None
    assert registry.find_grant(one.jti).revoked_at is not None
    assert [(said.jti, said.indices, said.seq) for said in signer.said] == [
        (one.jti, (one.index,), 2),
        (two.jti, (two.index,), 2),
    ]
    stored = registry.statements(ADA)
    assert [(s.id, s.jti, s.bundle_id, s.body, s.at) for s in stored] == [
        (said.id, said.jti, DOUBLE, f"signed {said.id}", said.at) for said in signer.said
    ]


def test_taking_back_again_neither_fails_nor_loses(registry: Registry) -> None:
    one, two = (registry.allot(grant(number)) for number in (1, 2))
    registry.revoke([one.jti], Signer())
    at = registry.find_grant(one.jti).revoked_at
    assert registry.revoke([one.jti], never) == 2
    assert registry.revoke([one.jti, two.jti, two.jti], Signer()) == 3
    assert registry.find_grant(one.jti).revoked_at == at
    assert len(registry.status(ADA).revoked) == len(registry.statements(ADA)) == 2


def test_all_of_them_or_none(registry: Registry) -> None:
    one = registry.allot(grant(1))
    eves = registry.allot(grant(2, EVE, OTHER))
    for wrong in ([one.jti, "9" * 32], [one.jti, eves.jti], []):
        with pytest.raises(UsageError):
            registry.revoke(wrong, Signer())
    with pytest.raises(ZeroDivisionError):
        registry.revoke([one.jti], never)
    assert registry.status(ADA).revoked == ()
    assert registry.status(ADA).seq == 1
    assert registry.statements(ADA) == []


def test_withdrawing_consent_takes_every_grant_back(registry: Registry) -> None:
    registry.register(double())
    one, two = (registry.allot(grant(number)) for number in (1, 2))
    other = registry.allot(grant(3, bundle_id=OTHER))
    registry.revoke([one.jti], Signer())
    signer = Signer()
    assert registry.withdraw(DOUBLE, signer) == 3
    (said,) = signer.said
    assert (said.jti, said.indices, said.seq) == (None, tuple(sorted((one.index, two.index))), 3)
    assert registry.status(ADA).revoked == said.indices
    assert registry.find_grant(other.jti).revoked_at is None
    assert registry.get(DOUBLE).withdrawn_at is not None
    assert registry.withdraw(DOUBLE, never) == 3
    with pytest.raises(NotPermitted) as caught:
        registry.allot(grant(4))
    assert caught.value.code == "withdrawn"
    registry.allot(grant(4, bundle_id=OTHER))


def test_a_signer_that_fails_withdraws_nothing(registry: Registry) -> None:
    registry.register(double())
    registry.allot(grant(1))
    with pytest.raises(ZeroDivisionError):
        registry.withdraw(DOUBLE, never)
    assert registry.get(DOUBLE).withdrawn_at is None
    assert registry.status(ADA).revoked == ()
    registry.allot(grant(2))


def test_withdrawn_stays_withdrawn_when_the_file_is_forgotten(registry: Registry) -> None:
    registry.register(double())
    registry.withdraw(DOUBLE, Signer())
    registry.forget(DOUBLE)
    with pytest.raises(NotPermitted, match="was withdrawn"):
        registry.allot(grant(1))
    registry.register(double())
    assert registry.get(DOUBLE).withdrawn_at is not None


def test_withdrawing_what_is_not_enrolled_here(registry: Registry) -> None:
    with pytest.raises(UsageError, match="nothing is known"):
        registry.withdraw(DOUBLE, Signer())
    registry.withdraw(DOUBLE, Signer(), ADA)
    lent = registry.allot(grant(1, EVE, OTHER))
    with pytest.raises(UsageError, match="belongs to"):
        registry.withdraw(DOUBLE, Signer(), EVE)
    registry.withdraw(OTHER, Signer())
    assert registry.status(EVE).revoked == (lent.index,)


def test_withdrawing_reaches_grants_of_an_earlier_key(registry: Registry) -> None:
    registry.register(double())
    old = registry.allot(grant(1))
    registry.move_owner(ADA, EVE, DOUBLE)
    new = registry.allot(grant(2, EVE))
    before = registry.version(ADA)
    registry.withdraw(DOUBLE, Signer())
    assert registry.status(ADA).revoked == (old.index,)
    assert registry.status(EVE).revoked == (new.index,)
    assert registry.version(ADA) > before


def test_what_was_erased(registry: Registry) -> None:
    registry.register(double())
    registry.mark_erased(DOUBLE)
    at = registry.get(DOUBLE).erased_at
    assert at is not None
    registry.mark_erased(DOUBLE)
    assert registry.get(DOUBLE).erased_at == at
    assert registry.get(DOUBLE).withdrawn_at is None
    with pytest.raises(NotPermitted) as caught:
        registry.allot(grant(1))
    assert caught.value.code == "erased"


# Groups, and what a server asks for.


def test_groups_only_go_forward(registry: Registry) -> None:
    first = Group("9" * 32, ADA, 1, "one")
    registry.put_group(first)
    registry.put_group(first)
    registry.put_group(dataclasses.replace(first, seq=2, token="two"))
    for wrong in (first, dataclasses.replace(first, seq=2, token="other")):
        with pytest.raises(NotPermitted) as caught:
            registry.put_group(wrong)
        assert caught.value.code == "status_rollback"
    assert registry.group("9" * 32).token == "two"
    eves = Group("9" * 32, EVE, 7, "eve's")
    registry.put_group(eves)
    assert registry.group("9" * 32, ADA).token == "two"
    assert registry.groups(EVE) == [eves]
    with pytest.raises(UsageError, match="was made on this machine"):
        registry.group("8" * 32)


def test_the_version_rises_with_whatever_is_published(open_registry: Opener) -> None:
    ours, theirs = open_registry(), open_registry()
    seen = [ours.version(ADA)]
    lent = theirs.allot(grant(1))
    assert ours.version(ADA) == seen[0]
    theirs.revoke([lent.jti], Signer())
    seen.append(ours.version(ADA))
    theirs.put_group(Group("9" * 32, ADA, 1, "one"))
    seen.append(ours.version(ADA))
    theirs.put_group(Group("9" * 32, ADA, 2, "two"))
    seen.append(ours.version(ADA))
    assert seen == sorted(set(seen))
