"""Photographs and single pictures of clips: which, when, upright, bounded, and whatever bytes they are."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cameo.capture import stills
from cameo.capture.stills import count_pictures, read_photo, read_pictures
from cameo.errors import CameoError, ClipError, UsageError
from cameo.media import write_mp4


def numbered(count: int, side: int = 64) -> np.ndarray:
    """Frames that tell their number by their grey."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None] * 5, (count, side, side, 3)).copy()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stills") / "clip.mp4"
    write_mp4(path, numbered(40), 10)
    return path


def test_the_pictures_that_are_asked_for(clip: Path) -> None:
    assert count_pictures(clip) == 40
    found = list(read_pictures(clip, [39, 0, 7, 7, 20]))
    assert [one.number for one in found] == [0, 7, 20, 39]
    assert [round(float(one.picture.mean()) / 5) for one in found] == [0, 7, 20, 39]
    assert [one.time_s for one in found] == pytest.approx([0, 0.7, 2.0, 3.9])
    assert found[0].picture.shape == (64, 64, 3) and found[0].picture.dtype == np.uint8


def test_a_clip_is_never_held_whole(tmp_path: Path) -> None:
    write_mp4(tmp_path / "long.mp4", numbered(51, 256), 10)
    whole = 51 * 256 * 256 * 3
    tracemalloc.start()
    for _ in read_pictures(tmp_path / "long.mp4", range(51)):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole / 4


def test_broken_clips(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    for name, some in (("cut", data[: len(data) // 2]), ("none", b""), ("text", b"hello" * 100)):
        (tmp_path / name).write_bytes(some)
        with pytest.raises(ClipError):
            count_pictures(tmp_path / name)
        with pytest.raises(ClipError):
            list(read_pictures(tmp_path / name, [0]))
    with pytest.raises(UsageError, match="no such file"):
        count_pictures(tmp_path / "nowhere.mp4")


def test_damage_in_the_middle_costs_pictures_only(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    at = data.index(b"mdat") + len(data) // 3
    data[at : at + 40] = bytes(40)
    (tmp_path / "damaged.mp4").write_bytes(data)
    found = list(read_pictures(tmp_path / "damaged.mp4", range(40)))
    assert 0 < len(found) <= 40


def test_too_many_and_too_large(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stills, "MOST_PICTURES", 39)
        with pytest.raises(ClipError, match="more than 39 pictures"):
            count_pictures(clip)
    with monkeypatch.context() as patch:
        patch.setattr(stills, "MOST_PIXELS", 64 * 63)
        for read in (count_pictures, lambda path: list(read_pictures(path, [0]))):
            with pytest.raises(ClipError, match="64x64 are too large"):
                read(clip)


def test_large_pictures_are_shrunk(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stills, "LONG_SIDE", 32)
    assert next(read_pictures(clip, [0])).picture.shape == (32, 32, 3)
    Image.new("RGB", (200, 100)).save(tmp_path / "wide.png")
    assert read_photo(tmp_path / "wide.png").shape == (16, 32, 3)


def test_photographs_are_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), (255, 0, 0))
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned by a quarter. Source: Exif 2.3, Orientation
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read_photo(tmp_path / "turned.jpg").shape == (40, 20, 3)
    Image.new("LA", (8, 6)).save(tmp_path / "grey.png")
    assert read_photo(tmp_path / "grey.png").shape == (6, 8, 3)


def test_a_picture_bomb_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")  # 10 kB on disk
    tracemalloc.start()
    with pytest.raises(ClipError, match="9000x9000 pixels are too many"):
        read_photo(tmp_path / "bomb.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
    with pytest.raises(UsageError, match="no such file"):
        read_photo(tmp_path / "nowhere.png")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2000), st.binary(max_size=40))
def test_any_bytes_raise_nothing_else(tmp_path: Path, at: int, noise: bytes) -> None:
    Image.new("RGB", (30, 20), (10, 200, 30)).save(tmp_path / "photo.png")
    data = (tmp_path / "photo.png").read_bytes()
    at %= len(data)
    (tmp_path / "photo.png").write_bytes(data[:at] + noise + data[at + len(noise) :])
    try:
        assert read_photo(tmp_path / "photo.png").shape[2] == 3
    except CameoError as error:
        assert error.hint
