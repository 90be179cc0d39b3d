"""HunyuanVideo and CogVideoX: what they learn from, and where the tokens go."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.cogvideox import CogVideoXGenerator, written_over
from cameo.generators.hunyuan_video import HunyuanVideoGenerator, inserted
from cameo.generators.identity_tokens import TOKENS
from tests.generators.test_wan import overheard
from tests.generators.tiny_pipelines import COG_SHAPE, FAMILIES, tiny_cogvideox, tiny_footage


@pytest.fixture(scope="module")
def hunyuan() -> Any:
    return FAMILIES["hunyuanvideo"]()


@pytest.fixture(scope="module")
def cog() -> Any:
    return FAMILIES["cogvideox"]()


def ask(generator: Any, **changes: Any) -> list[dict[str, Any]]:
    """Call the pipeline as a user would who wears a person, and note what the transformer is given."""
    identity = generator.fit_identity(tiny_footage(16))
    frames = generator.shape.frames
    asked = {"prompt": "a person", "width": 16, "height": 16, "num_frames": frames, "num_inference_steps": 1}
    with generator.wearing(identity, ("face",)), overheard(generator) as calls:
        generator.pipe(**asked | {"output_type": "latent"} | changes)
    return calls


def test_hunyuan_reads_the_tokens_behind_the_words() -> None:
    words, mask, tokens = torch.randn(2, 5, 3), torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]), torch.ones(2, 3)
    made, seen = inserted(words, mask, tokens)
    assert seen.tolist() == [[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0]]
    assert torch.equal(made[0], torch.cat([words[0, :2], tokens, words[0, 2:]]))
    assert torch.equal(made[1], torch.cat([words[1, :4], tokens, words[1, 4:]]))


def test_hunyuan_gets_them_for_what_is_wanted_only(hunyuan: HunyuanVideoGenerator) -> None:
    calls = ask(hunyuan, negative_prompt="monkey", true_cfg_scale=2.0, num_videos_per_prompt=2, max_sequence_length=32)
    assert [call["encoder_hidden_states"].shape[1] for call in calls] == [32 + TOKENS, 32]
    assert [call["encoder_attention_mask"].shape for call in calls] == [(2, 32 + TOKENS), (2, 32)]


def test_hunyuans_targets_are_attention_and_no_refiner(hunyuan: HunyuanVideoGenerator) -> None:
    import re

    wanted = re.compile(hunyuan.lora_targets("face"))
    names = [name for name, _ in hunyuan.denoiser.named_modules() if wanted.fullmatch(name)]
    assert len(names) == 8 + 3, "one block of each kind"
    assert not any("refiner" in name for name in names)


def test_cog_gets_them_in_the_place_of_padding(cog: CogVideoXGenerator) -> None:
    call = ask(cog, max_sequence_length=24, guidance_scale=6.0)[0]
    told = cog.describe("a person")["words"][0]
    negative, positive = call["encoder_hidden_states"]
    assert len(told) == len(positive) == 24, "the model takes no other length"
    assert torch.equal(positive[:-TOKENS], told[:-TOKENS])
    assert not torch.equal(positive[-TOKENS:], told[-TOKENS:])
    assert torch.equal(negative, cog.describe("")["words"][0])


@pytest.mark.parametrize("name", ["hunyuanvideo", "cogvideox"])
def test_latents_are_what_the_pipeline_decodes(name: str) -> None:
    generator = FAMILIES[name]()
    frames = tiny_footage(16).frames[: generator.shape.frames]
    vae = generator.pipe.vae
    video = (frames.float() / 127.5 - 1).permute(3, 0, 1, 2)[None]
    latent = generator.encode(frames, torch.zeros(0))["video"]
    torch.testing.assert_close(latent / vae.config.scaling_factor, vae.encode(video).latent_dist.mode())


def test_hunyuans_target_is_the_velocity(hunyuan: HunyuanVideoGenerator, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = torch.randn(2, 4, 2, 2, 2)

    def perfect(*, hidden_states: Tensor, timestep: Tensor, **_named: Any) -> tuple[Tensor]:
        return ((hidden_states - clean) / (timestep / 1000).view(-1, 1, 1, 1, 1),)

    monkeypatch.setattr(hunyuan.denoiser, "forward", perfect)
    told = {"words": torch.zeros(2, 4, 16), "mask": torch.ones(2, 4), "pooled": torch.zeros(2, 8)}
    assert float(hunyuan.loss({"video": clean}, told, torch.ones(1))) < 1e-6


@pytest.mark.parametrize("rotary", [True, False])
def test_cogs_target_is_v(rotary: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """V = √ᾱ noise − √(1−ᾱ) x, which what the transformer is given determines."""
    generator = CogVideoXGenerator(tiny_cogvideox(rotary=rotary), COG_SHAPE)
    clean, kept = torch.randn(2, 4, 3, 2, 2), generator.pipe.scheduler.alphas_cumprod

    def perfect(*, hidden_states: Tensor, timestep: Tensor, image_rotary_emb: Any, **_named: Any) -> tuple[Tensor]:
        assert (image_rotary_emb is not None) == rotary
        share = kept[timestep].view(-1, 1, 1, 1, 1)
        first = clean.transpose(1, 2)
        noise = (hidden_states - share.sqrt() * first) / (1 - share).sqrt()
        return (share.sqrt() * noise - (1 - share).sqrt() * first,)

    monkeypatch.setattr(generator.denoiser, "forward", perfect)
    loss = generator.loss({"video": clean}, {"words": torch.zeros(2, 24, 32)}, torch.ones(1))
    assert float(loss) < 1e-4


def test_cog_15_is_refused() -> None:
    pipe = tiny_cogvideox()
    pipe.transformer.register_to_config(patch_size_t=2)
    with pytest.raises(UsageError, match=r"1\.5"):
        CogVideoXGenerator(pipe, COG_SHAPE)


def test_no_tokens_change_nothing(hunyuan: HunyuanVideoGenerator) -> None:
    words = torch.randn(2, 3, 4)
    assert written_over(words, None) is words
    told = {"words": words}
    assert hunyuan.add_tokens(told, {}) is told
