"""Changing the terms, handing over: what was lent ends as well; a run that breaks off can be gone on with."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cameo.crypto.keys import Keys
from cameo.custody import amend, erase, rekey
from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.recalling import withdraw
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle, seal_bundle
from cameo.seal.terms import Purpose, parse_terms
from cameo.unlocking import unlock
from tests.lendable import TERMS, Lendable, a_use
from tests.seal.conftest import ENCODER, PASSED, agreement, some_parts


def revoked(lending: Lendable) -> list[str]:
    with closing(Registry()) as registry:
        return sorted(grant.path.name for grant in registry.lent(lending.bundle_id) if grant.revoked_at is not None)


def refused(lending: Lendable, code: str, grant: str = "bob.grant", **changes: Any) -> None:
    with pytest.raises(CameoError) as caught:
        lending.open(grant, **changes)
    assert caught.value.code == code


def killed(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt


# Amending


def test_narrower_terms(lending: Lendable) -> None:
    ada = lending.people.ada
    made, other = lending.grant(), lending.grant("comedy", out="comedy.grant")
    done = amend(lending.double, keys=ada, terms=parse_terms('[[purposes]]\nid = "comedy"'))
    # A year from today ends no later than the year that was agreed to today.
    assert (done.kind, done.bundle_id, set(done.revoked)) == ("narrowed", lending.bundle_id, {made.id, other.id})
    verified = Bundle.open(lending.double).verify(ada.public)
    assert verified.sha256 == done.sha256
    assert [purpose.id for purpose in verified.consent.record.terms.purposes] == ["comedy"]
    assert [event.kind for event in verified.consent.events] == ["given", "narrowed"]
    assert revoked(lending) == ["bob.grant", "comedy.grant"]
    with closing(Registry()) as registry:
        assert registry.get(lending.bundle_id).sha256 == done.sha256
    refused(
        lending,
        "wrong_double",
        "comedy.grant",
    )
    lending.grant("comedy", out="again.grant")
    assert lending.open("again.grant", a_use(purpose="comedy"))
    with pytest.raises(NotPermitted) as caught:
        lending.grant("birthday", out="birthday.grant")
    assert caught.value.code == "wrong_purpose"


def test_wider_terms_renew(lending: Lendable) -> None:
    ada = lending.people.ada
    lending.grant()
    done = amend(lending.double, keys=ada, terms=parse_terms(TERMS + '[[purposes]]\nid = "sports"'))
    assert (done.kind, len(done.revoked)) == ("renewed", 1)
    lending.grant("sports", out="sports.grant")
    assert lending.open("sports.grant", a_use(purpose="sports"))


def test_new_terms_leave_the_recording_as_live_as_it_was(lending: Lendable) -> None:
    ada, double = lending.people.ada, lending.folder / "live.cameo"
    seal_bundle(double, ada, agreement(liveness=PASSED), some_parts(), [ENCODER])
    for terms in (TERMS, '[[purposes]]\nid = "comedy"'):
        amend(double, keys=ada, terms=parse_terms(terms))
        verified = Bundle.open(double).verify(ada.public)
        assert (verified.consent.record.live, verified.consent.record.act.liveness) == (True, PASSED)
    rekey(double, keys=ada, new=(new := Keys.generate()))
    assert Bundle.open(double).verify(new.public).assurance == "consistency-only + live"


def test_an_old_copy_with_an_old_grant_is_refused(lending: Lendable) -> None:
    """Hosts that kept the file as it was learn from the list that the grant has ended."""
    lending.grant()
    copy = lending.folder / "copy.cameo"
    copy.write_bytes(lending.double.read_bytes())
    amend(lending.double, keys=lending.people.ada, terms=parse_terms('[[purposes]]\nid = "comedy"'))
    refused(dataclasses.replace(lending, double=copy), "revoked")


def test_terms_that_cannot_be_kept_revoke_nothing(lending: Lendable) -> None:
    lending.grant()
    raw = lending.double.read_bytes()
    long = tuple(Purpose(f"p{number}", "x" * 1024) for number in range(64))
    terms = parse_terms('[[purposes]]\nid = "comedy"')
    with pytest.raises(UsageError, match="too long"):
        amend(lending.double, keys=lending.people.ada, terms=msgspec.structs.replace(terms, purposes=long))
    with pytest.raises(NotVerified):
        amend(lending.double, keys=lending.people.eve, terms=terms)
    assert (lending.double.read_bytes(), revoked(lending)) == (raw, [])
    assert lending.open()


def test_what_has_ended_is_not_amended(lending: Lendable) -> None:
    ada, terms = lending.people.ada, parse_terms(TERMS)
    copy = lending.double.read_bytes()
    withdraw(lending.double, keys=ada)
    for raw in (lending.double.read_bytes(), copy):
        lending.double.write_bytes(raw)
        with pytest.raises(NotPermitted) as caught:
            amend(lending.double, keys=ada, terms=terms)
        assert caught.value.code == "withdrawn"


def test_killed_before_the_terms_were_written(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, terms = lending.people.ada, parse_terms('[[purposes]]\nid = "comedy"')
    lending.grant()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.custody.amend_bundle", killed)
        amend(lending.double, keys=ada, terms=terms)
    refused(lending, "revoked")
    done = amend(lending.double, keys=ada, terms=terms)
    assert (done.kind, done.revoked) == ("narrowed", ())


# Handing over


def test_a_new_key(lending: Lendable) -> None:
    ada, new = lending.people.ada, Keys.generate()
    made = lending.grant()
    copy = lending.folder / "copy.cameo"
    copy.write_bytes(lending.double.read_bytes())
    done = rekey(lending.double, keys=ada, new=new)
    assert (done.bundle_id, done.revoked) == (lending.bundle_id, (made.id,))
    assert (done.old, done.new) == (ada.public.fingerprint, new.public.fingerprint)
    with unlock(lending.double, a_use(), keys=new) as opened:
        assert len(opened.parts) == 3
    with pytest.raises(NotVerified, match="handed over"), unlock(lending.double, a_use(), keys=ada):
        pytest.fail("the old key opened it")
    # The old grant opens neither the new file nor the old one.
    refused(dataclasses.replace(lending, double=copy), "revoked")
    with pytest.raises(NotVerified):
        lending.open(owner=new.public)
    with closing(Registry()) as registry:
        known = registry.get(lending.bundle_id)
        assert (known.owner, known.sha256) == (new.public.fingerprint, done.sha256)
        assert [double.bundle_id for double in registry.list(new.public.fingerprint)] == [lending.bundle_id]
    new_people = dataclasses.replace(lending.people, ada=new)
    later = dataclasses.replace(lending, people=new_people)
    later.grant(out="new.grant")
    assert later.open("new.grant")


def test_the_same_key_is_no_new_one(lending: Lendable) -> None:
    lending.grant()
    with pytest.raises(UsageError, match="is the old one"):
        rekey(lending.double, keys=lending.people.ada, new=lending.people.ada)
    assert revoked(lending) == []


def test_who_may_hand_over(lending: Lendable) -> None:
    lending.grant()
    with pytest.raises(NotVerified):
        rekey(lending.double, keys=lending.people.eve, new=lending.people.bob)
    assert revoked(lending) == []
    assert lending.open()
    withdraw(lending.double, keys=lending.people.ada)
    with pytest.raises(NotPermitted) as caught:
        rekey(lending.double, keys=lending.people.ada, new=lending.people.bob)
    assert caught.value.code == "withdrawn"


def test_killed_before_the_file(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, new = lending.people.ada, Keys.generate()
    lending.grant()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.custody.rekey_bundle", killed)
        rekey(lending.double, keys=ada, new=new)
    refused(lending, "revoked")
    assert rekey(lending.double, keys=ada, new=new).revoked == ()
    with unlock(lending.double, a_use(), keys=new):
        pass


def test_killed_between_the_file_and_the_registry(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, new = lending.people.ada, Keys.generate()
    lending.grant()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Registry, "move_owner", killed)
        rekey(lending.double, keys=ada, new=new)
    with closing(Registry()) as registry:
        assert registry.get(lending.bundle_id).owner == ada.public.fingerprint
    raw = lending.double.read_bytes()
    done = rekey(lending.double, keys=ada, new=new)
    assert lending.double.read_bytes() == raw, "what was sealed is not sealed again"
    with closing(Registry()) as registry:
        known = registry.get(lending.bundle_id)
    assert (known.owner, known.sha256) == (new.public.fingerprint, done.sha256)
    assert erase(lending.double, keys=new).bundle_id == lending.bundle_id


def test_a_double_that_was_never_enrolled_here(
    lending: Lendable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "elsewhere"))
    new = Keys.generate()
    assert rekey(lending.double, keys=lending.people.ada, new=new).revoked == ()
    assert amend(lending.double, keys=new, terms=parse_terms('[[purposes]]\nid = "comedy"')).revoked == ()
    assert erase(lending.double, keys=new).revoked == ()
    assert not lending.double.exists()
