"""A weight-free video latent: a block DCT over 4 frames x 8 x 8 pixels that keeps the strongest coefficients.

A learned autoencoder would need weights fitted on somebody's pictures; a DCT needs none and is exactly linear, so
statistics in pixels and in the latent are the same statistics.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# JFIF RGB -> YCbCr (ITU-T T.871), without the offset.
RGB_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
BLOCK, BLOCK_T = 8, 4
CHROMA_WEIGHT = 0.125  # colour differences carry about an eighth of the luma variance in pictures of faces
SLOPE = 1.1  # coefficient variance falls about as 1 / frequency^2.2
TIME_WEIGHT = 2.0  # one frame step counts as two pixel steps


def dct_matrix(n: int) -> Tensor:
    """Orthonormal DCT-II, `[n, n]`."""
    k, x = torch.arange(n).float().view(-1, 1), torch.arange(n).float().view(1, -1)
    matrix = torch.cos(math.pi * (x + 0.5) * k / n) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix


def _strongest(channels: int) -> Tensor:
    """Indices (colour, t, y, x flattened) of the coefficients with the largest expected variance."""
    t, y, x = torch.meshgrid(
        torch.arange(BLOCK_T) * BLOCK / BLOCK_T * TIME_WEIGHT,
        torch.arange(BLOCK).float(),
        torch.arange(BLOCK).float(),
        indexing="ij",
    )
    luma = 1 / (t**2 + y**2 + x**2 + 0.35) ** SLOPE
    expected = torch.stack([luma, luma * CHROMA_WEIGHT, luma * CHROMA_WEIGHT]).reshape(-1)
    return expected.argsort(descending=True)[:channels].sort().values


class BlockDct:
    """Encode `[B, T, H, W, 3]` video in 0..1 as `[B, channels, T/4, H/8, W/8]`, and back.

    `mean` and `scale` are `[channels]`; `fit` sets them so that the latent has about unit variance while strong
    coefficients keep more of it than weak ones.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.keep = _strongest(channels)
        self.odd_x = (self.keep % BLOCK) % 2 == 1
        self.dct, self.dct_t = dct_matrix(BLOCK), dct_matrix(BLOCK_T)
        self.to_ycc = torch.tensor(RGB_TO_YCC)
        self.from_ycc = torch.linalg.inv(self.to_ycc)
        self.mean, self.scale = torch.zeros(channels), torch.ones(channels)

    def to(self, device: torch.device) -> BlockDct:
        """Move the constants to a device."""
        for name in ("keep", "odd_x", "dct", "dct_t", "to_ycc", "from_ycc", "mean", "scale"):
            setattr(self, name, getattr(self, name).to(device))
        return self

    def with_statistics(self, mean: Tensor, scale: Tensor) -> BlockDct:
        """Use given statistics, each `[channels]`."""
        self.mean, self.scale = mean, scale
        return self

    def fit(self, video: Tensor, gamma: float = 0.5) -> BlockDct:
        """Set mean and scale from video: latent std is (coefficient std) ** gamma, unit rms overall."""
        raw = self._coefficients(video).transpose(0, 1).flatten(1)
        std = raw.std(1)
        std = std.clamp_min(0.05 * float(std.median()) + 1e-3)
        compressed = std**gamma
        self.mean = raw.mean(1) * ~self.odd_x  # a mean that is odd in x would break mirroring
        self.scale = compressed / compressed.pow(2).mean().sqrt() / std
        return self

    def _coefficients(self, video: Tensor) -> Tensor:
        b, t, h, w, _ = video.shape
        blocks = ((video - 0.5) @ self.to_ycc.T).view(b, t // BLOCK_T, BLOCK_T, h // BLOCK, BLOCK, w // BLOCK, BLOCK, 3)
        c = torch.einsum("bntihjwc,pt,qh,rw->bcpqrnij", blocks, self.dct_t, self.dct, self.dct)
        return c.reshape(b, -1, *c.shape[5:])[:, self.keep]

    def encode(self, video: Tensor) -> Tensor:
        """Take `[B, T, H, W, 3]` in 0..1 (T a multiple of 4; H, W of 8) to the latent."""
        return (self._coefficients(video) - self.mean.view(1, -1, 1, 1, 1)) * self.scale.view(1, -1, 1, 1, 1)

    def decode(self, latent: Tensor) -> Tensor:
        """Take the latent back to `[B, T, H, W, 3]`, not clamped."""
        z = latent.float() / self.scale.view(1, -1, 1, 1, 1) + self.mean.view(1, -1, 1, 1, 1)
        b, _, n, i, j = z.shape
        full = torch.zeros(b, 3 * BLOCK_T * BLOCK * BLOCK, n, i, j, device=z.device)
        full = full.index_copy(1, self.keep, z)
        blocks = full.view(b, 3, BLOCK_T, BLOCK, BLOCK, n, i, j)
        video = torch.einsum("bcpqrnij,pt,qh,rw->bntihjwc", blocks, self.dct_t, self.dct, self.dct)
        return video.reshape(b, n * BLOCK_T, i * BLOCK, j * BLOCK, 3) @ self.from_ycc.T + 0.5

    def mirror(self, latent: Tensor) -> Tensor:
        """The latent of the left-right mirrored video."""
        sign = 1 - 2 * self.odd_x.to(latent.dtype)
        return latent.flip(-1) * sign.view(1, -1, 1, 1, 1)
