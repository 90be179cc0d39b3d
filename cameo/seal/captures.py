"""Put the recording that a double keeps into the bytes of one part, and take it out again.

The files are kept as they were recorded, one after the other, behind a small header. Byte-level description:
`docs/reference/bundle-format.md`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cameo.crypto.encoding import decode_json, encode_json
from cameo.errors import NotVerified, UsageError
from cameo.records import RecordedFile

CAPTURES = "captures"  # the name of the part, and its modality
# Of all files together, bytes: half of what a bundle may be, and 30 s at 70 Mbit/s, more than telephones record with.
CAPTURES_LIMIT = 256 * 1024 * 1024
_HEADER_LIMIT = 4096
_LENGTH_BYTES = 4
_NAME_CHARACTERS = 255
_WHAT = "the kept recording"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["clip", "voice"]
    name: Annotated[str, msgspec.Meta(max_length=_NAME_CHARACTERS)]
    size: Annotated[int, msgspec.Meta(ge=0, le=CAPTURES_LIMIT)]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    files: Annotated[tuple[_File, ...], msgspec.Meta(min_length=1, max_length=2)]


def pack_captures(clip: RecordedFile, voice: RecordedFile | None = None) -> bytes:
    """Write the content of the part `captures`.

    Args:
        clip: the video.
        voice: the recording of the voice, if that was another file.

    Raises:
        UsageError: the files are larger than `CAPTURES_LIMIT` together.
    """
    files = [("clip", clip), *([("voice", voice)] if voice is not None else [])]
    if sum(len(file.data) for _, file in files) > CAPTURES_LIMIT:
        message = f"the recording is larger than the {CAPTURES_LIMIT >> 20} MiB a double keeps"
        raise UsageError(message, "trim it to 30 s, or enrol without keeping it")
    entries = tuple(_File(role, _plain(file.name), len(file.data)) for role, file in files)  # type: ignore[arg-type]
    header = encode_json(_Header(1, entries))
    return b"".join([len(header).to_bytes(_LENGTH_BYTES, "little"), header, *(file.data for _, file in files)])


def unpack_captures(data: bytes) -> tuple[RecordedFile, RecordedFile | None]:
    """Read what `pack_captures` wrote: the video, and the voice if it was another file.

    Raises:
        NotVerified: malformed.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    start = _LENGTH_BYTES + length
    if not _LENGTH_BYTES < start <= min(len(data), _LENGTH_BYTES + _HEADER_LIMIT):
        raise _malformed()
    header = decode_json(data[_LENGTH_BYTES:start], _Header, _WHAT, _HEADER_LIMIT)
    if [file.role for file in header.files] != ["clip", "voice"][: len(header.files)]:
        raise _malformed()
    if start + sum(file.size for file in header.files) != len(data):
        raise _malformed()
    found = []
    for file in header.files:
        found.append(RecordedFile(file.name, data[start : start + file.size]))
        start += file.size
    return found[0], found[1] if len(found) > 1 else None


def _plain(name: str) -> str:
    """Make a file name text: what is not becomes a question mark."""
    return name.encode("utf-8", "replace").decode()[:_NAME_CHARACTERS]


def _malformed() -> NotVerified:
    return NotVerified(f"{_WHAT} is not in the form it is kept in", "give the recording with --clip", "malformed")
