"""Tuning: repeatable, resumable, judged, and never worse than not tuning at all."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load

from cameo.adapt.export import lora_config
from cameo.adapt.judge import Judge
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import split, tune
from cameo.condition.plug import plug
from cameo.errors import CameoError
from cameo.generators.base import Footage, Motion
from cameo.generators.digest import weights_digest
from cameo.generators.lora import remove_lora
from cameo.generators.reference import ReferenceGenerator, load_reference
from cameo.generators.reference_training import TrainingChunks
from cameo.generators.references import ReferenceIdentity
from cameo.records import Adapter

QUICK = Recipe(rank=2, steps=8, batch=2, judge_every=4, judged_frames=4, warm_up=2)


def by_pixels(frames: np.ndarray, _points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Stand in for a recogniser: a small grey picture as a unit vector."""
    small = frames.astype(np.float32).mean(-1).reshape(len(frames), 8, 8, 8, 8).mean((2, 4)).reshape(len(frames), -1)
    small -= small.mean(1, keepdims=True)
    vectors = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
    return vectors.astype(np.float32), np.ones(len(frames), bool)


@pytest.fixture(scope="module")
def others() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 255, (3, 64, 64, 3), np.uint8), np.zeros((3, 10, 2), np.float32)


class Kept:
    """Keep checkpoints in memory; `stop_at` breaks off after that many were saved."""

    def __init__(self, stop_at: int = 0) -> None:
        self.data: bytes | None = None
        self.saves = 0
        self.stop_at = stop_at

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.data = data
        self.saves += 1
        if self.saves == self.stop_at:
            raise KeyboardInterrupt


Others = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def uninterrupted(generator: ReferenceGenerator, footage: Footage, others: Others) -> Adapter:
    return tune(generator, footage, by_pixels, others, QUICK)


def without_time(adapter: Adapter) -> list[tuple[float, ...]]:
    return [(s.step, round(s.loss, 6) if s.step > 1 else 0.0, s.likeness, s.impostor) for s in adapter.curve]


def test_what_comes_out(generator: ReferenceGenerator, uninterrupted: Adapter) -> None:
    assert uninterrupted.generator == "reference"
    assert uninterrupted.base_digest == generator.base_digest
    assert set(uninterrupted.parts) == {"adapter.reference.face", "identity.reference.face"}
    assert [s.step for s in uninterrupted.curve] == [0, 1, 4, 8]
    assert all(math.isnan(s.loss) for s in uninterrupted.curve[:2]), "nothing, then the closed form: no loss yet"
    assert all(math.isfinite(s.loss) for s in uninterrupted.curve[2:])
    assert all(-1 <= s.likeness <= 1.001 for s in uninterrupted.curve)
    assert uninterrupted.before.shape == uninterrupted.after.shape == uninterrupted.real.shape
    assert sum(map(len, uninterrupted.parts.values())) <= 4_000_000
    lora = load(uninterrupted.parts["adapter.reference.face"])
    assert all(name.startswith("transformer.") for name in lora)
    assert all(tensor.dtype == torch.float16 and tensor.isfinite().all() for tensor in lora.values())


def test_the_generator_is_left_as_it_was(
    generator: ReferenceGenerator, footage: Footage, others: Others, uninterrupted: Adapter
) -> None:
    digest = weights_digest(generator.denoiser)
    names = set(generator.denoiser.state_dict())
    tune(generator, footage, by_pixels, others, dataclasses.replace(QUICK, steps=2))
    assert weights_digest(generator.denoiser) == digest
    assert set(generator.denoiser.state_dict()) == names
    with plug(generator, uninterrupted.parts):
        pass


def test_a_seed_gives_the_same_adapter_again(
    generator: ReferenceGenerator, footage: Footage, others: Others, uninterrupted: Adapter
) -> None:
    torch.manual_seed(99)
    again = tune(generator, footage, by_pixels, others, QUICK)
    assert again.parts == uninterrupted.parts
    other = tune(generator, footage, by_pixels, others, dataclasses.replace(QUICK, seed=1))
    assert without_time(other) != without_time(uninterrupted)


def test_a_run_that_was_broken_off_ends_the_same(
    generator: ReferenceGenerator, footage: Footage, others: Others, uninterrupted: Adapter
) -> None:
    store = Kept(stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        tune(generator, footage, by_pixels, others, QUICK, store)
    assert store.data is not None
    torch.manual_seed(7)
    steps: list[float] = []
    resumed = tune(generator, footage, by_pixels, others, QUICK, store, lambda _label, share: steps.append(share))
    assert len(steps) == 4, "only the second half was run again"
    assert resumed.parts == uninterrupted.parts
    assert without_time(resumed) == without_time(uninterrupted)
    assert resumed.best_step == uninterrupted.best_step
    again = tune(generator, footage, by_pixels, others, QUICK, store, lambda _label, share: steps.append(share))
    assert len(steps) == 4, "a finished run has nothing left to do"
    assert again.parts == uninterrupted.parts


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04" * 30])
def test_a_checkpoint_that_does_not_load_counts_as_none(
    generator: ReferenceGenerator, footage: Footage, others: Others, data: bytes
) -> None:
    store = Kept()
    store.data = data
    steps: list[float] = []
    quick = dataclasses.replace(QUICK, steps=2, judge_every=2)
    tune(generator, footage, by_pixels, others, quick, store, lambda _label, share: steps.append(share))
    assert steps == [1.0], "from the closed form on"


def test_tuning_that_hurts_is_thrown_away(generator: ReferenceGenerator, footage: Footage, others: Others) -> None:
    harmful = dataclasses.replace(QUICK, learning_rate=3.0, average=0.0, warm_up=1, steps=8)
    adapter = tune(generator, footage, by_pixels, others, harmful)
    assert adapter.best_step <= 1, "what was solved, or nothing at all"
    assert max(s.likeness for s in adapter.curve[2:]) < adapter.curve[adapter.best_step].likeness
    lora = load(adapter.parts["adapter.reference.face"])
    assert not any(tensor.any() for name, tensor in lora.items() if "lora_B" in name)


def test_learning_that_hurts_is_thrown_away(
    generator: ReferenceGenerator, footage: Footage, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 0 is a candidate too."""
    plain = ReferenceGenerator.lessons

    def harmful(self: ReferenceGenerator, part: Footage, identity: ReferenceIdentity, drop: float) -> object:
        lessons = plain(self, part, identity, drop)
        identity.learn(textures=torch.rand_like(identity.textures))
        return lessons

    monkeypatch.setattr(ReferenceGenerator, "lessons", harmful)
    adapter = tune(generator, footage, by_pixels, others, QUICK)
    assert adapter.best_step == 0
    assert np.array_equal(adapter.before, adapter.after)


def test_it_stops_when_nothing_gets_better(generator: ReferenceGenerator, footage: Footage, others: Others) -> None:
    patient = dataclasses.replace(QUICK, learning_rate=3.0, average=0.0, steps=40, judge_every=2, patience=2)
    adapter = tune(generator, footage, by_pixels, others, patient)
    assert adapter.curve[-1].step < 40


def test_tuning_learns(footage: Footage) -> None:
    """On windows and noise that stay the same, the loss of the shipped network falls."""
    shipped = load_reference()
    identity = shipped.fit_identity(footage)
    shipped.denoiser.add_adapter(lora_config(shipped.lora_targets("face"), 8), adapter_name="made")
    try:
        lessons = shipped.lessons(footage, identity, drop_aids=0.5)
        params = [p for p in [*shipped.denoiser.parameters(), *identity.trainable()] if p.requires_grad]
        optimiser = torch.optim.AdamW(params, lr=2e-3)
        losses = []
        for _ in range(12):
            torch.manual_seed(1)
            losses.append(lessons.loss(torch.arange(4)))
            optimiser.zero_grad()
            losses[-1].backward()
            optimiser.step()
    finally:
        remove_lora(shipped.denoiser)
    assert losses[-1].item() < 0.9 * losses[0].item()


def test_a_loss_that_is_not_a_number_is_said(
    generator: ReferenceGenerator, footage: Footage, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(chunks: TrainingChunks, _windows: torch.Tensor) -> torch.Tensor:
        return torch.stack([p.sum() for p in chunks._who.trainable()]).sum() * torch.nan

    monkeypatch.setattr(TrainingChunks, "loss", broken)
    names = set(generator.denoiser.state_dict())
    with pytest.raises(CameoError, match="not a number"):
        tune(generator, footage, by_pixels, others, QUICK)
    assert set(generator.denoiser.state_dict()) == names


@pytest.mark.parametrize("frames", [10, 40])
def test_too_few_frames_are_said(generator: ReferenceGenerator, footage: Footage, others: Others, frames: int) -> None:
    with pytest.raises(CameoError, match="too few usable frames") as caught:
        tune(generator, footage.part(0, frames), by_pixels, others, QUICK)
    assert "5 s" in caught.value.hint


def test_the_judge_sees_frames_that_were_not_learned_from() -> None:
    numbered = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 64, 64, 3)
    motion = Motion(torch.zeros(200, 10, 2), torch.ones(200))
    train, held = split(Footage(numbered, motion, torch.ones(200, dtype=torch.bool)), 0.2)
    assert int(train.frames.max()) + 8 <= int(held.frames.min())
    assert 0.15 < len(held) / 200 < 0.25


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


def test_facts_are_in_the_file(uninterrupted: Adapter, generator: ReferenceGenerator) -> None:
    for data in uninterrupted.parts.values():
        size = int.from_bytes(data[:8], "little")
        facts = json.loads(data[8 : 8 + size])["__metadata__"]
        assert facts["base_model_sha256"] == generator.base_digest
        assert facts["step"] == str(uninterrupted.best_step)
