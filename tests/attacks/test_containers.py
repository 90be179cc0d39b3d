"""The file around a double: names that leave it, bombs, things said twice, and readers that disagree."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from cameo.errors import NotVerified, UsageError
from cameo.seal.bundle import Bundle
from cameo.seal.container import CONSENT, MANIFEST, pack_entries, read_entries
from tests.attacks.conftest import ADA, Lab
from tests.attacks.forging import entries_of, rezip


def refused(lab: Lab, blob: bytes, code: str = "malformed") -> None:
    """Demand that neither owner nor friend opens it, and that nothing was written beside it."""
    path = lab.file("cameo", blob)
    before = sorted(lab.folder.rglob("*"))
    lab.refused(code, NotVerified, keys=ADA, double=path)
    lab.refused(code, NotVerified, lab.by(lab.folder / "never-read.grant"), double=path)
    assert sorted(lab.folder.rglob("*")) == before


NAMES = [
    "../ada.key",
    "parts/../../ada.key",
    "/etc/passwd",
    "C:\\ada.key",
    "parts\\template.face",
    "parts/template.face/",
    "parts/template.face\0.txt",
    "parts//template.face",
    "./manifest.dsse.json",
    "MANIFEST.DSSE.JSON",
    "parts/template.f\u0430ce",
    "parts/adapter.reference.face.pkl",
    "parts/adapter...face",
    "parts/adapter.-x.face",
    "__main__.py",
    "",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_zip_slip(lab: Lab, name: str) -> None:
    """No name but those of the list, however it is spelled; and nothing is ever extracted."""
    refused(lab, _with_raw_name(lab.double.read_bytes(), name.encode()))


def _local(name: bytes, data: bytes, method: int = 0, flags: int = 0, extra: bytes = b"", size: int = -1) -> bytes:
    """Write a local header and data, as `zipfile` would not."""
    size = len(data) if size < 0 else size
    fields = (20, flags, method, 0, 33, zlib.crc32(data), len(data), size, len(name), len(extra))
    return struct.pack("<4s5H3I2H", b"PK\3\4", *fields) + name + extra + data


def _central(name: bytes, data: bytes, offset: int, method: int = 0) -> bytes:
    fields = (20, 20, 0, method, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", *fields) + name


def _end(directory: bytes, count: int, offset: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), offset, 0)


def _with_raw_name(blob: bytes, name: bytes) -> bytes:
    """Add an entry of any name to a bundle, every header as it must be."""
    entries = [(n.encode(), bytes(d)) for n, d in read_entries(blob).items()] + [(name, b"x")]
    body, directory = b"", b""
    for raw, data in entries:
        directory += _central(raw, data, len(body))
        body += _local(raw, data)
    return body + directory + _end(directory, len(entries), len(body))


def test_the_writer_above_writes_bundles(lab: Lab) -> None:
    """So that what is refused is refused for what it changes."""
    blob = lab.double.read_bytes()
    entries = [(n.encode(), bytes(d)) for n, d in read_entries(blob).items()]
    assert _with_raw_name(b"".join(pack_entries(dict_of(entries[:-1]))), entries[-1][0]) != blob
    body, directory = b"", b""
    for raw, data in entries:
        directory += _central(raw, data, len(body))
        body += _local(raw, data)
    assert body + directory + _end(directory, len(entries), len(body)) == blob


def dict_of(entries: list[tuple[bytes, bytes]]) -> dict[str, bytes]:
    return {name.decode(): data for name, data in entries}


# Bombs.


def test_bomb_by_deflate(lab: Lab) -> None:
    """A gigabyte of nothing in a megabyte: compressed entries are not read at all."""
    bomb = zlib.compress(bytes(64 * 1024 * 1024), 9)[2:-4]
    blob = lab.double.read_bytes() + _local(b"parts/captures", bomb, method=8, size=2**30)
    refused(lab, blob)
    refused(lab, rezip(lab.double.read_bytes(), ("parts/captures", bytes(2**20)), method=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("size", [2**31, 2**32 - 1])
def test_bomb_by_declared_size(lab: Lab, size: int) -> None:
    """A header that promises four gigabytes: nothing is set aside for what is not there."""
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, size, size, 14, 0) + b"parts/captures"
    refused(lab, head + lab.double.read_bytes())


def test_bomb_by_number_of_entries(lab: Lab) -> None:
    body = b"".join(_local(f"parts/adapter.g{n}.face".encode(), b"") for n in range(5000))
    refused(lab, body)


def test_bomb_by_nesting(lab: Lab) -> None:
    """JSON a hundred thousand levels deep, as manifest, as consent record."""
    for name in (MANIFEST, CONSENT):
        deep = b'{"record":' + b"[" * 100_000
        blob = b"".join(pack_entries({**entries_of(lab.double), name: deep}))
        refused(lab, blob, "malformed" if name == MANIFEST else "spliced")


def test_bomb_of_bombs(lab: Lab) -> None:
    """A bundle in a bundle is only a part that is not on the list of parts."""
    refused(lab, _with_raw_name(lab.double.read_bytes(), b"parts/inner.cameo"))


# Twice.


@pytest.mark.parametrize("name", [MANIFEST, CONSENT, "parts/template.face"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_duplicate_entries(lab: Lab, name: str, first: bool) -> None:
    """One reader takes the first of two, another the last: so there is never a second."""
    entries = [(n.encode(), d) for n, d in entries_of(lab.double).items()]
    more = (name.encode(), b"another")
    listed = [more, *entries] if first else [*entries, more]
    body, directory = b"", b""
    for raw, data in listed:
        directory += _central(raw, data, len(body))
        body += _local(raw, data)
    refused(lab, body + directory + _end(directory, len(listed), len(body)))


# Readers that disagree.


def _both(lab: Lab, blob: bytes) -> dict[str, bytes]:
    """What an ordinary reader finds in a file that ours refuses."""
    refused(lab, blob)
    with zipfile.ZipFile(io.BytesIO(blob)) as other:
        return {name: other.read(name) for name in other.namelist()}


def test_parser_disagreement_on_where_it_begins(lab: Lab) -> None:
    """A program in front, as self-extracting files have: `zipfile` reads on as if it were not there."""
    blob = lab.double.read_bytes()
    assert _both(lab, b"#!/bin/sh\nexit 1\n" + blob) == entries_of(lab.double)


def test_parser_disagreement_on_which_directory_counts(lab: Lab) -> None:
    """Two bundles one after the other: `zipfile` reads the second, a reader of local headers the first."""
    blob = lab.double.read_bytes()
    other = b"".join(pack_entries({**entries_of(lab.double), CONSENT: b"{}"}))
    assert _both(lab, blob + other)[CONSENT] == b"{}"


def test_parser_disagreement_on_what_the_directory_names(lab: Lab) -> None:
    """The directory points to other data than the local headers in order do."""
    entries = [(n.encode(), d) for n, d in entries_of(lab.double).items()]
    hidden = _local(CONSENT.encode(), b"{}")
    body, directory = hidden, b""
    for raw, data in entries:
        directory += _central(
            raw, b"{}" if raw == CONSENT.encode() else data, 0 if raw == CONSENT.encode() else len(body)
        )
        body += _local(raw, data)
    blob = body + directory + _end(directory, len(entries), len(body))
    assert _both(lab, blob)[CONSENT] == b"{}"


def test_parser_disagreement_on_an_entry_nobody_lists(lab: Lab) -> None:
    """Data between the entries and the directory, that no directory names."""
    entries = [(n.encode(), d) for n, d in entries_of(lab.double).items()]
    body, directory = b"", b""
    for raw, data in entries:
        directory += _central(raw, data, len(body))
        body += _local(raw, data)
    hidden = _local(b"parts/captures", b"hidden")
    blob = body + hidden + directory + _end(directory, len(entries), len(body) + len(hidden))
    assert "parts/captures" not in _both(lab, blob)


def test_parser_disagreement_on_comments_and_extra_fields(lab: Lab) -> None:
    blob = lab.double.read_bytes()
    same = entries_of(lab.double)
    assert _both(lab, rezip(blob, comment=b"hello")) == same
    raw, data = CONSENT.encode(), same[CONSENT]
    extra = _local(raw, data, extra=b"up\4\0\1\0\0\0")
    assert extra not in blob
    refused(lab, blob.replace(_local(raw, data), extra, 1))


def test_parser_agreement_on_the_true_one(lab: Lab) -> None:
    """What ours accepts, an ordinary reader reads the same way, byte for byte."""
    blob = lab.double.read_bytes()
    ours = {name: bytes(data) for name, data in read_entries(blob).items()}
    assert ours == entries_of(lab.double)
    assert list(ours)[:2] == [MANIFEST, CONSENT]
    assert lab.open(keys=ADA)


def test_nothing_is_a_bundle_that_is_a_folder_or_a_device(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Bundle.open(tmp_path)
    refused(lab, b"")
