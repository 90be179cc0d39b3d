"""The judge of the face: the person before others, every pose alike, nothing where there is no face."""

from __future__ import annotations

import numpy as np
import pytest

from cameo.adapt.judge import Judge
from cameo.generators.base import Footage
from tests.adapt.conftest import POINTS, by_pixels

Others = tuple[np.ndarray, np.ndarray]


def test_the_judge_prefers_the_person(footage: Footage, others: Others) -> None:
    real = footage.frames[::10].numpy()
    points = np.zeros((len(real), 10, 2), np.float32)
    judge = Judge(by_pixels, (real, points), others)
    own, stranger = judge.score(real, points), judge.score(others[0], others[1])
    assert own.likeness > 0.9 > stranger.likeness
    assert own.margin > 0 > stranger.margin
    assert stranger.impostor == pytest.approx(1, abs=1e-3)


def test_frames_without_a_face_count_as_nothing(footage: Footage, others: Others) -> None:
    def blind(frames: np.ndarray, points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        vectors, found = by_pixels(frames, points)
        return vectors, found & (frames.max((1, 2, 3)) > 0)

    real = footage.frames[::10].numpy()
    points = np.zeros((len(real), 10, 2), np.float32)
    judge = Judge(blind, (real, points), others)
    half = real.copy()
    half[::2] = 0
    share = 1 - len(half[::2]) / len(half)
    assert judge.score(half, points).likeness == pytest.approx(judge.score(real, points).likeness * share, abs=0.05)


def turned(pixels: float) -> np.ndarray:
    """Landmarks of a head whose nose lies that far to the right."""
    points = POINTS.copy()
    points[2, 0] += pixels
    return points


def test_every_pose_counts_alike(footage: Footage, others: Others) -> None:
    """Twelve frontal frames that are right and three turned ones that are not: half, not four fifths."""
    real = footage.frames[::10].numpy()[:4]
    judge = Judge(by_pixels, (real, None), others)
    frames = np.concatenate([np.repeat(real[:1], 12, 0), np.zeros_like(real[:1]).repeat(3, 0)])
    poses = np.stack([turned(0)] * 12 + [turned(6)] * 3)
    alone = judge.score(real[:1], None).likeness
    assert judge.score(frames, None).likeness == pytest.approx(12 / 15 * alone, abs=0.01)
    assert judge.score(frames, None, poses).likeness == pytest.approx(alone / 2, abs=0.01)
    few = np.concatenate([poses[:12], poses[12:14], poses[:1]])
    assert judge.score(frames, None, few).likeness == pytest.approx(12 / 15 * alone, abs=0.01), "too few to be a pose"


def test_likeness_to_somebody_else_costs(footage: Footage, others: Others) -> None:
    real = footage.frames[::10].numpy()
    judge = Judge(by_pixels, (real, None), others)
    own, stranger = judge.score(real, None), judge.score(others[0], None)
    assert own.excess == pytest.approx(0, abs=1e-6), "no more than the person's own frames"
    assert own.score == pytest.approx(own.likeness)
    assert stranger.excess > 0.3
    assert stranger.score < stranger.likeness


def test_without_a_held_out_face_there_is_no_verdict(footage: Footage, others: Others) -> None:
    def blind(frames: np.ndarray, points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return by_pixels(frames, points)[0], np.zeros(len(frames), bool)

    verdict = Judge(blind, (footage.frames[:4].numpy(), None), others).score(footage.frames[:4].numpy(), None)
    assert (verdict.likeness, verdict.found) == (0, 0)
