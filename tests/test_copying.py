"""Copies are told from new frames of the person."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cameo.adapt.recipe import Recipe
from cameo.copying import CopyControl
from cameo.generators.base import Footage


@pytest.fixture(scope="module")
def parts(footage: Footage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is learned from, what the control compares with, and more real frames."""
    frames = footage.frames.numpy()
    third = len(frames) // 3
    return frames[:third], frames[third + 8 : 2 * third : 2], frames[third + 9 : 2 * third : 2]


def test_training_frames_handed_out_again_are_copies(parts: tuple[np.ndarray, ...]) -> None:
    train, held, _ = parts
    control = CopyControl(train, held)
    assert control.share(train[::5]) == 1
    noisy = np.clip(train[::5].astype(int) + np.random.default_rng(0).integers(-6, 7, train[::5].shape), 0, 255)
    assert control.share(noisy.astype(np.uint8)) >= Recipe().copying_limit


def test_new_frames_of_the_person_are_none(parts: tuple[np.ndarray, ...]) -> None:
    train, held, more = parts
    assert CopyControl(train, held).share(more) == pytest.approx(0.5, abs=0.2)
    assert CopyControl(train, held).share(held) == pytest.approx(0.5)


def test_a_blurred_mean_is_near_to_all_and_no_copy(parts: tuple[np.ndarray, ...]) -> None:
    train, held, _ = parts
    mean = cv2.GaussianBlur(train.mean(0).astype(np.uint8), (0, 0), 2.0)
    assert CopyControl(train, held).share(np.stack([mean] * 4)) < 0.5


def test_nothing_to_compare_is_said(parts: tuple[np.ndarray, ...]) -> None:
    assert np.isnan(CopyControl(parts[0], parts[1]).share(parts[0][:0]))
