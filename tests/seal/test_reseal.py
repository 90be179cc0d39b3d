"""A double sealed anew: withdrawn, changed, handed over; old or new, never anything between."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cameo.crypto.box import unwrap_key
from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.crypto.envelope import sign_envelope
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.seal.bundle import Bundle, Part, VerifiedBundle, seal_bundle
from cameo.seal.consent import agree
from cameo.seal.container import CONSENT, MANIFEST, PART_PREFIX, pack_entries, read_entries
from cameo.seal.manifest import PAYLOAD_TYPE
from cameo.seal.reseal import amend_bundle, rekey_bundle, withdraw_bundle
from cameo.seal.unlock import ContentKeys, unlock_as_host, unlock_as_owner, wrap_context
from tests.docs.markdown import ROOT, blocks

from .conftest import Sealed, agreement

NOW = datetime.datetime(2026, 3, 5, 12, tzinfo=datetime.UTC)
GRANT = "12" * 16
BEA, CLEO, HOST = (Keys.generate() for _ in range(3))


@pytest.fixture
def double(sealed: Sealed, tmp_path: Path) -> VerifiedBundle:
    """A copy of the sealed double, verified."""
    path = tmp_path / "ada.cameo"
    shutil.copy(sealed.path, path)
    return Bundle.open(path).verify(sealed.keys.public)


def opened(verified: VerifiedBundle, keys: Keys) -> dict[str, bytes]:
    content = unlock_as_owner(verified, keys)
    return {part.name: verified.read_part(part.name, content) for part in verified.manifest.parts}


def test_withdrawing_signs_the_file_anew_and_leaves_the_parts(sealed: Sealed, double: VerifiedBundle) -> None:
    made = withdraw_bundle(double.path, double, sealed.keys, NOW)
    again = Bundle.open(double.path).verify(sealed.keys.public)
    assert again.sha256 == made.sha256 != double.sha256
    assert again.consent.withdrawn and not double.consent.withdrawn
    assert (again.manifest.bundle_id, again.manifest.parts) == (double.manifest.bundle_id, double.manifest.parts)
    assert opened(again, sealed.keys) == sealed.parts
    with pytest.raises(UsageError, match="withdrawn already"):
        withdraw_bundle(double.path, again, sealed.keys, NOW)


def test_amending(sealed: Sealed, double: VerifiedBundle) -> None:
    terms = double.consent.record.terms
    purpose = msgspec.structs.replace(terms.purposes[0], modalities=("face",))
    narrower = agree(msgspec.structs.replace(terms, purposes=(purpose,)), "api")
    made = amend_bundle(double.path, double, sealed.keys, narrower, "narrowed", NOW)
    assert made.consent.record.terms == narrower.terms
    assert made.manifest.consent_sha256 != double.manifest.consent_sha256
    wider = agreement('[[purposes]]\nid = "comedy"')
    with pytest.raises(UsageError, match="not narrower"):
        amend_bundle(double.path, made, sealed.keys, wider, "narrowed", NOW)
    assert Bundle.open(double.path).sha256 == made.sha256, "what is refused writes nothing"
    made = amend_bundle(double.path, made, sealed.keys, wider, "renewed", NOW)
    assert [event.kind for event in made.consent.events] == ["given", "narrowed", "renewed"]
    assert opened(Bundle.open(double.path).verify(sealed.keys.public), sealed.keys) == sealed.parts


def test_terms_must_cover_what_the_double_keeps(sealed: Sealed, tmp_path: Path) -> None:
    path = tmp_path / "ada.cameo"
    kept = agreement('[[purposes]]\nid = "birthday"\n[retention]\ncaptures = true')
    seal_bundle(path, sealed.keys, kept, [Part("captures", "captures", b"footage")])
    verified = Bundle.open(path).verify(sealed.keys.public)
    with pytest.raises(UsageError, match="keeps the recording"):
        amend_bundle(path, verified, sealed.keys, agreement(), "renewed", NOW)
    rekeyed = rekey_bundle(path, verified, sealed.keys, BEA, NOW)
    assert opened(rekeyed, BEA) == {"captures": b"footage"}


def test_handing_over(sealed: Sealed, double: VerifiedBundle) -> None:
    made = rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    again = Bundle.open(double.path).verify(BEA.public)
    assert again.sha256 == made.sha256
    assert opened(again, BEA) == sealed.parts
    assert again.manifest.bundle_id == double.manifest.bundle_id
    assert (again.manifest.owner, again.manifest.signers) == (BEA.public.fingerprint, (BEA.public.fingerprint,))
    assert again.manifest.encoders == double.manifest.encoders
    with pytest.raises(UsageError, match="is the old one"):
        rekey_bundle(double.path, again, BEA, BEA, NOW)


def test_the_old_key_learns_to_whom_and_when(sealed: Sealed, double: VerifiedBundle) -> None:
    made = rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    with pytest.raises(NotVerified) as caught:
        Bundle.open(double.path).verify(sealed.keys.public)
    expected = f"the double was handed over on 5 March 2026, to the key {BEA.public.fingerprint}"
    assert (caught.value.message, caught.value.code) == (expected, "bad_signature")
    with pytest.raises(NotPermitted, match="does not own"):
        unlock_as_owner(made, sealed.keys)
    # Twice: both former owners are told of the present one.
    rekey_bundle(double.path, made, BEA, CLEO, NOW + datetime.timedelta(days=1))
    for former in (sealed.keys, BEA):
        with pytest.raises(NotVerified, match=f"on 6 March 2026, to the key {CLEO.public.fingerprint}"):
            Bundle.open(double.path).verify(former.public)
    with pytest.raises(NotVerified, match="not signed by the key you trust"):
        Bundle.open(double.path).verify(HOST.public)


def test_the_second_reader_of_the_format_page_agrees(sealed: Sealed, double: VerifiedBundle) -> None:
    (block,) = [block for block in blocks(ROOT / "docs" / "reference" / "bundle-format.md") if block.runs]
    reader: dict[str, Any] = {"__name__": "docs"}
    exec(compile(block.code, "bundle-format.md", "exec"), reader)

    def read(keys: Keys) -> dict[str, bytes]:
        public = keys.public
        parts = reader["read_double"](double.path, public.sign_bytes, public.decrypt_bytes, keys._decrypt)
        return dict(parts)

    made = rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    assert read(BEA) == sealed.parts
    made = rekey_bundle(double.path, made, BEA, CLEO, NOW)
    assert read(CLEO) == sealed.parts
    for former in (sealed.keys, BEA):
        with pytest.raises((AssertionError, ValueError)):
            read(former)
    made = withdraw_bundle(double.path, made, CLEO, NOW)
    with pytest.raises(AssertionError):
        read(CLEO)
    rekey_bundle(double.path, made, CLEO, BEA, NOW)
    with pytest.raises(AssertionError):
        read(BEA)


def test_it_may_come_back(sealed: Sealed, double: VerifiedBundle) -> None:
    made = rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    made = rekey_bundle(double.path, made, BEA, sealed.keys, NOW)
    made = withdraw_bundle(double.path, made, sealed.keys, NOW)
    again = Bundle.open(double.path).verify(sealed.keys.public)
    assert [event.kind for event in again.consent.events] == ["given", "rekeyed", "rekeyed", "withdrawn"]
    assert opened(again, sealed.keys) == sealed.parts
    with pytest.raises(NotVerified, match="handed over"):
        Bundle.open(double.path).verify(BEA.public)


def test_no_key_from_before_opens_the_new_file(sealed: Sealed, double: VerifiedBundle) -> None:
    content = unlock_as_owner(double, sealed.keys)
    lent = content.wrap_for(HOST.public, GRANT, ["face", "voice"])
    made = rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    bundle_id = made.manifest.bundle_id
    for name in sealed.parts:
        with pytest.raises(NotVerified, match="does not decrypt"):
            made.read_part(name, content)
        assert made.stored(PART_PREFIX + name) != double.stored(PART_PREFIX + name)
    for modality in ("face", "voice"):
        with pytest.raises(NotVerified, match="not the one this double was sealed with"):
            ContentKeys(made.manifest, {modality: content.for_modality(bundle_id, modality)})
    with pytest.raises(NotPermitted):
        unwrap_key(made.wrapped_key("owner"), sealed.keys, *wrap_context("owner", bundle_id))
    with pytest.raises(NotVerified, match="not the one"):
        unlock_as_host(made, lent, HOST, GRANT)


def test_entries_from_before_do_not_fit(sealed: Sealed, sibling: Sealed, double: VerifiedBundle) -> None:
    """Old parts, consent or manifest, or those of another double, put into the file that was handed over."""
    rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    new = {name: bytes(data) for name, data in read_entries(double.path.read_bytes()).items()}
    for source in (sealed.blob, sibling.blob):
        old = read_entries(source)
        for name in new:
            blob = b"".join(pack_entries({**new, name: bytes(old[name])}))
            for keys in (BEA, sealed.keys):
                with pytest.raises(NotVerified):
                    Bundle(double.path, blob).verify(keys.public)


def test_only_who_was_handed_it_can_say_so(sealed: Sealed, double: VerifiedBundle) -> None:
    """A thief who signs the manifest of a double anew is not told apart by the name of a hand-over alone."""
    made = rekey_bundle(double.path, double, sealed.keys, BEA, NOW)
    mine = CLEO.public.fingerprint
    record = made.stored(CONSENT).replace(BEA.public.fingerprint.encode(), mine.encode())
    claims = msgspec.structs.replace(
        made.manifest, owner=mine, signers=(mine,), consent_sha256=sha256_hex(record), consent_size=len(record)
    )
    entries = {name: bytes(data) for name, data in read_entries(double.path.read_bytes()).items()}
    entries[CONSENT] = record
    entries[MANIFEST] = encode_json(sign_envelope(PAYLOAD_TYPE, encode_json(claims), [CLEO]))
    forged = Bundle(double.path, b"".join(pack_entries(entries)))
    with pytest.raises(NotVerified):
        forged.verify(CLEO.public)
    with pytest.raises(NotVerified, match="not signed by the key you trust"):
        forged.verify(sealed.keys.public)


def test_strangers_reseal_nothing(sealed: Sealed, double: VerifiedBundle) -> None:
    before = double.path.read_bytes()
    for attempt in (
        lambda: withdraw_bundle(double.path, double, BEA, NOW),
        lambda: amend_bundle(double.path, double, BEA, agreement(), "renewed", NOW),
        lambda: rekey_bundle(double.path, double, BEA, CLEO, NOW),
    ):
        with pytest.raises(NotPermitted) as caught:
            attempt()
        assert caught.value.code == "wrong_key"
    assert double.path.read_bytes() == before


def test_nothing_else_is_overwritten(sealed: Sealed, double: VerifiedBundle, tmp_path: Path) -> None:
    """Not a key, not another double, not the same one after somebody else withdrew it."""
    other = tmp_path / "ada.key"
    other.write_bytes(b"precious")
    withdraw_bundle(double.path, double, sealed.keys, NOW)
    withdrawn = double.path.read_bytes()
    for path, before in ((other, b"precious"), (double.path, withdrawn)):
        for attempt in (
            lambda path=path: amend_bundle(path, double, sealed.keys, agreement(), "renewed", NOW),
            lambda path=path: rekey_bundle(path, double, sealed.keys, BEA, NOW),
        ):
            with pytest.raises(OutputError, match="not the double that was verified"):
                attempt()
        assert path.read_bytes() == before
    for path in (tmp_path, tmp_path / "none" / "a.cameo"):
        with pytest.raises(OutputError, match="cannot write"):
            rekey_bundle(path, double, sealed.keys, BEA, NOW)


def test_another_name_leaves_the_old_file(sealed: Sealed, double: VerifiedBundle, tmp_path: Path) -> None:
    rekey_bundle(tmp_path / "bea.cameo", double, sealed.keys, BEA, NOW)
    assert Bundle.open(double.path).verify(sealed.keys.public).sha256 == double.sha256
    Bundle.open(tmp_path / "bea.cameo").verify(BEA.public)


def test_permissions_stay(sealed: Sealed, double: VerifiedBundle) -> None:
    double.path.chmod(0o600)
    withdraw_bundle(double.path, double, sealed.keys, NOW)
    assert double.path.stat().st_mode & 0o777 == 0o600


KILLED = """
import datetime, os, signal, sys
from pathlib import Path
import cameo.files
from cameo.crypto.keys import Keys
from cameo.seal.bundle import Bundle
from cameo.seal.reseal import rekey_bundle

folder, when = Path(sys.argv[1]), sys.argv[2]
old, new = (Keys.load(folder / name, "a passphrase for tests") for name in ("ada.key", "bea.key"))
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
replace = Path.replace
if when == "written":
    Path.write_bytes = lambda self, data: (open(self, "wb").write(data[: len(data) // 2]), die())
elif when == "before":
    Path.replace = die
elif when == "after":
    Path.replace = lambda self, target: (replace(self, target), die())
path = folder / "ada.cameo"
rekey_bundle(path, Bundle.open(path).verify(old.public), old, new, datetime.datetime.now(datetime.UTC))
"""


@pytest.mark.parametrize(("when", "owner"), [("written", "ada"), ("before", "ada"), ("after", "bea")])
def test_killed_in_the_middle(sealed: Sealed, double: VerifiedBundle, when: str, owner: str) -> None:
    folder = double.path.parent
    sealed.keys.save(folder / "ada.key", "a passphrase for tests")
    BEA.save(folder / "bea.key", "a passphrase for tests")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), when], env=dict(os.environ), timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    keys = {"ada": sealed.keys, "bea": BEA}[owner]
    assert opened(Bundle.open(double.path).verify(keys.public), keys) == sealed.parts
