"""One LoRA per modality, and a generator in whose takes nobody can be found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load
from torch import Tensor, nn

from cameo.adapt.judge import Judges
from cameo.adapt.train import tune
from cameo.generators.base import Direction, Footage, Performance, Takes
from cameo.records import Clip, FaceTrack
from cameo.synthetic.voice import speak
from tests.adapt.conftest import QUICK, by_pixels


class Who:
    """An identity without references: a token for the face, nothing for the voice."""

    def __init__(self) -> None:
        self.token = nn.Parameter(torch.zeros(1, 4, 8))

    def tensors(self, modality: str) -> dict[str, Tensor]:
        return {"token": self.token.detach()} if modality == "face" else {}

    def trainable(self) -> list[nn.Parameter]:
        return [self.token]


class Windows:
    """Lessons on the mean colours of windows, which is all that so small a denoiser can hold."""

    def __init__(self, tiny: Tiny, footage: Footage, who: Who) -> None:
        self._tiny, self._who = tiny, who
        starts = footage.windows(8, 4)
        self.spans = torch.stack([starts, starts + 8], 1)
        means = torch.stack([footage.frames[s : s + 8].float().mean((0, 1, 2)) / 255 for s in starts.tolist()])
        self._clean = means.mean(1).view(-1, 1, 1, 1, 1).expand(-1, 4, 1, 2, 2)

    def __len__(self) -> int:
        return len(self.spans)

    def loss(self, windows: Tensor) -> Tensor:
        clean = self._clean[windows]
        noise, t = torch.randn_like(clean), torch.rand(len(clean), 1, 1, 1, 1)
        velocity = self._tiny.predict((1 - t) * clean + t * noise, t.flatten(), self._who.token)
        return ((velocity - (noise - clean)) ** 2).mean()

    def prior_loss(self, count: int) -> Tensor:
        return self._tiny.predict(torch.randn(count, 4, 1, 2, 2), torch.rand(count), torch.zeros(1, 4, 8)).mean() ** 2


class Tiny:
    """A generator that is told in words and has a voice; its takes are `shown` and `heard`, whatever it has learned."""

    id, base_digest, fps, modalities, speaks = "tiny", "0" * 64, 25.0, ("face", "voice"), True

    def __init__(self, shown: np.ndarray, heard: np.ndarray | None) -> None:
        torch.manual_seed(0)
        self.denoiser: Any = WanTransformer3DModel(
            patch_size=(1, 1, 1), num_attention_heads=1, attention_head_dim=12, in_channels=4, out_channels=4,
            text_dim=8, freq_dim=8, ffn_dim=16, num_layers=2, rope_max_seq_len=8,
        ).requires_grad_(False)  # fmt: skip
        self.shown, self.heard = shown, heard

    def predict(self, noisy: Tensor, t: Tensor, token: Tensor) -> Tensor:
        told = {"timestep": t * 1000, "encoder_hidden_states": token.expand(len(noisy), -1, -1)}
        made: Tensor = self.denoiser(hidden_states=noisy, return_dict=False, **told)[0]
        return made

    def lora_targets(self, modality: str) -> str:
        return {"face": r"blocks\.\d+\.attn1\.to_(q|k|v)", "voice": r"blocks\.\d+\.attn2\.to_(q|k|v)"}[modality]

    def footage(self, clip: Clip, track: FaceTrack, usable: Tensor) -> Footage:
        raise NotImplementedError

    def fit_identity(self, footage: Footage) -> Who:
        return Who()

    def load_identity(self, tensors: Mapping[str, Tensor]) -> Who:
        raise NotImplementedError

    def lessons(self, footage: Footage, identity: Who, drop_aids: float, face_weight: float = 1.0) -> Windows:
        return Windows(self, footage, identity)

    def rehearse(self, identity: Who, held: Footage, frames: Tensor, seed: int, aided: bool = True) -> Takes:
        return Takes(self.shown, None, self.heard, 16_000)

    def settle(self, direction: Direction) -> Direction:
        return direction

    def perform(self, identity: Who, direction: Direction, pulse: Callable[[float], None] | None = None) -> Performance:
        raise NotImplementedError

    def wearing(self, identity: Who, modalities: Sequence[str]) -> AbstractContextManager[None]:
        return nullcontext()


SPOKEN = speak(5, 16.0)


@pytest.fixture(scope="module")
def spoken(footage: Footage) -> Footage:
    """The rendered person, long enough that the held-out part is more than a second, with a voice."""
    long = dataclasses.replace(
        footage,
        frames=footage.frames.repeat(4, 1, 1, 1),
        motion=footage.motion[torch.arange(len(footage)).repeat(4)],
        usable=footage.usable.repeat(4),
    )
    sound = torch.from_numpy(SPOKEN.sound).repeat(2)[: round(len(long) / long.fps * 16_000)]
    return dataclasses.replace(long, sound=sound)


def by_loudness(samples: np.ndarray) -> np.ndarray:
    """Stand in for a voice encoder: one vector for everything that is heard."""
    level = float(np.abs(samples).mean())
    return np.array([[np.cos(level), np.sin(level)]], np.float32)


def test_each_modality_has_its_own_parts(spoken: Footage, judges: Judges) -> None:
    tiny = Tiny(spoken.frames[::40].numpy(), SPOKEN.sound[None])
    hearing = dataclasses.replace(judges, voice=by_loudness)
    adapter = tune(tiny, spoken, hearing, QUICK)
    names = {f"{kind}.tiny.{modality}" for kind in ("adapter", "identity") for modality in ("face", "voice")}
    assert set(adapter.parts) == names
    face, voice = (load(adapter.parts[f"adapter.tiny.{modality}"]) for modality in ("face", "voice"))
    assert all("attn1" in name for name in face)
    assert all("attn2" in name for name in voice)
    assert set(load(adapter.parts["identity.tiny.face"])) == {"token"}
    assert not load(adapter.parts["identity.tiny.voice"])
    assert all(s.voice > 0.9 for s in adapter.curve)
    assert not getattr(tiny.denoiser, "peft_config", None)


def test_both_learn(spoken: Footage, judges: Judges) -> None:
    tiny = Tiny(spoken.frames[::40].numpy(), SPOKEN.sound[None])
    adapter = tune(tiny, spoken, judges, dataclasses.replace(QUICK, judged=False))
    for modality in ("face", "voice"):
        lora = load(adapter.parts[f"adapter.tiny.{modality}"])
        assert any(tensor.any() for name, tensor in lora.items() if "lora_B" in name)


def test_without_sound_there_is_no_voice(spoken: Footage, judges: Judges) -> None:
    mute = dataclasses.replace(spoken, sound=torch.zeros(0))
    adapter = tune(Tiny(spoken.frames[::40].numpy(), None), mute, judges, dataclasses.replace(QUICK, judged=False))
    assert set(adapter.parts) == {"adapter.tiny.face", "identity.tiny.face"}


def test_where_no_face_is_found_the_held_out_loss_decides(spoken: Footage, judges: Judges) -> None:
    """As with weights drawn by chance: takes of nothing."""

    def strict(frames: np.ndarray, points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return by_pixels(frames, points)[0], frames.std((1, 2, 3)) > 1

    tiny = Tiny(np.zeros((5, 64, 64, 3), np.uint8), None)
    adapter = tune(tiny, spoken, dataclasses.replace(judges, face=strict), QUICK)
    assert adapter.chosen_by == "held-out loss"
    assert all(math.isfinite(s.held_loss) for s in adapter.curve)
    assert all(math.isnan(s.likeness) and math.isnan(s.impostor) for s in adapter.curve)
    kept = next(s for s in adapter.curve if s.step == adapter.best_step)
    assert kept.held_loss == min(s.held_loss for s in adapter.curve)
    assert not adapter.mistakes, "nothing to compare"


def test_lessons_for_the_held_out_loss_change_nothing(spoken: Footage, judges: Judges) -> None:
    """Lessons may set learned inputs; those of held-out footage must not stay."""

    class Setting(Tiny):
        def lessons(self, footage: Footage, identity: Who, drop_aids: float, face_weight: float = 1.0) -> Windows:
            identity.token.data.fill_(float(len(footage)))
            return super().lessons(footage, identity, drop_aids, face_weight)

    def blind(frames: np.ndarray, points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return by_pixels(frames, points)[0], np.zeros(len(frames), bool)

    quick = dataclasses.replace(QUICK, steps=2, judge_every=2, learn_inputs=False)
    made = tune(Setting(spoken.frames[:4].numpy(), None), spoken, dataclasses.replace(judges, face=blind), quick)
    token = load(made.parts["identity.tiny.face"])["token"]
    train = int(len(spoken) * 0.85) - 8
    assert token.unique().tolist() in ([0.0], [float(train)]), "untouched, or what was learned from training footage"
