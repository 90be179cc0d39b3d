"""The reference generator: ships with the package, trained on rendered people only, runs on a CPU.

A tiny Wan transformer (`reference_net`) redraws a person's warped reference frames along a motion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn

from cameo.generators.base import Footage, Motion
from cameo.generators.framing import frame_face
from cameo.generators.reference_net import CHANNELS, FPS, FRAMES, ReferenceNet, flow_loss, sample_latent
from cameo.generators.references import (
    ReferenceIdentity,
    as_chunks,
    choose_references,
    chunk_conditions,
    fit_statistics,
    motion_habits,
    nearest_references,
    with_identity,
)

if TYPE_CHECKING:
    from cameo.generators.reference_net import Conditions
    from cameo.records import Clip, FaceTrack, UInt8

LORA_TARGETS = (
    r"(blocks\.\d+\.(attn1|attn2)\.(to_q|to_k|to_v|to_out\.0)|blocks\.\d+\.ffn\.net\.(0\.proj|2)"
    r"|proj_out|patch_embedding|condition_embedder\.time_proj)"
)
STEPS = 2  # more steps add noise that so small a network cannot remove
OVERLAP = 4  # frames shared by neighbouring chunks
TRAIN_STRIDE = 2  # frames between training windows
DRAWS = 3  # training pairs each window with its three best references
TRUST = 0.3  # while sampling, lean on the prior: variance times this


class ReferenceGenerator:
    """Implement `Generator` for the shipped weights."""

    id = "reference"
    fps = FPS
    modalities = ("face",)

    def __init__(self, weights: bytes) -> None:
        self.base_digest = hashlib.sha256(weights).hexdigest()
        self.net = ReferenceNet()
        self.net.load_state_dict({name: t.float() for name, t in load(weights).items()})
        self.net.transformer.set_attention_backend("_native_math")  # faster than the fused kernel at 128 tokens
        self.net.eval().requires_grad_(False)

    @property
    def denoiser(self) -> Any:
        """The module a LoRA attaches to."""
        return self.net.transformer

    def lora_targets(self, modality: str) -> str:
        """Return the regular expression of the modules that a modality's LoRA adapts."""
        if modality != "face":
            raise ValueError(f"the reference generator has no {modality} modality")
        return LORA_TARGETS

    def footage(self, clip: Clip, track: FaceTrack, usable: Tensor) -> Footage:
        """Cut a recording to 64 x 64 frames that follow the head, 25 a second."""
        return frame_face(clip, track, usable)

    @torch.no_grad()
    def fit_identity(self, footage: Footage) -> ReferenceIdentity:
        """Take references and statistics from footage; learned inputs start neutral."""
        chosen = choose_references(footage)
        neutral, habits = motion_habits(footage.motion[torch.nonzero(footage.usable).flatten()])
        identity = ReferenceIdentity(
            footage.frames[chosen].clone(),
            footage.motion.points[chosen].clone(),
            footage.motion.eye_open[chosen].clone(),
            torch.ones(CHANNELS), self.net.prior_variance[1].view(-1, 1, 1).expand(-1, 8, 8).clone(),
            nn.Parameter(self.net.no_identity.detach().clone()), nn.Parameter(self.net.no_tokens.detach().clone()),
            neutral, habits,
        )  # fmt: skip
        starts = footage.windows(FRAMES, TRAIN_STRIDE * 2)
        target, motion = self._encode(footage, starts), as_chunks(footage.motion, starts)
        pair, distance = nearest_references(identity.points, identity.eye_open, motion, _own(chosen, starts))
        near = chunk_conditions(self.net, identity, motion, pair, distance).near
        identity.gain, identity.variance = fit_statistics(target, near, self.net.prior_variance[2])
        return identity

    def load_identity(self, tensors: Mapping[str, Tensor]) -> ReferenceIdentity:
        """Rebuild an identity from sealed tensors, checking names and shapes."""
        return ReferenceIdentity.load(tensors)

    def training_loss(
        self, footage: Footage, identity: ReferenceIdentity, drop_references: float
    ) -> Callable[[int], Tensor]:
        """Cache latents and return a function from batch size to the flow-matching loss."""
        target = self._encode(footage, footage.windows(FRAMES, TRAIN_STRIDE))
        batches = TrainingChunks(self.net, footage, identity, target)
        return lambda batch: batches.loss(batch, drop_references)

    def _encode(self, footage: Footage, starts: Tensor) -> Tensor:
        index = starts[:, None] + torch.arange(FRAMES)
        return self.net.latent.encode(footage.frames[index].float() / 255)

    @torch.no_grad()
    def conditions_for(
        self, identity: ReferenceIdentity, motion: Motion, starts: Tensor, show: bool = True
    ) -> Conditions:
        """Conditions of the chunks of a motion that begin at `starts`."""
        chunks = as_chunks(motion, starts)
        pair, distance = nearest_references(identity.points, identity.eye_open, chunks)
        return chunk_conditions(self.net, identity, chunks, pair, distance, show)

    @torch.no_grad()
    def sample(self, identity: ReferenceIdentity, motion: Motion, seed: int, show_references: bool = True) -> UInt8:
        """Generate `[T, 64, 64, 3]` frames along a motion of any length: overlapping chunks, blended."""
        length = len(motion)
        padded = _pad(motion)
        starts = torch.arange(0, len(padded) - FRAMES + 1, FRAMES - OVERLAP)
        c = self.conditions_for(identity, padded, starts, show_references)
        g = torch.Generator().manual_seed(seed)
        cells = torch.randn(CHANNELS, len(padded) // 4, 8, 8, generator=g)
        noise = torch.stack([cells[:, s // 4 : s // 4 + 2] for s in starts.tolist()])
        clean = torch.cat([
            sample_latent(self.net, c.pick(slice(k, k + 8)), STEPS, noise[k : k + 8]) for k in range(0, len(starts), 8)
        ])  # fmt: skip
        frames = self.net.latent.decode(clean).clamp(0, 1)
        ramp = torch.cat([torch.linspace(0.1, 1, OVERLAP), torch.linspace(1, 0.1, OVERLAP)]).view(-1, 1, 1, 1)
        total, weight = torch.zeros(len(padded), *frames.shape[2:]), torch.zeros(len(padded), 1, 1, 1)
        for k, s in enumerate(starts.tolist()):
            total[s : s + FRAMES] += frames[k] * ramp
            weight[s : s + FRAMES] += ramp
        return np.asarray((total / weight * 255).round().byte()[:length])


class TrainingChunks:
    """Cached latents of a person's training windows, each with its best references."""

    def __init__(self, net: ReferenceNet, footage: Footage, identity: ReferenceIdentity, target: Tensor) -> None:
        self.net, self.identity, self.target = net, identity, target
        self.latent, self.driver_latent = net.latent, net.driver_latent
        starts = footage.windows(FRAMES, TRAIN_STRIDE)
        motion = as_chunks(footage.motion, starts)
        exclude = _own(choose_references(footage), starts)
        with torch.no_grad():
            pairs = [nearest_references(identity.points, identity.eye_open, motion, exclude, d) for d in range(DRAWS)]
            conditions = [chunk_conditions(net, identity, motion, *pair) for pair in pairs]
        self.driver = conditions[0].driver
        self.near, self.second = (torch.stack([getattr(c, k) for c in conditions]) for k in ("near", "second"))
        self.distance = torch.stack([d for _, d in pairs])

    def loss(self, batch: int, drop_references: float) -> Tensor:
        """Loss of one random batch."""
        i, d = torch.randint(0, len(self.target), (batch,)), torch.randint(0, DRAWS, (batch,))
        parts = []
        contrast = torch.exp(0.08 * torch.randn(batch, 1, 1, 1, 1))
        dropped = torch.rand(batch) < drop_references
        for shown in (True, False):
            at = torch.nonzero(dropped != shown).flatten()
            if not len(at):
                continue
            k, draw, gain = i[at], d[at], contrast[at]
            near, second = self.near[draw, k] * gain, self.second[draw, k] * gain
            c = with_identity(self.net, self.identity, self.driver[k], near, second, self.distance[draw, k], shown)
            clean = self.target[k] * gain
            if torch.rand(()) < 0.5:
                clean, c = self.latent.mirror(clean), c.mirrored(self.latent, self.driver_latent)
            t = torch.sigmoid(torch.randn(len(at)) + 1.2)  # few sampling steps: mostly high noise
            parts.append(flow_loss(self.net, clean, c, t) * len(at) / batch)
        return torch.stack(parts).sum()


def _own(chosen: Tensor, starts: Tensor) -> Tensor:
    """Which references `[R]` lie in or next to each window `[n]`, `[n, R]` bool: no chunk is its own reference."""
    offset = chosen[None] - starts[:, None]
    return (offset > -FRAMES) & (offset < 2 * FRAMES)


def _pad(motion: Motion) -> Motion:
    """Repeat the last frame until chunks with overlap cover the motion."""
    length, step = max(len(motion), FRAMES), FRAMES - OVERLAP
    wanted = FRAMES + -(-(length - FRAMES) // step) * step
    index = torch.arange(wanted).clamp(max=len(motion) - 1)
    return motion[index]


@cache
def load_reference() -> ReferenceGenerator:
    """Load the weights that ship with the package."""
    with as_file(files("cameo.generators") / "weights" / "reference.safetensors") as path:
        return ReferenceGenerator(path.read_bytes())
