"""Auditing: every use and every refusal, verified; what was tampered with is no audit."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cameo.auditing import audit, export_receipts
from cameo.errors import CameoError, NotPermitted, NotVerified, OutputError, UsageError
from cameo.recalling import revoke
from cameo.unlocking import unlock
from tests.lendable import Lendable, a_use, seal_lendable
from tests.seal.conftest import ENCODER, some_parts


@pytest.fixture
def used(lending: Lendable) -> Lendable:
    """A double that the studio used twice, refused twice, and its owner used once; and another double of hers."""
    people = lending.people
    made = lending.grant()
    lending.open()
    with pytest.raises(NotPermitted):
        lending.open(use=a_use(purpose="comedy"))
    folder = lending.folder / "second"
    folder.mkdir()
    second = seal_lendable(folder, people, some_parts(1.0), ENCODER)
    second.grant()
    second.open()
    lending.open()
    with unlock(lending.double, a_use(), keys=people.ada):
        pass
    revoke(made.id, keys=people.ada)
    with pytest.raises(NotPermitted):
        lending.open()
    return lending


def test_everything_host_by_host(used: Lendable) -> None:
    people = used.people
    found = {audited.host: audited for audited in audit()}
    assert set(found) == {people.studio.public.fingerprint, people.ada.public.fingerprint}
    studio = found[people.studio.public.fingerprint]
    assert studio.from_first
    assert [(receipt.decision, receipt.code) for receipt in studio.receipts] == [
        ("allow", ""),
        ("released", ""),
        ("deny", "wrong_purpose"),
        ("allow", ""),
        ("released", ""),
        ("allow", ""),
        ("released", ""),
        ("deny", "revoked"),
    ]
    assert [r.decision for r in found[people.ada.public.fingerprint].receipts] == ["allow", "released"]


def test_one_double(used: Lendable) -> None:
    found = audit(used.bundle_id, host=used.people.studio.public)
    (studio,) = found
    assert studio.from_first
    assert len(studio.receipts) == 6
    assert {receipt.bundle_id for receipt in studio.receipts} == {used.bundle_id}
    assert [receipt.double_seq for receipt in studio.receipts] == list(range(1, 7))
    assert len(audit(used.bundle_id)) == 2
    assert audit("00" * 16) == []


def test_one_host(used: Lendable) -> None:
    (only,) = audit(host=used.people.ada.public)
    assert len(only.receipts) == 2
    assert audit(host=used.people.eve.public) == []


def test_nothing_yet(home: Path) -> None:
    assert audit() == []


def test_there_and_back(used: Lendable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a host exports, the owner verifies on another machine."""
    host = used.people.studio.public
    everything, one = tmp_path / "all.jsonl", tmp_path / "one.jsonl"
    assert export_receipts(everything, host) == 8
    assert export_receipts(one, host, used.bundle_id) == 6
    here = audit(host=host), audit(used.bundle_id, host=host)
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "elsewhere"))
    assert audit(export=everything, host=host) == here[0]
    assert audit(used.bundle_id, export=everything, host=host) == here[1]
    assert audit(used.bundle_id, export=one, host=host) == here[1]
    with pytest.raises(UsageError, match="whose receipts"):
        audit(export=one)
    with pytest.raises(NotVerified) as caught:
        audit(export=one, host=used.people.eve.public)
    assert caught.value.code == "bad_receipt"


def test_an_export_that_was_changed(used: Lendable, tmp_path: Path) -> None:
    host, path = used.people.studio.public, tmp_path / "all.jsonl"
    export_receipts(path, host)
    lines = path.read_bytes().splitlines(keepends=True)
    for changed in (
        lines[:2] + lines[3:],
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines[:3], lines[2], *lines[3:]],
        [lines[0].replace(b'"sig":"', b'"sig":"A'), *lines[1:]],
        [*lines, b"{}\n"],
    ):
        path.write_bytes(b"".join(changed))
        with pytest.raises(NotVerified) as caught:
            audit(export=path, host=host)
        assert caught.value.code == "bad_receipt"
    # Cut off at either end, what remains is genuine; the beginning says that it is not the first.
    path.write_bytes(b"".join(lines[2:]))
    (rest,) = audit(export=path, host=host)
    assert (rest.from_first, len(rest.receipts)) == (False, 6)
    (rest,) = audit(used.bundle_id, export=path, host=host)
    assert (rest.from_first, len(rest.receipts)) == (False, 4)


def test_a_ledger_that_was_changed(used: Lendable, home: Path) -> None:
    host = used.people.studio.public
    with closing(sqlite3.connect(home / "ledger.sqlite")) as database:
        database.execute("DELETE FROM receipts WHERE seq = 3 AND host = ?", (host.fingerprint,))
        database.commit()
    with pytest.raises(NotVerified) as caught:
        audit()
    assert caught.value.code == "bad_receipt"
    # The other double's receipts are all there, and still the chain is not.
    with pytest.raises(NotVerified):
        audit("00" * 16)
    with pytest.raises(NotVerified):
        export_receipts(home / "x.jsonl", host)
    assert not (home / "x.jsonl").exists()
    assert len(audit(host=used.people.ada.public)) == 1, "another host's chain is not touched by that"


def test_files_that_cannot_be_read_or_written(used: Lendable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = used.people.studio.public
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(UsageError, match="cannot read"):
            audit(export=path, host=host)
    with pytest.raises(OutputError):
        export_receipts(tmp_path / "missing" / "x.jsonl", host)
    export_receipts(tmp_path / "x.jsonl", host)
    monkeypatch.setattr("cameo.auditing.EXPORT_LIMIT", 100)
    with pytest.raises(CameoError, match="too large"):
        audit(export=tmp_path / "x.jsonl", host=host)


def test_a_host_with_nothing_on_record_exports_nothing(used: Lendable, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing of this host"):
        export_receipts(tmp_path / "x.jsonl", used.people.eve.public)
    assert not (tmp_path / "x.jsonl").exists()


def test_an_export_replaces_nothing(used: Lendable, tmp_path: Path) -> None:
    (tmp_path / "ada.key").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        export_receipts(tmp_path / "ada.key", used.people.studio.public)
    assert (tmp_path / "ada.key").read_bytes() == b"precious"
