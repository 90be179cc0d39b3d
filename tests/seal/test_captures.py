"""What a double keeps of a recording comes out as it went in, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameo.errors import NotVerified, UsageError
from cameo.records import RecordedFile
from cameo.seal import captures
from cameo.seal.captures import pack_captures, unpack_captures

CLIP, VOICE = RecordedFile("selfie.mp4", b"moving pictures"), RecordedFile("voice.wav", b"sound")


@pytest.mark.parametrize("voice", [VOICE, RecordedFile("", b""), None])
def test_what_goes_in_comes_out(voice: RecordedFile | None) -> None:
    assert unpack_captures(pack_captures(CLIP, voice)) == (CLIP, voice)


def test_a_name_that_is_no_text() -> None:
    clip, _ = unpack_captures(pack_captures(RecordedFile("caf\udce9.mp4", b"x")))
    assert clip == RecordedFile("caf?.mp4", b"x")
    clip, _ = unpack_captures(pack_captures(RecordedFile("n" * 999, b"x")))
    assert clip.name == "n" * 255


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captures, "CAPTURES_LIMIT", 19)
    with pytest.raises(UsageError, match="larger than") as caught:
        pack_captures(CLIP, VOICE)
    assert "trim it" in caught.value.hint
    assert pack_captures(CLIP)


def written(header: object, body: bytes = b"") -> bytes:
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(4, "little") + raw + body


def file(role: str = "clip", size: object = 1, **more: object) -> dict[str, object]:
    return {"role": role, "name": "a", "size": size, **more}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff{}",
        written({"version": 1, "files": []}),
        written({"version": 2, "files": [file()]}, b"x"),
        written({"version": 1, "files": [file()], "more": 1}, b"x"),
        written({"version": 1, "files": [file(more=1)]}, b"x"),
        written({"version": 1, "files": [file("voice")]}, b"x"),
        written({"version": 1, "files": [file(), file()]}, b"xy"),
        written({"version": 1, "files": [file("voice"), file()]}, b"xy"),
        written({"version": 1, "files": [file(), file("voice"), file("voice")]}, b"xyz"),
        written({"version": 1, "files": [file()]}),
        written({"version": 1, "files": [file()]}, b"xy"),
        written({"version": 1, "files": [file(size=-1), file("voice", 3)]}, b"xy"),
        written({"version": 1, "files": [file(size=2**40)]}, b"x"),
        written({"version": 1, "files": [file(name="n" * 5000)]}, b"x"),
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(NotVerified):
        unpack_captures(data)


@given(st.binary(max_size=64), st.integers(0, 120))
def test_chance_bytes_are_refused_or_read(noise: bytes, at: int) -> None:
    packed = pack_captures(CLIP, VOICE)
    for data in (noise, packed[:at] + noise + packed[at + len(noise) :]):
        try:
            clip, voice = unpack_captures(data)
        except NotVerified:
            continue
        assert len(clip.data) + len(voice.data if voice else b"") < len(data)
