"""The surface of a rendered head: an ellipsoid with relief, seen by an orthographic camera.

Every map is `[B, T, H, W]`. `u`, `v`, `w` are head coordinates of the surface under a pixel (right, down, towards the
camera when the head is straight), so features drawn in them turn with the head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cameo.synthetic.motion import Motion
from cameo.synthetic.traits import Traits

HEAD_SCALE = 0.72  # half height of a head, in scene units
VIEW = 64 / 96  # half extent of the picture, in scene units
DEPTH = 0.88  # half depth of the head ellipsoid
JAW_DROP = 0.16  # how far the chin falls at a wide open mouth
LIP_GAP = 0.26  # lip gap at a wide open mouth
CENTRE_Y = -0.08  # the head's rest position, a little above the picture's centre


def soft(x: Tensor, width: float) -> Tensor:
    """Step from 0 to 1 around x = 0 over about `width`."""
    return torch.sigmoid(x / width)


def ridge(x: Tensor, width: float | Tensor) -> Tensor:
    """Bump of height 1 at x = 0."""
    return torch.exp(-((x / width) ** 2))


@dataclass(frozen=True)
class Surface:
    """Hold the head ellipsoid, or one slightly larger, under every pixel."""

    mask: Tensor
    depth: Tensor
    u: Tensor
    v: Tensor
    w: Tensor


class Head:
    """Place one head per clip and frame and answer where its features are."""

    def __init__(self, traits: Traits, motion: Motion, size: int, view: float = VIEW, aspect: float = 1.0) -> None:
        def wide(track: Tensor) -> Tensor:
            return track[:, :, None, None]

        self.traits, self.motion, self.size = traits, motion, size
        self.wide = wide
        device = motion.yaw.device
        self.view, self.aspect = view, aspect

        def axis(pixels: int) -> Tensor:
            return (torch.arange(pixels, device=device) + 0.5) / pixels * 2 - 1

        self.ys = axis(size).view(1, 1, -1, 1) * view
        self.xs = axis(round(size * aspect)).view(1, 1, 1, -1) * (view * aspect)
        self.scale = wide(motion.scale) * HEAD_SCALE
        self.cx, self.cy = wide(motion.dx), wide(motion.dy)
        self.cos_roll, self.sin_roll = torch.cos(wide(motion.roll)), torch.sin(wide(motion.roll))
        self.cos_yaw, self.sin_yaw = torch.cos(wide(motion.yaw)), torch.sin(wide(motion.yaw))
        self.cos_pitch, self.sin_pitch = torch.cos(wide(motion.pitch)), torch.sin(wide(motion.pitch))
        x, y = (self.xs - self.cx) / self.scale, (self.ys - self.cy - CENTRE_Y) / self.scale
        self.x = self.cos_roll * x + self.sin_roll * y
        self.y = -self.sin_roll * x + self.cos_roll * y
        self.pixel = view / (size / 2) / HEAD_SCALE
        self.mouth = wide(motion.mouth)
        self.drop = JAW_DROP * self.mouth
        t = traits
        self.jaw_y = self.cos_pitch * (t.mouth_y + 0.05) - self.sin_pitch * 0.75
        self.fallen = self.drop * soft(self.y - self.jaw_y - 0.03, 0.05)
        self.radii = (t.head_width, t.head_height, DEPTH)

    def _to_head(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        turned = self.cos_yaw * x - self.sin_yaw * z
        ahead = self.sin_yaw * x + self.cos_yaw * z
        return turned, self.cos_pitch * y + self.sin_pitch * ahead, -self.sin_pitch * y + self.cos_pitch * ahead

    def _taper(self, y: Tensor) -> Tensor:
        return 1 - self.traits.jaw_taper * soft(y - self.traits.jaw_start, 0.16)

    def surface(self, grown: float | Tensor = 1.0, offset: tuple[float, float] = (0.0, 0.0)) -> Surface:
        """Intersect every pixel's ray with the ellipsoid, `grown` times as large and moved by `offset` (v, w)."""
        zero = torch.zeros(1, device=self.y.device)
        y = self.y - self.fallen
        origin = self._to_head(self.x / self._taper(y), y, zero)
        ray = self._to_head(zero, zero, zero + 1)
        weights = [1 / (r * grown) ** 2 for r in self.radii]
        start = (origin[0], origin[1] - offset[0], origin[2] - offset[1])
        a = ray[0] ** 2 * weights[0] + ray[1] ** 2 * weights[1] + ray[2] ** 2 * weights[2]
        b = start[0] * ray[0] * weights[0] + start[1] * ray[1] * weights[1] + start[2] * ray[2] * weights[2]
        c = start[0] ** 2 * weights[0] + start[1] ** 2 * weights[1] + start[2] ** 2 * weights[2] - 1
        inside = b**2 - a * c
        depth = (-b + inside.clamp_min(1e-4).sqrt()) / a
        u, v, w = (o + r * depth for o, r in zip(origin, ray, strict=True))
        return Surface(soft(inside, 2.2 * self.pixel), depth, u, v, w)

    def nose_relief(self, u: Tensor, v: Tensor) -> Tensor:
        """Height of the nose over the ellipsoid."""
        t = self.traits
        ramp = ((v - t.eye_y - 0.02) / (t.nose_y - t.eye_y - 0.02)).clamp(0, 1)
        bridge = t.nose_height * ramp**1.3 * ridge(u, t.nose_bridge * (1 + ramp)) * soft(t.nose_y + 0.04 - v, 0.022)
        tip = t.nose_height * 0.35 * torch.exp(-((u / t.nose_width) ** 2 + ((v - t.nose_y + 0.02) / 0.07) ** 2) * 1.8)
        return bridge + tip

    def with_parallax(self, surface: Surface) -> Surface:
        """Shift the texture where the nose stands out, so that it turns as a nose does."""
        height = self.nose_relief(surface.u, surface.v)
        u = surface.u - height * self.sin_yaw * 0.9
        return Surface(surface.mask, surface.depth, u, surface.v + height * self.sin_pitch * 0.9, surface.w)

    def normals(self, depth: Tensor, limit: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
        """Unit normals of a depth map, by central differences."""
        gx, gy = torch.zeros_like(depth), torch.zeros_like(depth)
        gx[..., 1:-1] = (depth[..., 2:] - depth[..., :-2]) / (2 * self.pixel)
        gy[..., 1:-1, :] = (depth[..., 2:, :] - depth[..., :-2, :]) / (2 * self.pixel)
        gx, gy = gx.clamp(-limit, limit), gy.clamp(-limit, limit)
        nz = 1 / torch.sqrt(1 + gx**2 + gy**2)
        return -gx * nz, -gy * nz, nz

    def _project(self, u: Tensor, v: Tensor, raised: bool = True) -> Tensor:
        """Map head coordinates `[B, T or 1, 1, 1]` on the surface to `[B, T, 2]` picture coordinates in -1..1."""
        if raised:  # undo the parallax used while drawing
            height = self.nose_relief(u, v)
            u, v = u + height * self.sin_yaw * 0.9, v - height * self.sin_pitch * 0.9
        a, b, depth = self.radii
        w = depth * (1 - (u / a) ** 2 - (v / b) ** 2).clamp_min(0).sqrt()
        y = self.cos_pitch * v - self.sin_pitch * w
        ahead = self.sin_pitch * v + self.cos_pitch * w
        x = (self.cos_yaw * u + self.sin_yaw * ahead) * self._taper(y)
        px = self.scale * (self.cos_roll * x - self.sin_roll * y) + self.cx
        py = self.scale * (self.sin_roll * x + self.cos_roll * y) + self.cy + CENTRE_Y
        shape = self.motion.yaw.shape
        half = torch.tensor([self.view * self.aspect, self.view], device=px.device)
        return torch.stack([px.expand(*shape, 1, 1)[..., 0, 0], py.expand(*shape, 1, 1)[..., 0, 0]], -1) / half

    def mouth_shape(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Half width, centre height, upper and lower inner lip offsets `[B, T, 1, 1]` of the mouth."""
        t, m = self.traits, self.motion
        smile, pucker = self.wide(m.smile), self.wide(m.pucker)
        half = t.mouth_width * (1 + 0.12 * smile - 0.15 * self.mouth - 0.28 * pucker)
        gap = LIP_GAP * self.mouth
        return half, t.mouth_y - smile * 0.02, -0.25 * gap, 0.75 * gap

    def landmarks(self) -> Tensor:
        """The ten points of `records.LANDMARKS`, `[B, T, 10, 2]`, in -1..1 of the picture."""
        t = self.traits
        half, centre, top, bottom = self.mouth_shape()
        zero, bend = torch.zeros_like(t.eye_x), -self.wide(self.motion.smile) * 0.05
        jaw: Callable[[Tensor], Tensor] = lambda side: self._project(side * 0.93, zero + 0.10, raised=False)  # noqa: E731
        points = [
            self._project(t.lean - t.eye_x, t.eye_y, raised=False),
            self._project(t.lean + t.eye_x, t.eye_y, raised=False),
            self._project(zero, t.nose_y),
            self._project(t.mouth_lean - half, centre + bend + self.drop * 0.25),
            self._project(t.mouth_lean + half, centre + bend + self.drop * 0.25),
            self._project(t.mouth_lean, centre + top),
            self._project(t.mouth_lean, centre + bottom),
            self._project(zero, t.mouth_y + 0.33 + self.drop, raised=False),
            jaw(-t.head_width),
            jaw(t.head_width),
        ]
        return torch.stack(points, 2)
