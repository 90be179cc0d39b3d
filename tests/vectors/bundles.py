"""Bundles: whole ones, then one defect each."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from tests.vectors.case import Vector
from tests.vectors.double import EVENT_TYPE, MANIFEST_TYPE, Change, Double
from tests.vectors.forge import (
    ADA,
    EVE,
    HOST,
    Entry,
    b64,
    chance,
    compact,
    envelope,
    hpke_seal,
    safetensors,
    tensor,
    words,
    zipped,
    zlib_bomb,
)

_BOTH = ("template.face", "template.voice")


def _bundle(name: str, expected: str, description: str, file: bytes, **more: Any) -> Vector:
    given = {"file_base64": b64(file), **more}
    keys = {"owner": ADA, "host": HOST} if "grant_id" in more else {"owner": ADA}
    return Vector("bundle", name, description, expected, given, keys)


def bundles() -> Iterator[Vector]:
    """Vectors of kind "bundle": everything from the container to the decrypted parts."""
    one = Double()
    yield _bundle("ok", "ok", "a face", one.file())
    yield _bundle("ok-two-parts", "ok", "a face and a voice", Double(names=_BOTH).file())
    yield from _containers(one)
    yield from _spliced(one)
    yield from _signed(one)
    yield from _manifests(one)
    yield from _envelopes(one)
    yield from _hosts(one)


def _containers(one: Double) -> Iterator[Vector]:
    whole, entries = one.file(), one.entries()
    both = Double(names=_BOTH).entries()

    def more(name: str) -> bytes:
        return zipped([*entries, Entry(name, b"x")])

    def last(**changes: Any) -> bytes:
        members = {"name": entries[-1].name, "data": entries[-1].data} | changes
        return zipped([*entries[:-1], Entry(**members)])

    zeros = 258 * 200 + 1
    bomb = last(data=bytes(zeros), method=8, stored=zlib_bomb(zeros)[2:-4])
    for name, code, description, file in (
        ("empty", "malformed", "no byte", b""),
        ("no-zip", "malformed", "not a ZIP", b"hello"),
        ("no-entry", "malformed", "a ZIP without entries", zipped([])),
        ("cut-off", "malformed", "the last byte is missing", whole[:-1]),
        ("trailing-byte", "malformed", "a byte after the end", whole + b"\0"),
        ("leading-bytes", "malformed", "a script before it", b"#!/bin/sh\n" + whole),
        ("comment", "malformed", "a comment", zipped(entries, b"hello")),
        ("zip-slip", "malformed", "an entry that leaves its folder", more("parts/../../evil")),
        ("absolute-name", "malformed", "an entry with an absolute name", more("/etc/passwd")),
        ("pickle-name", "malformed", "an entry for a pickle", more("parts/adapter.wan.pkl")),
        ("folder-entry", "malformed", "an entry for a folder", zipped([Entry("parts/", b""), *entries])),
        ("repeated", "malformed", "an entry twice", zipped([*entries, entries[-1]])),
        ("listed-as", "malformed", "the directory gives an entry another name", last(listed_as="parts/captures")),
        ("compressed", "malformed", "an entry is compressed", last(method=8)),
        ("bomb", "malformed", "an entry that inflates to a hundred times its size", bomb),
        ("data-descriptor", "malformed", "sizes stand after the data", last(flags=8)),
        ("encrypted-flag", "malformed", "an entry is said to be encrypted by ZIP", last(flags=1)),
        ("utf8-flag", "malformed", "a flag that changes nothing", last(flags=0x800)),
        ("extra-field", "malformed", "an extra field", last(extra=b"\x01\x00\x04\x00evil")),
        ("gap", "malformed", "bytes between an entry and the directory", last(after=b"hidden")),
        ("no-consent", "malformed", "the consent record is missing", zipped([entries[0], *entries[2:]])),
        ("entry-order", "spliced", "the parts in another order", zipped([*both[:2], both[3], both[2]])),
        ("consent-first", "spliced", "the consent record first", zipped([entries[1], entries[0], entries[2]])),
        ("part-missing", "spliced", "a part of the manifest is missing", zipped(entries[:-1])),
        ("part-more", "spliced", "a part that the manifest does not name", more("parts/adapter.wan.face")),
    ):
        yield _bundle(name, code, description, file)


def _spliced(one: Double) -> Iterator[Vector]:
    """What a thief can do, who can sign nothing."""
    two, pair = Double("two").entries(), Double(names=_BOTH).entries()
    manifest, consent, face = one.entries()
    swapped = [*pair[:2], Entry(pair[2].name, pair[3].data), Entry(pair[3].name, pair[2].data)]
    flipped = Entry(face.name, bytes([face.data[0] ^ 1]) + face.data[1:])
    for name, description, entries in (
        ("other-consent", "the consent record of another double", [manifest, two[1], face]),
        ("other-part", "a part of another double", [manifest, consent, two[2]]),
        ("other-manifest", "the manifest of another double", [two[0], consent, face]),
        ("swapped-parts", "face and voice are swapped", swapped),
        ("part-changed", "a bit of a part", [manifest, consent, flipped]),
    ):
        yield _bundle(name, "spliced", description, zipped(entries))
    eves, forged = Double("one", EVE), one.file(signer=EVE)
    yield _bundle("other-owner", "bad_signature", "somebody else's double", eves.file())
    yield _bundle("signed-by-another", "bad_signature", "signed by somebody who is not the owner", forged)


def _signed(one: Double) -> Iterator[Vector]:
    """What an owner could sign and still nobody must open."""
    two, info = Double("two"), words("wrap", "root", "owner", one.bundle_id)

    def part(data: bytes) -> Double:
        double = Double()
        double.parts["template.face"] = data
        return double

    def wrapped(recipient: bytes, root: str) -> Double:
        double = Double()
        double.wrapped = hpke_seal(chance("x"), recipient, info, chance(root, "root"))
        return double

    def plain(data: bytes) -> Double:
        return part(one.sealed_part("template.face", data))

    stale = plain(safetensors({})).file(consent=one.consent())
    nan = safetensors({"x": tensor("F32", [1], 0, 4)}, struct.pack("<f", float("nan")))
    for name, code, description, file in (
        ("signed-other-consent", "spliced", "the consent record of another double", one.file(consent=two.consent())),
        ("consent-of-other-parts", "spliced", "the consent record names other parts", stale),
        ("signed-other-part", "spliced", "a part that another key encrypts", part(two.parts["template.face"]).file()),
        ("signed-short-part", "spliced", "a part without its tag", part(one.parts["template.face"][:20]).file()),
        ("signed-empty-part", "spliced", "a part without a byte", part(b"").file()),
        ("root-for-another", "wrong_key", "the root key is somebody else's", wrapped(EVE.decrypt_bytes, "one").file()),
        ("root-of-another", "spliced", "the root key of another double", wrapped(ADA.decrypt_bytes, "two").file()),
        ("pickle", "malformed", "a part is a pickle", plain(b"\x80\x04N.").file()),
        ("nan", "malformed", "a part holds NaN", plain(nan).file()),
    ):
        yield _bundle(name, code, description, file)


def _manifests(one: Double) -> Iterator[Vector]:
    def member(name: str, value: Any) -> Change:
        return lambda manifest: manifest.__setitem__(name, value)

    def part(name: str, value: Any) -> Change:
        return lambda manifest: manifest["parts"][0].__setitem__(name, value)

    both = Double(names=_BOTH)
    absent = sorted([ADA.fingerprint, EVE.fingerprint])
    for name, code, description, double, bend in (
        ("version", "malformed", "a version nobody knows", one, member("version", 2)),
        ("suite", "malformed", "a suite nobody knows", one, member("suite", "none/1")),
        ("unknown-member", "malformed", "a member nobody knows", one, member("next", 1)),
        ("keys-missing", "malformed", "no commitment", one, lambda m: m.pop("keys")),
        ("signers", "bad_signature", "names a signer who did not sign", one, member("signers", absent)),
        ("owner", "malformed", "the owner is not among the signers", one, member("owner", EVE.fingerprint)),
        ("created", "malformed", "a day that never was", one, member("created", "2027-02-30T00:00:00Z")),
        ("parts-order", "malformed", "the parts are out of order", both, lambda m: m["parts"].reverse()),
        ("part-modality", "malformed", "a part of the wrong modality", one, part("modality", "voice")),
        ("part-name", "malformed", "a part that leaves its folder", one, part("name", "../template.face")),
        ("size-negative", "malformed", "a size below 0", one, part("size", -1)),
        ("size-float", "malformed", "a size that is not whole", one, part("size", 1.5)),
        ("size", "spliced", "another size", one, part("size", 1)),
        ("commitment", "spliced", "to another key", one, lambda m: m["keys"][0].update(commitment="00" * 32)),
    ):
        yield _bundle(f"manifest-{name}", code, description, double.file(bend))


def _envelopes(one: Double) -> Iterator[Vector]:
    entries = one.entries()
    signed = entries[0].data
    payload = compact(one.manifest(one.consent()))
    whole = envelope(MANIFEST_TYPE, payload, ADA)
    doubled = envelope(MANIFEST_TYPE, payload.replace(b"{", b'{"version":1,', 1), ADA)
    for name, code, description, data in (
        ("spaces", "malformed", "a space in the envelope, which nobody signed", signed.replace(b",", b", ", 1)),
        ("payload-type", "bad_header", "signed as an event", compact(envelope(EVENT_TYPE, payload, ADA))),
        ("duplicate-member", "malformed", "two members of the same name", compact(doubled)),
        (
            "signed-twice",
            "malformed",
            "the same signature twice",
            compact({**whole, "signatures": whole["signatures"] * 2}),
        ),
        ("no-signature", "malformed", "no signature", compact({**whole, "signatures": []})),
    ):
        yield _bundle(f"envelope-{name}", code, description, zipped([Entry(entries[0].name, data), *entries[1:]]))


def _hosts(one: Double) -> Iterator[Vector]:
    """What a host makes of the key in a grant."""
    file, grant_id, two = one.file(), chance("grant", size=16).hex(), Double("two")
    voiced, other = Double(names=_BOTH), Double()
    other.content = two.content
    for name, code, description, sealed in (
        ("ok-host", "ok", "the key of the face", one.sealed_for(HOST, grant_id, "face")),
        ("key-for-other-host", "wrong_host", "wrapped for another host", one.sealed_for(EVE, grant_id, "face")),
        ("key-of-other-grant", "wrong_host", "of another grant", one.sealed_for(HOST, "00" * 16, "face")),
        ("key-of-other-double", "wrong_host", "of another double", two.sealed_for(HOST, grant_id, "face")),
        ("key-of-other-modality", "wrong_host", "of the voice", voiced.sealed_for(HOST, grant_id, "voice")),
        ("key-not-committed", "spliced", "not the one committed to", other.sealed_for(HOST, grant_id, "face")),
        ("key-short", "malformed", "79 bytes", b64(chance("short", size=79))),
        ("key-low-order", "wrong_host", "the encapsulated key has small order", b64(bytes(80))),
    ):
        yield _bundle(name, code, f"a host's key: {description}", file, grant_id=grant_id, sealed={"face": sealed})
