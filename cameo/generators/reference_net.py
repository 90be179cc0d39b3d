"""The reference generator's network: a tiny Wan transformer over the DCT latent, conditioned by input channels.

Input channels per latent cell: noisy latent | nearest warped reference | learned appearance | driver drawing |
position | identity | distance and presence of the reference, presence of the appearance. The network corrects an
analytic estimate (a Wiener filter of the noisy latent around a mixture of reference and appearance), so that an
untrained network already returns what it is shown.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor, nn

from cameo.generators.latent import BlockDct
from cameo.synthetic.traits import IDENTITY_DIM

# The norms keep single precision under autocast, as they should; torch says so once per process.
warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight", category=UserWarning)

SIZE, FRAMES, FPS = 64, 8, 25.0
CHANNELS, DRIVER_CHANNELS, POSITION_CHANNELS, IDENTITY_CHANNELS = 160, 48, 16, 32
TOKENS, TOKEN_DIM = 4, 64
FLAG_CHANNELS = 3  # distance of the reference, whether it is shown, whether the appearance is known
ROWS = 4  # of the prior's statistics: neither, reference only, appearance only, both; see `prior_row`
CONFIG: dict[str, Any] = {
    "patch_size": (1, 1, 1),
    "num_attention_heads": 4,
    "attention_head_dim": 64,
    "in_channels": 3 * CHANNELS + DRIVER_CHANNELS + POSITION_CHANNELS + IDENTITY_CHANNELS + FLAG_CHANNELS,
    "out_channels": CHANNELS,
    "text_dim": TOKEN_DIM,
    "freq_dim": 128,
    "ffn_dim": 512,
    "num_layers": 6,
    "cross_attn_norm": True,
    "rope_max_seq_len": 64,
}


@dataclass(frozen=True)
class Conditions:
    """Hold everything the network is told besides the noisy latent, for `B` chunks.

    driver `[B, 48, T', 8, 8]`; near (warped reference) and learned (appearance) `[B, 160, T', 8, 8]`; distance `[B]` of
    the reference in look (see warp.look); shown, known `[B]` bool: whether reference and appearance are given; identity
    `[B, 32]`; tokens `[B, 4, 64]`; mean `[B, 160, T', 8, 8]` and variance `[B, 160, 1, h, w]` of the target given both;
    trust `[B, 160, 1, 1, 1]`: how much of the network's correction is applied.
    """

    driver: Tensor
    near: Tensor
    learned: Tensor
    distance: Tensor
    shown: Tensor
    known: Tensor
    identity: Tensor
    tokens: Tensor
    mean: Tensor
    variance: Tensor
    trust: Tensor

    def told(self) -> Told:
        """Spread all of it over the cells, in the order of the network's input."""
        b, _, *shape = self.near.shape
        shown, known = (flag.to(self.near.dtype).view(b, 1) for flag in (self.shown, self.known))
        per_clip = torch.cat([self.identity, self.distance.view(b, 1) * shown, known, shown], 1)
        per_clip = per_clip.view(b, -1, 1, 1, 1).expand(-1, -1, *shape)
        place = position_channels((shape[0], shape[1], shape[2]), self.near.device).expand(b, -1, -1, -1, -1)
        near, learned = self.near * shown.view(b, 1, 1, 1, 1), self.learned * known.view(b, 1, 1, 1, 1)
        channels = torch.cat([near, learned, self.driver, place, per_clip], 1)
        return Told(channels, self.tokens, self.mean, self.variance, self.trust)

    def pick(self, index: Tensor | slice) -> Conditions:
        """Take some of the chunks."""
        return Conditions(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def mirrored(self, latent: BlockDct, driver_latent: BlockDct) -> Conditions:
        """Mirror left and right."""
        return replace(
            self,
            driver=driver_latent.mirror(self.driver),
            near=latent.mirror(self.near),
            learned=latent.mirror(self.learned),
            mean=latent.mirror(self.mean),
            variance=self.variance.flip(-1),
        )


@dataclass(frozen=True)
class Told:
    """Hold what the network is told, cell by cell, of one person or of several.

    channels `[B, 419, T', h, w]`: near, learned, driver, place, identity, distance and presence; tokens `[B, K, 64]`;
    mean, variance and trust as in `Conditions`. each_cell: whether every cell is given the time by itself, so that
    what adapts the time can be kept to some cells.
    """

    channels: Tensor
    tokens: Tensor
    mean: Tensor
    variance: Tensor
    trust: Tensor
    each_cell: bool = False


def position_channels(shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Sines and cosines of the cell's place, `[1, 16, T', h, w]`."""
    t, h, w = shape
    y = ((torch.arange(h, device=device) + 0.5) / h * 2 - 1).view(1, 1, h, 1).expand(1, t, h, w)
    x = ((torch.arange(w, device=device) + 0.5) / w * 2 - 1).view(1, 1, 1, w).expand(1, t, h, w)
    waves = [fn(math.pi * k * place) for k in (0.5, 1, 2, 3) for fn in (torch.sin, torch.cos) for place in (y, x)]
    return torch.cat(waves)[None]


def prior_row(shown: Tensor, known: Tensor) -> Tensor:
    """Row of the base's prior statistics `[B]`."""
    return shown.long() + 2 * known.long()


class ReferenceNet(nn.Module):
    """Estimate the clean latent from a noisy one under `Conditions`."""

    near_gain: Tensor
    learned_gain: Tensor
    prior_variance: Tensor
    latent_mean: Tensor
    latent_scale: Tensor
    driver_mean: Tensor
    driver_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.transformer = WanTransformer3DModel(**CONFIG)
        nn.init.zeros_(self.transformer.proj_out.weight)
        nn.init.zeros_(self.transformer.proj_out.bias)
        self.identity = nn.Linear(IDENTITY_DIM, IDENTITY_CHANNELS)
        self.to_tokens = nn.Linear(IDENTITY_DIM, TOKENS * TOKEN_DIM)
        self.no_identity = nn.Parameter(torch.zeros(IDENTITY_CHANNELS))
        self.no_tokens = nn.Parameter(torch.randn(TOKENS, TOKEN_DIM) * 0.5)
        self.register_buffer("near_gain", torch.zeros(ROWS, CHANNELS))
        self.register_buffer("learned_gain", torch.zeros(ROWS, CHANNELS))
        self.register_buffer("prior_variance", torch.ones(ROWS, CHANNELS))
        for name, channels in (("latent", CHANNELS), ("driver", DRIVER_CHANNELS)):
            self.register_buffer(f"{name}_mean", torch.zeros(channels))
            self.register_buffer(f"{name}_scale", torch.ones(channels))

    @property
    def latent(self) -> BlockDct:
        """The latent of frames."""
        return BlockDct(CHANNELS).to(self.device).with_statistics(self.latent_mean, self.latent_scale)

    @property
    def driver_latent(self) -> BlockDct:
        """The latent of driver drawings."""
        return BlockDct(DRIVER_CHANNELS).to(self.device).with_statistics(self.driver_mean, self.driver_scale)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.no_identity.device

    def forward(self, noisy: Tensor, t: Tensor, c: Conditions) -> Tensor:
        """Return the estimated clean latent; noisy `[B, 160, T', 8, 8]`, t `[B]` in 0 (clean) .. 1 (noise)."""
        return self.estimate(noisy, t, c.told())

    def estimate(self, noisy: Tensor, t: Tensor, told: Told) -> Tensor:
        """Return the estimated clean latent of a picture of any size; noisy `[B, 160, T', h, w]`, t `[B]`."""
        tv = t.view(-1, 1, 1, 1, 1)
        total = (1 - tv) ** 2 * told.variance + tv**2
        prior = told.mean + (1 - tv) * told.variance / total * (noisy - (1 - tv) * told.mean)
        cells = noisy[0, 0].numel()
        times = (t * 1000)[:, None].expand(-1, cells) if told.each_cell else t * 1000
        with torch.autocast(noisy.device.type, torch.bfloat16):
            out = self.transformer(
                hidden_states=torch.cat([noisy, told.channels], 1),
                timestep=times,
                encoder_hidden_states=told.tokens,
                return_dict=False,
            )[0]
        return prior + told.trust * (told.variance / total).sqrt() * tv * out.float()


def flow_loss(net: ReferenceNet, clean: Tensor, c: Conditions, t: Tensor, weight: Tensor | None = None) -> Tensor:
    """Rectified-flow velocity loss of a clean-latent estimate, mean over everything.

    Source: X. Liu et al., "Flow straight and fast" (2022): x_t = (1 - t) x + t noise, v = noise - x; an error e of the
    clean estimate is a velocity error e / t, bounded here at t = 0.2. `weight` `[B, 1, 1 or T', h, w]` stresses places.
    """
    tv = t.view(-1, 1, 1, 1, 1)
    estimate = net((1 - tv) * clean + tv * torch.randn_like(clean), t, c)
    error = ((estimate - clean) / tv.clamp_min(0.2)) ** 2
    return (error if weight is None else error * weight).mean()


@torch.no_grad()
def sample_latent(net: ReferenceNet, told: Told, steps: int, noise: Tensor, shift: float = 2.0) -> Tensor:
    """Integrate from noise `[B, 160, T', h, w]` to a clean latent in `steps` Euler steps."""
    x, ts = noise, torch.linspace(1, 0, steps + 1, device=noise.device)
    ts = shift * ts / (1 + (shift - 1) * ts)
    for now, then in zip(ts[:-1], ts[1:], strict=True):
        clean = net.estimate(x, now.expand(len(x)), told)
        x = clean + (x - clean) * (then / now)
    return x
