"""Wan 2.1 and 2.2 (text to video, one transformer): rectified flow, tokens beside the words.

Source: Wan Team, "Wan: open and advanced large-scale video generative models" (2025); diffusers' `WanPipeline`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.base import Direction
from cameo.generators.pipeline import PipelineGenerator, Shape, Tensors, as_video, shifted_times
from cameo.generators.together import TokenLayers

if TYPE_CHECKING:
    from cameo.generators.identity_tokens import TokenIdentity

_WORDS = "words"
_ATTENTION = r"attn[12]\.(to_q|to_k|to_v|to_out\.0)"
_FEED_FORWARD = r"ffn\.net\.(0\.proj|2)"
# Training times lean to noise as the sampler's do. Source: the flow_shift of Wan's own configuration at 480p.
SHIFT = 3.0
# Wan sees the padding too, so captions are padded as prompts are. Source: WanPipeline.__call__.
LIMIT = 512


class WanGenerator(PipelineGenerator):
    """Tune and cast in `WanPipeline`."""

    id = "wan"
    pipelines = ("WanPipeline",)
    targets = {"face": rf"blocks\.\d+\.({_ATTENTION}|{_FEED_FORWARD})"}
    shape = Shape(
        fps=16, size=(832, 480), frames=81, steps=50, window=17, side_px=480, grain=16, stride=4, guidance=5.0
    )

    def __init__(self, pipe: Any, shape: Shape | None = None) -> None:
        super().__init__(pipe, shape)
        if getattr(pipe, "transformer_2", None) is not None:
            hint = "use Wan 2.1, or Wan 2.2 TI2V-5B, which have one"
            raise UsageError("this Wan pipeline has two transformers, of which a double can adapt one only", hint)

    @property
    def limit(self) -> int:
        """Words are padded to as many."""
        return LIMIT

    @torch.no_grad()
    def encode(self, frames: Tensor, sound: Tensor) -> Tensors:
        """Return `{"video": [1, 16, T', h, w]}`, normalised as the pipeline's decoding undoes it."""
        vae = self.pipe.vae
        video = as_video(frames).to(self.device, vae.dtype)
        mode = vae.encode(video).latent_dist.mode().float()
        mean, deviation = (torch.tensor(v).view(1, -1, 1, 1, 1).to(mode) for v in self._statistics())
        return {"video": (mode - mean) / deviation}

    def _statistics(self) -> tuple[list[float], list[float]]:
        config = self.pipe.vae.config
        return config.latents_mean, config.latents_std

    @torch.no_grad()
    def describe(self, prompt: str) -> Tensors:
        """Return `{"words": [1, L, D]}`."""
        words, _ = self.pipe.encode_prompt(
            prompt, do_classifier_free_guidance=False, max_sequence_length=LIMIT, device=self.device
        )
        return {_WORDS: words}

    def among(self, told: Tensors) -> dict[str, Tensor]:
        """Face tokens stand among the words, which are padded with zeros."""
        words = told[_WORDS][0]
        return {"face": words[words.abs().amax(1) > 0]}

    def add_tokens(self, told: Tensors, tokens: Mapping[str, Tensor]) -> Tensors:
        """Append the face's tokens; Wan's cross-attention takes any length and has no mask."""
        return {_WORDS: with_tokens(told[_WORDS], tokens.get("face"))}

    def loss(self, latents: Tensors, told: Tensors, weight: Tensor) -> Tensor:
        """Velocity loss: x_t = (1 - s) x + s noise, v = noise - x, time 1000 s."""
        clean = latents["video"]
        sigma = shifted_times(len(clean), SHIFT).to(clean)
        noise, at = torch.randn_like(clean), sigma.view(-1, 1, 1, 1, 1)
        noisy = ((1 - at) * clean + at * noise).to(self.dtype)
        said = told[_WORDS].to(self.dtype)
        made = self.denoiser(
            hidden_states=noisy, timestep=self._times(sigma, noisy), encoder_hidden_states=said, return_dict=False
        )[0]
        return ((made.float() - (noise - clean)) ** 2 * weight).mean()

    def _times(self, sigma: Tensor, noisy: Tensor) -> Tensor:
        """Return one time per clip, or per token where the pipeline expands them (Wan 2.2 TI2V)."""
        times = sigma * 1000
        if not self.pipe.config.expand_timesteps:
            return times
        patch = self.denoiser.config.patch_size
        cells = (noisy.shape[2] // patch[0]) * (noisy.shape[3] // patch[1]) * (noisy.shape[4] // patch[2])
        return times[:, None].expand(-1, cells)

    def attach(self, tokens: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Append tokens to the words of the positive branch, whoever calls the pipeline."""
        return self.told_otherwise(lambda words: with_tokens(words, tokens.get("face")))

    # People may see each other, as in any scene; whose face is whose, they may not.
    token_layers = TokenLayers(told=r"blocks\.\d+\.attn2\.(to_k|to_v)", asking=r"blocks\.\d+\.attn2")

    def cells(self, direction: Direction) -> tuple[int, int]:
        """Return how many patches high and wide the picture is."""
        width, height = direction.area
        _, high, wide = self.denoiser.config.patch_size
        pixels = self.pipe.vae_scale_factor_spatial
        return height // pixels // high, width // pixels // wide

    @contextmanager
    def wearing_together(self, identities: Sequence[TokenIdentity]) -> Iterator[Callable[[int], bool]]:
        """Append everybody's tokens to the words of the positive branch, whoever calls the pipeline."""
        lengths: set[int] = set()

        def noted(words: Tensor) -> Tensor:
            lengths.add(words.shape[1])
            return words

        everybody = {"face": torch.cat([who.tokens()["face"] for who in identities])}
        with self.attach(everybody), self.told_otherwise(noted):
            yield lengths.__contains__


def with_tokens(words: Tensor, tokens: Tensor | None) -> Tensor:
    """Append `[K, D]` to every row of `[B, L, D]`, unless they stand there already."""
    if tokens is None:
        return words
    added = tokens.to(words).expand(len(words), -1, -1)
    if words.shape[1] > len(tokens) and torch.equal(words[:, -len(tokens) :], added):
        return words  # embeddings that the caller had from the pipeline while it was wearing the person
    return torch.cat([words, added], 1)
