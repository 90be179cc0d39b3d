"""Boxes: streams, derivations, wrapped keys."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.crypto import box
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted, NotVerified

KEY = bytes(range(32))
STEP = box.CHUNK_BYTES + box.TAG_BYTES


@pytest.mark.parametrize("size", [0, 1, box.CHUNK_BYTES - 1, box.CHUNK_BYTES, box.CHUNK_BYTES + 1, 3 * box.CHUNK_BYTES])
def test_stream_round_trip(size: int) -> None:
    data = os.urandom(size)
    sealed = box.seal_stream(KEY, data, "part", "a")
    assert len(sealed) == box.sealed_size(size)
    assert box.open_stream(KEY, sealed, "it", "part", "a") == data


def test_sealing_twice_uses_another_key() -> None:
    first, second = (box.seal_stream(KEY, bytes(100), "part", "a") for _ in range(2))
    assert first[:16] != second[:16]
    assert first[16:] != second[16:]


def _chunks(sealed: bytes) -> tuple[bytes, list[bytes]]:
    salt, body = sealed[: box.SALT_BYTES], sealed[box.SALT_BYTES :]
    return salt, [body[i : i + STEP] for i in range(0, len(body), STEP)]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1],
        lambda c: [c[1], c[0], *c[2:]],
        lambda c: [*c, c[-1]],
        lambda c: c[1:],
        lambda c: [],
        lambda c: [c[0], c[2]],
    ],
)
def test_chunks_cannot_be_moved(change: object) -> None:
    salt, chunks = _chunks(box.seal_stream(KEY, os.urandom(2 * box.CHUNK_BYTES + 5), "part"))
    with pytest.raises(NotVerified):
        box.open_stream(KEY, salt + b"".join(change(chunks)), "it", "part")  # type: ignore[operator]


def test_other_key_or_context() -> None:
    sealed = box.seal_stream(KEY, b"data", "part", "a")
    for key, context in ((bytes(32), ("part", "a")), (KEY, ("part", "b")), (KEY, ("part",))):
        with pytest.raises(NotVerified):
            box.open_stream(key, sealed, "it", *context)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_never_opens(garbage: bytes) -> None:
    with pytest.raises(NotVerified):
        box.open_stream(KEY, garbage, "it", "part")


def test_purposes_never_share_a_key() -> None:
    purposes = [("a",), ("b",), ("a", "b"), ("ab",), ("a", ""), ()]
    assert len({box.derive(KEY, *purpose) for purpose in purposes}) == len(purposes)
    with pytest.raises(ValueError, match="NUL"):
        box.derive(KEY, "a\0b")


def test_commitment() -> None:
    commitment = box.commit(KEY, "bundle", "face")
    assert box.commitment_holds(KEY, commitment, "bundle", "face")
    assert not box.commitment_holds(bytes(32), commitment, "bundle", "face")
    assert not box.commitment_holds(KEY, commitment, "bundle", "voice")


def test_wrapped_key_opens_for_its_recipient_and_context_only() -> None:
    ada, eve = Keys.generate(), Keys.generate()
    wrapped = box.wrap_key(KEY, ada.public, "owner", "bundle")
    assert box.unwrap_key(wrapped, ada, "owner", "bundle") == KEY
    spoiled = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    for blob, keys, context in (
        (wrapped, eve, ("owner", "bundle")),
        (wrapped, ada, ("host", "bundle")),
        (wrapped, ada, ("owner", "other")),
        (spoiled, ada, ("owner", "bundle")),
        (wrapped[:31], ada, ("owner", "bundle")),
        (b"", ada, ("owner", "bundle")),
        (box.wrap_key(b"short", ada.public, "owner", "bundle"), ada, ("owner", "bundle")),
    ):
        with pytest.raises(NotPermitted):
            box.unwrap_key(blob, keys, *context)
