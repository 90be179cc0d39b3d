"""Head pose and expression over time, for rendered people."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Motion:
    """Track a head through time; every field is `[B, T]`.

    yaw, pitch, roll: radians; yaw > 0 turns the nose to the picture's right. mouth: 0 closed .. 1 wide open.
    pucker, smile, brow: -1..1. blink: 0 open .. 1 closed. dx, dy: offset in picture half extents. scale: factor.
    gaze: -1..1, sideways.
    """

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    mouth: Tensor
    pucker: Tensor
    smile: Tensor
    brow: Tensor
    blink: Tensor
    dx: Tensor
    dy: Tensor
    scale: Tensor
    gaze: Tensor

    def joined(self, other: Motion) -> Motion:
        """Append another track in time."""
        return Motion(*(torch.cat([getattr(self, f.name), getattr(other, f.name)], 1) for f in fields(self)))


class _Draw:
    """Random slow curves and constants for `B` clips of `T` frames."""

    def __init__(self, clips: int, frames: int, fps: float, generator: torch.Generator) -> None:
        self.clips, self.frames, self.fps, self.generator = clips, frames, fps, generator

    def uniform(self, low: float, high: float) -> Tensor:
        unit = torch.rand(self.clips, 1, generator=self.generator, device=self.generator.device)
        return unit * (high - low) + low

    def still(self, spread: float) -> Tensor:
        return torch.randn(self.clips, 1, generator=self.generator, device=self.generator.device) * spread

    def slow(self, amplitude: float, low_hz: float = 0.15, high_hz: float = 0.7, waves: int = 3) -> Tensor:
        """Sum a few sinusoids of random frequency and phase, `[B, T]`."""
        shape, g = (self.clips, waves, 1), self.generator
        t = torch.arange(self.frames, device=g.device) / self.fps
        hz = torch.rand(shape, generator=g, device=g.device) * (high_hz - low_hz) + low_hz
        phase = torch.rand(shape, generator=g, device=g.device) * 2 * math.pi
        size = torch.randn(shape, generator=g, device=g.device)
        return amplitude * (size * torch.sin(2 * math.pi * hz * t + phase)).sum(1) / math.sqrt(waves)


def sample_motion(clips: int, frames: int, generator: torch.Generator, pose: float = 1.0) -> Motion:
    """Draw `clips` tracks of `frames` frames at 20 to 30 frames a second; `pose` scales how far heads turn."""
    fps = 20 + 10 * torch.rand(1, generator=generator, device=generator.device).item()
    d = _Draw(clips, frames, fps, generator)
    talks = (d.uniform(0, 1) < 0.8).float()
    loud = d.uniform(0.25, 1.0)
    since = torch.arange(frames, device=generator.device).view(1, frames) - d.uniform(0, 1) * fps * 3
    return Motion(
        yaw=((d.slow(0.14) + d.still(0.20)) * pose).clamp(-0.75, 0.75),
        pitch=((d.slow(0.08) + d.still(0.10)) * pose).clamp(-0.38, 0.38),
        roll=d.slow(0.04) + d.still(0.07),
        mouth=((d.slow(0.65, 0.8, 3.5) + 0.2) * loud).clamp(0, 1) * talks,
        pucker=(d.slow(0.45, 0.5, 2.5) * talks + d.still(0.15)).clamp(-0.7, 1),
        smile=(d.slow(0.3) + d.still(0.4)).clamp(-0.6, 1),
        brow=(d.slow(0.35) + d.still(0.25)).clamp(-1, 1),
        blink=torch.exp(-((since / fps / 0.09) ** 2)),
        dx=d.slow(0.025) + d.still(0.05),
        dy=d.slow(0.02) + d.still(0.05),
        scale=torch.exp(d.still(0.09) + d.slow(0.015)),
        gaze=d.slow(0.25) + d.still(0.25),
    )
