"""Sealing and reading back: what goes in comes out, to its owner, and nothing else goes in."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import msgspec
import pytest

from cameo.crypto.encoding import encode_json
from cameo.crypto.envelope import sign_envelope
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.records import Evidence, Verdict, assurance_of, says_live, split_assurance
from cameo.seal.bundle import Bundle, Part, VerifiedBundle, seal_bundle
from cameo.seal.container import CONSENT, MANIFEST, pack_entries, read_entries
from cameo.seal.manifest import PAYLOAD_TYPE, Manifest
from cameo.seal.unlock import ContentKeys, unlock_as_owner

from .conftest import ENCODER, PASSED, Sealed, agreement, some_parts, tensor_bytes


def resealed(sealed: Sealed, manifest: Manifest, *signers: Keys) -> bytes:
    """Write the bundle anew around another manifest, signed by `signers`."""
    entries = {name: bytes(data) for name, data in read_entries(sealed.blob).items()}
    entries[MANIFEST] = encode_json(sign_envelope(PAYLOAD_TYPE, encode_json(manifest), signers))
    return b"".join(pack_entries(entries))


def test_round_trip(sealed: Sealed) -> None:
    verified = Bundle.open(sealed.path).verify(sealed.keys.public)
    content = unlock_as_owner(verified, sealed.keys)
    assert content.modalities == ("face", "voice")
    assert {name: verified.read_part(name, content) for name in sealed.parts} == sealed.parts
    manifest = verified.manifest
    assert manifest.owner == sealed.keys.public.fingerprint
    assert [part.name for part in manifest.parts] == sorted(sealed.parts)
    assert manifest.assurance == "consistency-only"
    assert manifest.about == {"note": "made by a test", "steps": 3}
    assert [(g.id, g.base_digest) for g in manifest.generators] == [("reference", "ab" * 32)]
    assert manifest.encoders[0].id == ENCODER.id
    assert not verified.consent.withdrawn
    assert verified.size == len(sealed.blob)


def test_nothing_is_in_the_clear(sealed: Sealed) -> None:
    for data in sealed.parts.values():
        assert data not in sealed.blob
        assert data[-8:] not in sealed.blob


def test_the_same_double_sealed_twice_shares_no_ciphertext(sealed: Sealed, tmp_path: Path) -> None:
    seal_bundle(tmp_path / "again.cameo", sealed.keys, agreement(), some_parts(), [ENCODER])
    again = read_entries((tmp_path / "again.cameo").read_bytes())
    first = read_entries(sealed.blob)
    for name in first:
        assert bytes(first[name]) != bytes(again[name])


def test_file_is_replaced_whole_or_not_at_all(tmp_path: Path, sealed: Sealed) -> None:
    path = tmp_path / "ada.cameo"
    path.write_bytes(b"old")
    with pytest.raises(UsageError):
        seal_bundle(path, sealed.keys, agreement(), [])
    assert path.read_bytes() == b"old"
    seal_bundle(path, sealed.keys, agreement(), some_parts(), [ENCODER])
    Bundle.open(path).verify(sealed.keys.public)
    assert [p.name for p in tmp_path.iterdir()] == ["ada.cameo"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o022 == 0
    with pytest.raises(OutputError, match="cannot write"):
        seal_bundle(tmp_path / "none" / "ada.cameo", sealed.keys, agreement(), some_parts())


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Part("template.iris", "iris", tensor_bytes(1)), "do not fit"),
        (Part("template.face", "voice", tensor_bytes(1)), "do not fit"),
        (Part("adapter.reference.face", "face", tensor_bytes(1), "wan", "ab" * 32), "do not fit"),
        (Part("../evil", "face", tensor_bytes(1)), "do not fit"),
        (Part("template.face", "face", b"not safetensors"), "safetensors"),
        (Part("template.face", "face", tensor_bytes(float("nan"))), "NaN"),
        (Part("captures", "captures", b"footage"), "consent does not allow"),
        (Part("adapter.reference.face", "face", tensor_bytes(1), "reference", "no digest"), "cannot seal"),
    ],
)
def test_what_cannot_be_sealed(tmp_path: Path, sealed: Sealed, part: Part, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        seal_bundle(tmp_path / "ada.cameo", sealed.keys, agreement(), [part])
    assert list(tmp_path.iterdir()) == []


def test_contradicting_parts_are_refused(tmp_path: Path, sealed: Sealed) -> None:
    face = Part("adapter.reference.face", "face", tensor_bytes(1), "reference", "ab" * 32)
    other = Part("identity.reference.face", "face", tensor_bytes(1), "reference", "cd" * 32)
    for parts, words in (([face, face], "same name"), ([face, other], "two base models")):
        with pytest.raises(UsageError, match=words):
            seal_bundle(tmp_path / "ada.cameo", sealed.keys, agreement(), parts)
    with pytest.raises(UsageError, match="cannot seal"):
        seal_bundle(tmp_path / "ada.cameo", sealed.keys, agreement(), [face], [ENCODER, ENCODER])


def test_captures_are_kept_when_consented_to(tmp_path: Path, sealed: Sealed) -> None:
    allowed = agreement('[[purposes]]\nid = "birthday"\n[retention]\ncaptures = true')
    footage = b"any bytes, not tensors" * 9000
    seal_bundle(tmp_path / "ada.cameo", sealed.keys, allowed, [Part("captures", "captures", footage)])
    verified = Bundle.open(tmp_path / "ada.cameo").verify(sealed.keys.public)
    assert verified.read_part("captures", unlock_as_owner(verified, sealed.keys)) == footage
    assert verified.manifest.assurance == "none"


def test_what_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        Bundle.open(tmp_path / "none.cameo")
    with pytest.raises(UsageError, match="cannot read"):
        Bundle.open(tmp_path)
    for content in (b"", b"text", b"PK\x03\x04", bytes(5000)):
        (tmp_path / "a.cameo").write_bytes(content)
        with pytest.raises(NotVerified):
            Bundle.open(tmp_path / "a.cameo")


def test_there_is_no_way_around_verification(sealed: Sealed) -> None:
    bundle = Bundle.open(sealed.path)
    entries = read_entries(sealed.blob)
    verified = bundle.verify(sealed.keys.public)
    with pytest.raises(TypeError):
        VerifiedBundle(object(), bundle, bundle.claims, verified.consent, entries)
    assert not hasattr(bundle, "read_part")
    assert not hasattr(bundle, "wrapped_key")


def test_unknown_parts_and_roles(sealed: Sealed) -> None:
    verified = Bundle.open(sealed.path).verify(sealed.keys.public)
    content = unlock_as_owner(verified, sealed.keys)
    with pytest.raises(UsageError, match="no part captures"):
        verified.read_part("captures", content)
    with pytest.raises(NotPermitted, match="no key for the role host"):
        verified.wrapped_key("host")


def test_keys_of_another_double_open_nothing(sealed: Sealed, sibling: Sealed) -> None:
    ours = Bundle.open(sealed.path).verify(sealed.keys.public)
    theirs = Bundle.open(sibling.path).verify(sealed.keys.public)
    with pytest.raises(NotPermitted, match="another double"):
        ours.read_part("template.face", unlock_as_owner(theirs, sealed.keys))


def test_keys_of_one_modality_open_that_one_only(sealed: Sealed) -> None:
    verified = Bundle.open(sealed.path).verify(sealed.keys.public)
    whole = unlock_as_owner(verified, sealed.keys)
    bundle_id = verified.manifest.bundle_id
    voice_only = ContentKeys(verified.manifest, {"voice": whole.for_modality(bundle_id, "voice")})
    assert verified.read_part("template.voice", voice_only) == sealed.parts["template.voice"]
    with pytest.raises(NotPermitted, match="face of this double was not unlocked"):
        verified.read_part("template.face", voice_only)


def test_a_key_that_was_not_committed_to_is_refused(sealed: Sealed) -> None:
    verified = Bundle.open(sealed.path).verify(sealed.keys.public)
    whole = unlock_as_owner(verified, sealed.keys)
    face = whole.for_modality(verified.manifest.bundle_id, "face")
    for keys in ({"face": bytes(32)}, {"voice": face}, {"captures": face}):
        with pytest.raises(NotVerified, match="not the one"):
            ContentKeys(verified.manifest, keys)


def test_keys_do_not_show(sealed: Sealed) -> None:
    verified = Bundle.open(sealed.path).verify(sealed.keys.public)
    content = unlock_as_owner(verified, sealed.keys)
    secret = content.for_modality(verified.manifest.bundle_id, "face")
    assert secret.hex() not in repr(content) and repr(secret) not in repr(content)
    assert not hasattr(content, "__dict__")


def test_a_countersignature_counts_and_must_be_named(sealed: Sealed) -> None:
    """An enrolling service may sign too; the owner's signature is needed all the same."""
    service = Keys.generate()
    signers = tuple(sorted((sealed.keys.public.fingerprint, service.public.fingerprint)))
    named = msgspec.structs.replace(Bundle(sealed.path, sealed.blob).claims, signers=signers)
    both = resealed(sealed, named, sealed.keys, service)
    verified = Bundle(sealed.path, both).verify(sealed.keys.public)
    assert verified.manifest.signers == signers
    assert verified.read_part("template.face", unlock_as_owner(verified, sealed.keys)) == sealed.parts["template.face"]
    for blob in (
        resealed(sealed, named, sealed.keys),
        resealed(sealed, named, service),
        resealed(sealed, Bundle(sealed.path, sealed.blob).claims, sealed.keys, service),
    ):
        with pytest.raises(NotVerified):
            Bundle(sealed.path, blob).verify(sealed.keys.public)


def test_another_owner_cannot_take_it_over(sealed: Sealed) -> None:
    """Signing somebody's double anew is not enough: the consent inside is still theirs."""
    thief = Keys.generate()
    mine = thief.public.fingerprint
    claims = msgspec.structs.replace(Bundle(sealed.path, sealed.blob).claims, owner=mine, signers=(mine,))
    with pytest.raises(NotVerified):
        Bundle(sealed.path, resealed(sealed, claims, thief)).verify(thief.public)


@pytest.mark.parametrize("change", ["sizes", "digests", "consent", "order"])
def test_a_manifest_that_does_not_fit_is_refused_though_signed(sealed: Sealed, change: str) -> None:
    claims = Bundle(sealed.path, sealed.blob).claims
    replace = msgspec.structs.replace
    first = claims.parts[0]
    manifest = {
        "sizes": replace(claims, parts=(replace(first, size=first.size + 1), *claims.parts[1:])),
        "digests": replace(claims, parts=(replace(first, sha256="0" * 64), *claims.parts[1:])),
        "consent": replace(claims, consent_sha256="0" * 64),
        "order": replace(claims, parts=claims.parts[::-1]),
    }[change]
    with pytest.raises(NotVerified):
        Bundle(sealed.path, resealed(sealed, manifest, sealed.keys)).verify(sealed.keys.public)
    intact = resealed(sealed, claims, sealed.keys)
    Bundle(sealed.path, intact).verify(sealed.keys.public)


def test_a_part_signed_but_not_in_the_consent_is_refused(sealed: Sealed, sibling: Sealed) -> None:
    entries = {name: bytes(data) for name, data in read_entries(sealed.blob).items()}
    other = Bundle(sibling.path, sibling.blob).claims
    manifest = msgspec.structs.replace(
        Bundle(sealed.path, sealed.blob).claims, consent_sha256=other.consent_sha256, consent_size=other.consent_size
    )
    entries[CONSENT] = bytes(read_entries(sibling.blob)[CONSENT])
    entries[MANIFEST] = encode_json(sign_envelope(PAYLOAD_TYPE, encode_json(manifest), [sealed.keys]))
    with pytest.raises(NotVerified, match="another double"):
        Bundle(sealed.path, b"".join(pack_entries(entries))).verify(sealed.keys.public)


def test_a_broken_ciphertext_under_a_valid_signature_does_not_decrypt(sealed: Sealed) -> None:
    """Even the owner's own signature does not make changed bytes decrypt to something."""
    verified = Bundle.open(sealed.path).verify(sealed.keys.public)
    content = unlock_as_owner(verified, sealed.keys)
    name = "parts/template.face"
    spoiled = dict(verified._entries)
    data = bytearray(spoiled[name])
    data[-1] ^= 1
    spoiled[name] = memoryview(bytes(data))
    verified._entries = spoiled
    with pytest.raises(NotVerified, match="does not decrypt"):
        verified.read_part("template.face", content)


def test_encoders_name_their_assurance(sealed: Sealed, tmp_path: Path) -> None:
    matched = dataclasses.replace(ENCODER, assurance="matched")
    weak = dataclasses.replace(ENCODER, id="v", modality="voice")
    for encoders, expected in (([matched], "matched"), ([matched, weak], "consistency-only"), ([], "none")):
        seal_bundle(tmp_path / "a.cameo", sealed.keys, agreement(), some_parts(), encoders)
        assert Bundle.open(tmp_path / "a.cameo").claims.assurance == expected


@pytest.mark.parametrize(
    ("said", "live"),
    [
        (PASSED, True),
        ("challenge failed; nonce 5a; digits against", False),
        ("not checked by a challenge; against it: lips", False),
        ("no challenge passed", False),
        ("challenge passed, or so they say", False),
        ("", False),
    ],
)
def test_a_passed_challenge_is_part_of_the_level(sealed: Sealed, tmp_path: Path, said: str, live: bool) -> None:
    seal_bundle(tmp_path / "a.cameo", sealed.keys, agreement(liveness=said), some_parts(), [ENCODER])
    verified = Bundle.open(tmp_path / "a.cameo").verify(sealed.keys.public)
    assert verified.consent.record.live is live
    assert verified.assurance == ("consistency-only + live" if live else "consistency-only")
    assert verified.manifest.assurance == "consistency-only"


def test_what_a_verdict_says_is_read_again() -> None:
    piece = Evidence("digits", "Digits", 1.0, 4.0, True, True, "6 of 6", "said")
    passed = Verdict((piece,), "5a" * 16, "b6" * 32)
    failed = Verdict((dataclasses.replace(piece, passed=False),), "5a" * 16, "b6" * 32)
    assert [says_live(verdict.summary()) for verdict in (passed, failed, Verdict((piece,)))] == [True, False, False]
    for level in ("none", "matched"):
        for live in (True, False):
            assert split_assurance(assurance_of(level, live)) == (level, live)
