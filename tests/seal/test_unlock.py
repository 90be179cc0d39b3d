"""Content keys leave the owner's hands only wrapped to one host, for one grant, a modality at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from cameo.crypto.encoding import decode_base64, encode_base64
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.seal.bundle import Bundle, Part, VerifiedBundle, seal_bundle
from cameo.seal.unlock import ContentKeys, unlock_as_host, unlock_as_owner

from .conftest import Sealed, agreement

HOST, OTHER = Keys.generate(), Keys.generate()
GRANT = "12" * 16


@pytest.fixture(scope="module")
def double(sealed: Sealed) -> VerifiedBundle:
    return Bundle.open(sealed.path).verify(sealed.keys.public)


@pytest.fixture(scope="module")
def content(sealed: Sealed, double: VerifiedBundle) -> ContentKeys:
    return unlock_as_owner(double, sealed.keys)


def test_a_host_opens_what_was_lent_and_nothing_else(
    sealed: Sealed, double: VerifiedBundle, content: ContentKeys
) -> None:
    wrapped = content.wrap_for(HOST.public, GRANT, ["voice"])
    assert set(wrapped) == {"voice"}
    lent = unlock_as_host(double, wrapped, HOST, GRANT)
    assert lent.modalities == ("voice",)
    assert double.read_part("template.voice", lent) == sealed.parts["template.voice"]
    with pytest.raises(NotPermitted, match="face of this double was not unlocked") as caught:
        double.read_part("template.face", lent)
    assert caught.value.code == "out_of_scope"
    with pytest.raises(NotPermitted):
        lent.wrap_for(OTHER.public, GRANT, ["face"])


def test_both(sealed: Sealed, double: VerifiedBundle, content: ContentKeys) -> None:
    lent = unlock_as_host(double, content.wrap_for(HOST.public, GRANT, ("voice", "face", "face")), HOST, GRANT)
    assert {name: double.read_part(name, lent) for name in sealed.parts} == sealed.parts


def test_another_host_grant_or_double_opens_nothing(
    sealed: Sealed, sibling: Sealed, double: VerifiedBundle, content: ContentKeys
) -> None:
    wrapped = content.wrap_for(HOST.public, GRANT, ["face"])
    theirs = Bundle.open(sibling.path).verify(sealed.keys.public)
    for verified, host, grant in (
        (double, OTHER, GRANT),
        (double, sealed.keys, GRANT),
        (double, HOST, "34" * 16),
        (theirs, HOST, GRANT),
    ):
        with pytest.raises(NotPermitted, match="not issued for this host") as caught:
            unlock_as_host(verified, wrapped, host, grant)
        assert caught.value.code == "wrong_host"


def test_a_modality_does_not_stand_in_for_another(double: VerifiedBundle, content: ContentKeys) -> None:
    wrapped = content.wrap_for(HOST.public, GRANT, ["face"])
    with pytest.raises(NotPermitted) as caught:
        unlock_as_host(double, {"voice": wrapped["face"]}, HOST, GRANT)
    assert caught.value.code == "wrong_host"


def test_keys_of_another_double_are_not_taken(sealed: Sealed, sibling: Sealed, double: VerifiedBundle) -> None:
    """Even when the owner's own program wrapped them in the name of this one."""
    theirs = unlock_as_owner(Bundle.open(sibling.path).verify(sealed.keys.public), sealed.keys)
    theirs.bundle_id = double.manifest.bundle_id
    wrapped = theirs.wrap_for(HOST.public, GRANT, ["face"])
    with pytest.raises(NotVerified, match="not the one this double was sealed with") as caught:
        unlock_as_host(double, wrapped, HOST, GRANT)
    assert caught.value.code == "spliced"


def test_boxes_that_are_none(double: VerifiedBundle, content: ContentKeys) -> None:
    good = content.wrap_for(HOST.public, GRANT, ["face"])["face"]
    for bad in ("", "face", good[:-4], good + "AAAA", good + "\n", " " + good):
        with pytest.raises(NotVerified) as malformed:
            unlock_as_host(double, {"face": bad}, HOST, GRANT)
        assert malformed.value.code == "malformed"
    box = bytearray(decode_base64(good, "a box"))
    for position in range(len(box)):
        box[position] ^= 1
        with pytest.raises(NotPermitted):
            unlock_as_host(double, {"face": encode_base64(bytes(box))}, HOST, GRANT)
        box[position] ^= 1
    with pytest.raises(NotPermitted, match="no key"):
        unlock_as_host(double, {}, HOST, GRANT)


def test_the_recording_is_never_lent(sealed: Sealed, tmp_path: Path) -> None:
    kept = agreement('[[purposes]]\nid = "birthday"\n[retention]\ncaptures = true')
    seal_bundle(tmp_path / "ada.cameo", sealed.keys, kept, [Part("captures", "captures", b"footage")])
    verified = Bundle.open(tmp_path / "ada.cameo").verify(sealed.keys.public)
    content = unlock_as_owner(verified, sealed.keys)
    for names in (["captures"], ["face", "captures"], []):
        with pytest.raises(UsageError, match="cannot be lent"):
            content.wrap_for(HOST.public, GRANT, names)
    with pytest.raises(NotVerified, match="never lent"):
        unlock_as_host(verified, {"captures": "AAAA"}, HOST, GRANT)


def test_wrapped_keys_differ_each_time(content: ContentKeys) -> None:
    first, second = (content.wrap_for(HOST.public, GRANT, ["face"])["face"] for _ in range(2))
    assert first != second
