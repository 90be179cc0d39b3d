"""Check safetensors bytes before anything that computes sees them; standard library only.

Source: github.com/huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

import msgspec

from cameo.errors import NotVerified

HEADER_LIMIT = 1024 * 1024
MAX_TENSORS = 8192
MAX_RANK = 8

# Bytes per element. Only what an adapter, tokens or frames need.
ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}

# The exponent bits, all set in an infinity or a NaN (IEEE 754; bfloat16 is the upper half of binary32).
_EXPONENT = {"F64": 0x7FF0 << 48, "F32": 0x7F80 << 16, "F16": 0x7C00, "BF16": 0x7F80}
_BLOCK = 64 * 1024  # bytes looked at together, a multiple of every element

_HINT = "the file was not made by cameo, or its maker cannot be trusted: do not use it"


class TensorInfo(msgspec.Struct, frozen=True):
    """Describe one tensor: dtype as safetensors names it, shape, and where its bytes stand after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class TensorTable(msgspec.Struct, frozen=True):
    """Describe a whole file: tensors by name, and its string metadata."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]


def check_tensors(data: bytes, what: str) -> TensorTable:
    """Read the header of safetensors bytes and check that every float in them is finite.

    Args:
        data: the whole file.
        what: names it in the error.

    Raises:
        NotVerified: the header is malformed or oversize, tensors overlap or leave gaps, or a value is not finite.
    """
    if len(data) < 8:
        raise _bad(what, "shorter than its header")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(HEADER_LIMIT, len(data) - 8):
        raise _bad(what, "a header of impossible length")
    header = _parse_header(data[8 : 8 + length], what)
    raw_metadata = header.pop("__metadata__", {})
    metadata = _check_metadata(raw_metadata, what)
    if len(header) > MAX_TENSORS:
        raise _bad(what, "too many tensors")
    tensors = {name: _check_tensor(name, value, what) for name, value in header.items()}
    _check_layout(tensors, len(data) - 8 - length, what)
    body = memoryview(data)[8 + length :]
    for name, tensor in tensors.items():
        if not _finite(body[tensor.start : tensor.end], tensor.dtype):
            raise _bad(what, f"{name[:80]!r} holds infinities or NaN")
    return TensorTable(tensors, metadata)


def _parse_header(raw: bytes, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("duplicate member")
        return members

    def whole(digits: str) -> int:
        # The library takes -0 for a float.
        if digits.startswith("-"):
            raise ValueError("negative number")
        return int(digits)

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_int=whole)
        # It also refuses halves of surrogate pairs, which Python's reader lets pass.
        msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        raise _bad(what, "a malformed header") from None
    if not isinstance(header, dict) or raw[:1] != b"{":
        raise _bad(what, "a malformed header")
    return header


def _check_metadata(value: Any, what: str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _bad(what, "metadata that is not text")
    return value


def _check_tensor(name: str, value: Any, what: str) -> TensorInfo:
    label = f"{name[:80]!r}"
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _bad(what, f"{label} is not described as a tensor")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise _bad(what, f"{label} has a type that is not allowed")
    if not _counts(shape) or len(shape) > MAX_RANK or not _counts(offsets) or len(offsets) != 2:
        raise _bad(what, f"{label} has an impossible shape or place")
    start, end = offsets
    if end - start != prod(shape) * ITEM_BYTES[dtype]:
        raise _bad(what, f"{label} has a size that contradicts its shape")
    return TensorInfo(dtype, tuple(shape), start, end)


def _counts(value: Any) -> bool:
    """Say whether `value` is a list of integers in 0..2^40 (`True` is no integer here)."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n <= 2**40 for n in value)


def _check_layout(tensors: Mapping[str, TensorInfo], size: int, what: str) -> None:
    """Demand that the tensors tile the body: no overlap, no gap, nothing after the last."""
    position = 0
    for tensor in sorted(tensors.values(), key=lambda t: (t.start, t.end)):
        if tensor.start != position:
            raise _bad(what, "tensors that overlap or leave a gap")
        position = tensor.end
    if position != size:
        raise _bad(what, "bytes that belong to no tensor")


def _finite(body: memoryview, dtype: str) -> bool:
    """Say whether no exponent has all its bits set, looking at a block of numbers as at one large integer."""
    if dtype not in _EXPONENT:
        return True
    for start in range(0, len(body), _BLOCK):
        part = body[start : start + _BLOCK]
        exponents, below, top = _lanes(dtype, len(part))
        cleared = int.from_bytes(part, "little") & exponents ^ exponents
        # Where a bit of the exponent is clear, the addition carries into the sign, and never any further.
        if cleared + below & top != top:
            return False
    return True


@lru_cache(maxsize=16)
def _lanes(dtype: str, size: int) -> tuple[int, int, int]:
    """Repeat, over `size` bytes of numbers: the exponent's bits, all bits but the sign, the sign."""
    width = ITEM_BYTES[dtype]
    ones = int.from_bytes((b"\1" + bytes(width - 1)) * (size // width), "little")
    sign = 1 << (8 * width - 1)
    return ones * _EXPONENT[dtype], ones * (sign - 1), ones * sign


def _bad(what: str, reason: str) -> NotVerified:
    return NotVerified(f"{what} is not acceptable safetensors: {reason}", _HINT, "malformed")
