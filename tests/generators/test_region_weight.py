"""The loss is weighted to the face: eyes and mouth most, whatever the size of the latent."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cameo.generators.region_weight import HEAD, face_mask, face_weights

# A frontal face in the middle of the picture.
FACE = torch.tensor([
    [-0.25, -0.2], [0.25, -0.2], [0.0, 0.1], [-0.2, 0.35], [0.2, 0.35],
    [0.0, 0.3], [0.0, 0.4], [0.0, 0.65], [-0.5, 0.0], [0.5, 0.0],
])  # fmt: skip


def at(mask: Tensor, x: float, y: float) -> float:
    """Value of a mask `[h, w]` at a place in -1..1."""
    h, w = mask.shape
    return float(mask[int((y + 1) / 2 * h), int((x + 1) / 2 * w)])


@pytest.mark.parametrize("shape", [(64, 64), (32, 32)])
def test_eyes_and_mouth_are_most_of_a_face(shape: tuple[int, int]) -> None:
    mask = face_mask(FACE[None], shape)[0]
    assert mask.shape == shape
    assert 0 <= float(mask.min()) <= float(mask.max()) <= 1
    for x, y in ((-0.25, -0.2), (0.25, -0.2), (0.0, 0.35)):
        assert at(mask, x, y) > 0.85
    assert at(mask, 0.0, -0.45) == pytest.approx(HEAD, abs=0.15), "the forehead"
    assert at(mask, 0.95, -0.95) < 0.02, "the background"


def test_it_moves_with_the_face() -> None:
    moved = face_mask((FACE + torch.tensor([0.4, -0.2]))[None], (64, 64))[0]
    assert at(moved, 0.65, -0.4) > 0.85
    assert at(moved, -0.25, -0.2) < 0.6


def test_a_wide_picture_has_round_eyes() -> None:
    narrow = FACE * torch.tensor([0.5, 1.0])  # the same face in a picture twice as wide
    wide, square = face_mask(narrow[None], (32, 64))[0], face_mask(FACE[None], (32, 32))[0]
    assert torch.allclose(wide[:, 16:48], square, atol=0.05)


@pytest.mark.parametrize("factor", [1.0, 2.0, 5.0])
def test_weights_have_mean_one(factor: float) -> None:
    weights = face_weights(FACE.expand(3, 8, -1, -1), (2, 8, 8), factor)
    assert weights.shape == (3, 1, 2, 8, 8)
    assert torch.allclose(weights.mean((1, 2, 3, 4)), torch.ones(3))
    ratio = float(weights.max() / weights.min())
    assert ratio == pytest.approx(1 if factor == 1 else factor, rel=0.35)
