"""Changing the terms, handing over, ending: what was lent ends as well; a run that breaks off can be gone on with."""

from __future__ import annotations

import dataclasses
import datetime
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cameo import config
from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.crypto.envelope import sign_envelope
from cameo.crypto.keys import Keys
from cameo.custody import DELETION_TYPE, Deletion, amend, erase, read_deletion, rekey
from cameo.errors import CameoError, NotPermitted, NotVerified, OutputError, UsageError
from cameo.publishing import published
from cameo.recalling import withdraw
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle, seal_bundle
from cameo.seal.checkpoint import SealedCheckpoint
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


# Erasing


def receipt_of(lending: Lendable, name: str = "ada.erased.json") -> Deletion:
    return read_deletion((lending.folder / name).read_bytes(), lending.people.ada.public)


def test_erased(lending: Lendable) -> None:
    ada = lending.people.ada
    made = lending.grant(delegable=True)
    lending.delegate()
    digest = sha256_hex(lending.double.read_bytes())
    done = erase(lending.double, keys=ada)
    assert receipt_of(lending) == done
    assert (done.bundle_id, done.owner, done.revoked) == (lending.bundle_id, ada.public.fingerprint, (made.id,))
    assert {(item.kind, Path(item.name).name) for item in done.files} == {
        ("double", "ada.cameo"),
        ("grant", "bob.grant"),
    }
    assert next(item.sha256 for item in done.files if item.kind == "double") == digest
    assert abs((done.at - datetime.datetime.now(datetime.UTC)).total_seconds()) < 60
    assert not lending.double.exists() and not (lending.folder / "bob.grant").exists()
    with closing(Registry()) as registry:
        known = registry.get(lending.bundle_id)
    assert known.erased_at is not None and known.withdrawn_at is not None
    assert published(ada).statements


def test_after_that_nothing_opens(lending: Lendable) -> None:
    ada = lending.people.ada
    lending.grant()
    copies = {path: path.read_bytes() for path in (lending.double, lending.folder / "bob.grant")}
    erase(lending.double, keys=ada)
    # Somebody kept copies of everything, and brings them back to this machine.
    for path, raw in copies.items():
        path.write_bytes(raw)
    refused(lending, "erased")
    with pytest.raises(NotPermitted) as caught, unlock(lending.double, a_use(), keys=ada):
        pytest.fail("it opened for its owner")
    assert caught.value.code == "erased"
    for again in (lambda: lending.grant(out="new.grant"), lambda: rekey(lending.double, keys=ada, new=Keys.generate())):
        with pytest.raises(NotPermitted) as caught:
            again()
        assert caught.value.code == "erased"


def test_copies_that_are_known_here_and_unfinished_runs(lending: Lendable) -> None:
    """The file that was enrolled and the one that is named are both destroyed, whatever they are called."""
    ada = lending.people.ada
    moved = lending.folder / "moved.cameo"
    moved.write_bytes(lending.double.read_bytes())
    for keys, clip in ((ada, "a"), (ada, "b"), (lending.people.eve, "a")):
        SealedCheckpoint(keys, clip).save(b"half a face")
    done = erase(moved, keys=ada)
    assert {Path(item.name).name for item in done.files} == {"moved.cameo", "ada.cameo"}
    assert done.unfinished == 2
    assert len(list((config.home() / "unfinished").iterdir())) == 1, "another owner's run is left alone"
    assert not lending.double.exists() and not moved.exists()


def test_only_what_is_its_own_is_destroyed(lending: Lendable) -> None:
    lending.grant()
    lending.grant(out="other.grant")
    (lending.folder / "other.grant").write_bytes(b"something else by now")
    (lending.folder / "more.cameo").write_bytes(lending.double.read_bytes())
    done = erase(lending.double, keys=lending.people.ada)
    assert {Path(item.name).name for item in done.files} == {"ada.cameo", "bob.grant"}
    assert (lending.folder / "other.grant").read_bytes() == b"something else by now"
    assert (lending.folder / "more.cameo").exists(), "copies nobody told us of are not reached"


def test_only_the_owner_erases(lending: Lendable) -> None:
    lending.grant()
    for who in (lending.people.eve, lending.people.bob):
        with pytest.raises(NotVerified):
            erase(lending.double, keys=who)
    assert lending.open()
    assert not list(lending.folder.glob("*.json"))
    with pytest.raises(UsageError, match="no double of yours was enrolled there"):
        erase(lending.folder / "none.cameo", keys=lending.people.ada)


def test_the_receipt_replaces_nothing_but_itself(lending: Lendable) -> None:
    ada = lending.people.ada
    precious = lending.folder / "ada.key"
    precious.write_bytes(b"precious")
    for place in (precious, lending.double):
        raw = place.read_bytes()
        with pytest.raises(OutputError, match="exists already"):
            erase(lending.double, keys=ada, receipt=place)
        assert place.read_bytes() == raw
    with pytest.raises(OutputError, match="cannot write"):
        erase(lending.double, keys=ada, receipt=lending.folder / "missing" / "r.json")
    other = Deletion(1, "00" * 16, ada.public.fingerprint, datetime.datetime.now(datetime.UTC), (), (), 1, 0)
    precious.write_bytes(encode_json(sign_envelope(DELETION_TYPE, encode_json(other), [ada])))
    with pytest.raises(OutputError, match="exists already"):
        erase(lending.double, keys=ada, receipt=precious)
    lending.grant()
    assert lending.open(), "nothing was revoked by that"


def test_again_keeps_what_the_receipt_said(lending: Lendable) -> None:
    ada = lending.people.ada
    lending.grant()
    first = erase(lending.double, keys=ada)
    again = erase(lending.double, keys=ada)
    assert (again.files, again.revoked) == (first.files, first.revoked)
    assert receipt_of(lending) == again


@pytest.mark.parametrize("step", ["forget_unfinished", "atomic_write"])
def test_killed_after_the_file_was_destroyed(lending: Lendable, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    ada = lending.people.ada
    lending.grant()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"cameo.custody.{step}", killed)
        erase(lending.double, keys=ada)
    assert not lending.double.exists()
    assert revoked(lending) == ["bob.grant"]
    done = erase(lending.double, keys=ada)
    assert receipt_of(lending) == done
    with closing(Registry()) as registry:
        assert registry.get(lending.bundle_id).erased_at is not None


def test_killed_before_anything_was_destroyed(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = lending.people.ada
    lending.grant()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.custody.destroy", killed)
        erase(lending.double, keys=ada)
    assert lending.double.exists()
    refused(lending, "withdrawn")
    assert len(erase(lending.double, keys=ada).files) == 2


def test_killed_in_the_middle_of_the_file(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = lending.people.ada

    def half(path: Path) -> None:
        with Path(path).open("r+b") as file:
            file.write(bytes(512))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("cameo.custody.destroy", half)
        erase(lending.double, keys=ada)
    assert lending.double.exists()
    done = erase(lending.double, keys=ada)
    assert [Path(item.name).name for item in done.files] == ["ada.cameo"]
    assert not lending.double.exists()


def test_what_stands_there_now_is_not_taken_for_it(lending: Lendable) -> None:
    ada = lending.people.ada
    erase(lending.double, keys=ada)
    for raw in (b"PK another thing", b"", b"text"):
        lending.double.write_bytes(raw)
        with pytest.raises(NotVerified):
            erase(lending.double, keys=ada)
        assert lending.double.read_bytes() == raw


def test_a_receipt_is_verified(lending: Lendable) -> None:
    people = lending.people
    erase(lending.double, keys=people.ada)
    raw = (lending.folder / "ada.erased.json").read_bytes()
    for changed, owner in (
        (raw.replace(b'"payload":"ey', b'"payload":"eY'), people.ada),
        (raw[:-2], people.ada),
        (raw, people.eve),
    ):
        with pytest.raises(NotVerified):
            read_deletion(changed, owner.public)
    forged = encode_json(sign_envelope(DELETION_TYPE, encode_json(receipt_of(lending)), [people.eve]))
    with pytest.raises(NotVerified, match="another owner"):
        read_deletion(forged, people.eve.public)
