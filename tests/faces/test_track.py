"""The tracker finds what the renderer drew, and nothing where nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cameo.faces.track import head_pose, track_faces
from cameo.records import LANDMARKS, FaceSightings
from tests.conftest import RenderedPerson

if TYPE_CHECKING:
    from cameo.records import FaceTrack


def test_landmarks_are_where_they_were_drawn(person: RenderedPerson, person_track: FaceTrack) -> None:
    assert person_track.found.all()
    assert (person_track.faces == 1).all()
    across = np.linalg.norm(person.points[:, 1] - person.points[:, 0], axis=-1)[:, None]
    error = np.linalg.norm(person_track.points - person.points, axis=-1) / across
    worst = dict(zip(LANDMARKS, np.percentile(error, 95, axis=0).round(3), strict=True))
    assert max(worst.values()) < 0.15, worst
    assert error.mean() < 0.06


def test_the_box_holds_the_eyes_and_the_mouth(person: RenderedPerson, person_track: FaceTrack) -> None:
    corner, side = person_track.boxes[:, None, :2], person_track.boxes[:, None, 2:]
    inside = (person.points[:, :5] > corner) & (person.points[:, :5] < corner + side)
    assert inside.all(-1).mean() > 0.98


def test_mouth_and_eyes_follow(person: RenderedPerson, person_track: FaceTrack) -> None:
    assert np.corrcoef(person_track.mouth_open, person.mouth)[0, 1] > 0.85
    assert np.ptp(person.mouth) > 0.3, "the person must speak for this to mean something"
    shut, open_ = person.eye_open < 0.3, person.eye_open > 0.9
    assert shut.any()
    assert np.median(person_track.eye_open[shut]) < np.median(person_track.eye_open[open_]) - 0.2


def test_a_mirrored_clip_gives_the_mirrored_pose(person: RenderedPerson, person_track: FaceTrack) -> None:
    mirrored = track_faces(np.ascontiguousarray(person.clip.frames[:40, :, ::-1]))
    yaw = person_track.yaw_deg[5:35]
    assert np.ptp(yaw) > 2
    assert np.allclose(mirrored.yaw_deg[5:35], -yaw, atol=4)


def test_positive_yaw_looks_to_the_right_of_the_picture() -> None:
    straight = np.array(
        [[-1, 0], [1, 0], [0, 1.2], [-0.7, 2], [0.7, 2], [0, 1.9], [0, 2.1], [0, 3], [-1.6, 1], [1.6, 1]], np.float32
    )[None]
    turned = straight.copy()
    turned[:, 2, 0] += 0.6
    assert head_pose(straight)[0] == pytest.approx(0, abs=0.5)
    assert head_pose(turned)[0] > 10
    leaning = straight @ np.array([[0, 1], [-1, 0]], np.float32)
    assert abs(head_pose(leaning)[2]) == pytest.approx(90, abs=0.5)


@pytest.mark.parametrize("kind", ["black", "grey", "noise"])
def test_no_face_is_found_where_there_is_none(kind: str) -> None:
    random = np.random.default_rng(0)
    shape = (12, 96, 128, 3)
    frames = {
        "black": np.zeros(shape, np.uint8),
        "grey": np.full(shape, 120, np.uint8),
        "noise": random.integers(0, 256, shape, np.uint8),
    }[kind]
    track = track_faces(frames)
    assert not track.found.any()
    assert (track.faces == 0).all()
    assert np.isnan(track.points).all()
    assert np.isnan(track.boxes).all()
    assert np.isnan(track.yaw_deg).all()


def test_frames_without_the_face_are_not_found(person: RenderedPerson) -> None:
    frames = person.clip.frames[:40].copy()
    frames[20:] = 100
    track = track_faces(frames)
    assert track.found[:16].all()
    assert not track.found[28:].any()
    assert np.isnan(track.points[28:]).all()


def test_two_people_are_counted(person: RenderedPerson) -> None:
    one = person.clip.frames[:15]
    side_by_side = np.concatenate([one, one[:, :, ::-1]], 2)
    assert (track_faces(side_by_side).faces > 1).mean() > 0.5


def sightings(points: np.ndarray, pose_deg: np.ndarray | None = None) -> FaceSightings:
    """Five points `[T, 5, 2]` as a detector of others gives them."""
    ten = np.full((len(points), 10, 2), np.nan, np.float32)
    ten[:, :5] = points
    size = np.ptp(points, axis=1)
    boxes = np.concatenate([points.min(1) - size / 2, 2 * size], 1).astype(np.float32)
    unknown = np.full((len(points), 3), np.nan, np.float32)
    return FaceSightings(boxes, ten, np.ones(len(points), np.int64), unknown if pose_deg is None else pose_deg)


def test_a_face_that_others_saw_is_where_they_saw_it(person: RenderedPerson, person_track: FaceTrack) -> None:
    frames, truth = person.clip.frames[:40], person.points[:40]
    track = track_faces(frames, seen=sightings(truth[:, :5]))
    assert track.found.all()
    across = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=-1)[:, None]
    assert (np.linalg.norm(track.points - truth, axis=-1) / across).mean() < 0.06
    apart = np.abs(track.boxes - person_track.boxes[:40]) / person_track.boxes[:40, 2:3]
    assert np.median(apart) < 0.1, "its box is what the detector in the package would draw"
    assert np.abs(track.mouth_open - person_track.mouth_open[:40]).mean() < 0.05


def test_a_pose_that_others_read_is_taken_where_they_could(person: RenderedPerson) -> None:
    pose = np.full((20, 3), np.nan, np.float32)
    pose[:10] = (7, -3, 2)
    track = track_faces(person.clip.frames[:20], seen=sightings(person.points[:20, :5], pose))
    assert np.array_equal(np.stack([track.yaw_deg, track.pitch_deg, track.roll_deg], 1)[:10], pose[:10])
    assert np.isfinite(track.yaw_deg[10:]).all()
    assert not (track.yaw_deg[10:] == 7).any()


def test_what_others_did_not_see_is_not_found(person: RenderedPerson) -> None:
    points = person.points[:20, :5].astype(np.float32)
    points[8:12] = np.nan
    track = track_faces(person.clip.frames[:20], seen=sightings(points))
    assert track.found.tolist() == [True] * 8 + [False] * 4 + [True] * 8
    assert np.isnan(track.points[8:12]).all()
    nobody = track_faces(person.clip.frames[:4], seen=sightings(np.full((4, 5, 2), np.nan)))
    assert not nobody.found.any()
    assert np.isnan(nobody.points).all()


def test_progress_ends_at_one(person: RenderedPerson) -> None:
    seen: list[float] = []
    track_faces(person.clip.frames[:12], lambda label, share: seen.append(share))
    assert seen == sorted(seen)
    assert seen[-1] == 1
