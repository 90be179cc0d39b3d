"""Templates of one person: the best frames, spread over the recording, and speech only."""

from __future__ import annotations

import numpy as np
import pytest

from cameo.embed.person import FRAMES, SIDE_FRAMES, best_frames, pool_face, pool_windows, with_sides
from cameo.embed.template import views_of
from cameo.errors import CaptureRejected
from cameo.records import Clip, EncoderInfo, FaceSightings, FaceTrack, QualityReport
from tests.conftest import RenderedPerson

INFO = EncoderInfo("made", "face", "0" * 64, 4, "consistency-only", "", 0.5, "made")


class SeesTheLevel:
    """A face encoder that turns the brightness of a frame into a direction; black frames hold no face."""

    info = INFO

    def embed(self, frames: np.ndarray, points: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        level = frames.mean((1, 2, 3)) / 255
        vectors = np.stack([np.cos(level), np.sin(level), 0 * level, 0 * level], 1).astype(np.float32)
        return vectors, level > 0


def test_the_best_frame_of_every_stretch() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(0.1, 1, 400).astype(np.float32)
    scores[100:160] = 0
    chosen = best_frames(scores)
    assert len(chosen) == FRAMES
    assert (np.diff(chosen) > 0).all()
    assert not set(chosen) & set(range(100, 160))
    assert scores[chosen].mean() > 0.8
    assert chosen[0] < 20
    assert chosen[-1] > 380
    assert len(best_frames(np.zeros(50, np.float32))) == 0
    assert best_frames(np.array([0, 1, 0, 0.5], np.float32)).tolist() == [1, 3]


def test_each_side_the_head_turns_to_gets_frames() -> None:
    """Frontal frames score best, so a stretch seldom offers a turned one."""
    yaw = np.zeros(600, np.float32)
    yaw[100:110], yaw[300:303], yaw[400] = -30, 30, np.nan
    scores = np.where(yaw == 0, 1, 0.5).astype(np.float32)
    scores[109] = 0
    chosen = with_sides(best_frames(scores), scores, yaw)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) == FRAMES + SIDE_FRAMES + 3
    assert (yaw[chosen] == -30).sum() == SIDE_FRAMES
    assert (yaw[chosen] == 30).sum() == 3
    assert 109 not in chosen
    still = np.zeros(600, np.float32)
    assert with_sides(best_frames(scores), scores, still).tolist() == best_frames(scores).tolist()


def test_the_views_of_a_person_who_turns(person: RenderedPerson, person_track: FaceTrack) -> None:
    frames = len(person.clip.frames)
    quality = QualityReport((), np.ones(frames, np.float32), ("",) * frames)
    template, _, used = pool_face(SeesTheLevel(), person.clip, person_track, quality)
    yaw = person_track.yaw_deg[used]
    seen = {"frontal": np.abs(yaw) <= 15, "left": yaw < -15, "right": yaw > 15}
    assert {view.name for view in views_of(template)} <= {name for name, mask in seen.items() if mask.sum() >= 3}
    assert "frontal" in {view.name for view in views_of(template)}


def test_windows_that_a_caller_has_made() -> None:
    info = EncoderInfo("made", "voice", "0" * 64, 2, "consistency-only", "", 0.5, "made")
    template, likeness = pool_windows(np.array([[1, 0], [1, 0], [0.8, 0.6]], np.float32), info)
    assert template.count == 3
    assert likeness.argmin() == 2


def test_what_is_pooled(person: RenderedPerson, person_track: FaceTrack) -> None:
    frames = len(person.clip.frames)
    scores = np.ones(frames, np.float32)
    scores[::2] = 0
    quality = QualityReport((), scores, ("",) * frames)
    template, likeness, used = pool_face(SeesTheLevel(), person.clip, person_track, quality)
    assert template.count >= 12
    assert not used[::2].any()
    assert np.array_equal(np.isfinite(likeness), used)
    assert likeness[used].min() > 0.9


def test_faces_are_aligned_where_the_encoder_s_own_detector_saw_them(
    person: RenderedPerson, person_track: FaceTrack
) -> None:
    frames = len(person.clip.frames)
    quality = QualityReport((), np.ones(frames, np.float32), ("",) * frames)
    unknown, one = np.full((frames, 3), np.nan, np.float32), np.ones(frames, np.int64)
    seen = FaceSightings(person_track.boxes, person_track.points + 3, one, unknown)
    given: list[np.ndarray] = []

    class NotesPoints(SeesTheLevel):
        def embed(self, frames: np.ndarray, points: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
            assert points is not None
            given.append(points)
            return super().embed(frames, points)

    for own in (None, seen):
        _, _, used = pool_face(NotesPoints(), person.clip, person_track, quality, own)
    assert np.array_equal(given[0], person_track.points[used])
    assert np.array_equal(given[1], person_track.points[used] + 3)


def test_too_few_faces_are_refused(person: RenderedPerson, person_track: FaceTrack) -> None:
    import dataclasses

    frames = person.clip.frames.copy()
    frames[8:] = 0
    clip: Clip = dataclasses.replace(person.clip, frames=frames)
    quality = QualityReport((), np.ones(len(frames), np.float32), ("",) * len(frames))
    with pytest.raises(CaptureRejected, match="usable frames of the face"):
        pool_face(SeesTheLevel(), clip, person_track, quality)


def test_windows_of_speech() -> None:
    info = EncoderInfo("made", "voice", "0" * 64, 2, "consistency-only", "", 0.5, "made")
    template, likeness = pool_windows(np.array([[1, 0], [1, 0], [0.8, 0.6]], np.float32), info)
    assert likeness.shape == (3,)
    assert likeness[0] > likeness[2]
    assert template.encoder.modality == "voice"
