"""Safetensors from strangers: accepted when the real library accepts them, and finite."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from cameo.errors import NotVerified
from cameo.seal.tensors import check_tensors

from .conftest import tensor_bytes


def packed(header: object, body: bytes = b"") -> bytes:
    raw = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(raw).to_bytes(8, "little") + raw + body


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_what_the_library_writes_is_read() -> None:
    arrays: dict[str, np.ndarray] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.arange(4, dtype=np.float16),
        "c": np.zeros((2, 0, 3), np.uint8),
        "d": np.array([5], np.int64),
        "e": np.array([True, False]),
    }
    table = check_tensors(save(arrays, {"made": "by a test"}), "a part")
    assert {name: info.shape for name, info in table.tensors.items()} == {n: a.shape for n, a in arrays.items()}
    assert table.metadata == {"made": "by a test"}


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(kind: type, value: float) -> None:
    good: np.ndarray = np.ones((3, 5), kind)
    check_tensors(save({"x": good}), "a part")
    bad = good.copy()
    bad[2, 4] = value
    with pytest.raises(NotVerified, match="'x' holds infinities or NaN"):
        check_tensors(save({"a": good, "x": bad}), "a part")


def test_bfloat16_and_large_finite_values() -> None:
    one, nan = b"\x80\x3f", b"\xc0\x7f"
    check_tensors(packed({"x": entry("BF16", [2], [0, 4])}, one + one), "a part")
    with pytest.raises(NotVerified, match="NaN"):
        check_tensors(packed({"x": entry("BF16", [2], [0, 4])}, one + nan), "a part")
    check_tensors(save({"x": np.full(4, np.finfo(np.float64).max)}), "a part")


def is_accepted(dtype: str, body: bytes) -> bool:
    size = {"F64": 8, "F32": 4}.get(dtype, 2)
    try:
        check_tensors(packed({"x": entry(dtype, [len(body) // size], [0, len(body)])}, body), "a part")
    except NotVerified:
        return False
    return True


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_every_half_there_is(dtype: str) -> None:
    halves = np.arange(2**16, dtype="<u2")
    exponent = {"F16": 0x7C00, "BF16": 0x7F80}[dtype]
    finite = halves & exponent != exponent
    if dtype == "F16":
        assert np.array_equal(finite, np.isfinite(halves.view(np.float16)))
    assert is_accepted(dtype, halves[finite].tobytes())
    # Between neighbours with all bits set but the exponent's last, which are the nearest to carrying over.
    near = np.uint16(~(exponent & -exponent) & 0xFFFF)
    for half in halves[~finite][:: 2**4]:
        assert not is_accepted(dtype, np.array([near, half, near], "<u2").tobytes())
    for place in (0, 32_767, 32_768, 70_000):  # the first and last of a block, the first of the next, one in the last
        many = np.full(70_001, near)
        many[place] = exponent
        assert not is_accepted(dtype, many.tobytes())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6), st.sampled_from(["F32", "F64"]))
def test_numbers_of_any_bits(bits: list[int], dtype: str) -> None:
    kinds = {"F32": ("<u4", "<f4"), "F64": ("<u8", "<f8")}[dtype]
    numbers = np.array([b % 2 ** (32 if dtype == "F32" else 64) for b in bits], kinds[0])
    assert is_accepted(dtype, numbers.tobytes()) == bool(np.isfinite(numbers.view(kinds[1])).all())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x02\0\0\0\0\0\0",
        (2**40).to_bytes(8, "little") + b"{}",
        packed(b"{"),
        packed(b" {}"),
        packed(b"[]"),
        packed(b'{"a":1,"a":1}'),
        packed({"x": 5}),
        packed({"x": entry()}),
        packed({"x": entry()}, bytes(5)),
        packed({"x": entry(offsets=[4, 8])}, bytes(8)),
        packed({"x": entry(), "y": entry()}, bytes(4)),
        packed({"x": entry(shape=[2])}, bytes(4)),
        packed({"x": entry(shape=[-1], offsets=[0, -4])}),
        packed({"x": entry(shape=[True])}, bytes(4)),
        packed({"x": entry(shape=[1.0])}, bytes(4)),
        packed({"x": entry(shape=[2**39, 2**39, 0])}, b""),
        packed({"x": entry(shape=[1] * 9)}, bytes(4)),
        packed({"x": entry(dtype="F8_E4M3", offsets=[0, 1])}, b"\0"),
        packed({"x": entry(dtype=["F32"])}, bytes(4)),
        packed({"x": {**entry(), "more": 1}}, bytes(4)),
        packed({"__metadata__": {"a": 1}}),
        packed({"__metadata__": "text"}),
        packed({str(i): entry(shape=[0], offsets=[0, 0]) for i in range(8193)}),
    ],
)
def test_malformed_files_are_refused(data: bytes) -> None:
    with pytest.raises(NotVerified):
        check_tensors(data, "a part")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_change_crashes_it(data: st.DataObject) -> None:
    blob = bytearray(tensor_bytes(0.5, -1.0, 2.0))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    try:
        table = check_tensors(bytes(blob), "a part")
    except NotVerified:
        return
    for info in table.tensors.values():
        assert info.end <= len(blob)
