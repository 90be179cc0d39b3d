"""The learned appearance: it follows the motion, wherever the face is in the picture."""

from __future__ import annotations

import math

import pytest
import torch

from cameo.generators.appearance import RIDGE, measure, straighten
from cameo.generators.base import Footage, Motion
from cameo.generators.prior import mixture_gains, residual_variance, sharing


def moved(motion: Motion, scale: float, turn: float, shift: tuple[float, float]) -> Motion:
    """Scale, turn in the plane and shift all points."""
    cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
    points = motion.points @ torch.tensor([[cos, sin], [-sin, cos]]) + torch.tensor(shift)
    return Motion(points, motion.eye_open)


def test_measures_do_not_depend_on_where_the_face_is(footage: Footage) -> None:
    here = measure(footage.motion)
    there = measure(moved(footage.motion, 0.7, 0.2, (0.1, -0.2)))
    there[:, 2] -= 0.2  # the roll is what it is
    assert torch.allclose(here, there, atol=1e-4)


def test_an_appearance_gives_back_a_texture_that_follows_the_mouth(footage: Footage) -> None:
    """Frames whose brightness is a line in a measure: the fit finds the line, shrunk by the ridge."""
    motion = footage.motion
    gap = measure(motion)[:, 4]
    level = (0.5 + 0.1 * (gap - gap.mean()) / gap.std()).view(-1, 1, 1, 1)
    shape = motion.points.mean(0)
    fitted = straighten(level.expand(-1, 64, 64, 3), motion, shape).fit(torch.arange(len(gap)))
    assert fitted.textures[0].mean() == pytest.approx(0.5, abs=0.01)
    drawn = fitted.draw(motion).mean((1, 2, 3))
    slope = torch.corrcoef(torch.stack([drawn, level.flatten()]))[0, 1]
    assert slope > 0.95
    assert 0.3 < drawn.std() / level.std() < 1 / (1 + RIDGE) + 0.35


def test_beyond_what_was_seen_nothing_is_extrapolated(footage: Footage) -> None:
    fitted = straighten(footage.frames.float() / 255, footage.motion, footage.motion.points.mean(0))
    appearance = fitted.fit(torch.arange(len(footage)))
    wide = footage.motion[:2].points.clone()
    wide[:, 6, 1] += torch.tensor([0.5, 5.0])
    drawn = appearance.draw(Motion(wide, footage.motion.eye_open[:2]))
    assert drawn.isfinite().all()
    assert 0 <= drawn.min() <= drawn.max() <= 1


def test_sharing_finds_the_better_of_two() -> None:
    torch.manual_seed(0)
    target = torch.randn(20, 3, 2, 8, 8)
    near, far = target + 0.1 * torch.randn_like(target), target + torch.randn_like(target)
    assert sharing(target, near, far).min() > 0.9
    assert sharing(target, far, near).max() < 0.1
    equal = sharing(target, target + torch.randn_like(target), target + torch.randn_like(target))
    assert 0.4 < equal.mean() < 0.6


def test_gains_are_those_of_least_squares() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 30, 4, 2, 8, 8)
    gains = mixture_gains(0.7 * a - 0.2 * b, [a, b])
    assert torch.allclose(gains, torch.tensor([[0.7], [-0.2]]).expand(2, 4), atol=5e-3)
    assert mixture_gains(a, []).shape == (0, 4)


def test_variance_is_that_of_the_residual_where_it_is_and_never_above_the_ceiling() -> None:
    torch.manual_seed(0)
    residual = torch.randn(200, 2, 2, 8, 8) * 0.5
    residual[..., :4, :] *= 0.2
    variance = residual_variance(residual, torch.tensor([9.0, 0.05]))
    assert variance[0, 7].mean() == pytest.approx(0.25, rel=0.25)
    assert variance[0, 0].mean() < 0.3 * variance[0, 7].mean()
    assert variance[1].max() <= 0.05
