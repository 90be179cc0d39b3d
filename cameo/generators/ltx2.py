"""LTX-2 (2.0 and 2.3): picture and sound in one transformer, a LoRA and tokens for each.

Everything belongs to the modality whose stream it writes: so whoever is lent the face alone gets nothing that was
learned from the voice. While training, neither stream's loss reaches the other's adapter.

Source: Lightricks, "LTX-2: efficient joint audio-visual foundation model" (2026); diffusers' `LTX2Pipeline`; modules
and separate noise levels as in Lightricks' own trainer (packages/ltx-trainer).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.pipelines.ltx2.pipeline_ltx2 import calculate_shift
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.base import Direction, Performance
from cameo.generators.ltx2_sound import encode_sound
from cameo.generators.pipeline import PipelineGenerator, Shape, Tensors, as_frames, as_video, shifted_times
from cameo.generators.together import TokenLayers

if TYPE_CHECKING:
    from cameo.generators.identity_tokens import TokenIdentity

_PROJECTIONS = r"(to_q|to_k|to_v|to_out\.0)"
_WRITES = {
    "face": "attn1|attn2|audio_to_video_attn",  # the last: what a mouth does at a sound
    "voice": "audio_attn1|audio_attn2|video_to_audio_attn",
}
_CROSS = ("audio_to_video_attn", "video_to_audio_attn")
_LIMIT = 1024  # of words. Source: LTX2Pipeline.__call__
_GUIDED_BLOCK = (29, 28)  # perturbed for guidance in 2.0 and 2.3. Source: LTX2Pipeline.__call__


class LTX2Generator(PipelineGenerator):
    """Tune and cast in `LTX2Pipeline`."""

    id = "ltx2"
    modalities = ("face", "voice")
    speaks = True
    pipelines = ("LTX2Pipeline",)
    targets = {m: rf"transformer_blocks\.\d+\.({layers})\.{_PROJECTIONS}" for m, layers in _WRITES.items()}
    shape = Shape(
        fps=24, size=(768, 512), frames=121, steps=30, window=25, side_px=512, grain=32, stride=8, guidance=3.0
    )

    @torch.no_grad()
    def encode(self, frames: Tensor, sound: Tensor) -> Tensors:
        """Return `{"video": [1, C, T', h, w], "audio": [1, L, C' M'], "heard": [1]}`, both normalised."""
        pipe, vae = self.pipe, self.pipe.vae
        mode = vae.encode(as_video(frames).to(self.device, vae.dtype)).latent_dist.mode().float()
        video = pipe._normalize_latents(mode, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
        audio = encode_sound(pipe, sound, len(frames) / self.fps, self.device)
        return {"video": video, "audio": audio, "heard": torch.tensor([float(len(sound) > 0)])}

    @torch.no_grad()
    def describe(self, prompt: str) -> Tensors:
        """Return the words for both streams `[1, L, D]`, a mask for each `[1, L]`, and how many are words `[1]`."""
        pipe = self.pipe
        words, mask, _, _ = pipe.encode_prompt(
            prompt, do_classifier_free_guidance=False, max_sequence_length=self.limit, device=self.device
        )
        side = getattr(pipe.tokenizer, "padding_side", "left")
        video, audio, seen = pipe.connectors(words, mask, padding_side=side)
        told = {"video": video, "audio": audio, "video_mask": seen, "audio_mask": seen}
        return told | {"words": mask.sum(1), "first": seen.argmax(1)}

    @property
    def limit(self) -> int:
        """As many as the text encoder takes."""
        return min(_LIMIT, self.pipe.tokenizer_max_length)

    def among(self, told: Tensors) -> dict[str, Tensor]:
        """Tokens of the face stand among the words for the picture, those of the voice among those for the sound."""
        first, count = int(told["first"]), int(told["words"])  # behind padding, or before learnt registers
        return {m: told[stream][0, first : first + count] for m, stream in _STREAMS.items()}

    def add_tokens(self, told: Tensors, tokens: Mapping[str, Tensor]) -> Tensors:
        """Append tokens to each stream's words, which have a mask each."""
        added = dict(told)
        for modality, given in tokens.items():
            stream = _STREAMS[modality]
            added[stream] = _longer(told[stream], given)
            added[f"{stream}_mask"] = _longer_mask(told[f"{stream}_mask"], len(given))
        return added

    def loss(self, latents: Tensors, told: Tensors, weight: Tensor) -> Tensor:
        """Velocity losses of both streams, each at its own noise level; where nothing is heard, the picture's alone.

        One level for both is blamed for adapters that never learn the voice. Source: ostris/ai-toolkit, PR 720.
        """
        clean, sound = latents["video"], latents["audio"]
        shift = self._shift(clean)
        levels = {stream: shifted_times(len(clean), shift).to(clean) for stream in ("video", "audio")}
        noise, murmur = torch.randn_like(clean), torch.randn_like(sound)
        seen, heard = _mixed(clean, noise, levels["video"]), _mixed(sound, murmur, levels["audio"])
        made, spoken = self._predict(seen, heard, levels, told)
        picture = ((made - (noise - clean)) ** 2 * weight).mean()
        speech = ((spoken - (murmur - sound)) ** 2).mean((1, 2))
        return picture + (speech * latents["heard"].to(speech)).mean()

    def _shift(self, video: Tensor) -> float:
        """How far the sampler leans to noise at this size, for both streams."""
        config, patch = self.pipe.scheduler.config, self.denoiser.config
        tokens = video[0, 0].numel() // (patch.patch_size**2 * patch.patch_size_t)
        limits = {
            "base_seq_len": config.get("base_image_seq_len", 1024),
            "max_seq_len": config.get("max_image_seq_len", 4096),
            "base_shift": config.get("base_shift", 0.95),
            "max_shift": config.get("max_shift", 2.05),
        }
        return math.exp(calculate_shift(tokens, **limits))

    def _predict(self, seen: Tensor, heard: Tensor, levels: Tensors, told: Tensors) -> tuple[Tensor, Tensor]:
        """Return the velocities of both streams, in the shapes they came in."""
        config, (frames, height, width) = self.denoiser.config, seen.shape[2:]
        patch = (config.patch_size, config.patch_size_t)
        made, spoken = self.denoiser(
            hidden_states=self.pipe._pack_latents(seen, *patch).to(self.dtype),
            audio_hidden_states=heard.to(self.dtype),
            encoder_hidden_states=told["video"].to(self.dtype),
            audio_encoder_hidden_states=told["audio"].to(self.dtype),
            encoder_attention_mask=told["video_mask"],
            audio_encoder_attention_mask=told["audio_mask"],
            timestep=levels["video"] * 1000,
            audio_timestep=levels["audio"] * 1000,
            sigma=levels["video"] * 1000,
            audio_sigma=levels["audio"] * 1000,
            use_cross_timestep=self.denoiser.prompt_modulation,
            num_frames=frames,
            height=height,
            width=width,
            fps=self.fps,
            audio_num_frames=heard.shape[1],
            return_dict=False,
        )
        return self.pipe._unpack_latents(made.float(), frames, height, width, *patch), spoken.float()

    checkpointing = True  # always: `through` keeps the streams apart while training

    def through(self, block: Any, *given: Any) -> Any:
        """Run a block so that each stream learns from its own loss: what it reads of the other is taken as it is."""
        hooks = [getattr(block, name).register_forward_pre_hook(_as_it_is, with_kwargs=True) for name in _CROSS]
        try:
            return block(*given)
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def attach(self, tokens: Mapping[str, Tensor]) -> Iterator[None]:
        """Append tokens behind the connectors, so that every pass of guidance gets them with the prompt."""
        if not tokens:
            yield
            return
        count = max(len(given) for given in tokens.values())

        def behind(_module: Any, _given: Any, told: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            video, audio = (
                _longer(words, tokens[m]) if m in tokens else words for m, words in zip(_STREAMS, told[:2], strict=True)
            )
            return video, audio, _longer_mask(told[2], count, self._negatives(len(told[2])))

        hooks = [
            self.pipe.connectors.register_forward_hook(behind),
            self.denoiser.register_forward_pre_hook(_fit_masks, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    # People may see each other, as in any scene. The sound is nobody's; what a face does at it, is.
    token_layers = TokenLayers(
        told=r"transformer_blocks\.\d+\.attn2\.(to_k|to_v)",
        asking=r"transformer_blocks\.\d+\.attn2",
        heard=r"transformer_blocks\.\d+\.audio_to_video_attn\.(to_k|to_v)",
        hearing=r"transformer_blocks\.\d+\.audio_to_video_attn",
    )

    def cells(self, direction: Direction) -> tuple[int, int]:
        """Return how many patches high and wide the picture is."""
        width, height = direction.area
        pixels = self.pipe.vae_spatial_compression_ratio * self.denoiser.config.patch_size
        return height // pixels, width // pixels

    @contextmanager
    def wearing_together(self, identities: Sequence[TokenIdentity]) -> Iterator[Callable[[int], bool]]:
        """Append everybody's tokens to the words for the picture, as `attach` does for one.

        Raises:
            UsageError: somebody brings a voice.
        """
        if any("voice" in who.modalities for who in identities):
            hint = "plug in the parts of their faces alone"
            raise UsageError("several people share one soundtrack, which takes on nobody's voice", hint)
        lengths: set[int] = set()

        def note(_module: Any, _given: Any, told: tuple[Tensor, Tensor, Tensor]) -> None:
            lengths.add(told[0].shape[1])

        with self.attach({"face": torch.cat([who.tokens()["face"] for who in identities])}):
            hook = self.pipe.connectors.register_forward_hook(note)
            try:
                yield lengths.__contains__
            finally:
                hook.remove()

    def _negatives(self, rows: int) -> int:
        """How many of the rows, the first, hold what is not wanted."""
        running = getattr(self.pipe, "_guidance_scale", None) is not None
        return rows // 2 if running and self.pipe.do_classifier_free_guidance else 0

    def run(self, direction: Direction, tell: Callable[[int], None]) -> Performance:
        """Call the pipeline with its own guidance; where blocks cannot be perturbed, without that part of it."""
        config = self.denoiser.config
        cross = self.denoiser.prompt_modulation
        made = self.pipe(
            **self.asked(direction, tell),
            frame_rate=self.fps,
            stg_scale=1.0 if config.perturbed_attn else 0.0,
            audio_stg_scale=1.0 if config.perturbed_attn else 0.0,
            spatio_temporal_guidance_blocks=[min(_GUIDED_BLOCK[cross], config.num_layers - 1)],
            use_cross_timestep=cross,
        )
        rate_hz = self.pipe.vocoder.config.output_sampling_rate
        sound = made.audio[0].float().cpu().numpy()[:, : round(direction.length / self.fps * rate_hz)]
        return Performance(as_frames(made.frames), np.ascontiguousarray(sound, np.float32), rate_hz)


_STREAMS = {"face": "video", "voice": "audio"}


def _mixed(clean: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    at = level.view(-1, *[1] * (clean.ndim - 1))
    return (1 - at) * clean + at * noise


def _longer(words: Tensor, tokens: Tensor) -> Tensor:
    """Append `[K, D]` to every row of `[B, L, D]`."""
    return torch.cat([words, tokens.to(words).expand(len(words), -1, -1)], 1)


def _longer_mask(mask: Tensor, count: int, negatives: int = 0) -> Tensor:
    """Let all rows `[B, L]` but the first `negatives` see the `count` tokens behind."""
    seen = mask.new_ones(len(mask), count)
    seen[:negatives] = 0
    return torch.cat([mask, seen], 1)


def _fit_masks(_module: Any, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Cut the one mask that a pipeline gives to both streams to the words of a stream that got no tokens."""
    named = dict(named)
    for stream in ("", "audio_"):
        words, mask = named.get(f"{stream}encoder_hidden_states"), named.get(f"{stream}encoder_attention_mask")
        if words is not None and mask is not None and mask.ndim == 2:
            named[f"{stream}encoder_attention_mask"] = mask[:, : words.shape[1]]
    return given, named


def _as_it_is(_module: Any, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Let no gradient through to the stream that is read."""
    return given, named | {"encoder_hidden_states": named["encoder_hidden_states"].detach()}
