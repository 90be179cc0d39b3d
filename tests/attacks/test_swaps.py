"""Files that change after they were checked, and files put together from several genuine ones."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import cameo
from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.crypto.envelope import read_envelope, sign_envelope
from cameo.errors import CameoError, NotPermitted, NotVerified
from cameo.grants.grant import sealed_keys, unverified_chain
from cameo.seal.bundle import Bundle, VerifiedBundle
from cameo.seal.container import CONSENT, MANIFEST, pack_entries
from cameo.seal.manifest import PAYLOAD_TYPE
from cameo.seal.unlock import unlock_as_host, unlock_as_owner
from cameo.unlocking import unlock
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, USE, Lab, seal
from tests.attacks.forging import entries_of

FACE, VOICE = "parts/template.face", "parts/template.voice"


# Swapped after verification.


def test_bundle_swapped_between_verifying_and_reading(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another double of the same owner takes the file's place: what is opened is what was verified."""
    grant, other = lab.grant(), lab.file("cameo")
    seal(other, shift=1.0)
    whole = Bundle.verify

    def verify_and_swap(self: Bundle, owner: object) -> VerifiedBundle:
        verified = whole(self, owner)  # type: ignore[arg-type]
        other.replace(lab.double)
        return verified

    monkeypatch.setattr(Bundle, "verify", verify_and_swap)
    parts = lab.open(lab.by(grant))
    assert parts == {name: data for name, data in lab.plain.items() if name.endswith("face")}
    assert not other.exists()


def test_bundle_swapped_between_opening_and_verifying(lab: Lab) -> None:
    bundle = Bundle.open(lab.double)
    seal(lab.double, EVE, shift=1.0)
    verified = bundle.verify(ADA.public)
    assert verified.read_part("template.face", unlock_as_owner(verified, ADA)) == lab.plain["template.face"]
    with pytest.raises(NotVerified):
        bundle.verify(EVE.public)


def test_bundle_swapped_during_unlock(lab: Lab) -> None:
    """Overwritten in place while it is open: what is read later is from memory, and the receipt is of the old one."""
    grant, old = lab.grant(), Bundle.open(lab.double).claims.bundle_id
    with unlock(lab.double, USE, borrowed=lab.by(grant)) as opened:
        lab.double.write_bytes(bytes(lab.double.stat().st_size))
        opened.recheck()
        assert opened.parts["template.face"] == lab.plain["template.face"]
        verified = opened._session.verified
        assert verified.stored(CONSENT)
    assert {receipt.bundle_id for receipt in lab.receipts()} == {old}
    lab.refused("malformed", NotVerified, lab.by(grant))


def test_bundle_swapped_for_an_older_version_of_itself(lab: Lab) -> None:
    """Same double, same owner, other bytes: a grant is for one file."""
    old = lab.double.read_bytes()
    cameo.amend(lab.double, keys=ADA, terms=cameo.load_terms(lab.file("toml", b'[[purposes]]\nid = "birthday"')))
    grant = lab.grant(delegable=False)
    lab.open(lab.by(grant))
    lab.double.write_bytes(old)
    lab.refused("wrong_double", NotPermitted, lab.by(grant))


def test_grant_file_swapped_during_unlock(lab: Lab) -> None:
    """The grant is read once, too: what is checked before release is the grant that was used."""
    grant, other = lab.grant(), lab.grant()
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, borrowed=lab.by(grant)) as opened:
        cameo.revoke(grant, keys=ADA)
        grant.write_bytes(other.read_bytes())
        opened.release()
    assert caught.value.code == "revoked"


def test_link_swapped_during_unlock(lab: Lab) -> None:
    link = lab.folder / "link.cameo"
    link.symlink_to(lab.double)
    grant = lab.grant()
    with unlock(link, USE, borrowed=lab.by(grant)) as opened:
        link.unlink()
        link.symlink_to("/dev/zero")
        assert opened.parts["template.face"] == lab.plain["template.face"]


# Spliced.


@pytest.fixture
def sibling(lab: Lab) -> dict[str, bytes]:
    """Entries of another double of the same owner."""
    path = lab.folder / "sibling.cameo"
    seal(path, shift=1.0)
    return entries_of(path)


def spliced(lab: Lab, entries: dict[str, bytes]) -> Path:
    """Write a bundle of these entries."""
    return lab.file("cameo", b"".join(pack_entries(entries)))


@pytest.mark.parametrize("name", [MANIFEST, CONSENT, FACE, VOICE, "parts/adapter.reference.face"])
def test_spliced_entry_of_another_bundle(lab: Lab, sibling: dict[str, bytes], name: str) -> None:
    """Consent, part or manifest of a genuine double of the same owner in the place of this one's."""
    mixed = spliced(lab, {**entries_of(lab.double), name: sibling[name]})
    lab.refused("spliced", NotVerified, keys=ADA, double=mixed)
    lab.refused("spliced", NotVerified, lab.by(lab.grant()), double=mixed)


def test_spliced_parts_of_the_same_bundle(lab: Lab) -> None:
    entries = entries_of(lab.double)
    swapped = {**entries, FACE: entries[VOICE], VOICE: entries[FACE]}
    lab.refused("spliced", NotVerified, keys=ADA, double=spliced(lab, swapped))


def resigned_manifest(lab: Lab, change: Callable[[dict], None], entries: dict[str, bytes]) -> Path:
    """Let the owner's key sign a changed manifest: so only what binds the pieces to each other can refuse it."""
    payload = _manifest(entries)
    change(payload)
    raw = json.dumps(payload, separators=(",", ":")).encode()
    envelope = encode_json(sign_envelope(PAYLOAD_TYPE, raw, [ADA]))
    assert read_envelope(envelope, "the manifest", 10**6)
    return spliced(lab, {**entries, MANIFEST: envelope})


def _manifest(entries: dict[str, bytes]) -> dict:
    found: dict = json.loads(base64.b64decode(json.loads(entries[MANIFEST])["payload"]))
    return found


@contextmanager
def shut(code: str, error: type[CameoError] = NotVerified) -> Iterator[None]:
    with pytest.raises(error) as caught:
        yield
    assert caught.value.code == code


def test_spliced_consent_under_a_signed_manifest(lab: Lab, sibling: dict[str, bytes]) -> None:
    """The consent record names its double and its parts: one of another double is refused, whoever signed it in."""
    other = _manifest(sibling)

    def change(manifest: dict) -> None:
        manifest.update(consent_sha256=other["consent_sha256"], consent_size=other["consent_size"])

    path = resigned_manifest(lab, change, {**entries_of(lab.double), CONSENT: sibling[CONSENT]})
    lab.refused("spliced", NotVerified, keys=ADA, double=path)


def test_spliced_part_under_a_signed_manifest(lab: Lab, sibling: dict[str, bytes]) -> None:
    """Even then the consent record, with its own signature, is about other parts."""
    other = {part["name"]: part for part in _manifest(sibling)["parts"]}

    def change(manifest: dict) -> None:
        manifest["parts"] = [other[p["name"]] if p["name"] == "template.face" else p for p in manifest["parts"]]

    path = resigned_manifest(lab, change, {**entries_of(lab.double), FACE: sibling[FACE]})
    lab.refused("spliced", NotVerified, keys=ADA, double=path)


def test_spliced_key_under_a_signed_manifest(lab: Lab, sibling: dict[str, bytes]) -> None:
    """The root key of another double: it was wrapped for that one, and does not unwrap for this."""

    def change(manifest: dict) -> None:
        manifest["wrapped"] = _manifest(sibling)["wrapped"]

    path = resigned_manifest(lab, change, entries_of(lab.double))
    verified = Bundle.open(path).verify(ADA.public)
    with shut("wrong_key", NotPermitted):
        unlock_as_owner(verified, ADA)
    with pytest.raises(NotPermitted), unlock(path, USE, keys=ADA):
        raise AssertionError("open")
    assert lab.decisions(ADA) == [("allow", ""), ("withheld", "wrong_key")]


def test_spliced_commitment_under_a_signed_manifest(lab: Lab, sibling: dict[str, bytes]) -> None:
    """A key that is not the one committed to is not used: one ciphertext could open under two keys otherwise."""

    def change(manifest: dict) -> None:
        manifest["keys"] = _manifest(sibling)["keys"]

    verified = Bundle.open(resigned_manifest(lab, change, entries_of(lab.double))).verify(ADA.public)
    with shut("spliced"):
        unlock_as_owner(verified, ADA)


def test_spliced_key_of_another_grant(lab: Lab) -> None:
    """Keys are wrapped for one grant: those of a wide one do not unwrap under the id of a narrow one."""
    one, two = (unverified_chain((lab.token(lab.grant()),)).grant for _ in range(2))
    verified = Bundle.open(lab.double).verify(ADA.public)
    with shut("wrong_host", NotPermitted):
        unlock_as_host(verified, sealed_keys(one), STUDIO, two.jti)


def test_spliced_key_of_another_modality(lab: Lab) -> None:
    grant = unverified_chain((lab.token(lab.grant(modalities=("face", "voice"))),)).grant
    keys = sealed_keys(grant)
    verified = Bundle.open(lab.double).verify(ADA.public)
    with shut("wrong_host", NotPermitted):
        unlock_as_host(verified, {"voice": keys["face"]}, STUDIO, grant.jti)


def test_spliced_key_of_another_double(lab: Lab, sibling: dict[str, bytes]) -> None:
    grant = unverified_chain((lab.token(lab.grant()),)).grant
    other = Bundle.open(lab.folder / "sibling.cameo").verify(ADA.public)
    with shut("wrong_host", NotPermitted):
        unlock_as_host(other, sealed_keys(grant), STUDIO, grant.jti)
    content = unlock_as_owner(other, ADA)
    verified = Bundle.open(lab.double).verify(ADA.public)
    with shut("wrong_double", NotPermitted):
        verified.read_part("template.face", content)


def test_spliced_event_of_another_double(lab: Lab, sibling: dict[str, bytes]) -> None:
    """The event "given" of one consent under the record of another."""
    mine, theirs = json.loads(entries_of(lab.double)[CONSENT]), json.loads(sibling[CONSENT])
    mixed = json.dumps({"record": mine["record"], "events": theirs["events"]}, separators=(",", ":")).encode()

    def change(manifest: dict) -> None:
        manifest.update(consent_sha256=sha256_hex(mixed), consent_size=len(mixed))

    path = resigned_manifest(lab, change, {**entries_of(lab.double), CONSENT: mixed})
    lab.refused("spliced", NotVerified, keys=ADA, double=path)
    assert lab.open(lab.by(lab.grant(), BOB))
