"""Decode untrusted text strictly: one accepted spelling for every value, bounded before it is parsed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, TypeVar

import msgspec

from cameo.errors import NotVerified

T = TypeVar("T")

_AGAIN = "get the file again from its owner"

_TO_URL, _FROM_URL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")

SHA256_HEX = r"\A[0-9a-f]{64}\Z"


def sha256_hex(data: bytes | memoryview) -> str:
    """Hash `data`, lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def encode_base64(data: bytes) -> str:
    """Write `data` as padded standard base64 (RFC 4648 §4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, what: str, size: int | None = None) -> bytes:
    """Read padded standard base64 in its only canonical spelling.

    Args:
        text: the characters; whitespace, missing padding and set trailing bits are refused.
        what: names the value in the error.
        size: how many bytes it must be, if that is fixed.

    Raises:
        NotVerified: not canonical base64, or of another size.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise NotVerified(f"{what} is not base64", _AGAIN, "malformed") from None
    if encode_base64(data) != text:
        raise NotVerified(f"{what} is base64 in a spelling that is not canonical", _AGAIN, "malformed")
    if size is not None and len(data) != size:
        raise NotVerified(f"{what} is {len(data)} bytes, expected {size}", _AGAIN, "malformed")
    return data


def encode_base64url(data: bytes) -> str:
    """Write `data` as base64url without padding (RFC 4648 §5, as JOSE uses it)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode_base64url(text: str, what: str, size: int | None = None) -> bytes:
    """Read unpadded base64url in its only canonical spelling.

    Args:
        text: the characters; padding, other alphabets, whitespace and set trailing bits are refused.
        what: names the value in the error.
        size: how many bytes it must be, if that is fixed.

    Raises:
        NotVerified: not canonical base64url, or of another size.
    """
    try:
        padded = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
        data = binascii.a2b_base64(padded, strict_mode=True)
    except (ValueError, binascii.Error):
        raise NotVerified(f"{what} is not base64url", _AGAIN, "malformed") from None
    if encode_base64url(data) != text:
        raise NotVerified(f"{what} is base64url in a spelling that is not canonical", _AGAIN, "malformed")
    if size is not None and len(data) != size:
        raise NotVerified(f"{what} is {len(data)} bytes, expected {size}", _AGAIN, "malformed")
    return data


def encode_json(value: Any) -> bytes:
    """Write `value` as compact UTF-8 JSON, members in the order the struct declares."""
    return msgspec.json.encode(value)


def decode_json(raw: bytes, kind: type[T], what: str, limit: int) -> T:
    """Read JSON into the struct `kind`; unknown and duplicate members, NaN and oversize are refused.

    Args:
        raw: the bytes as they stand in the file.
        kind: a `msgspec.Struct` class that forbids unknown fields.
        what: names the document in the error.
        limit: the most bytes that are looked at.

    Raises:
        NotVerified: anything else than one well-formed document of that shape.
    """
    if len(raw) > limit:
        raise NotVerified(
            f"{what} is {len(raw)} bytes, more than the {limit} allowed", "this is not a file of cameo", "oversize"
        )
    try:
        # msgspec keeps the last of two equal members; another reader may keep the first. So there are none.
        _STRICT.decode(raw.decode("utf-8"))
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError) as error:
        raise NotVerified(f"{what} is malformed: {_one_line(error)}", _AGAIN, "malformed") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse_constant)


def _one_line(error: Exception) -> str:
    text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return "".join(c if c.isprintable() else "?" for c in text)[:160]
