"""Pack entries into a stored ZIP, and accept exactly the bytes that packing would give.

Any ZIP tool can list and extract a bundle, but there is only one way to write a given set of entries: no
compression, no flags, no extra fields, no comments, one fixed date, local headers back to back in the order of the
directory. The reader rebuilds every header from what it read and compares. So two readers cannot disagree on what
a file holds, and no byte of it is without meaning.

Source: APPNOTE.TXT 6.3.3 (PKWARE), §4.3.7, §4.3.12, §4.3.16.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping

from cameo.errors import NotVerified

MANIFEST = "manifest.dsse.json"
CONSENT = "consent.json"
PART_PREFIX = "parts/"

FILE_LIMIT = 512 * 1024 * 1024
MAX_ENTRIES = 66

_GENERATOR = r"[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?"
PART_NAME = re.compile(
    rf"(?:template\.(?:face|voice)|(?:adapter|identity)\.(?P<generator>{_GENERATOR})\.(?:face|voice)|captures)\Z"
)

# Signature, version needed, flags, method, time, date, crc, stored size, size, name length, extra length.
_LOCAL = struct.Struct("<4s5H3I2H")
# The same after "version made by", then comment length, disk, two attribute fields, offset of the local header.
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")

_VERSION = 20
_DATE = (0 << 9) | (1 << 5) | 1  # 1 January 1980, the earliest a ZIP can say

_HINT = "the file was changed, is damaged, or was not made by cameo: do not use it"


def pack_entries(entries: Mapping[str, bytes]) -> Iterator[bytes]:
    """Yield the bytes of the container, in order.

    Raises:
        ValueError: a name is not on the allow-list, or the whole is too large.
    """
    directory = []
    offset = 0
    for name, data in entries.items():
        if not _allowed(name):
            raise ValueError(f"{name!r} is not an entry of a bundle")
        crc = zlib.crc32(data)
        header = _local_header(name, crc, len(data))
        directory.append(_central_header(name, crc, len(data), offset))
        offset += len(header) + len(data)
        yield header
        yield data
    if len(directory) > MAX_ENTRIES or offset > FILE_LIMIT - 64 * 1024:
        raise ValueError("too many or too large entries for one bundle")
    yield from directory
    yield _end_record(directory, offset)


def read_entries(blob: bytes) -> dict[str, memoryview]:
    """Split a container into its entries without copying them.

    Raises:
        NotVerified: `blob` differs in any byte from what `pack_entries` would write for these entries.
    """
    if len(blob) > FILE_LIMIT:
        raise NotVerified(f"the file is larger than {FILE_LIMIT} bytes", _HINT, "oversize")
    view = memoryview(blob)
    entries: dict[str, memoryview] = {}
    directory = []
    offset = 0
    while blob[offset : offset + 4] == b"PK\x03\x04":
        name, data, header = _read_local(view, offset)
        if name in entries or len(entries) == MAX_ENTRIES:
            raise NotVerified("the container repeats an entry or has too many", _HINT, "malformed")
        entries[name] = data
        directory.append(_central_header(name, zlib.crc32(data), len(data), offset))
        offset += len(header) + len(data)
    tail = b"".join([*directory, _end_record(directory, offset)])
    if not entries or view[offset:] != tail:
        raise NotVerified("the container is not in canonical form", _HINT, "malformed")
    return entries


def _read_local(view: memoryview, offset: int) -> tuple[str, memoryview, bytes]:
    """Read one entry at `offset`: its name, its data, its header as it must be."""
    if len(view) - offset < _LOCAL.size:
        raise NotVerified("the container is truncated", _HINT, "malformed")
    fields = _LOCAL.unpack_from(view, offset)
    size, name_length = fields[8], fields[9]
    start = offset + _LOCAL.size + name_length
    if start + size > len(view):
        raise NotVerified("the container is truncated", _HINT, "malformed")
    name = bytes(view[offset + _LOCAL.size : start]).decode("ascii", "replace")
    if not _allowed(name):
        raise NotVerified("the container holds an entry that does not belong in it", _HINT, "malformed")
    data = view[start : start + size]
    header = _local_header(name, zlib.crc32(data), size)
    if view[offset:start] != header:
        raise NotVerified("the container is not in canonical form", _HINT, "malformed")
    return name, data, header


def _allowed(name: str) -> bool:
    if name in (MANIFEST, CONSENT):
        return True
    return name.startswith(PART_PREFIX) and PART_NAME.match(name, len(PART_PREFIX)) is not None


def _local_header(name: str, crc: int, size: int) -> bytes:
    raw = name.encode("ascii")
    return _LOCAL.pack(b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, crc, size, size, len(raw), 0) + raw


def _central_header(name: str, crc: int, size: int, offset: int) -> bytes:
    raw = name.encode("ascii")
    common = (_VERSION, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(raw), 0, 0, 0, 0, 0, offset)
    return _CENTRAL.pack(b"PK\x01\x02", *common) + raw


def _end_record(directory: Iterable[bytes], offset: int) -> bytes:
    headers = list(directory)
    size = sum(map(len, headers))
    return _END.pack(b"PK\x05\x06", 0, 0, len(headers), len(headers), size, offset, 0)
