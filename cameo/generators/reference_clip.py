"""Draw a clip of any length with the reference generator's network: overlapping chunks of eight frames, blended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cameo.generators.base import Motion
from cameo.generators.reference_net import CHANNELS, FRAMES, ReferenceNet, Told, sample_latent

if TYPE_CHECKING:
    from cameo.records import UInt8

OVERLAP = 4  # frames shared by neighbouring chunks
BATCH = 8  # chunks drawn at once


@dataclass(frozen=True, slots=True)
class Take:
    """Say what is drawn: how many frames, on how many cells `(h, w)` of 8 x 8 pixels, from which noise, how."""

    frames: int
    cells: tuple[int, int]
    seed: int
    steps: int


@torch.no_grad()
def draw_clip(
    net: ReferenceNet, take: Take, told: Callable[[Tensor], Told], pulse: Callable[[float], None] | None = None
) -> UInt8:
    """Generate frames `[T, 8 h, 8 w, 3]`.

    Args:
        net: the network.
        take: what is drawn.
        told: given first frames `[n]` of chunks, what the network is told about them.
        pulse: called now and then with the share that is done.
    """
    length, (h, w) = _padded(take.frames), take.cells
    starts = torch.arange(0, length - FRAMES + 1, FRAMES - OVERLAP)
    g = torch.Generator().manual_seed(take.seed)
    cells = torch.randn(CHANNELS, length // 4, h, w, generator=g)
    noise = torch.stack([cells[:, s // 4 : s // 4 + 2] for s in starts.tolist()])
    ramp = torch.cat([torch.linspace(0.1, 1, OVERLAP), torch.linspace(1, 0.1, OVERLAP)]).view(-1, 1, 1, 1)
    total, weight = torch.zeros(length, h * 8, w * 8, 3), torch.zeros(length, 1, 1, 1)
    for k in range(0, len(starts), BATCH):  # a few chunks at once: memory does not grow with the clip
        if pulse is not None:
            pulse(k / len(starts))
        part = slice(k, k + BATCH)
        clean = sample_latent(net, told(starts[part]), take.steps, noise[part])
        for s, frames in zip(starts[part].tolist(), net.latent.decode(clean).clamp(0, 1), strict=True):
            total[s : s + FRAMES] += frames * ramp
            weight[s : s + FRAMES] += ramp
    return np.asarray((total / weight * 255).round().byte()[: take.frames])


def padded_motion(motion: Motion) -> Motion:
    """Repeat the last frame until chunks with overlap cover the motion."""
    return motion[torch.arange(_padded(len(motion))).clamp(max=len(motion) - 1)]


def _padded(length: int) -> int:
    step = FRAMES - OVERLAP
    return FRAMES + -(-(max(length, FRAMES) - FRAMES) // step) * step
