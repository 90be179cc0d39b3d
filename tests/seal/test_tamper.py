"""Whatever is done to the bytes of a bundle, no door opens, and only our errors come out."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified
from cameo.seal.bundle import Bundle
from cameo.seal.container import CONSENT, MANIFEST, pack_entries, read_entries
from cameo.seal.unlock import unlock_as_owner

from .conftest import Sealed

REFUSED = (NotVerified, NotPermitted)


def test_untouched_bundle_opens(sealed: Sealed) -> None:
    assert sealed.open_all(sealed.blob) == sealed.parts


def test_every_byte_counts(sealed: Sealed) -> None:
    """Flip one bit of every byte of the file, ZIP headers included."""
    draw = random.Random(1)
    for position in range(len(sealed.blob)):
        spoiled = bytearray(sealed.blob)
        spoiled[position] ^= 1 << draw.randrange(8)
        with pytest.raises(NotVerified):
            Bundle(sealed.path, bytes(spoiled)).verify(sealed.keys.public)


def test_every_byte_of_every_entry_counts_with_the_checksums_mended(sealed: Sealed) -> None:
    """As above, by someone who repairs the ZIP around it: only signatures and digests are left to notice."""
    draw = random.Random(2)
    entries = {name: bytes(value) for name, value in read_entries(sealed.blob).items()}
    tried = 0
    for name, data in entries.items():
        for position in range(0, len(data), 1 if name in (MANIFEST, CONSENT) else 7):
            spoiled = bytearray(data)
            spoiled[position] ^= 1 << draw.randrange(8)
            blob = b"".join(pack_entries({**entries, name: bytes(spoiled)}))
            with pytest.raises(NotVerified):
                Bundle(sealed.path, blob).verify(sealed.keys.public)
            tried += 1
    assert tried > 4000


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutations_are_refused(sealed: Sealed, data: st.DataObject) -> None:
    blob = sealed.blob
    start = data.draw(st.integers(0, len(blob)))
    end = data.draw(st.integers(start, min(len(blob), start + 200)))
    spoiled = blob[:start] + data.draw(st.binary(max_size=80)) + blob[end:]
    assume(spoiled != blob)
    with pytest.raises(NotVerified):
        sealed.open_all(spoiled)


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(max_size=400), head=st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06"]))
def test_garbage_is_refused(sealed: Sealed, garbage: bytes, head: bytes) -> None:
    with pytest.raises(NotVerified):
        sealed.open_all(head + garbage)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_dropped_or_added_entries_are_refused(sealed: Sealed, data: st.DataObject) -> None:
    entries = {name: bytes(value) for name, value in read_entries(sealed.blob).items()}
    if data.draw(st.booleans()):
        del entries[data.draw(st.sampled_from(sorted(entries)))]
    else:
        free = ["adapter.wan.face", "adapter.reference.voice", "identity.reference.voice", "captures"]
        entries["parts/" + data.draw(st.sampled_from(free))] = data.draw(st.binary(max_size=50))
    with pytest.raises(NotVerified):
        sealed.open_all(b"".join(pack_entries(entries)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_wrong_keys_are_refused(sealed: Sealed, _seed: int) -> None:
    stranger = Keys.generate()
    bundle = Bundle(sealed.path, sealed.blob)
    with pytest.raises(NotVerified, match="not signed by the key"):
        bundle.verify(stranger.public)
    with pytest.raises(NotPermitted, match="does not own"):
        unlock_as_owner(bundle.verify(sealed.keys.public), stranger)


@pytest.mark.parametrize("name", [MANIFEST, CONSENT, "parts/template.face", "parts/adapter.reference.face"])
def test_entries_of_another_bundle_are_refused(sealed: Sealed, sibling: Sealed, name: str) -> None:
    entries = {n: bytes(value) for n, value in read_entries(sealed.blob).items()}
    entries[name] = bytes(read_entries(sibling.blob)[name])
    with pytest.raises(NotVerified):
        sealed.open_all(b"".join(pack_entries(entries)))


def test_swapped_parts_and_order_are_refused(sealed: Sealed) -> None:
    entries = {n: bytes(value) for n, value in read_entries(sealed.blob).items()}
    face, voice = "parts/template.face", "parts/template.voice"
    swapped = {**entries, face: entries[voice], voice: entries[face]}
    reordered = dict(reversed(entries.items()))
    for changed in (swapped, reordered):
        with pytest.raises(NotVerified):
            sealed.open_all(b"".join(pack_entries(changed)))


def _rezip(blob: bytes, change: Callable[[zipfile.ZipFile], None], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blob)) as source, zipfile.ZipFile(out, "w", method) as target:
        for info in source.infolist():
            target.writestr(zipfile.ZipInfo(info.filename), source.read(info), method)
        change(target)
    return out.getvalue()


@pytest.mark.parametrize("name", ["../evil", "/etc/x", "parts/../../x", "parts/a.pkl", "C:\\x", "parts/Ａ", "extra.py"])
def test_other_names_are_refused(sealed: Sealed, name: str) -> None:
    with pytest.raises(NotVerified, match="does not belong"):
        sealed.open_all(_rezip(sealed.blob, lambda z: z.writestr(name, b"x")))


def test_other_zip_writers_are_refused(sealed: Sealed) -> None:
    """Same entries, same contents, other bytes: compressed, commented, or just written by another tool."""

    def comment(z: zipfile.ZipFile) -> None:
        z.comment = b"hello"

    for other in (
        _rezip(sealed.blob, lambda z: None),
        _rezip(sealed.blob, lambda z: None, zipfile.ZIP_DEFLATED),
        _rezip(sealed.blob, comment),
        b"#!/bin/sh\n" + sealed.blob,
        sealed.blob + b"\0",
        sealed.blob + sealed.blob,
    ):
        with pytest.raises(NotVerified):
            sealed.open_all(other)


def test_ordinary_tools_can_list_it(sealed: Sealed) -> None:
    with zipfile.ZipFile(io.BytesIO(sealed.blob)) as z:
        assert z.testzip() is None
        assert z.namelist()[:2] == [MANIFEST, CONSENT]
        assert len(z.namelist()) == 6
