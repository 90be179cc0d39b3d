"""Hypothesis strategies: what may be granted, what may be asked, and what may become of bytes on their way."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from cameo.grants.scope import Scope
from cameo.records import Use

PURPOSES = ("birthday", "comedy")
_WORDS = ("birthday", "comedy", "politics")
_OUTPUTS = ("audio", "image", "video")
_GENERATORS = ("reference", "wan", "ltx2")
_MODALITIES = ("face", "voice")
_INTERESTING = (
    b"",
    b"\0",
    b"\xff",
    b"\x80",
    b"{",
    b"}",
    b"[",
    b'"',
    b"0",
    b"-",
    b"9" * 20,
    b"e999",
    b"\\u0000",
    b"=",
    b".",
    b"~",
)


def _some(words: tuple[str, ...]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A set that is not empty, in order."""
    return st.sets(st.sampled_from(words), min_size=1).map(lambda chosen: tuple(sorted(chosen)))


def _limit(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def scopes() -> st.SearchStrategy[Scope]:
    """What a grant may allow; small, so that two of them are often alike."""
    return st.builds(
        Scope,
        actions=st.just(("generate",)),
        purposes=_some(_WORDS),
        outputs=_some(_OUTPUTS),
        modalities=_some(_MODALITIES),
        generators=_some(_GENERATORS),
        max_uses=_limit(st.integers(1, 3)),
        max_seconds=_limit(st.sampled_from([1.0, 2.0, 2.5])),
        max_pixels=_limit(st.sampled_from([100, 101, 400])),
        commercial=st.booleans(),
    )


def uses() -> st.SearchStrategy[Use]:
    """What may be asked of a double, right on and right beside the limits of `scopes`."""
    return st.builds(
        Use,
        action=st.sampled_from(["generate", "train"]),
        purpose=st.sampled_from(_WORDS),
        prompt=st.text(max_size=5),
        generator=st.sampled_from(_GENERATORS),
        outputs=st.just(()) | _some(_OUTPUTS),
        modalities=st.just(()) | _some(_MODALITIES),
        seconds=st.sampled_from([0.5, 1.0, 1.001, 2.0, 2.5, 3.0]),
        pixels=st.sampled_from([1, 100, 101, 400, 401]),
        seed=st.integers(0, 3),
        commercial=st.booleans(),
    )


@st.composite
def mangled(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Take bytes that were good, and cut, repeat, swap, flip or replace something in them, once or a few times."""
    data = draw(whole)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        kind = draw(st.sampled_from(["replace", "insert", "flip", "repeat", "cut"]))
        if kind == "flip" and start < len(data):
            data = data[:start] + bytes([data[start] ^ (1 << draw(st.integers(0, 7)))]) + data[start + 1 :]
        elif kind == "repeat":
            data = data[:end] + data[start:end] + data[end:]
        elif kind == "cut":
            data = data[:start] if draw(st.booleans()) else data[start:]
        else:
            new = draw(st.sampled_from(_INTERESTING) | st.binary(max_size=20))
            data = data[:start] + new + data[start if kind == "insert" else end :]
    return data
