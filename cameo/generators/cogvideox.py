"""CogVideoX (2B and 5B): v-prediction, tokens in the place of padding, because the number of words is fixed.

Source: Z. Yang et al., "CogVideoX: text-to-video diffusion models with an expert transformer" (2024); diffusers'
`CogVideoXPipeline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.pipeline import PipelineGenerator, Shape, Tensors, as_video

_WORDS = "words"
LIMIT = 226  # words with their padding, all of which the transformer reads. Source: CogVideoXPipeline.__call__


class CogVideoXGenerator(PipelineGenerator):
    """Tune and cast in `CogVideoXPipeline`."""

    id = "cogvideox"
    pipelines = ("CogVideoXPipeline",)
    targets = {"face": r"transformer_blocks\.\d+\.attn1\.(to_q|to_k|to_v|to_out\.0)"}  # they read words and video alike
    shape = Shape(fps=8, size=(720, 480), frames=49, steps=50, window=17, side_px=480, grain=16, stride=8, guidance=6.0)

    def __init__(self, pipe: Any, shape: Shape | None = None) -> None:
        super().__init__(pipe, shape)
        if self.denoiser.config.patch_size_t is not None:
            raise UsageError("CogVideoX 1.5 pads its frames, which is not supported", "use CogVideoX 2B or 5B")

    @torch.no_grad()
    def encode(self, frames: Tensor, sound: Tensor) -> Tensors:
        """Return `{"video": [1, C, T', h, w]}`, scaled as the pipeline's decoding undoes it."""
        vae = self.pipe.vae
        mode = vae.encode(as_video(frames).to(self.device, vae.dtype)).latent_dist.mode().float()
        return {"video": mode * self.pipe.vae_scaling_factor_image}

    @torch.no_grad()
    def describe(self, prompt: str) -> Tensors:
        """Return `{"words": [1, 226, D], "count": [1]}`: how many of them are no padding."""
        words, _ = self.pipe.encode_prompt(prompt, None, False, max_sequence_length=self.limit, device=self.device)
        count = len(self.pipe.tokenizer(prompt).input_ids)
        return {_WORDS: words, "count": torch.tensor([min(count, words.shape[1])])}

    @property
    def limit(self) -> int:
        """As many as the positions of the model reach."""
        return min(LIMIT, self.denoiser.config.max_text_seq_length)

    def among(self, told: Tensors) -> dict[str, Tensor]:
        """Face tokens stand among the words."""
        return {"face": told[_WORDS][0, : int(told["count"])]}

    def add_tokens(self, told: Tensors, tokens: Mapping[str, Tensor]) -> Tensors:
        """Write the face's tokens over the last padding."""
        return told | {_WORDS: written_over(told[_WORDS], tokens.get("face"))}

    def loss(self, latents: Tensors, told: Tensors, weight: Tensor) -> Tensor:
        """Mean square of the error in v = √ᾱ noise − √(1−ᾱ) x, times drawn evenly.

        Source: T. Salimans and J. Ho, "Progressive distillation" (2022), appendix D.
        """
        clean, scheduler = latents["video"], self.pipe.scheduler
        times = torch.randint(0, scheduler.config.num_train_timesteps, (len(clean),), device=clean.device)
        noise = torch.randn_like(clean)
        noisy = scheduler.add_noise(clean, noise, times).transpose(1, 2).to(self.dtype)
        made = self.denoiser(
            hidden_states=noisy,
            encoder_hidden_states=told[_WORDS].to(self.dtype),
            timestep=times,
            image_rotary_emb=self._places(noisy),
            return_dict=False,
        )[0]
        velocity = scheduler.get_velocity(clean, noise, times)
        return ((made.float().transpose(1, 2) - velocity) ** 2 * weight).mean()

    def _places(self, noisy: Tensor) -> Any:
        """Return the rotary embedding of latents `[B, T', C, h, w]`, where the model has one."""
        if not self.denoiser.config.use_rotary_positional_embeddings:
            return None
        frames, height, width = noisy.shape[1], noisy.shape[3], noisy.shape[4]
        scale = self.pipe.vae_scale_factor_spatial
        return self.pipe._prepare_rotary_positional_embeddings(height * scale, width * scale, frames, noisy.device)

    def attach(self, tokens: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Write tokens over the padding of the positive prompt, whoever calls the pipeline."""
        return self.told_otherwise(lambda words: written_over(words, tokens.get("face")))


def written_over(words: Tensor, tokens: Tensor | None) -> Tensor:
    """Put `[K, D]` in the last places of every row of `[B, L, D]`; words that reach so far are lost."""
    if tokens is None:
        return words
    return torch.cat([words[:, : -len(tokens)], tokens.to(words).expand(len(words), -1, -1)], 1)
