"""Recording: times are kept, somebody is guided, and what fails or is stopped leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameo.capture import recorder as recording
from cameo.capture.clip import read_clip
from cameo.capture.clip_writer import ClipWriter
from cameo.capture.playback import FilePictures, FileSound
from cameo.capture.recorder import record_clip
from cameo.capture.sources import SOUND_HZ, Heard, Shot
from cameo.errors import CameoError, CaptureRejected, ClipError, OutputError
from tests.capture.conftest import Recorder, click
from tests.capture.recording import MadePictures, MadeSound, Watching, moving_bar, plan

Failing = Callable[[Path], None]


def test_a_file_is_recorded_picture_and_sound_in_step(recorder: Recorder, tmp_path: Path) -> None:
    """The bar of the picture, and a click at 1.3 s, are where they were; uneven pictures stay uneven."""
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.03, 0.07, 80))
    made = recorder("made.mp4", times_s, sound=click(48_000, 4.0, 1.3, 2), rate_hz=48_000)
    out, guide = tmp_path / "out.mp4", Watching()
    told = record_clip(out, FilePictures(made), FileSound(made), plan(2.5), guide)
    before, after = read_clip(made), read_clip(out)
    count = len(after.times_s)
    assert told.seconds == pytest.approx(2.5, abs=0.1) and told.sound
    assert (told.width, told.height) == (160, 120)
    assert np.abs(after.times_s - before.times_s[:count]).max() < 0.002
    assert np.abs(after.frames.astype(int) - before.frames[:count]).mean() < 4
    assert abs(int(np.abs(after.sound).argmax()) - int(np.abs(before.sound).argmax())) < 0.01 * 16_000
    assert len(after.sound) == pytest.approx(2.5 * 16_000, abs=0.1 * 16_000)
    assert guide.texts()[0].startswith("say what you like") and len(guide.texts()) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.mp4", "out.mp4"]


def test_a_file_that_is_shorter_ends_the_recording(recorder: Recorder, tmp_path: Path) -> None:
    made = recorder("made.mp4", np.arange(30) / 20)
    told = record_clip(tmp_path / "out.mp4", FilePictures(made), None, plan(10), Watching())
    assert told.seconds == pytest.approx(1.45, abs=0.01) and not told.sound
    assert len(read_clip(tmp_path / "out.mp4").sound) == 0


def _never(_time_s: float) -> np.ndarray:
    return np.zeros((96, 128, 3), np.uint8)


@pytest.mark.parametrize(
    ("pictures", "sound", "needed_s", "error", "words"),
    [
        (MadePictures(moving_bar, fps=5), None, 0, ClipError, "only 5 pictures a second"),
        (MadePictures(moving_bar, live=True, until_s=2), None, 0, ClipError, "no more pictures"),
        (MadePictures(moving_bar, until_s=2), None, 3, ClipError, "ends after 2.0 s"),
        (MadePictures(moving_bar, until_s=0), None, 0, ClipError, "has no picture"),
        (MadePictures(moving_bar, until_s=0.04), None, 0, ClipError, "ends after 0.0 s"),
        (MadePictures(_never), None, 0, CaptureRejected, "the picture is black"),
        (MadePictures(moving_bar), MadeSound(1e-4), 0, CaptureRejected, "too faint"),
    ],
)
def test_what_fails_leaves_nothing(
    pictures: MadePictures,
    sound: MadeSound | None,
    needed_s: float,
    error: type[CameoError],
    words: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(error, match=words) as failed:
        record_clip(tmp_path / "out.mp4", pictures, sound, plan(6, needed_s=needed_s), Watching())
    assert failed.value.hint
    assert not list(tmp_path.iterdir())


def test_a_shape_that_changes_is_refused(tmp_path: Path) -> None:
    def turning(time_s: float) -> np.ndarray:
        return moving_bar(time_s) if time_s < 1 else np.rot90(moving_bar(time_s))

    with pytest.raises(ClipError, match="changes its shape"):
        record_clip(tmp_path / "out.mp4", MadePictures(turning), None, plan(), Watching())
    assert not list(tmp_path.iterdir())


def test_stopping_leaves_nothing_and_what_stood_there(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"before")
    guide = Watching(stop_s=1.0)
    with pytest.raises(KeyboardInterrupt):
        record_clip(out, MadePictures(moving_bar), MadeSound(), plan(), guide)
    assert guide.views[-1].time_s == pytest.approx(1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"] and out.read_bytes() == b"before"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        record_clip(tmp_path / "none" / "out.mp4", MadePictures(moving_bar), None, plan(), Watching())


def test_an_unguided_camera_gets_a_second_to_wake(tmp_path: Path) -> None:
    def waking(time_s: float) -> np.ndarray:
        return _never(time_s) if time_s < 0.9 else moving_bar(time_s)

    guide = Watching()
    told = record_clip(tmp_path / "out.mp4", MadePictures(waking, live=True), MadeSound(), plan(), guide)
    assert told.fps == pytest.approx(20, abs=0.1)
    assert not guide.texts("framing")


@pytest.fixture(scope="module")
def face(selfie: Path) -> np.ndarray:
    """One picture of the sample person, large enough to be near: `[512, 384, 3]`."""
    image = read_clip(selfie).frames[10]
    return np.asarray(cv2.resize(image, (384, 512), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_a_camera_waits_until_somebody_is_there(face: np.ndarray, tmp_path: Path) -> None:
    """Nobody, then a face at the edge, then in the middle; three seconds later the recording begins."""

    def coming(time_s: float) -> np.ndarray:
        shift = 120 if time_s < 3 else 0
        moved = np.roll(face, shift, axis=1)
        return np.full_like(face, 120) if time_s < 1.5 else moved

    guide = Watching()
    pictures = MadePictures(coming, fps=10, live=True)
    told = record_clip(tmp_path / "out.mp4", pictures, MadeSound(), plan(1.5, guided=True), guide)
    framing = guide.texts("framing")
    assert any(text.startswith("film one face") for text in framing)
    assert framing[-1] == "good, stay like this"
    assert [text.rpartition(" ")[2] for text in guide.texts("starting")] == ["3", "2", "1"]
    assert told.seconds == pytest.approx(1.4, abs=0.05)
    last = guide.views[-1]
    assert {"face_size", "brightness", "sharpness", "motion_blur", "sound"} <= {check.name for check in last.checks}
    assert last.box is not None and abs(last.box[0] + last.box[2] / 2 - 0.5) < 0.2


def test_nobody_comes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recording, "_PATIENCE_S", 2.0)
    with pytest.raises(CaptureRejected, match="a face is found in only 0 %"):
        record_clip(tmp_path / "out.mp4", MadePictures(moving_bar, live=True), None, plan(guided=True), Watching())
    assert not list(tmp_path.iterdir())


def test_sound_is_laid_at_its_time(tmp_path: Path) -> None:
    """What comes before the first picture is dropped, a gap is filled, an overlap dropped, jitter ignored."""
    first = Shot(10.0, moving_bar(0))
    tone = np.full(SOUND_HZ // 10, 0.5, np.float32)
    out = tmp_path / "out.mp4"
    with ClipWriter(out, first, True) as writer:
        for index in range(21):
            writer.add_picture(Shot(10 + index / 20, moving_bar(index / 20)))
        for time_s in (9.95, 10.06, 10.6, 10.4, 10.9):
            writer.add_sound(Heard(time_s, tone))
    sound = np.abs(read_clip(out).sound)
    loud = np.array([sound[int(s * 16_000) : int((s + 0.04) * 16_000)].mean() > 0.1 for s in np.arange(0, 0.95, 0.05)])
    assert loud[:3].all() and not loud[4:11].any() and loud[12:14].all() and not loud[15:18].any() and loud[18]
