"""Lending: what a grant says, whom it is for, how far it reaches, and what a failure leaves behind."""

from __future__ import annotations

import datetime
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cameo.errors import CameoError, NotPermitted, NotVerified, OutputError, UsageError
from cameo.grants.grant import LIFE_LIMIT_S, read_tokens, verify_chain
from cameo.grants.group import new_group
from cameo.lending import EVERYONE, GrantTerms, grant, lent_to
from cameo.publishing import keep_group
from cameo.recalling import withdraw
from cameo.registry.store import Registry
from cameo.seal.terms import today
from tests.lendable import Lendable, People, seal_lendable
from tests.seal.conftest import ENCODER, some_parts

if TYPE_CHECKING:
    from cameo.grants.grant import GrantClaims
    from cameo.registry.lent import Lent

TODAY = today()


def claims_in(lending: Lendable, name: str = "bob.grant") -> GrantClaims:
    return verify_chain(read_tokens(lending.folder / name), lending.people.ada.public).grant


def on_record(lending: Lendable) -> list[Lent]:
    with closing(Registry()) as registry:
        return registry.lent(lending.bundle_id)


def under(tmp_path: Path, people: People, toml: str) -> Lendable:
    """Make a second double under other terms."""
    folder = tmp_path / "other"
    folder.mkdir()
    return seal_lendable(folder, people, some_parts(), ENCODER, toml)


def test_a_grant_says_what_was_lent(lending: Lendable) -> None:
    people = lending.people
    made = lending.grant(max_uses=4, max_seconds=10.0, max_pixels=10**6, expires_s=3600, delegable=True)
    claims = claims_in(lending)
    assert (claims.iss, claims.aud) == (people.ada.public.fingerprint, people.studio.public.fingerprint)
    assert (claims.sub, claims.jti, claims.delegable) == (lending.bundle_id, made.id, True)
    assert claims.cnf is not None and claims.cnf.keys() == people.bob.public
    assert claims.scope == made.scope
    assert (claims.scope.max_uses, claims.scope.max_seconds, claims.scope.max_pixels) == (4, 10.0, 10**6)
    assert claims.exp - claims.nbf == 3600
    assert made.expires.timestamp() == claims.exp
    assert {key.modality for key in claims.keys} == set(claims.scope.modalities) == {"face", "voice"}
    assert made.path == str(lending.folder / "bob.grant")
    assert (lending.folder / "bob.grant").stat().st_mode & 0o777 == 0o600
    (known,) = on_record(lending)
    assert (known.jti, known.index) == (made.id, claims.status.status_list.idx)
    assert (known.kind, known.holder, known.path) == ("friend", people.bob.public.fingerprint, Path(made.path))
    assert lent_to(lending.bundle_id) == 1


def test_what_is_left_open_takes_what_every_purpose_allows(tmp_path: Path, home: Path, people: People) -> None:
    lending = under(
        tmp_path,
        people,
        """
        [[purposes]]
        id = "birthday"
        outputs = ["video", "image"]
        [[purposes]]
        id = "comedy"
        outputs = ["video", "audio"]
        modalities = ["face"]
        """,
    )
    wide = lending.grant("birthday", out="wide.grant").scope
    both = lending.grant("birthday", "comedy", out="both.grant").scope
    assert (set(wide.outputs), set(wide.modalities)) == ({"video", "image"}, {"face", "voice"})
    assert (both.outputs, both.modalities, both.generators) == (("video",), ("face",), ("reference",))
    assert (both.max_uses, both.max_seconds, both.max_pixels, both.commercial) == (None, None, None, False)


def test_what_can_be_exported_is_lent_for_that_only_where_it_is_said(
    tmp_path: Path, home: Path, people: People
) -> None:
    lending = under(
        tmp_path, people, '[[purposes]]\nid = "birthday"\ndelegable = true\nactions = ["generate", "export"]'
    )
    assert lending.grant(out="plain.grant").scope.actions == ("generate",)
    assert lending.grant(actions=("export",), out="export.grant").scope.actions == ("export",)
    both = lending.grant(actions=("export", "generate"), delegable=True)
    assert both.scope.actions == ("export", "generate")
    assert lending.delegate(out="same.grant").scope.actions == both.scope.actions
    assert lending.delegate(out="less.grant", actions=("generate",)).scope.actions == ("generate",)


def test_a_grant_carries_only_the_keys_of_what_was_lent(lending: Lendable) -> None:
    lending.grant(modalities=("face",))
    assert [key.modality for key in claims_in(lending).keys] == ["face"]


@pytest.mark.parametrize("days", [1, 20, 364])
def test_a_grant_ends_after_thirty_days_and_never_past_the_consent(
    tmp_path: Path, home: Path, people: People, days: int
) -> None:
    end = TODAY + datetime.timedelta(days=days)
    lending = under(tmp_path, people, f'[[purposes]]\nid = "birthday"\nvalid_until = {end}')
    expires = lending.grant().expires
    month = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    if days > 30:
        assert abs((expires - month).total_seconds()) < 60
    else:
        assert expires.date() == end
    past = int((datetime.timedelta(days=days + 2)).total_seconds())
    with pytest.raises(NotPermitted, match="ends on") as caught:
        lending.grant(expires_s=past, out="late.grant")
    assert caught.value.code == "consent_exceeded"


def test_the_first_purpose_that_ends_ends_the_grant(tmp_path: Path, home: Path, people: People) -> None:
    soon = TODAY + datetime.timedelta(days=3)
    toml = f'[[purposes]]\nid = "birthday"\nvalid_until = {soon}\n[[purposes]]\nid = "comedy"'
    assert under(tmp_path, people, toml).grant("comedy", "birthday").expires.date() == soon


@pytest.mark.parametrize(
    ("terms", "code", "error"),
    [
        ({"delegable": True, "purposes": ("comedy",)}, "consent_exceeded", NotPermitted),
        ({"purposes": ("sports",)}, "wrong_purpose", NotPermitted),
        ({"purposes": ("birthday", "sports")}, "wrong_purpose", NotPermitted),
        ({"commercial": True}, "consent_exceeded", NotPermitted),
        ({"outputs": ("audio",)}, "consent_exceeded", NotPermitted),
        ({"generators": ("wan",)}, "consent_exceeded", NotPermitted),
        ({"purposes": ()}, "usage", UsageError),
        ({"generators": ("Not A Name",)}, "usage", UsageError),
        ({"outputs": ("smell",)}, "usage", UsageError),
        ({"max_uses": 0}, "usage", UsageError),
        ({"actions": ("export",)}, "consent_exceeded", NotPermitted),
        ({"actions": ("train",)}, "usage", UsageError),
        ({"actions": ()}, "usage", UsageError),
        ({"actions": ("export",), "max_seconds": 3.0}, "usage", UsageError),
        ({"actions": ("export", "generate"), "max_pixels": 9}, "usage", UsageError),
        ({"max_seconds": -1.0}, "usage", UsageError),
        ({"expires_s": 0}, "usage", UsageError),
        ({"expires_s": LIFE_LIMIT_S + 1}, "usage", UsageError),
        ({"expires_s": 10**20}, "usage", UsageError),
        ({"modalities": ("captures",)}, "usage", UsageError),
        ({"status_at": "https://ada.example/" + "a" * 600}, "usage", UsageError),
    ],
)
def test_what_cannot_be_lent(lending: Lendable, terms: dict[str, Any], code: str, error: type[CameoError]) -> None:
    terms = dict(terms)
    purposes = terms.pop("purposes", ("birthday",))
    with pytest.raises(error) as caught:
        grant(
            lending.double,
            keys=lending.people.ada,
            to=lending.people.bob.public,
            host=lending.people.studio.public,
            terms=GrantTerms(purposes, **terms),
            out=lending.folder / "bob.grant",
        )
    assert caught.value.code == code
    assert len(caught.value.message) < 400
    nothing_lent(lending)


def nothing_lent(lending: Lendable, told: int | None = 0) -> None:
    assert not list(lending.folder.glob("*.grant"))
    assert on_record(lending) == []
    assert lent_to(lending.bundle_id) == told


def test_whom_it_is_for(tmp_path: Path, home: Path, people: People) -> None:
    """Each audience includes those before it."""
    members = keep_group(tmp_path / "friends.group", keys=people.ada, add=[people.bob.public])
    whom: dict[str, Any] = {
        "owner": people.ada.public,
        "approved": people.bob.public,
        "group": members,
        "everyone": EVERYONE,
    }
    for number, audience in enumerate(whom):
        folder = tmp_path / audience
        folder.mkdir()
        toml = f'[[purposes]]\nid = "birthday"\naudience = "{audience}"'
        lending = seal_lendable(folder, people, some_parts(), ENCODER, toml)
        for rank, (asked, to) in enumerate(whom.items()):
            if rank <= number:
                lending.grant(to=to, out=f"{asked}.grant")
                assert claims_in(lending, f"{asked}.grant").audience == asked
                continue
            with pytest.raises(NotPermitted, match=f"is for {audience}, not for {asked}") as caught:
                lending.grant(to=to, out=f"{asked}.grant")
            assert caught.value.code == "consent_exceeded"
        kinds = {known.path.stem: known.kind for known in on_record(lending)}
        told = {"owner": "owner", "approved": "friend", "group": "group", "everyone": "everyone"}
        assert kinds == dict(list(told.items())[: number + 1])


def test_nobody_else_than_everyone_is_a_word(lending: Lendable) -> None:
    with pytest.raises(UsageError, match="nobody a double can be lent to"):
        lending.grant(to="bob")
    nothing_lent(lending)


def test_a_group_must_be_ones_own(tmp_path: Path, home: Path, people: People) -> None:
    lending = under(tmp_path, people, '[[purposes]]\nid = "birthday"\naudience = "group"')
    with pytest.raises(NotPermitted) as caught:
        lending.grant(to=new_group(people.eve.public, "friends", [people.bob.public]))
    assert caught.value.code == "wrong_key"
    nothing_lent(lending)


def test_a_group_cannot_pass_it_on(tmp_path: Path, home: Path, people: People) -> None:
    toml = '[[purposes]]\nid = "birthday"\naudience = "everyone"\ndelegable = true'
    lending = under(tmp_path, people, toml)
    for to in (EVERYONE, keep_group(tmp_path / "friends.group", keys=people.ada)):
        with pytest.raises(UsageError, match="cannot be passed on"):
            lending.grant(to=to, delegable=True)
        nothing_lent(lending)


def test_another_owners_double_is_not_lent(lending: Lendable, people: People) -> None:
    with pytest.raises(NotVerified):
        grant(
            lending.double,
            keys=people.eve,
            to=people.bob.public,
            host=people.studio.public,
            terms=GrantTerms(("birthday",)),
            out=lending.folder / "bob.grant",
        )
    nothing_lent(lending)


def test_what_was_withdrawn_is_not_lent(lending: Lendable) -> None:
    copy = lending.double.read_bytes()
    withdraw(lending.double, keys=lending.people.ada)
    with pytest.raises(NotPermitted) as caught:
        lending.grant()
    assert caught.value.code == "withdrawn"
    # A copy from before does not know it; the registry does.
    lending.double.write_bytes(copy)
    with pytest.raises(NotPermitted) as caught:
        lending.grant()
    assert caught.value.code == "withdrawn"
    nothing_lent(lending)


def test_a_file_that_says_so_is_believed_on_any_machine(
    lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    withdraw(lending.double, keys=lending.people.ada)
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(NotPermitted) as caught:
        lending.grant()
    assert caught.value.code == "withdrawn"
    nothing_lent(lending, None)


def test_nothing_is_replaced(lending: Lendable) -> None:
    (lending.folder / "bob.grant").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        lending.grant()
    assert (lending.folder / "bob.grant").read_bytes() == b"precious"
    assert on_record(lending) == []
    with pytest.raises(OutputError, match="cannot write"):
        lending.grant(out="missing/bob.grant")
    assert on_record(lending) == []


@pytest.mark.parametrize("broken", ["sign_grant", "atomic_create"])
@pytest.mark.parametrize("error", [OutputError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(
    lending: Lendable, monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(f"cameo.lending.{broken}", fail)
    with pytest.raises(type(error)):
        lending.grant()
    nothing_lent(lending)


def test_where_the_list_is_published(lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for given, kept in (
        ("", ""),
        ("https://ada.example/status", "https://ada.example/status"),
        ("status", str(tmp_path / "status")),
        ("sub/../status", str(tmp_path / "status")),
        (str(tmp_path / "a.jwt"), str(tmp_path / "a.jwt")),
        ("file:///srv/status", "file:///srv/status"),
    ):
        (tmp_path / "bob.grant").unlink(missing_ok=True)
        lending.grant(status_at=given)
        assert claims_in(lending).status_at == kept


def test_places_in_the_list_differ_and_say_nothing(lending: Lendable) -> None:
    places = []
    for number in range(8):
        lending.grant(out=f"{number}.grant")
        places.append(claims_in(lending, f"{number}.grant").status.status_list.idx)
    assert len(set(places)) == 8
    assert places != sorted(places)


def test_a_double_nobody_knows_here(lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "elsewhere"))
    assert lent_to(lending.bundle_id) is None
    lending.grant()
    assert lent_to(lending.bundle_id) == 1
