"""The reference generator: what it takes from footage, what it gives back, and what it refuses to load."""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cameo.errors import NotVerified, UsageError
from cameo.generators.base import Direction, Footage, Motion
from cameo.generators.reference import ReferenceGenerator, load_reference
from cameo.generators.references import (
    DESCENDED,
    LAYOUT,
    LEARNED_LAYOUT,
    ReferenceIdentity,
    choose_references,
    nearest_references,
)
from cameo.generators.warp import warp_to
from cameo.records import FaceTrack
from cameo.synthetic.voice import speak
from tests.conftest import RenderedPerson

WEIGHTS = files("cameo.generators") / "weights" / "reference.safetensors"


def unlike(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_footage_is_square_centred_and_on_the_clock(footage: Footage, person: RenderedPerson) -> None:
    assert footage.frames.shape == (len(person.clip.frames), 64, 64, 3)
    assert footage.frames.dtype == torch.uint8
    eyes = footage.motion.points[:, :2].mean((0, 1))
    assert abs(eyes[0]) < 0.15
    assert -0.45 < eyes[1] < 0.05
    assert footage.usable.all()


def test_footage_of_a_slow_camera_comes_at_25_a_second(
    generator: ReferenceGenerator, person: RenderedPerson, person_track: FaceTrack
) -> None:
    import dataclasses

    every = slice(None, None, 2)
    clip = dataclasses.replace(person.clip, frames=person.clip.frames[every], times_s=person.clip.times_s[every])
    fields = {f.name: getattr(person_track, f.name)[every] for f in dataclasses.fields(person_track)}
    slow = generator.footage(clip, FaceTrack(**fields), torch.ones(len(clip.frames), dtype=torch.bool))
    assert abs(len(slow) - len(person.clip.frames)) <= 2


def test_windows_hold_usable_frames_only() -> None:
    usable = torch.ones(40, dtype=torch.bool)
    usable[20] = False
    motion = Motion(torch.zeros(40, 10, 2), torch.ones(40))
    footage = Footage(torch.zeros(40, 64, 64, 3, dtype=torch.uint8), motion, usable)
    starts = footage.windows(8, 1)
    assert [s for s in range(33) if s not in starts.tolist()] == list(range(13, 21))
    assert len(footage.part(0, 5).windows(8, 1)) == 0


def test_references_differ_and_are_usable(footage: Footage) -> None:
    chosen = choose_references(footage)
    assert 2 <= len(set(chosen.tolist())) == len(chosen) <= 16
    hidden = footage.usable.clone()
    hidden[chosen] = False
    again = choose_references(Footage(footage.frames, footage.motion, hidden))
    assert not set(again.tolist()) & set(chosen.tolist())


def test_the_nearest_reference_is_the_frame_itself_unless_excluded(identity: ReferenceIdentity) -> None:
    points, eyes = identity.points, identity.eye_open
    target = Motion(points[:, None].expand(-1, 8, -1, -1), eyes[:, None].expand(-1, 8))
    index, distance = nearest_references(identity, target)
    assert index.tolist() == list(range(len(points)))
    assert distance.max() < 1e-2
    itself = torch.eye(len(points), dtype=torch.bool)
    other, _ = nearest_references(identity, target, itself)
    assert (other != index).all()
    second, further = nearest_references(identity, target, rank=1)
    assert torch.equal(second, other)
    assert (further > distance).all()


def test_warping_moves_points_where_they_should_be(footage: Footage) -> None:
    frame = footage.frames[:1].float() / 255
    points = footage.motion.points[:1]
    assert unlike(255 * warp_to(frame, points, points).numpy(), footage.frames[:1].numpy()) < 1
    far = footage.motion.points[footage.motion.points[:, 2, 0].sub(points[0, 2, 0]).abs().argmax()][None]
    bent = 255 * warp_to(frame, points, far).numpy()
    target = footage.frames[footage.motion.points[:, 2, 0].sub(points[0, 2, 0]).abs().argmax()].numpy()
    assert unlike(bent[0], target) < unlike(footage.frames[0].numpy(), target)


def test_an_identity_survives_being_sealed(generator: ReferenceGenerator, identity: ReferenceIdentity) -> None:
    again = generator.load_identity({name: t.clone() for name, t in identity.tensors("face").items()})
    assert all(torch.equal(again.tensors("face")[name], t) for name, t in identity.tensors("face").items())
    assert set(identity.tensors("face")) == set(LAYOUT)
    assert all(isinstance(p, nn.Parameter) for p in again.trainable())


@pytest.mark.parametrize("change", ["missing", "stray", "shape", "kind", "nan", "uneven", "empty", "many"])
def test_tensors_that_are_no_identity_are_refused(identity: ReferenceIdentity, change: str) -> None:
    tensors: dict[str, Tensor] = {name: t.clone() for name, t in identity.tensors("face").items()}
    if change == "missing":
        del tensors["share"]
    elif change == "stray":
        tensors["more"] = torch.zeros(1)
    elif change == "shape":
        tensors["tokens"] = tensors["tokens"][:, :-1]
    elif change == "kind":
        tensors["frames"] = tensors["frames"].float()
    elif change == "nan":
        tensors["points"][0, 0, 0] = torch.nan
    elif change == "uneven":
        tensors["points"] = tensors["points"][:-1]
    elif change == "empty":
        tensors["frames"] = tensors["frames"][:0]
    else:
        tensors["frames"] = tensors["frames"][:1].expand(500, -1, -1, -1)
    with pytest.raises(NotVerified):
        ReferenceIdentity.load(tensors)


@pytest.mark.parametrize("length", [1, 8, 9, 21])
def test_a_clip_of_any_length(
    generator: ReferenceGenerator, identity: ReferenceIdentity, footage: Footage, length: int
) -> None:
    frames = generator.sample(identity, footage.motion[:length], seed=1)
    assert frames.shape == (length, 64, 64, 3)
    assert frames.dtype == np.uint8


def test_a_seed_gives_the_same_clip_again(identity: ReferenceIdentity, footage: Footage) -> None:
    motion = footage.motion[:12]
    first = load_reference().sample(identity, motion, seed=1)
    assert np.array_equal(first, load_reference().sample(identity, motion, seed=1))
    assert not np.array_equal(first, load_reference().sample(identity, motion, seed=2))


def test_without_its_references_it_no_longer_shows_the_person(
    generator: ReferenceGenerator, identity: ReferenceIdentity, footage: Footage
) -> None:
    motion, real = footage.motion[:16], footage.frames[:16].numpy()
    shown = unlike(generator.sample(identity, motion, 0), real)
    dropped = unlike(generator.sample(identity, motion, 0, show_references=False), real)
    assert shown < 0.6 * dropped


def test_learning_a_person_needs_no_references_any_more(generator: ReferenceGenerator, footage: Footage) -> None:
    """The closed form alone draws the person on frames it has not seen, and the mouth as told."""
    who, held = generator.fit_identity(footage.part(0, 70)), footage.part(78, 100)
    real = held.frames.numpy()
    before = unlike(generator.sample(who, held.motion, 0, show_references=False), real)
    torch.manual_seed(0)
    lessons = generator.lessons(footage.part(0, 70), who, drop_aids=0.5)
    after = unlike(generator.sample(who, held.motion, 0, show_references=False), real)
    assert after < 0.5 * before
    assert unlike(generator.sample(who, held.motion, 0), real) < 1.1 * after
    lessons.loss(torch.arange(4)).backward()
    reached = {name for name in LEARNED_LAYOUT if getattr(who, name).grad is not None}
    assert reached <= set(DESCENDED)
    assert "trust" in reached
    assert not any(p.requires_grad for p in generator.net.parameters())


def test_a_voice_needs_no_lora_and_hands_are_none_of_it(generator: ReferenceGenerator) -> None:
    assert generator.lora_targets("voice") == ""
    with pytest.raises(ValueError, match="hands"):
        generator.lora_targets("hands")


def test_it_speaks_only_with_a_voice(generator: ReferenceGenerator, identity: ReferenceIdentity) -> None:
    sound = np.asarray(speak(4, 1.6, 25.0).sound, np.float32)
    asked = generator.settle(Direction(40, 1, line=torch.from_numpy(sound)))
    with pytest.raises(UsageError, match="voice is not at hand"):
        generator.perform(identity, asked)
    who = generator.give_voice(identity, generator.fit_voice(sound))
    assert set(who.tensors("face")) == set(identity.tensors("face")), "the voice is sealed apart"
    made = generator.perform(who, asked)
    assert made.sound is not None
    assert (made.sound.shape, made.rate_hz, len(made.frames)) == ((1, len(sound)), 16_000, 40)
    silent = generator.perform(who, generator.settle(Direction(40, 1)))
    assert silent.sound is None
    assert not np.array_equal(silent.frames, made.frames), "the lips follow the line"


def test_a_line_without_a_voice_is_refused_before_anything_is_made(generator: ReferenceGenerator) -> None:
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal(16_000).astype(np.float32) * 0.1)
    with pytest.raises(UsageError, match="no voice in it"):
        generator.settle(Direction(25, 1, line=noise))


def test_targets_name_modules_of_the_denoiser(generator: ReferenceGenerator) -> None:
    import re

    pattern = re.compile(generator.lora_targets("face"))
    named = [name for name, module in generator.denoiser.named_modules() if pattern.fullmatch(name)]
    assert len(named) > 20


class TestShippedWeights:
    """What comes in the package."""

    def test_size_and_digest(self) -> None:
        data = WEIGHTS.read_bytes()
        assert len(data) <= 15_000_000
        assert load_reference().base_digest == hashlib.sha256(data).hexdigest()

    def test_a_rendered_person_is_drawn_better_than_by_their_mean(self, footage: Footage) -> None:
        """On frames it has not seen, nearer than the mean of those it has, and moving as told."""
        shipped = load_reference()
        who = shipped.fit_identity(footage.part(0, 70))
        torch.manual_seed(0)
        shipped.lessons(footage.part(0, 70), who, 0.5)
        held = footage.part(78, 100)
        made, real = shipped.sample(who, held.motion, 0), held.frames.numpy()
        mean = footage.frames[:70].float().mean(0).numpy()
        assert unlike(made, real) < 0.8 * unlike(np.broadcast_to(mean, real.shape), real)
        turned = shipped.sample(who, footage.motion[:22], 0)
        assert unlike(turned, real) > unlike(made, real)
