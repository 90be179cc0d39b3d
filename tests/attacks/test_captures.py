"""The recording that a double keeps: nobody but its owner gets at it, and nobody puts another in its place."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import cameo
from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.grants.grant import unverified_chain
from cameo.records import RecordedFile
from cameo.seal.bundle import Bundle, Part, VerifiedBundle, seal_bundle
from cameo.seal.captures import CAPTURES, pack_captures
from cameo.seal.container import pack_entries
from cameo.seal.reseal import extend_bundle
from cameo.seal.unlock import unlock_as_host, unlock_as_owner
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TERMS, TOOL, USE, Lab, agreement
from tests.attacks.forging import entries_of
from tests.seal.conftest import ENCODER, some_parts

KEPT = TERMS + "[retention]\ncaptures = true\n"
FOOTAGE = bytes(range(256)) * 300
PART = f"parts/{CAPTURES}"


def seal_kept(path: Path, footage: bytes = FOOTAGE) -> None:
    captures = pack_captures(RecordedFile("selfie.mp4", footage))
    path.unlink(missing_ok=True)
    seal_bundle(path, ADA, agreement(KEPT), [*some_parts(), Part(CAPTURES, CAPTURES, captures)], [ENCODER])


@pytest.fixture
def double(lab: Lab) -> VerifiedBundle:
    """The lab's double, with a recording in it."""
    seal_kept(lab.double)
    return Bundle.open(lab.double).verify(ADA.public)


def test_nothing_of_it_lies_open(lab: Lab, double: VerifiedBundle) -> None:
    assert FOOTAGE[:256] not in lab.double.read_bytes()
    assert b"selfie.mp4" not in lab.double.read_bytes()


def test_recording_swapped_for_another(lab: Lab, double: VerifiedBundle) -> None:
    """That of another double of the same owner, one cut short, one emptied, one taken away."""
    other = lab.file("cameo")
    seal_kept(other, FOOTAGE[::-1])
    entries = entries_of(lab.double)
    for data in (entries_of(other)[PART], entries[PART][:-65552], entries[PART][:32], b""):
        lab.double.write_bytes(b"".join(pack_entries({**entries, PART: data})))
        with pytest.raises(NotVerified) as caught:
            Bundle.open(lab.double).verify(ADA.public)
        assert caught.value.code == "spliced"
    del entries[PART]
    lab.double.write_bytes(b"".join(pack_entries(entries)))
    with pytest.raises(NotVerified):
        Bundle.open(lab.double).verify(ADA.public)


def test_recording_slipped_into_a_double_that_keeps_none(lab: Lab, double: VerifiedBundle) -> None:
    kept = entries_of(lab.double)[PART]
    plain = lab.file("cameo")
    seal_bundle(plain, ADA, agreement(), some_parts(), [ENCODER])
    plain.write_bytes(b"".join(pack_entries({**entries_of(plain), PART: kept})))
    with pytest.raises(NotVerified) as caught:
        Bundle.open(plain).verify(ADA.public)
    assert caught.value.code == "spliced"


def test_grant_that_asks_for_it(lab: Lab, double: VerifiedBundle) -> None:
    for modalities in ((CAPTURES,), ("face", CAPTURES)):
        with pytest.raises(UsageError):
            lab.grant(modalities=modalities)
    wide = unverified_chain((lab.token(lab.grant(modalities=())),)).grant
    assert wide.scope.modalities == ("face", "voice"), "all that can be lent is face and voice"
    assert [key.modality for key in wide.keys] == ["face", "voice"]


def test_use_that_asks_for_it(lab: Lab, double: VerifiedBundle) -> None:
    """Not even its owner casts a recording; they read it, or tune from it."""
    for modalities in ((CAPTURES,), ("face", CAPTURES)):
        use = dataclasses.replace(USE, modalities=modalities)
        with pytest.raises(NotPermitted):
            lab.open(lab.by(lab.grant()), use)
        with pytest.raises(NotPermitted):
            lab.open(use=use, keys=ADA)
    assert set(lab.open(lab.by(lab.grant()))) == {n for n in lab.plain if n.endswith("face")}


def test_keys_in_a_grant_do_not_reach_it(lab: Lab, double: VerifiedBundle) -> None:
    grant = unverified_chain((lab.token(lab.grant(modalities=())),)).grant
    wrapped: dict[str, str] = {key.modality: key.sealed for key in grant.keys}
    content = unlock_as_host(double, wrapped, STUDIO, grant.jti)
    with pytest.raises(NotPermitted) as caught:
        double.read_part(CAPTURES, content)
    assert caught.value.code == "out_of_scope"
    with pytest.raises(NotVerified):
        unlock_as_host(double, {CAPTURES: wrapped["face"]}, STUDIO, grant.jti)
    for modality in ("face", "voice"):
        key = content.for_modality(double.manifest.bundle_id, modality)
        with pytest.raises(NotVerified):
            cameo.ContentKeys(double.manifest, {CAPTURES: key})


def test_old_grant_on_a_double_that_was_adapted(lab: Lab, double: VerifiedBundle) -> None:
    """Neither the grant nor the keys in it reach what was added, nor anything else in the new file."""
    grant = lab.grant()
    claims = unverified_chain((lab.token(grant),)).grant
    added = [Part(p.name.replace("reference", "wan"), "face", p.data, "wan", p.base_digest) for p in some_parts()[2:]]
    new = extend_bundle(lab.double, double, ADA, added)
    lab.refused("wrong_double", NotPermitted, lab.by(grant))
    with pytest.raises(NotVerified) as caught:
        unlock_as_host(new, {key.modality: key.sealed for key in claims.keys}, STUDIO, claims.jti)
    assert caught.value.code == "spliced"
    old = unlock_as_owner(double, ADA)
    with pytest.raises(NotVerified):
        cameo.ContentKeys(new.manifest, {"face": old.for_modality(new.manifest.bundle_id, "face")})


@pytest.mark.parametrize("keys", [BOB, TOOL, STUDIO, EVE])
def test_somebody_else_adapts_it(lab: Lab, double: VerifiedBundle, keys: Keys) -> None:
    lab.grant()
    raw = lab.double.read_bytes()
    with pytest.raises(CameoError) as caught:
        cameo.add_generator(lab.double, keys=keys, options=cameo.AdaptOptions("reference", replace=True))
    assert caught.value.code == "bad_signature"
    assert lab.double.read_bytes() == raw


def test_withdrawn_consent_is_not_renewed_by_adding_parts(lab: Lab, double: VerifiedBundle) -> None:
    cameo.withdraw(lab.double, keys=ADA)
    withdrawn = Bundle.open(lab.double).verify(ADA.public)
    with pytest.raises(NotPermitted) as caught:
        extend_bundle(lab.double, withdrawn, ADA, some_parts()[2:])
    assert caught.value.code == "withdrawn"


def test_erasing_destroys_the_way_to_it(lab: Lab, double: VerifiedBundle) -> None:
    cameo.erase(lab.double, keys=ADA)
    assert not lab.double.exists()
    assert not [path for path in lab.folder.rglob("*") if path.is_file() and FOOTAGE[:256] in path.read_bytes()]
