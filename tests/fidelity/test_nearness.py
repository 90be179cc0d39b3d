"""Copies lie nearer to training pictures than new pictures of the person do, by every measure."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cameo.copying import share_below
from cameo.fidelity.nearness import (
    MEASURES,
    RUN,
    NearestFrames,
    Nearness,
    Views,
    closest_pairs,
    estimate,
    share_nearer,
    structure_apart,
)
from cameo.generators.base import Footage


def as_views(grey: np.ndarray) -> Views:
    """Let a small picture stand in for what an encoder sees."""
    small = np.stack([cv2.resize(one, (8, 8), interpolation=cv2.INTER_AREA) for one in grey]).reshape(len(grey), -1)
    flat = small - small.mean(1, keepdims=True)
    vectors = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return Views(grey, vectors.astype(np.float32), np.ones(len(grey), bool))


@pytest.fixture(scope="module")
def grey(footage: Footage) -> np.ndarray:
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in footage.frames.numpy()])


@pytest.fixture(scope="module")
def parts(grey: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is learned from, what was held out, and more new pictures, from among those held out."""
    third = len(grey) // 3
    return grey[:third], grey[third + 8 :: 2], grey[third + 9 :: 2]


@pytest.fixture(scope="module")
def nearest(parts: tuple[np.ndarray, ...]) -> NearestFrames:
    return NearestFrames(as_views(parts[0]), as_views(parts[1]))


def test_training_pictures_handed_out_again_are_found(nearest: NearestFrames, parts: tuple[np.ndarray, ...]) -> None:
    handed_out = as_views(parts[0][1::2])
    for near in nearest.compare([handed_out, handed_out]):
        assert near.made.max() < 2e-3
        assert near.nearest[0].tolist() == list(range(1, len(parts[0]), 2))
        assert (near.nearer.value, near.nearer.low) == (1, 1)
        assert near.singled.value > 0.95 and near.singled.low > 0.9
        assert near.usual < 2e-3 < near.usual_real


def test_copies_with_noise_are_found(nearest: NearestFrames, parts: tuple[np.ndarray, ...]) -> None:
    noise = np.random.default_rng(0).integers(-4, 5, parts[0][::2].shape)
    noisy = np.clip(parts[0][::2].astype(int) + noise, 0, 255).astype(np.uint8)
    for near in nearest.compare([as_views(noisy)]):
        assert near.singled.value > 0.9


def test_new_pictures_are_no_copies(nearest: NearestFrames, parts: tuple[np.ndarray, ...]) -> None:
    """What was held out, as if a generator had made it, and its neighbours in time."""
    for near in nearest.compare([as_views(parts[1])]):
        assert near.singled.value == pytest.approx(0.5)
        assert near.nearer.value <= 0.07
    for near in nearest.compare([as_views(parts[2])]):
        assert near.singled.value == pytest.approx(0.5, abs=0.15)
        assert near.nearer.value < 0.2


def test_a_blurred_mean_is_near_to_all_and_no_copy(nearest: NearestFrames, parts: tuple[np.ndarray, ...]) -> None:
    mean = cv2.GaussianBlur(parts[0].mean(0).astype(np.uint8), (0, 0), 2.0)
    near = {near.measure: near for near in nearest.compare([as_views(np.stack([mean] * 8))])}
    assert all(near[measure].singled.value < 0.5 for measure in ("pixels", "structure"))


def test_pictures_without_a_face_are_left_out(nearest: NearestFrames, parts: tuple[np.ndarray, ...]) -> None:
    seen = as_views(parts[0])
    half = Views(seen.grey, seen.vectors, np.arange(len(seen)) < 5)
    near = nearest.compare([half])[0]
    assert np.isfinite(near.made).sum() == 5
    assert near.nearer.value == 1
    blank = Views(seen.grey, np.zeros_like(seen.vectors), np.zeros(len(seen), bool))
    for near in nearest.compare([blank]):
        assert np.isnan([near.nearer.value, near.singled.value, near.usual]).all()
        assert closest_pairs(near, 3) == []


def test_structure_is_that_of_the_formula(grey: np.ndarray) -> None:
    """Computed place by place, as it is written in the paper."""
    one, other = grey[::20], grey[7::25]
    found = structure_apart(one, other)
    assert found.shape == (len(one), len(other))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    for i, a in enumerate(one.astype(float)):
        for j, b in enumerate(other.astype(float)):
            places = []
            for y in range(0, a.shape[0] - 7, 4):
                for x in range(0, a.shape[1] - 7, 4):
                    p, q = a[y : y + 8, x : x + 8], b[y : y + 8, x : x + 8]
                    covariance = ((p - p.mean()) * (q - q.mean())).mean()
                    light = (2 * p.mean() * q.mean() + c1) / (p.mean() ** 2 + q.mean() ** 2 + c1)
                    places.append(light * (2 * covariance + c2) / (p.var() + q.var() + c2))
            assert found[i, j] == pytest.approx(1 - np.mean(places), abs=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
def test_distances_are_those_of_a_distance(grey: np.ndarray, measure: str) -> None:
    views = as_views(grey[::10])
    apart = MEASURES[measure](views, views)
    assert apart.min() >= 0
    assert np.abs(apart - apart.T).max() < 1e-3
    assert apart.diagonal().max() < 2e-3


def test_more_seeds_make_no_narrower_interval() -> None:
    """The same moments again are no new evidence."""
    random = np.random.default_rng(0)
    one, other = random.random((1, 64)).astype(np.float32), random.random((1, 64)).astype(np.float32)
    alone = estimate(share_below, one, other, RUN)
    again = estimate(share_below, np.repeat(one, 8, 0), other, RUN)
    assert (again.value, again.low, again.high) == pytest.approx((alone.value, alone.low, alone.high))
    assert len(again.seeds) == 8 and len(set(again.seeds)) == 1
    assert alone.low < alone.value < alone.high


def test_too_little_for_an_interval_is_said() -> None:
    few = estimate(share_nearer, np.zeros((1, 3), np.float32), np.ones((1, 40), np.float32), RUN)
    assert few.value == 1
    assert np.isnan([few.low, few.high]).all()
    assert np.isnan(share_nearer(np.zeros(0, np.float32), np.ones(3, np.float32)))


def test_the_closest_pairs_are_of_different_moments() -> None:
    made = np.linspace(1, 0, 40, dtype=np.float32).reshape(1, 40)
    made[0, 3] = np.nan
    where = np.tile(np.arange(40) // 20 * 30, (1, 1))
    nothing = estimate(share_below, made, made, RUN)
    near = Nearness("pixels", made, where, made[0], where[0], nothing, nothing)
    pairs = closest_pairs(near, 9)
    assert [k for _, k, _, _ in pairs][:2] == [39, 31]
    assert [distance for *_, distance in pairs] == sorted(distance for *_, distance in pairs)
    assert all(np.isfinite(distance) for *_, distance in pairs)
    for a in pairs:
        for b in pairs:
            assert a is b or abs(a[1] - b[1]) >= RUN or abs(a[2] - b[2]) >= RUN
