"""HunyuanVideo (1.0, text to video): rectified flow, tokens between the words and their padding.

Source: W. Kong et al., "HunyuanVideo: a systematic framework for large video generative models" (2024); diffusers'
`HunyuanVideoPipeline`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from cameo.generators.pipeline import PipelineGenerator, Shape, Tensors, as_video, shifted_times
from cameo.generators.standin import told_more

_ATTENTION = r"attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
LIMIT = 256  # words. Source: HunyuanVideoPipeline.__call__
SHIFT = 7.0  # of the sampler, as its authors run it
# What the guidance embedding is told while training, times 1000. Source: kohya-ss/musubi-tuner, which leaves it at 1.
TAUGHT_GUIDANCE = 1000.0


class HunyuanVideoGenerator(PipelineGenerator):
    """Tune and cast in `HunyuanVideoPipeline`."""

    id = "hunyuanvideo"
    pipelines = ("HunyuanVideoPipeline",)
    targets = {"face": rf"(single_)?transformer_blocks\.\d+\.{_ATTENTION}"}  # not those that only refine words
    shape = Shape(
        fps=24, size=(960, 544), frames=129, steps=50, window=17, side_px=480, grain=16, stride=4, guidance=6.0
    )

    @property
    def limit(self) -> int:
        """As the pipeline's own default."""
        return LIMIT

    @torch.no_grad()
    def encode(self, frames: Tensor, sound: Tensor) -> Tensors:
        """Return `{"video": [1, C, T', h, w]}`, scaled as the pipeline's decoding undoes it."""
        vae = self.pipe.vae
        mode = vae.encode(as_video(frames).to(self.device, vae.dtype)).latent_dist.mode().float()
        return {"video": mode * vae.config.scaling_factor}

    @torch.no_grad()
    def describe(self, prompt: str) -> Tensors:
        """Return words `[1, L, D]`, their mask `[1, L]`, and the whole prompt in one `[1, P]`."""
        words, pooled, mask = self.pipe.encode_prompt(prompt, max_sequence_length=LIMIT, device=self.device)
        return {"words": words, "mask": mask, "pooled": pooled}

    def among(self, told: Tensors) -> dict[str, Tensor]:
        """Face tokens stand among the words."""
        return {"face": told["words"][0, : int(told["mask"].sum())]}

    def add_tokens(self, told: Tensors, tokens: Mapping[str, Tensor]) -> Tensors:
        """Put the face's tokens behind the last word."""
        if "face" not in tokens:
            return told
        words, mask = inserted(told["words"], told["mask"], tokens["face"])
        return told | {"words": words, "mask": mask}

    def loss(self, latents: Tensors, told: Tensors, weight: Tensor) -> Tensor:
        """Velocity loss: x_t = (1 - s) x + s noise, v = noise - x, time 1000 s."""
        clean = latents["video"]
        sigma = shifted_times(len(clean), SHIFT).to(clean)
        noise, at = torch.randn_like(clean), sigma.view(-1, 1, 1, 1, 1)
        made = self.denoiser(
            hidden_states=((1 - at) * clean + at * noise).to(self.dtype),
            timestep=sigma * 1000,
            encoder_hidden_states=told["words"].to(self.dtype),
            encoder_attention_mask=told["mask"].to(self.dtype),
            pooled_projections=told["pooled"].to(self.dtype),
            guidance=torch.full_like(sigma, TAUGHT_GUIDANCE, dtype=self.dtype),
            return_dict=False,
        )[0]
        return ((made.float() - (noise - clean)) ** 2 * weight).mean()

    def attach(self, tokens: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Put tokens behind the last word in the passes for what is wanted, whoever calls the pipeline."""
        if "face" not in tokens:
            return nullcontext()

        def more(named: dict[str, Any]) -> dict[str, Any]:
            words, mask = inserted(named["encoder_hidden_states"], named["encoder_attention_mask"], tokens["face"])
            return named | {"encoder_hidden_states": words, "encoder_attention_mask": mask}

        return told_more(self.denoiser, more)


def inserted(words: Tensor, mask: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Put `[K, D]` behind the last word of every row of `[B, L, D]` that its mask `[B, L]` counts.

    The transformer reads as many embeddings as the mask has ones, from the first on: behind the padding, tokens would
    not be read, and padding would be in their place.
    """
    rows = []
    for row, count in zip(words, mask.sum(1).int().tolist(), strict=True):
        rows.append(torch.cat([row[:count], tokens.to(words), row[count:]]))
    return torch.stack(rows), torch.cat([mask.new_ones(len(mask), len(tokens)), mask], 1)
