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
from cameo.adapt.judge import Judges
from cameo.adapt.train import split, tune
from cameo.condition.plug import plug
from cameo.errors import CameoError, MissingExtra, UsageError
from cameo.generators.base import Footage, Motion, Takes
from cameo.generators.digest import weights_digest
from cameo.generators.lora import remove_lora
from cameo.generators.reference import ReferenceGenerator, load_reference
from cameo.generators.reference_training import TrainingChunks
from cameo.generators.references import ReferenceIdentity
from cameo.records import Adapter
from tests.adapt.conftest import QUICK, Kept


@pytest.fixture(scope="module")
def uninterrupted(generator: ReferenceGenerator, footage: Footage, judges: Judges) -> Adapter:
    return tune(generator, footage, judges, QUICK)


def without_time(adapter: Adapter) -> list[tuple[float, ...]]:
    return [(s.step, s.loss if s.step > 1 else 0.0, s.likeness, s.impostor, s.copying) for s in adapter.curve]


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
    generator: ReferenceGenerator, footage: Footage, judges: Judges, uninterrupted: Adapter
) -> None:
    digest = weights_digest(generator.denoiser)
    names = set(generator.denoiser.state_dict())
    tune(generator, footage, judges, dataclasses.replace(QUICK, steps=2))
    assert weights_digest(generator.denoiser) == digest
    assert set(generator.denoiser.state_dict()) == names
    with plug(generator, uninterrupted.parts):
        pass


def test_a_seed_gives_the_same_adapter_again(
    generator: ReferenceGenerator, footage: Footage, judges: Judges, uninterrupted: Adapter
) -> None:
    torch.manual_seed(99)
    again = tune(generator, footage, judges, QUICK)
    assert again.parts == uninterrupted.parts
    other = tune(generator, footage, judges, dataclasses.replace(QUICK, seed=1))
    assert without_time(other) != without_time(uninterrupted)


@pytest.mark.parametrize(("stop_at", "left"), [(1, 7), (3, 5), (4, 4)])
def test_a_run_that_was_broken_off_ends_the_same(
    generator: ReferenceGenerator, footage: Footage, judges: Judges, uninterrupted: Adapter, stop_at: int, left: int
) -> None:
    """Saved are: before the closed form, after it, every third step, and every judgement."""
    store = Kept(stop_at=stop_at)
    with pytest.raises(KeyboardInterrupt):
        tune(generator, footage, judges, QUICK, store)
    assert store.data is not None
    torch.manual_seed(7)
    steps: list[float] = []
    resumed = tune(generator, footage, judges, QUICK, store, lambda _label, share: steps.append(share))
    assert len(steps) == left, "only what was not saved is run again"
    assert resumed.parts == uninterrupted.parts
    assert without_time(resumed) == without_time(uninterrupted)
    assert resumed.best_step == uninterrupted.best_step
    assert [m.before for m in resumed.mistakes] == [m.before for m in uninterrupted.mistakes]
    again = tune(generator, footage, judges, QUICK, store, lambda _label, share: steps.append(share))
    assert len(steps) == left, "a finished run has nothing left to do"
    assert again.parts == uninterrupted.parts


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04" * 30])
def test_a_checkpoint_that_does_not_load_counts_as_none(
    generator: ReferenceGenerator, footage: Footage, judges: Judges, data: bytes
) -> None:
    store = Kept()
    store.data = data
    steps: list[float] = []
    quick = dataclasses.replace(QUICK, steps=2, judge_every=2)
    tune(generator, footage, judges, quick, store, lambda _label, share: steps.append(share))
    assert steps == [1.0], "from the closed form on"


def test_tuning_that_hurts_is_thrown_away(generator: ReferenceGenerator, footage: Footage, judges: Judges) -> None:
    harmful = dataclasses.replace(QUICK, learning_rate=3.0, average=0.0, warm_up=1, steps=8)
    adapter = tune(generator, footage, judges, harmful)
    assert adapter.best_step <= 1, "what was solved, or nothing at all"
    assert max(s.likeness for s in adapter.curve[2:]) < adapter.curve[adapter.best_step].likeness
    lora = load(adapter.parts["adapter.reference.face"])
    assert not any(tensor.any() for name, tensor in lora.items() if "lora_B" in name)


def test_learning_that_hurts_is_thrown_away(
    generator: ReferenceGenerator, footage: Footage, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 0 is a candidate too."""
    plain = ReferenceGenerator.lessons

    def harmful(
        self: ReferenceGenerator, part: Footage, identity: ReferenceIdentity, drop: float, face: float
    ) -> object:
        lessons = plain(self, part, identity, drop, face)
        identity.learn(textures=torch.rand_like(identity.textures))
        return lessons

    monkeypatch.setattr(ReferenceGenerator, "lessons", harmful)
    adapter = tune(generator, footage, judges, QUICK)
    assert adapter.best_step == 0
    assert np.array_equal(adapter.before, adapter.after)


def test_it_stops_when_nothing_gets_better(generator: ReferenceGenerator, footage: Footage, judges: Judges) -> None:
    patient = dataclasses.replace(QUICK, learning_rate=3.0, average=0.0, steps=40, judge_every=2, patience=2)
    adapter = tune(generator, footage, judges, patient)
    assert adapter.curve[-1].step < 40
    assert adapter.stopped == "the likeness stopped rising"


def test_without_a_judge_the_last_weights_are_kept(
    generator: ReferenceGenerator, footage: Footage, judges: Judges
) -> None:
    adapter = tune(generator, footage, judges, dataclasses.replace(QUICK, judged=False))
    assert adapter.chosen_by == "the last step"
    assert (adapter.best_step, adapter.stopped) == (8, "all steps were taken")
    assert [s.step for s in adapter.curve] == [8]
    assert math.isnan(adapter.curve[0].likeness)
    assert math.isfinite(adapter.curve[0].loss)
    assert not adapter.mistakes


def test_inputs_that_are_not_to_be_learned_stay(
    generator: ReferenceGenerator, footage: Footage, judges: Judges
) -> None:
    fixed = dataclasses.replace(QUICK, judged=False, learn_inputs=False)
    made = load(tune(generator, footage, judges, fixed).parts["identity.reference.face"])
    assert torch.equal(made["tokens"], generator.net.no_tokens)
    tuned = load(tune(generator, footage, judges, dataclasses.replace(fixed, learn_inputs=True)).parts[
        "identity.reference.face"
    ])  # fmt: skip
    assert not torch.equal(tuned["tokens"], generator.net.no_tokens)


def test_copying_ends_the_run_and_is_not_kept(
    generator: ReferenceGenerator, footage: Footage, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator hands its training frames out again, and they look like the person."""
    plain, told = ReferenceGenerator.rehearse, {"judged": 0}

    def copied(
        self: ReferenceGenerator, who: ReferenceIdentity, held: Footage, frames: torch.Tensor, seed: int,
        aided: bool = True,
    ) -> Takes:  # fmt: skip
        told["judged"] += len(frames) == QUICK.judged_frames
        takes = plain(self, who, held, frames, seed, aided)
        if told["judged"] <= 4 or len(frames) != QUICK.judged_frames:  # steps 0 and 1
            return takes
        return dataclasses.replace(takes, frames=footage.frames[10 : 10 + len(frames)].numpy())

    monkeypatch.setattr(ReferenceGenerator, "rehearse", copied)
    adapter = tune(generator, footage, judges, QUICK)
    assert adapter.stopped == "copying began"
    assert adapter.curve[-1].step == 4
    assert adapter.curve[-1].copying > 0.95
    assert adapter.best_step <= 1


def test_gradient_checkpointing_changes_nothing(
    generator: ReferenceGenerator, footage: Footage, judges: Judges
) -> None:
    quick = dataclasses.replace(QUICK, judged=False, steps=3)
    plain = load(tune(generator, footage, judges, quick).parts["adapter.reference.face"])
    anew = tune(generator, footage, judges, dataclasses.replace(quick, checkpointing=True)).parts
    assert all(torch.allclose(plain[k], t, atol=1e-3) for k, t in load(anew["adapter.reference.face"]).items())
    assert not generator.denoiser.is_gradient_checkpointing


def test_eight_bits_are_asked_for_in_vain(generator: ReferenceGenerator, footage: Footage, judges: Judges) -> None:
    with pytest.raises((MissingExtra, UsageError), match="bit"):
        tune(generator, footage, judges, dataclasses.replace(QUICK, eight_bit=True))


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
    generator: ReferenceGenerator, footage: Footage, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(chunks: TrainingChunks, _windows: torch.Tensor) -> torch.Tensor:
        return torch.stack([p.sum() for p in chunks._who.trainable()]).sum() * torch.nan

    monkeypatch.setattr(TrainingChunks, "loss", broken)
    names = set(generator.denoiser.state_dict())
    with pytest.raises(CameoError, match="not a number"):
        tune(generator, footage, judges, QUICK)
    assert set(generator.denoiser.state_dict()) == names


@pytest.mark.parametrize("frames", [10, 40])
def test_too_few_frames_are_said(generator: ReferenceGenerator, footage: Footage, judges: Judges, frames: int) -> None:
    with pytest.raises(CameoError, match="too few usable frames") as caught:
        tune(generator, footage.part(0, frames), judges, QUICK)
    assert "5 s" in caught.value.hint


def test_the_judge_sees_frames_that_were_not_learned_from() -> None:
    numbered = torch.arange(200, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 64, 64, 3)
    motion = Motion(torch.zeros(200, 10, 2), torch.ones(200))
    train, held = split(Footage(numbered, motion, torch.ones(200, dtype=torch.bool)), 0.2)
    assert int(train.frames.max()) + 8 <= int(held.frames.min())
    assert 0.15 < len(held) / 200 < 0.25


def test_facts_are_in_the_file(uninterrupted: Adapter, generator: ReferenceGenerator) -> None:
    for data in uninterrupted.parts.values():
        size = int.from_bytes(data[:8], "little")
        facts = json.loads(data[8 : 8 + size])["__metadata__"]
        assert facts["base_model_sha256"] == generator.base_digest
        assert facts["step"] == str(uninterrupted.best_step)
