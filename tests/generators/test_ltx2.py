"""LTX-2, 2.0 and 2.3: two streams that are learned, worn and lent apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cameo.adapt.export import lora_config
from cameo.generators.base import Direction
from cameo.generators.identity_tokens import TOKENS
from cameo.generators.lora import lora_removed, several_meant
from cameo.generators.ltx2 import LTX2Generator
from cameo.generators.ltx2_sound import encode_sound, log_mel
from tests.generators.test_wan import overheard
from tests.generators.tiny_pipelines import tiny_footage, tiny_ltx2_generator

SIDE = 32


@pytest.fixture(scope="module", params=["2.0", "2.3"])
def generator(request: pytest.FixtureRequest) -> LTX2Generator:
    return tiny_ltx2_generator(request.param)


def test_every_layer_belongs_to_the_stream_it_writes(generator: LTX2Generator) -> None:
    kinds = {}
    for modality in generator.modalities:
        with lora_removed(generator.denoiser):
            generator.denoiser.add_adapter(lora_config(generator.lora_targets(modality), 2), adapter_name="made")
            names = [name for name, _ in generator.denoiser.named_parameters() if ".lora_A." in name]
        kinds[modality] = {name.split(".")[2] for name in names}
        assert len(names) == 2 * 3 * 4, "two blocks, three attentions, four projections"
    assert kinds["face"] == {"attn1", "attn2", "audio_to_video_attn"}
    assert kinds["voice"] == {"audio_attn1", "audio_attn2", "video_to_audio_attn"}


def test_latents_are_what_the_pipeline_decodes(generator: LTX2Generator) -> None:
    pipe, footage = generator.pipe, tiny_footage(SIDE)
    latents = generator.encode(footage.frames[:9], footage.sound[: 9 * 640])
    video = (footage.frames[:9].float() / 127.5 - 1).permute(3, 0, 1, 2)[None]
    decoded = pipe._denormalize_latents(
        latents["video"], pipe.vae.latents_mean, pipe.vae.latents_std, pipe.vae.config.scaling_factor
    )
    torch.testing.assert_close(decoded, pipe.vae.encode(video).latent_dist.mode())
    assert latents["audio"].shape[1] == round(9 / 25 * 16000 / 160 / 4), "as many as the pipeline makes"
    assert latents["heard"].item() == 1


def test_silence_is_encoded_where_nothing_is_heard(generator: LTX2Generator) -> None:
    frames = tiny_footage(SIDE).frames[:9]
    latents = generator.encode(frames, torch.zeros(0))
    assert latents["heard"].item() == 0
    assert torch.equal(latents["audio"], generator.encode(frames, torch.zeros(9 * 640))["audio"])


def test_the_spectrogram_is_lightricks() -> None:
    """One second of 1000 Hz: hops of 10 ms, a peak where Slaney's scale puts it, the floor in silence."""
    config = tiny_ltx2_generator().pipe.audio_vae.config
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(16_000) / 16_000)
    mel = log_mel(tone, config)
    assert mel.shape == (1, 2, 101, 8)
    assert torch.equal(mel[:, 0], mel[:, 1])
    edges = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), 10)  # in mel: 15 at 1000 Hz, then logarithmic
    assert int(mel[0, 0, 50].argmax()) == int(np.abs(edges[1:-1] - 15).argmin())
    assert log_mel(torch.zeros(3000), config).unique().tolist() == pytest.approx([np.log(1e-5)])


def test_sound_is_cut_and_filled_to_the_pictures(generator: LTX2Generator) -> None:
    lengths = {
        encode_sound(generator.pipe, torch.randn(count), 0.4, torch.device("cpu")).shape[1]
        for count in (10, 6_000, 6_400, 20_000)
    }
    assert lengths == {10}


def test_voice_tokens_begin_at_the_speaker(generator: LTX2Generator) -> None:
    footage = tiny_footage(SIDE)
    assert footage.speaker is not None
    one = generator.fit_identity(footage)
    again = generator.fit_identity(footage)
    other = generator.fit_identity(tiny_footage(SIDE, seed=2))
    assert torch.equal(one.tokens()["voice"], again.tokens()["voice"])
    assert not torch.equal(one.tokens()["voice"], other.tokens()["voice"])
    assert torch.equal(one.tokens()["face"], other.tokens()["face"]), "the face's begin at the words alone"
    assert set(one.tensors("voice")) == {"voice.tokens", "voice.speaker"}
    assert set(one.tensors("face")) == {"face.tokens"}


def test_without_sound_there_is_no_voice_to_learn(generator: LTX2Generator) -> None:
    assert generator.fit_identity(tiny_footage(SIDE, heard=False)).modalities == ("face",)


def run(generator: LTX2Generator, **changes: Any) -> None:
    """Call the pipeline as a user would."""
    asked = {
        "prompt": "a person dancing",
        "width": SIDE,
        "height": SIDE,
        "num_frames": 9,
        "num_inference_steps": 1,
        "max_sequence_length": 16,
        "spatio_temporal_guidance_blocks": [1],
        "use_cross_timestep": generator.denoiser.prompt_modulation,
        "output_type": "latent",
        "generator": torch.Generator().manual_seed(1),
    }
    generator.pipe(**asked | changes)


@pytest.mark.parametrize("videos", [1, 2])
def test_all_passes_of_guidance_get_the_tokens_and_what_is_not_wanted_does_not(
    generator: LTX2Generator, videos: int
) -> None:
    identity = generator.fit_identity(tiny_footage(SIDE))
    with overheard(generator) as calls, generator.wearing(identity, ("face", "voice")):
        run(generator, num_videos_per_prompt=videos)
    assert [len(call["encoder_hidden_states"]) for call in calls] == [2 * videos, videos, videos]
    for call in calls:
        negatives = videos if call is calls[0] else 0
        for stream, modality in (("", "face"), ("audio_", "voice")):
            words, mask = call[f"{stream}encoder_hidden_states"], call[f"{stream}encoder_attention_mask"]
            assert words.shape[1] == mask.shape[1] == 16 + TOKENS
            assert mask[:negatives, -TOKENS:].eq(0).all()
            assert mask[negatives:, -TOKENS:].eq(1).all()
            torch.testing.assert_close(words[-1, -TOKENS:], identity.tokens()[modality])


def test_what_is_not_wanted_is_answered_as_by_the_base(generator: LTX2Generator) -> None:
    identity = generator.fit_identity(tiny_footage(SIDE))
    answers = []

    def keep(_module: Any, _given: Any, made: tuple[Tensor, Tensor]) -> None:
        answers.append([one[0].clone() for one in made])

    hook = generator.denoiser.register_forward_hook(keep)
    try:
        run(generator)
        with generator.wearing(identity, ("face", "voice")):
            run(generator)
    finally:
        hook.remove()
    for base, worn in zip(answers[0], answers[3], strict=True):
        torch.testing.assert_close(base, worn)


@pytest.mark.parametrize(("worn", "bare"), [("face", "audio_"), ("voice", "")])
def test_a_stream_without_tokens_is_told_what_it_was_told_before(
    generator: LTX2Generator, worn: str, bare: str
) -> None:
    identity = generator.fit_identity(tiny_footage(SIDE))
    with overheard(generator) as before:
        run(generator)
    with generator.wearing(identity, (worn,)), overheard(generator) as calls:
        run(generator)
    for was, now in zip(before, calls, strict=True):
        for name in (f"{bare}encoder_hidden_states", f"{bare}encoder_attention_mask"):
            assert torch.equal(was[name], now[name])


def test_the_pipeline_is_called_as_its_version_wants(generator: LTX2Generator) -> None:
    with overheard(generator) as calls:
        made = generator.run(generator.settle(Direction(None, 0, "a person")), lambda _done: None)
    late = generator.denoiser.prompt_modulation
    assert all(call["use_cross_timestep"] == late for call in calls)
    assert any(call["spatio_temporal_guidance_blocks"] == [1] for call in calls) == late
    assert made.sound is not None
    assert made.rate_hz == 16_000
    assert made.sound.shape[0] == 2
    assert made.sound.shape[1] <= round(9 / 25 * 16_000)


def test_each_stream_has_a_noise_level_of_its_own(generator: LTX2Generator) -> None:
    footage = tiny_footage(SIDE, frames=40)
    lessons = generator.lessons(footage, generator.fit_identity(footage), 0.0)
    with overheard(generator) as calls:
        lessons.loss(torch.arange(2))
    assert not torch.equal(calls[0]["timestep"], calls[0]["audio_timestep"])
    assert torch.equal(calls[0]["timestep"], calls[0]["sigma"])
    assert torch.equal(calls[0]["audio_timestep"], calls[0]["audio_sigma"])


def gradients(generator: LTX2Generator, heard: bool) -> tuple[dict[str, Tensor], float]:
    """Gradients of both LoRAs by a lesson that differs in whether the sound counts."""
    footage = tiny_footage(SIDE, frames=24)
    torch.manual_seed(0)
    with lora_removed(generator.denoiser):
        with several_meant():
            for modality in generator.modalities:
                config = lora_config(generator.lora_targets(modality), 2)
                config.init_lora_weights = False  # from nothing, half of the gradients would be nothing
                generator.denoiser.add_adapter(config, adapter_name=modality)
        generator.denoiser.set_adapters(list(generator.modalities))
        lessons = generator.lessons(footage, generator.fit_identity(footage), 0.0)
        for latents in lessons._latents:
            latents["heard"].fill_(float(heard))
        torch.manual_seed(1)
        loss = lessons.loss(torch.arange(2))
        loss.backward()
        named = {n: p.grad.clone() for n, p in generator.denoiser.named_parameters() if p.grad is not None}
        assert not any(getattr(m, "gradient_checkpointing", False) for m in generator.denoiser.modules())
    return named, float(loss.detach())


def test_neither_adapter_learns_from_the_others_loss(generator: LTX2Generator) -> None:
    both, loss = gradients(generator, heard=True)
    picture, less = gradients(generator, heard=False)
    assert less < loss
    face = [name for name in both if name.endswith(".face.weight")]
    voice = [name for name in both if name.endswith(".voice.weight")]
    assert len(face) == len(voice) == 2 * 3 * 4 * 2
    assert all(torch.equal(both[name], picture[name]) for name in face), "the sound's loss does not reach the face"
    assert any(both[name].any() for name in face)
    assert any(both[name].any() for name in voice)
    assert not any(picture[name].any() for name in voice), "the picture's loss does not reach the voice"


def test_there_is_no_third_modality(generator: LTX2Generator) -> None:
    with pytest.raises(ValueError, match="no hands"):
        generator.lora_targets("hands")
