"""Erasing a double: nothing opens it any more, and a run that breaks off can be gone on with."""

from __future__ import annotations

import datetime
from contextlib import closing
from pathlib import Path

import pytest

from cameo import config
from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.crypto.envelope import sign_envelope
from cameo.crypto.keys import Keys
from cameo.custody import DELETION_TYPE, Deletion, erase, read_deletion, rekey
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.publishing import published
from cameo.registry.store import Registry
from cameo.seal.checkpoint import SealedCheckpoint
from cameo.unlocking import unlock
from tests.lendable import Lendable, a_use
from tests.test_custody import killed, refused, revoked


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
