"""A rendered recording passes the gate, has one face, and its lips follow its voice."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from cameo.capture.clip import read_clip
from cameo.capture.quality import assess
from cameo.capture.speech import find_speech
from cameo.errors import OutputError
from cameo.faces.track import track_faces
from cameo.synthetic import selfie
from cameo.synthetic.motion import sample_motion
from cameo.synthetic.renderer import draw
from cameo.synthetic.selfie import draw_person, render_selfie, write_selfie
from cameo.synthetic.traits import TRAITS, sample_identities
from cameo.synthetic.voice import speak

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, QualityReport, Speech

SEED, SECONDS, SMALL = 4, 5.0, 64


@dataclass(frozen=True)
class Seen:
    """What the capture stages make of a written selfie."""

    path: Path
    clip: Clip
    track: FaceTrack
    speech: Speech
    report: QualityReport


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    path = tmp_path_factory.mktemp("selfie") / "selfie.mp4"
    write_selfie(path, SEED, SECONDS)
    clip = read_clip(path)
    track, speech = track_faces(clip.frames), find_speech(clip.sound)
    return Seen(path, clip, track, speech, assess(clip, track, speech))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render small pictures where the size does not matter."""
    monkeypatch.setattr(selfie, "render_selfie", functools.partial(render_selfie, size=SMALL))


def test_it_passes_the_gate(seen: Seen) -> None:
    assert not seen.report.failed
    warned = {check.name for check in seen.report.checks if check.level == "warn"}
    assert warned <= {"speech", "even_light"}, "five seconds hold less than eight of speech; a lamp may stand aside"
    assert not any(seen.report.reasons)


def test_it_is_a_plain_recording(seen: Seen) -> None:
    source = seen.clip.source
    assert (source.video_codec, source.audio_codec) == ("h264", "aac")
    assert (source.width, source.height) == (360, 480)
    assert source.fps == pytest.approx(25)
    assert source.duration_s == pytest.approx(SECONDS, abs=0.01)
    assert len(seen.clip.sound) / 16_000 == pytest.approx(SECONDS, abs=0.1)
    assert list(seen.path.parent.iterdir()) == [seen.path]


def test_one_face_that_turns_and_blinks(seen: Seen) -> None:
    assert (seen.track.faces == 1).all()
    assert seen.track.yaw_deg.max() > 8
    assert seen.track.yaw_deg.min() < -8
    assert seen.track.eye_open.min() < 0.4
    assert np.median(seen.track.eye_open) > 0.6
    height = seen.track.boxes[:, 3] / seen.clip.frames.shape[1]
    assert ((height > 0.3) & (height < 0.8)).all()


def test_lips_follow_the_voice(seen: Seen) -> None:
    opening = speak(SEED, SECONDS).opening
    by_lag = [np.corrcoef(np.roll(opening, lag), seen.track.mouth_open)[0, 1] for lag in range(-6, 7)]
    assert by_lag[6] > 0.8
    assert abs(int(np.argmax(by_lag)) - 6) <= 1
    spoken = np.zeros(len(opening), bool)
    for start_s, end_s in seen.speech.segments_s:
        spoken[round(start_s * 25) : round(end_s * 25)] = True
    assert seen.track.mouth_open[spoken].mean() > 3 * seen.track.mouth_open[:4].mean()


def test_the_same_seed_gives_the_same_recording() -> None:
    first, again = render_selfie(2, 1.0, SMALL), render_selfie(2, 1.0, SMALL)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.sound, again.sound)
    assert first.frames.shape == (25, SMALL, 48, 3)
    assert len(first.sound) == 16_000


def test_other_seeds_are_other_people() -> None:
    people = torch.cat([draw_person(seed) for seed in range(20)])
    apart = torch.cdist(people, people) + 100 * torch.eye(20)
    assert apart.min() > 3
    shown = [render_selfie(seed, 0.2, SMALL) for seed in (0, 1)]
    assert np.abs(shown[0].frames.astype(int) - shown[1].frames).mean() > 10
    assert np.abs(shown[0].sound - shown[1].sound).mean() > 0


def test_colours_go_together() -> None:
    people = torch.cat([draw_person(seed) for seed in range(300)])
    assert people.abs().max() <= 1
    at = list(TRAITS).index
    dark = people[:, at("melanin")] > 0
    assert dark.any()
    assert people[dark, at("hair_light")].mean() < people[~dark, at("hair_light")].mean() - 0.3


def test_the_scene_stays_the_same_from_part_to_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are drawn a few at a time; how many must not be seen."""
    parts = render_selfie(6, 0.4, SMALL)
    monkeypatch.setattr(selfie, "_BATCH", 100)
    whole = render_selfie(6, 0.4, SMALL)
    assert np.abs(parts.frames.astype(int) - whole.frames).max() <= 1


def test_a_wider_view_shows_the_same_scene_smaller() -> None:
    random = torch.Generator().manual_seed(0)
    who, motion = sample_identities(1, random), sample_motion(1, 2, random)
    near = draw(who, motion, 96, torch.Generator().manual_seed(1), view=0.5)
    wide = draw(who, motion, 192, torch.Generator().manual_seed(1), view=1.0, aspect=0.75)
    assert near.frames.shape == (1, 2, 96, 96, 3)
    assert wide.frames.shape == (1, 2, 192, 144, 3)
    inner = wide.frames[:, :, 48:144, 24:120]
    assert (inner - near.frames).abs().mean() < 0.03, "vignette apart"
    assert torch.allclose(wide.points[..., 1] * 2, near.points[..., 1], atol=1e-5)
    assert torch.allclose(wide.points[..., 0] * 1.5, near.points[..., 0], atol=1e-5)


@pytest.mark.usefixtures("small")
def test_what_is_written_is_what_was_rendered(tmp_path: Path) -> None:
    said: list[tuple[str, float]] = []
    made = write_selfie(tmp_path / "a.mp4", 7, 1.6, lambda label, share: said.append((label, share)))
    again, clip = render_selfie(7, 1.6, SMALL), read_clip(tmp_path / "a.mp4")
    assert np.array_equal(made.frames, again.frames)
    assert np.array_equal(made.sound, again.sound)
    assert clip.frames.shape == made.frames.shape
    assert np.abs(clip.frames.astype(int) - made.frames).mean() < 4
    assert np.corrcoef(clip.sound[: len(made.sound)], made.sound)[0, 1] > 0.9, "and the sound is where it was"
    for step in ("rendering a person", "writing the clip"):
        shares = [share for label, share in said if label == step]
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_a_place_that_cannot_be_written_is_refused_before_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfie, "render_selfie", lambda *_a, **_k: pytest.fail("rendered in vain"))
    for path in (tmp_path / "none" / "a.mp4", tmp_path):
        with pytest.raises(OutputError, match="cannot write"):
            write_selfie(path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("step", ["rendering a person", "writing the clip"])
def test_a_stopped_recording_leaves_the_old_file(tmp_path: Path, stop: type[BaseException], step: str) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")

    def progress(label: str, _share: float) -> None:
        if label == step:
            raise stop

    with pytest.raises(stop):
        write_selfie(tmp_path / "a.mp4", 0, 0.4, progress)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
