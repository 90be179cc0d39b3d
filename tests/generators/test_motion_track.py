"""Motion without a driver: alive, repeatable, within a person's habits; and borrowed motion that fits them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cameo.generators.base import Footage, Motion
from cameo.generators.motion_track import borrow, mouth_envelope, speak, wander
from cameo.generators.references import ReferenceIdentity
from cameo.generators.warp import LIP_BOTTOM, LIP_TOP

RATE_HZ = 16_000


def gap(motion: Motion) -> Tensor:
    """How far the lips are apart, `[T]`."""
    return (motion.points[:, LIP_BOTTOM] - motion.points[:, LIP_TOP])[:, 1]


def syllables(seconds: float) -> np.ndarray:
    """A tone that is loud every other half second."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 200 * time) * (time % 1 < 0.5)).astype(np.float32)


def test_a_seed_gives_the_same_motion_again(identity: ReferenceIdentity) -> None:
    first, again, other = (wander(identity, 60, seed) for seed in (1, 1, 2))
    assert torch.equal(first.points, again.points)
    assert torch.equal(first.eye_open, again.eye_open)
    assert not torch.allclose(first.points, other.points)


def test_a_wandering_head_lives(identity: ReferenceIdentity) -> None:
    motion = wander(identity, 250, 0)
    assert len(motion) == 250
    assert motion.points.isfinite().all()
    assert motion.points[:, 2].std(0).max() > 1e-3, "the head moves"
    assert float(gap(motion).max() - gap(motion).min()) > 0.02, "the mouth opens"
    assert motion.eye_open.min() < 0.3 < 0.5 < motion.eye_open.median(), "the eyes blink"
    steps = motion.points[1:] - motion.points[:-1]
    assert steps[:, :3].abs().max() < 0.06, "nothing jumps between frames"


def test_it_stays_within_the_persons_habits(identity: ReferenceIdentity, footage: Footage) -> None:
    motion = wander(identity, 250, 3)
    own = footage.motion.points
    reach = (own.amax(0) - own.amin(0)) + 0.1
    middle = (own.amax(0) + own.amin(0)) / 2
    assert ((motion.points - middle).abs() < reach)[:, :5].all()
    widest = float(gap(footage.motion).max())
    assert float(gap(motion).max()) < 1.5 * widest + 0.02


def test_the_mouth_follows_the_sound(identity: ReferenceIdentity) -> None:
    sound = syllables(4)
    motion = speak(identity, sound, RATE_HZ, 100, 0)
    loud = torch.tensor([(i / 25) % 1 < 0.5 for i in range(100)])
    assert gap(motion)[loud].mean() > gap(motion)[~loud].mean() + 0.01
    envelope = mouth_envelope(sound, RATE_HZ, 100)
    assert np.corrcoef(envelope, gap(motion).numpy())[0, 1] > 0.8


def test_the_envelope_is_bounded_and_silent_in_silence() -> None:
    envelope = mouth_envelope(syllables(2), RATE_HZ, 75)
    assert envelope.shape == (75,)
    assert 0 <= envelope.min() <= envelope.max() <= 1
    assert envelope.max() > 0.9
    assert envelope[60:].max() < 0.2, "after the sound ends"
    assert not mouth_envelope(np.zeros(RATE_HZ, np.float32), RATE_HZ, 25).any()
    quiet, loud = (
        mouth_envelope((syllables(2) / 10).astype(np.float32), RATE_HZ, 50),
        mouth_envelope(syllables(2), RATE_HZ, 50),
    )
    assert np.allclose(quiet, loud, atol=0.05), "a level is not an opening"


def test_borrowed_motion_keeps_the_borrowers_face(identity: ReferenceIdentity, footage: Footage) -> None:
    """A driver with a face half as large, elsewhere in the picture, moves the borrower as much as their own would."""
    own = footage.motion
    driver = Motion(own.points * 0.5 + torch.tensor([0.2, -0.1]), own.eye_open)
    borrowed = borrow(identity, driver)
    neutral = identity.neutral[:20].view(10, 2)
    assert torch.allclose(borrowed.points[:, :5].mean(0), neutral[:5], atol=0.02)
    assert torch.allclose(borrowed.points[:, :3], borrow(identity, own).points[:, :3], atol=0.02)
    assert np.corrcoef(gap(borrowed).numpy(), gap(own).numpy())[0, 1] > 0.95
    assert borrowed.eye_open.min() >= 0
    assert borrowed.eye_open.max() <= 1


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_short_motions(identity: ReferenceIdentity, frames: int) -> None:
    assert len(wander(identity, frames, 0)) == frames
    assert len(speak(identity, np.zeros(100, np.float32), RATE_HZ, frames, 0)) == frames
