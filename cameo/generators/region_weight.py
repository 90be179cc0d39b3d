"""Weigh a training loss towards the face: eyes and mouth most, the head some, the rest least.

Points are `[…, 10, 2]`, x right and y down in -1..1 of the picture, in `records.LANDMARKS` order. The same masks serve
every generator, at the size of its latent.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

EYE_L, EYE_R, MOUTH_L, MOUTH_R, CHIN, JAW_L, JAW_R = 0, 1, 3, 4, 7, 8, 9
HEAD = 0.5  # of what eyes and mouth have
# Where a head lies about its points, in units of them; the outline is that of the renderer's heads, `warp.draw_driver`.
CENTRE_DOWN, HALF_LENGTH, HALF_WIDTH = 0.35, 0.9, 0.55
EYE_REACH, MOUTH_REACH = 0.35, 0.7  # of the distance between the eyes, and of the mouth's width
EDGE = 4.0  # how fast the outline falls off
FINER = 4  # a latent cell is wide: the mask is drawn this much finer and averaged


def face_mask(points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Draw how much of a face each place is, `[T, h, w]` in 0..1, from points `[T, 10, 2]`.

    The edges are soft, so that none is learned.
    """
    h, w = shape
    aspect = w / h
    ys = ((torch.arange(h * FINER) + 0.5) / (h * FINER) * 2 - 1).view(1, -1, 1)
    xs = ((torch.arange(w * FINER) + 0.5) / (w * FINER) * 2 - 1).view(1, 1, -1) * aspect
    place = points * torch.tensor([aspect, 1.0])
    fine = torch.maximum(HEAD * _outline(place, xs, ys), torch.maximum(_eyes(place, xs, ys), _mouth(place, xs, ys)))
    return F.avg_pool2d(fine[:, None], FINER)[:, 0]


def face_weights(points: Tensor, shape: tuple[int, int, int], factor: float) -> Tensor:
    """Weights `[B, 1, t, h, w]` of a latent of `shape`, mean 1, for windows of points `[B, T, 10, 2]`.

    Eyes and mouth weigh `factor` times as much as a place without a face. A latent step has the mean mask of its
    frames. With mean 1 the learning rate means the same, whatever the factor.
    """
    steps, h, w = shape
    windows, frames = points.shape[:2]
    mask = face_mask(points.flatten(0, 1), (h, w)).view(windows, 1, frames, h, w)
    weights = 1 + (factor - 1) * F.adaptive_avg_pool3d(mask, (steps, h, w))
    return weights / weights.mean((2, 3, 4), keepdim=True)


def _outline(points: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """The head as an ellipse along the line from the eyes to the chin."""
    eyes = (points[:, EYE_L] + points[:, EYE_R]) / 2
    down = points[:, CHIN] - eyes
    length = down.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    axis, centre = down / length, eyes + CENTRE_DOWN * down
    across = (points[:, JAW_R] - points[:, JAW_L]).norm(dim=-1, keepdim=True).clamp_min(1e-3)
    dx, dy = xs - _wide(centre[:, :1]), ys - _wide(centre[:, 1:])
    ax, ay = _wide(axis[:, :1]), _wide(axis[:, 1:])
    along, aside = (dx * ax + dy * ay) / _wide(HALF_LENGTH * length), (dx * ay - dy * ax) / _wide(HALF_WIDTH * across)
    return torch.sigmoid(EDGE * (1 - along**2 - aside**2))


def _eyes(points: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    reach = EYE_REACH * (points[:, EYE_R] - points[:, EYE_L]).norm(dim=-1, keepdim=True)
    return torch.maximum(_spot(points[:, EYE_L], reach, xs, ys), _spot(points[:, EYE_R], reach, xs, ys))


def _mouth(points: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    reach = MOUTH_REACH * (points[:, MOUTH_R] - points[:, MOUTH_L]).norm(dim=-1, keepdim=True)
    return _spot((points[:, MOUTH_L] + points[:, MOUTH_R]) / 2, reach, xs, ys)


def _spot(centre: Tensor, reach: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    squared = (xs - _wide(centre[:, :1])) ** 2 + (ys - _wide(centre[:, 1:])) ** 2
    return torch.exp(-squared / _wide(reach).clamp_min(1e-3) ** 2)


def _wide(values: Tensor) -> Tensor:
    """View `[T, 1]` as `[T, 1, 1]`."""
    return values[..., None]
