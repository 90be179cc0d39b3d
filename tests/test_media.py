"""Written clips open elsewhere with the pictures and sound that were given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from cameo.capture.clip import read_clip
from cameo.errors import OutputError, UsageError
from cameo.media import write_mp4


def moving(count: int, height: int, width: int) -> np.ndarray:
    """Draw `[T, H, W, 3]` smooth colours that drift."""
    y, x = np.mgrid[:height, :width]
    return np.stack([np.stack([60 + (x + 2 * t) % 150, 60 + y % 150, 0 * x + 128], -1) for t in range(count)]).astype(
        np.uint8
    )


@pytest.mark.parametrize(("height", "width"), [(64, 64), (121, 99)])
def test_round_trip(tmp_path: Path, height: int, width: int) -> None:
    frames = moving(25, height, width)
    sound = (0.4 * np.sin(2 * np.pi * 220 * np.arange(32_000) / 16_000)).astype(np.float32)
    write_mp4(tmp_path / "a.mp4", frames, 12.5, sound)
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.frames.shape == (25, height + height % 2, width + width % 2, 3)
    assert np.allclose(clip.times_s, np.arange(25) / 12.5, atol=1e-3)
    assert np.abs(clip.frames[:, :height, :width].astype(int) - frames).mean() < 6
    assert clip.source.fps == pytest.approx(12.5)
    assert abs(len(clip.sound) / 16_000 - 2) < 0.1
    assert np.abs(clip.sound[8000:24_000]).max() == pytest.approx(0.4, abs=0.05)
    assert (tmp_path / "a.mp4").read_bytes().index(b"moov") < (tmp_path / "a.mp4").read_bytes().index(b"mdat")


def test_stereo_sound(tmp_path: Path) -> None:
    at = np.arange(48_000) / 48_000
    sound = np.stack([0.4 * np.sin(2 * np.pi * 220 * at), 0 * at]).astype(np.float32)
    write_mp4(tmp_path / "a.mp4", moving(8, 16, 16), 8, sound, 48_000)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert (container.streams.audio[0].rate, container.streams.audio[0].channels) == (48_000, 2)
        heard = np.concatenate([block.to_ndarray() for block in container.decode(audio=0)], 1)[:, 8000:40_000]
    assert np.abs(heard[0]).max() == pytest.approx(0.4, abs=0.05)
    assert np.abs(heard[1]).max() < 0.05


@pytest.mark.parametrize("shape", [(3, 100), (1, 1, 100), ()])
def test_sound_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="sound must be"):
        write_mp4(tmp_path / "a.mp4", moving(3, 16, 16), 8, np.zeros(shape, np.float32))


def test_without_sound(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", moving(3, 16, 16), 8)
    assert len(read_clip(tmp_path / "a.mp4").sound) == 0


@pytest.mark.parametrize(
    "frames", [np.zeros((0, 8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3))]
)
def test_what_is_not_a_clip_is_refused(tmp_path: Path, frames: np.ndarray) -> None:
    with pytest.raises(UsageError):
        write_mp4(tmp_path / "a.mp4", frames, 8)
    assert not list(tmp_path.iterdir())


_FULL = """
import resource, signal, sys
import numpy as np
from cameo.errors import OutputError
from cameo.media import write_mp4
frames = np.random.default_rng(0).integers(0, 255, (10, 100, 100, 3)).astype(np.uint8)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_mp4(sys.argv[1], frames, 25)
except OutputError as error:
    print("refused", error.message)
"""


def test_no_room_leaves_the_old_file(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: both fail inside the muxer's writes."""
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", _FULL, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("refused cannot write")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write_mp4(tmp_path / "none" / "a.mp4", moving(2, 16, 16), 8)
    assert caught.value.hint == "create the folder first"
