"""Hearing at a host what still stands: groups and status lists, from this machine or from where they are published."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from cameo.grants.group import edit_group, sign_group
from cameo.grants.publish import publish_files
from cameo.lending import EVERYONE
from cameo.publishing import keep_group, published
from cameo.recalling import revoke
from cameo.registry.lent import Group as Registered
from cameo.registry.store import Registry
from tests.lendable import Lendable, People, refused, seal_lendable
from tests.seal.conftest import ENCODER, some_parts

FACE = {part.name: part.data for part in some_parts() if part.modality == "face"}


def test_a_group_changes_without_new_grants(home: Path, people: People, tmp_path: Path) -> None:
    lending = seal_lendable(
        tmp_path, people, some_parts(), ENCODER, '[[purposes]]\nid = "birthday"\naudience = "group"'
    )
    friends = tmp_path / "friends.group"
    lending.grant(to=keep_group(friends, keys=people.ada, add=[people.bob.public]))
    assert lending.open() == FACE
    refused(lending, "not_in_group", holder=people.tool)
    keep_group(friends, keys=people.ada, add=[people.tool.public], remove=[people.bob.public.fingerprint])
    refused(lending, "not_in_group")
    assert lending.open(holder=people.tool) == FACE
    assert lending.receipts()[-1].holder == people.tool.public.fingerprint


def test_a_group_elsewhere(home: Path, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host learns the group from what the owner publishes, and silence is a refusal."""
    lending = seal_lendable(
        tmp_path, people, some_parts(), ENCODER, '[[purposes]]\nid = "birthday"\naudience = "group"'
    )
    friends, site = tmp_path / "friends.group", tmp_path / "site"
    site.mkdir()

    def publish() -> None:
        made = published(people.ada)
        publish_files(site, made.status_token, made.groups, made.statements)

    lending.grant(to=keep_group(friends, keys=people.ada, add=[people.bob.public]))
    publish()
    early = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    keep_group(friends, keys=people.ada, add=[people.tool.public], remove=[people.bob.public.fingerprint])
    publish()
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "host"))
    assert lending.open(status=str(site), holder=people.tool) == FACE
    refused(lending, "not_in_group", status=str(site))
    for path, raw in early.items():
        path.write_bytes(raw)
    refused(lending, "status_rollback", status=str(site))
    (place,) = (site / "groups").iterdir()
    genuine = place.read_text().strip()
    place.write_text(f"{genuine[:-8]}AAAAAAAA")
    refused(lending, "bad_signature", status=str(site), holder=people.tool)
    refused(lending, "status_unknown", status=str(tmp_path / "nowhere"), holder=people.tool)
    error = refused(lending, "status_unknown", holder=people.tool)
    assert "--status" in error.hint


def test_a_group_of_the_same_id_by_somebody_else_changes_nothing(home: Path, people: People, tmp_path: Path) -> None:
    lending = seal_lendable(
        tmp_path, people, some_parts(), ENCODER, '[[purposes]]\nid = "birthday"\naudience = "group"'
    )
    mine = keep_group(tmp_path / "friends.group", keys=people.ada, add=[people.bob.public])
    lending.grant(to=mine)
    theirs = edit_group(
        msgspec.structs.replace(mine, iss=people.eve.public.fingerprint, seq=9), [people.eve.public], ()
    )
    with closing(Registry()) as registry:
        token = sign_group(theirs, people.eve, time.time())
        registry.put_group(Registered(theirs.sub, people.eve.public.fingerprint, theirs.seq, token))
    assert lending.open() == FACE
    refused(lending, "not_in_group", holder=people.eve)


def test_everyone_where_the_consent_says_so(home: Path, people: People, tmp_path: Path) -> None:
    lending = seal_lendable(
        tmp_path, people, some_parts(), ENCODER, '[[purposes]]\nid = "birthday"\naudience = "everyone"'
    )
    lending.grant(to=EVERYONE, max_uses=2)
    assert lending.open(holder=people.eve) == FACE
    assert lending.open(holder=people.bob) == FACE
    assert [r.holder for r in lending.receipts()[::2]] == [k.public.fingerprint for k in (people.eve, people.bob)]
    refused(lending, "uses_exhausted")


# Status lists


def test_a_grant_from_elsewhere_must_say_where_to_look(
    lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lending.grant()
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "host"))
    error = refused(lending, "status_unknown")
    assert "was not issued on this machine" in error.message
    assert error.hint == "say where its owner publishes: --status URL or FILE"


def test_a_published_list(lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site, people = tmp_path / "status.jwt", lending.people

    def publish() -> None:
        made = published(people.ada)
        publish_files(site, made.status_token, made.groups, made.statements)

    made = lending.grant(status_at=str(site))
    publish()
    owners, hosts = str(tmp_path / "home"), str(tmp_path / "host")
    monkeypatch.setenv("CAMEO_HOME", hosts)
    assert lending.open() == FACE, "the grant says where"
    site.rename(tmp_path / "moved.jwt")
    assert lending.open() == FACE, "silence is no news for five minutes"
    refused(lending, "status_stale", grace_s=-1.0)
    monkeypatch.setenv("CAMEO_HOME", owners)
    revoke(made.id, keys=people.ada)
    publish()
    monkeypatch.setenv("CAMEO_HOME", hosts)
    refused(lending, "revoked")
    (tmp_path / "moved.jwt").replace(site)
    refused(lending, "status_rollback")
    assert lending.receipts()[-1].grant == made.id


def test_a_list_never_seen_is_no_list(lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lending.grant(status_at=str(tmp_path / "nowhere.jwt"))
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "host"))
    refused(lending, "status_unknown")


def test_another_owners_list_is_refused(lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "eve.jwt"
    made = published(lending.people.eve)
    publish_files(site, made.status_token, made.groups, made.statements)
    lending.grant()
    refused(lending, "wrong_list", status=str(site))
