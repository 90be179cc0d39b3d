"""A file that stands for a camera: its own speed, upright, in step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cameo.capture.playback import FilePictures, FileSound, Pace, has_sound
from cameo.errors import ClipError, UsageError
from tests.capture.conftest import Recorder, click


def test_it_takes_as_long_as_it_takes_to_watch(recorder: Recorder) -> None:
    now, slept = [50.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pictures = FilePictures(recorder("made.mp4", np.arange(20) / 10), Pace(lambda: now[0], sleep))
    while (shot := pictures.read()) is not None:
        assert now[0] - 50 == pytest.approx(shot.time_s, abs=1e-6)
        now[0] += 0.02  # what the recorder does with it
    assert len(slept) == 19 and sum(slept) == pytest.approx(1.9 - 19 * 0.02)
    pictures.close()


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, -90])
def test_pictures_are_upright(recorder: Recorder, rotation_deg: int) -> None:
    """The red corner is where a player shows it."""
    pictures = FilePictures(recorder("made.mp4", [0, 0.1, 0.2], rotation_deg=rotation_deg))
    shot = pictures.read()
    assert shot is not None
    assert shot.image.shape == ((120, 160, 3) if rotation_deg % 180 == 0 else (160, 120, 3))
    height, width = shot.image.shape[:2]
    corners = {0: (0, 0), 90: (-1, 0), 180: (-1, -1), -90: (0, -1)}
    row, column = corners[rotation_deg]
    at = shot.image[row * 10 if row else 10, column * 10 if column else 10].astype(int)
    assert at[0] - at[1] > 80, (height, width)


def test_large_pictures_are_scaled_down(recorder: Recorder) -> None:
    shot = FilePictures(recorder("made.mp4", [0, 0.1], size=(1920, 1080))).read()
    assert shot is not None and shot.image.shape == (720, 1280, 3)


def test_sound_comes_with_the_pictures(recorder: Recorder) -> None:
    made = recorder("made.mp4", np.arange(40) / 20, sound=click(44_100, 2.0, 0.7, 1), rate_hz=44_100)
    assert has_sound(made)
    sound = FileSound(made)
    early = sound.take(0.5)
    assert early and early[-1].time_s < 0.5 and sound.take(0.5) == []
    late = sound.take(9.0)
    at = max(late, key=lambda heard: float(np.abs(heard.samples).max()))
    assert at.time_s == pytest.approx(0.7, abs=0.05)
    assert sum(len(heard.samples) for heard in early + late) == pytest.approx(2 * 48_000, abs=3000)
    sound.close()


def test_what_is_no_recording(recorder: Recorder, tmp_path: Path) -> None:
    silent = recorder("silent.mp4", [0, 0.1])
    assert not has_sound(silent)
    with pytest.raises(ClipError, match="no sound track"):
        FileSound(silent)
    (tmp_path / "text.mp4").write_text("not a video")
    for source in (FilePictures, FileSound, has_sound):
        with pytest.raises(ClipError):
            source(tmp_path / "text.mp4")
        with pytest.raises(UsageError):
            source(tmp_path / "none.mp4")
