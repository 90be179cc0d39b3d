"""Light, colours and backgrounds of a rendered scene, drawn once per clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cameo.synthetic.head import VIEW, soft


class Dice:
    """Draw per-clip constants shaped to broadcast over `[B, T, H, W]`."""

    def __init__(self, clips: int, generator: torch.Generator) -> None:
        self.clips, self.generator = clips, generator

    def uniform(self, low: float, high: float) -> Tensor:
        """`[B, 1, 1, 1]`, uniform in low..high."""
        unit = torch.rand(self.clips, 1, 1, 1, generator=self.generator, device=self.generator.device)
        return unit * (high - low) + low

    def colour(self, saturation: float) -> Tensor:
        """`[B, 1, 1, 1, 3]`, a random colour."""
        shape, g = (self.clips, 1, 1, 1, 3), self.generator
        full = torch.rand(shape, generator=g, device=g.device) * 0.85 + 0.04
        keep = (self.uniform(0, 1) * saturation)[..., None]
        return full * keep + full.mean(-1, keepdim=True) * (1 - keep)


@dataclass(frozen=True)
class Light:
    """One lamp and the room's ambient light; `direction` x, y, z are `[B, 1, 1, 1]`."""

    direction: tuple[Tensor, Tensor, Tensor]
    ambient: Tensor
    lamp: Tensor
    tint: Tensor

    @classmethod
    def draw(cls, dice: Dice) -> Light:
        """Place the lamp anywhere in front, mostly above."""
        side, above = dice.uniform(-1.3, 1.3), dice.uniform(-0.8, 0.25)
        direction = (torch.sin(side) * torch.cos(above), torch.sin(above), torch.cos(side) * torch.cos(above))
        tint = 1 + torch.stack([dice.uniform(-0.1, 0.12), dice.uniform(-0.02, 0.02), dice.uniform(-0.12, 0.1)], -1)
        return cls(direction, dice.uniform(0.3, 0.75), dice.uniform(0.25, 0.75), tint)

    def diffuse(self, normals: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Brightness of a matt surface."""
        facing = sum(n * d for n, d in zip(normals, self.direction, strict=True)) * 0.8 + 0.2
        return self.ambient + self.lamp * torch.as_tensor(facing).clamp_min(0)

    def gloss(self, normals: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Brightness of a highlight (Blinn's half vector, the viewer on the z axis)."""
        x, y, z = self.direction
        length = torch.sqrt(x**2 + y**2 + (z + 1) ** 2)
        half = (normals[0] * x + normals[1] * y + normals[2] * (z + 1)) / length
        return half.clamp_min(0) ** 24


def paint_background(xs: Tensor, ys: Tensor, dice: Dice) -> Tensor:
    """A gradient with soft boxes, `[B, 1, H, W, 3]`."""
    slope = dice.uniform(-1, 1) * xs + dice.uniform(-1, 1) * ys
    mix = torch.sigmoid(slope * dice.uniform(0.5, 4))[..., None]
    picture = dice.colour(0.7) * (1 - mix) + dice.colour(0.7) * mix
    for _ in range(5):
        left, top, edge = dice.uniform(-1.1, 0.9), dice.uniform(-1.1, 0.9), torch.exp(dice.uniform(-4.6, -2.0))
        right, bottom = left + dice.uniform(0.06, 0.7), top + dice.uniform(0.06, 0.9)
        inside = torch.sigmoid((xs - left) / edge) * torch.sigmoid((right - xs) / edge)
        inside = inside * torch.sigmoid((ys - top) / edge) * torch.sigmoid((bottom - ys) / edge)
        shown = (inside * (dice.uniform(0, 1) < 0.6) * 0.85)[..., None]
        picture = picture * (1 - shown) + dice.colour(0.9) * shown
    return picture


def camera(picture: Tensor, dice: Dice) -> Tensor:
    """Apply exposure and gamma; keep values in 0..1."""
    gain, gamma = dice.uniform(0.65, 1.2)[..., None], dice.uniform(0.8, 1.3)[..., None]
    return (picture.clamp_min(0) * gain).clamp(0, 1) ** gamma


def over(below: Tensor, above: Tensor, mask: Tensor) -> Tensor:
    """Blend a colour over a picture where the mask `[B, T, H, W]` is 1."""
    alpha = mask[..., None]
    return below * (1 - alpha) + above * alpha


def vignette(xs: Tensor, ys: Tensor, strength: Tensor) -> Tensor:
    """Darken the corners, `[B, 1, H, W]`."""
    return 1 - strength * soft(torch.sqrt(xs**2 + ys**2) / VIEW - 1.1, 0.15)
