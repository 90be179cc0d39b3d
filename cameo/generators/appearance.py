"""A person's appearance: how the texture of the face changes with its motion, learned from footage in closed form.

Every frame is bent to the person's neutral shape, and each pixel is regressed on a few measures of the motion (head
turn, eyes, mouth). Drawing goes the other way: predict the texture of a motion, bend it to the motion's points.

Source: the texture half of active appearance models, T. F. Cootes, G. J. Edwards and C. J. Taylor (1998), with the
parameters given by the motion instead of searched for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from cameo.generators.warp import LIP_BOTTOM, LIP_TOP, UPPER_SHARE, warp_to

if TYPE_CHECKING:
    from cameo.generators.base import Motion
    from cameo.records import Float32, UInt8

MEASURES = 6  # yaw, pitch, roll, eyes, lips' parting, mouth's width
REACH = 2.5  # standard deviations; a texture is not extrapolated further
RIDGE = 0.5  # on persons a-d of benchmarks/adapter_gain.py: 0.05 follows noise in the landmarks, 1.0 freezes the face
LEAST_GAP = 0.03  # of the lips, in picture half extents: closer points would fold the picture
LEAST_SPREAD = 1e-3
REGISTER_ROUNDS = 3
FLOW_SCALE = 2  # the flow is found on enlarged frames
FLOW_SIGMA_PX, FLOW_LIMIT_PX = 2.0, 2.0  # smoothness and reach of the flow, in pixels of a frame
EYE_L, EYE_R, NOSE, MOUTH_L, MOUTH_R = range(5)
WITH_LIPS = tuple(range(10))


def measure(motion: Motion) -> Tensor:
    """Measures of a motion `[T, 6]`, free of the face's place and size in the picture."""
    p = motion.points
    eyes = (p[:, EYE_L] + p[:, EYE_R]) / 2
    across = p[:, EYE_R] - p[:, EYE_L]
    apart = across.norm(dim=1)
    size = (apart + ((p[:, MOUTH_L] + p[:, MOUTH_R]) / 2 - eyes).norm(dim=1)) / 2
    x_axis = across / apart[:, None].clamp_min(1e-6)
    y_axis = torch.stack([-x_axis[:, 1], x_axis[:, 0]], 1)
    nose = p[:, NOSE] - eyes
    yaw, pitch = (nose * x_axis).sum(1) / size, (nose * y_axis).sum(1) / size
    roll = torch.atan2(across[:, 1], across[:, 0])
    gap = (p[:, LIP_BOTTOM] - p[:, LIP_TOP]).norm(dim=1) / apart
    width = ((p[:, MOUTH_R] - p[:, MOUTH_L]) * x_axis).sum(1) / size
    return torch.stack([yaw, pitch, roll, motion.eye_open, gap, width], 1)


@dataclass(frozen=True)
class Appearance:
    """Hold how a person looks in motion.

    textures `[7, S, S, 3]`, the constant one and one per measure; scale `[2, 6]`, mean and deviation of the measures;
    shape `[10, 2]`, the neutral points that the textures have.
    """

    textures: Tensor
    scale: Tensor
    shape: Tensor

    def draw(self, motion: Motion) -> Tensor:
        """Draw the person along a motion, `[T, S, S, 3]` in 0..1."""
        levels = _levels(motion, self.scale)
        texture = (levels @ self.textures.flatten(1)).view(-1, *self.textures.shape[1:]).clamp(0, 1)
        shape = _parted(self.shape).expand(len(levels), -1, -1)
        return warp_to(texture, shape, _parted(motion.points), WITH_LIPS).clamp(0, 1)


@dataclass(frozen=True)
class Straightened:
    """Hold frames bent to the neutral shape, `[T, S, S, 3]`, so that appearances of parts of them fit quickly."""

    frames: Tensor
    motion: Motion
    shape: Tensor

    def back(self) -> Tensor:
        """Bend the frames back to the points of their own motion."""
        shape = _parted(self.shape).expand(len(self.frames), -1, -1)
        return warp_to(self.frames, shape, _parted(self.motion.points), WITH_LIPS).clamp(0, 1)

    def fit(self, index: Tensor) -> Appearance:
        """Fit an appearance to some of the frames, by ridge regression."""
        measures = measure(self.motion[index])
        scale = torch.stack([measures.mean(0), measures.std(0).clamp_min(LEAST_SPREAD)])
        levels = _levels(self.motion[index], scale)
        penalty = RIDGE * len(levels) * torch.eye(MEASURES + 1, device=levels.device)
        penalty[0, 0] = 0
        frames = self.frames[index]
        fitted = torch.linalg.solve(levels.T @ levels + penalty, levels.T @ frames.flatten(1))
        return Appearance(fitted.view(-1, *frames.shape[1:]), scale, self.shape)


def register(straight: Straightened) -> Straightened:
    """Bring frames into register with the appearance fitted to them, in turns, so that it gets sharper.

    Landmarks are a pixel or so off; an average over frames that are is blurred. On persons a-d of
    benchmarks/adapter_gain.py this lifts the mean likeness from 0.881 to 0.899.

    Source: dense flow by T. Kroeger, R. Timofte, D. Dai and L. Van Gool, "Fast optical flow using dense inverse
    search" (2016); fit and alignment in turns as in T. Vetter, M. J. Jones and T. Poggio, "A bootstrapping algorithm
    for learning linear models of object classes" (1997).
    """
    everything = torch.arange(len(straight.frames))
    moved = straight
    for _ in range(REGISTER_ROUNDS):
        appearance = moved.fit(everything)
        wanted = (_levels(straight.motion, appearance.scale) @ appearance.textures.flatten(1)).view_as(straight.frames)
        pairs = zip(straight.frames.numpy(), wanted.clamp(0, 1).numpy(), strict=True)
        moved = replace(straight, frames=torch.from_numpy(np.stack([_follow(frame, to) for frame, to in pairs])))
    return moved


def _follow(frame: Float32, wanted: Float32) -> Float32:
    """Move the pixels of one frame `[S, S, 3]` by smooth flow to where another has them."""
    size = len(frame)
    flow = _flow().calc(_large_grey(wanted), _large_grey(frame), None)
    flow = cv2.GaussianBlur(flow, (0, 0), FLOW_SIGMA_PX * FLOW_SCALE)
    flow = cv2.resize(flow, (size, size), interpolation=cv2.INTER_AREA) / FLOW_SCALE
    flow = flow.clip(-FLOW_LIMIT_PX, FLOW_LIMIT_PX)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    moved = cv2.remap(frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


@cache
def _flow() -> cv2.DISOpticalFlow:
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def _large_grey(frame: Float32) -> UInt8:
    grey = cv2.cvtColor((frame.clip(0, 1) * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, None, fx=FLOW_SCALE, fy=FLOW_SCALE, interpolation=cv2.INTER_CUBIC), np.uint8)


def straighten(frames: Tensor, motion: Motion, shape: Tensor) -> Straightened:
    """Bend frames `[T, S, S, 3]` in 0..1 to a shape `[10, 2]`."""
    target = _parted(shape).expand(len(frames), -1, -1)
    return Straightened(warp_to(frames, _parted(motion.points), target, WITH_LIPS), motion, shape)


def _levels(motion: Motion, scale: Tensor) -> Tensor:
    """A constant, then the measures in standard deviations, `[T, 7]`."""
    levels = ((measure(motion) - scale[0]) / scale[1]).clamp(-REACH, REACH)
    return torch.cat([torch.ones_like(levels[:, :1]), levels], 1)


def _parted(points: Tensor) -> Tensor:
    """Keep the lips of points `[…, 10, 2]` a little apart."""
    points = points.clone()
    missing = (LEAST_GAP - points[..., LIP_BOTTOM, 1] + points[..., LIP_TOP, 1]).clamp_min(0)
    points[..., LIP_TOP, 1] -= UPPER_SHARE * missing
    points[..., LIP_BOTTOM, 1] += (1 - UPPER_SHARE) * missing
    return points
