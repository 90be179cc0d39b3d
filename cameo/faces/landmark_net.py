"""A small network that finds ten landmarks, the eyes' openness and the lips' gap in a face crop.

Fitted on rendered people only (`benchmarks/training/fit_landmarks.py`). Input `[N, 1, 64, 64]`: the crop in grey,
divided by its local contrast. Points come out of a soft arg-max over 32 x 32 maps, so they follow the picture.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

CROP = 64  # pixels of the network's square input
MAP = 32
POINTS = 10


def normalise(grey: Tensor) -> Tensor:
    """Divide out local brightness and contrast of `[N, 1, 64, 64]` in 0..1, so that light and skin tone matter less."""
    centred = grey - _box_mean(grey)
    spread = _box_mean(centred**2).sqrt()
    overall = centred.flatten(1).std(1).view(-1, 1, 1, 1)
    return centred / (spread + 0.5 * overall + 0.01)


def _box_mean(values: Tensor) -> Tensor:
    rows = F.avg_pool2d(F.pad(values, (8, 8, 0, 0), mode="replicate"), (1, 17), 1)
    return F.avg_pool2d(F.pad(rows, (0, 0, 8, 8), mode="replicate"), (17, 1), 1)


def _block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class LandmarkNet(nn.Module):
    """Map crops to points `[N, 10, 2]` in -1..1 of the crop, eye openness and lip gap (inter-eye distances) `[N]`."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_block(1, 24, 2), _block(24, 24))
        self.middle = nn.Sequential(_block(24, 48, 2), _block(48, 48))
        self.coarse = nn.Sequential(_block(48, 96, 2), _block(96, 96), _block(96, 128, 2), _block(128, 128))
        self.up_middle = nn.Sequential(_block(128 + 48, 64), _block(64, 48))
        self.up_fine = nn.Sequential(_block(48 + 24, 32), nn.Conv2d(32, POINTS, 3, 1, 1))
        self.scalars = nn.Sequential(
            nn.Flatten(), nn.Linear(128 * 16 + 48 * 16, 96), nn.ReLU(inplace=True), nn.Linear(96, 2)
        )

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return points, eye openness 0..1, lip gap (0 or more)."""
        fine = self.fine(crops)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        up = self.up_middle(torch.cat([F.interpolate(coarse, size=middle.shape[-2:]), middle], 1))
        maps = self.up_fine(torch.cat([F.interpolate(up, size=fine.shape[-2:]), fine], 1))
        pooled = torch.cat([coarse.flatten(1), F.adaptive_avg_pool2d(up, 4).flatten(1)], 1)
        eye, gap = self.scalars(pooled).unbind(1)
        return soft_argmax(maps), torch.sigmoid(eye), F.softplus(gap - 2)


def soft_argmax(maps: Tensor) -> Tensor:
    """Expected place of each map `[N, P, h, w]`, `[N, P, 2]` in -1.5..1.5, so that points may lie outside the crop."""
    n, p, h, w = maps.shape
    weight = maps.flatten(2).softmax(-1).view(n, p, h, w)
    xs = (torch.arange(w, device=maps.device) + 0.5) / w * 3 - 1.5
    ys = (torch.arange(h, device=maps.device) + 0.5) / h * 3 - 1.5
    return torch.stack([(weight.sum(2) * xs).sum(-1), (weight.sum(3) * ys).sum(-1)], -1)
