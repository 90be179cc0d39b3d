"""Wan: what it learns from, and where the tokens go."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.base import Direction
from cameo.generators.identity_tokens import TOKENS
from cameo.generators.pipeline import shifted_times
from cameo.generators.wan import WanGenerator, with_tokens
from tests.generators.tiny_pipelines import WAN_SHAPE, tiny_footage, tiny_ltx2, tiny_wan, tiny_wan_generator


@pytest.fixture(scope="module")
def generator() -> WanGenerator:
    return tiny_wan_generator()


@contextmanager
def overheard(generator: Any) -> Iterator[list[dict[str, Any]]]:
    """Note what the transformer is given."""
    calls: list[dict[str, Any]] = []

    def note(_module: Any, _given: Any, named: dict[str, Any]) -> None:
        calls.append(dict(named))

    hook = generator.denoiser.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()


def test_latents_are_what_the_pipeline_decodes(generator: WanGenerator) -> None:
    frames = tiny_footage(16).frames[:5]
    latent = generator.encode(frames, torch.zeros(0))["video"]
    config = generator.pipe.vae.config
    mean, deviation = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (config.latents_mean, config.latents_std))
    video = (frames.float() / 127.5 - 1).permute(3, 0, 1, 2)[None]
    torch.testing.assert_close(latent * deviation + mean, generator.pipe.vae.encode(video).latent_dist.mode())


def test_tokens_stand_in_the_positive_branch_only(generator: WanGenerator) -> None:
    identity = generator.fit_identity(tiny_footage(16))
    direction = generator.settle(Direction(None, 0, "a person dancing"))
    with overheard(generator) as calls, generator.wearing(identity, ("face",)):
        generator.run(direction, lambda _done: None)
    lengths = [call["encoder_hidden_states"].shape[1] for call in calls]
    assert lengths == [512 + TOKENS, 512], "what is wanted, what is not"
    tokens = calls[0]["encoder_hidden_states"][0, -TOKENS:]
    torch.testing.assert_close(tokens, identity.tokens()["face"])


def test_every_video_of_a_prompt_gets_them_and_nobody_gets_them_twice(generator: WanGenerator) -> None:
    identity = generator.fit_identity(tiny_footage(16))
    pipe = generator.pipe
    with overheard(generator) as calls, generator.wearing(identity, ("face",)):
        words, negative = pipe.encode_prompt("a person", max_sequence_length=16)
        pipe(
            prompt_embeds=words,
            negative_prompt_embeds=negative,
            num_videos_per_prompt=2,
            width=16,
            height=16,
            num_frames=5,
            num_inference_steps=1,
            output_type="latent",
        )
    assert calls[0]["encoder_hidden_states"].shape[1] == 16 + TOKENS
    assert words.shape[1] == 16 + TOKENS


def test_captions_are_padded_as_prompts_are(generator: WanGenerator) -> None:
    with overheard(generator) as calls:
        generator.run(generator.settle(Direction(None, 0, "a person")), lambda _done: None)
    assert torch.equal(generator.describe("a person")["words"], calls[0]["encoder_hidden_states"])


def test_the_target_is_the_velocity(generator: WanGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transformer that answers noise minus clean, found from what it is given and the time, has no loss."""
    clean = torch.randn(3, 16, 2, 2, 2)
    times: list[Tensor] = []

    def perfect(*, hidden_states: Tensor, timestep: Tensor, **_named: Any) -> tuple[Tensor]:
        times.append(timestep)
        sigma = (timestep / 1000).view(-1, 1, 1, 1, 1)
        return ((hidden_states - clean) / sigma,)

    monkeypatch.setattr(generator.denoiser, "forward", perfect)
    told = {"words": torch.zeros(3, 4, 32)}
    loss = generator.loss({"video": clean}, told, torch.ones(1))
    assert float(loss) < 1e-6
    assert ((times[0] > 0) & (times[0] < 1000)).all()


def test_times_lean_to_noise() -> None:
    torch.manual_seed(0)
    assert float(shifted_times(4000, 1.0).median()) == pytest.approx(0.5, abs=0.02)
    assert float(shifted_times(4000, 3.0).median()) == pytest.approx(0.75, abs=0.02)


def test_times_are_given_per_token_where_the_pipeline_does(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tiny_wan_generator()
    generator.pipe.register_to_config(expand_timesteps=True)
    with overheard(generator) as calls:
        generator.loss({"video": torch.randn(2, 16, 2, 4, 4)}, {"words": torch.zeros(2, 4, 32)}, torch.ones(1))
    assert calls[0]["timestep"].shape == (2, 2 * 2 * 2)


def test_no_tokens_change_nothing() -> None:
    words = torch.randn(2, 3, 4)
    assert with_tokens(words, None) is words


def test_two_transformers_are_refused() -> None:
    pipe = tiny_wan()
    pipe.register_modules(transformer_2=pipe.transformer)
    with pytest.raises(UsageError, match="two transformers"):
        WanGenerator(pipe, WAN_SHAPE)


def test_another_familys_pipeline_is_refused() -> None:
    with pytest.raises(UsageError, match="LTX2Pipeline is no pipeline of wan") as caught:
        WanGenerator(tiny_ltx2())
    assert "WanPipeline" in caught.value.hint


@pytest.mark.parametrize(
    "direction",
    [
        Direction(6, 0),
        Direction(0, 0),
        Direction(5, 0, size=(20, 16)),
        Direction(5, 0, size=(0, 16)),
    ],
)
def test_what_the_family_cannot_make_is_said_before_anything_is_spent(
    generator: WanGenerator, direction: Direction
) -> None:
    with pytest.raises(UsageError) as caught:
        generator.settle(direction)
    assert caught.value.hint


def test_there_is_no_voice(generator: WanGenerator) -> None:
    with pytest.raises(ValueError, match="no voice"):
        generator.lora_targets("voice")
