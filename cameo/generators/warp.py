"""Bend a reference frame to a target pose, and draw the pose for the network.

Points are `[N, 10, 2]`, x right and y down in -1..1 of the picture, in `records.LANDMARKS` order.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

# Eyes, nose, mouth corners, chin, jaw. No lips: a closing mouth would fold the picture; the network redraws it.
WARP_POINTS = (0, 1, 2, 3, 4, 7, 8, 9)
LIP_TOP, LIP_BOTTOM, CHIN = 5, 6, 7
UPPER_SHARE = 0.25  # of the lips' parting is done by the upper lip
_GRID = (-1.3, -0.45, 0.45, 1.3)
ANCHORS = tuple((x, y) for x in _GRID for y in _GRID if max(abs(x), abs(y)) > 1)
BATCH = 64  # frames bent at once: each takes a few MB of distances while it is bent
STIFFNESS = 0.04  # ridge on the spline: landmark noise should not fold the picture


def pixel_grid(size: int, device: torch.device) -> Tensor:
    """Pixel centres, `[size * size, 2]` in -1..1."""
    axis = (torch.arange(size, device=device) + 0.5) / size * 2 - 1
    ys, xs = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([xs, ys], -1).view(-1, 2)


def _kernel(from_points: Tensor, to_points: Tensor) -> Tensor:
    """Thin-plate kernel of points `[…, A, 2]` to others `[…, B, 2]`, `[…, A, B]`."""
    x = from_points[..., :, None, 0] - to_points[..., None, :, 0]
    y = from_points[..., :, None, 1] - to_points[..., None, :, 1]
    squared = x * x + y * y  # a sum over an axis of two takes several times as long
    return squared * torch.log(squared + 1e-6)


@cache
def _fixed_basis(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres, and that part of the spline's basis at them which no face changes, `[size * size, 12 + 3]`."""
    grid = pixel_grid(size, device)
    affine = torch.cat([torch.ones(size * size, 1, device=device), grid], 1)
    return grid, torch.cat([_kernel(grid, torch.tensor(ANCHORS, device=device)), affine], 1)


def warp_to(frames: Tensor, source: Tensor, target: Tensor, used: tuple[int, ...] = WARP_POINTS) -> Tensor:
    """Bend square frames `[N, H, W, 3]` so that points `source` land on `target`; the border stays put.

    Only the points `used` are moved. Resampling is bicubic (sharper than linear) and can overshoot 0..1 a little.

    Source: thin-plate spline, F. L. Bookstein, "Principal warps" (1989), solved for the inverse map.
    """
    batches = zip(frames.split(BATCH), source.split(BATCH), target.split(BATCH), strict=True)
    return torch.cat([_warp(*batch, used) for batch in batches])


def _warp(frames: Tensor, source: Tensor, target: Tensor, used: tuple[int, ...]) -> Tensor:
    n, size, device = frames.shape[0], frames.shape[1], frames.device
    anchors = torch.tensor(ANCHORS, device=device).expand(n, -1, -1)
    src = torch.cat([source[:, used], anchors], 1)
    dst = torch.cat([target[:, used], anchors], 1)
    k = dst.shape[1]
    bend = _kernel(dst, dst) + STIFFNESS * torch.eye(k, device=device)
    affine = torch.cat([torch.ones(n, k, 1, device=device), dst], 2)
    upper = torch.cat([bend, affine], 2)
    lower = torch.cat([affine.transpose(1, 2), torch.zeros(n, 3, 3, device=device)], 2)
    wanted = torch.cat([src - dst, torch.zeros(n, 3, 2, device=device)], 1)
    weights = torch.linalg.solve(torch.cat([upper, lower], 1), wanted)
    grid, fixed = _fixed_basis(size, device)
    own, rest = weights.split([len(used), weights.shape[1] - len(used)], 1)
    shift = _kernel(grid[None], target[:, used]) @ own + fixed @ rest
    where = (grid + shift).view(n, size, size, 2)
    planes = frames.permute(0, 3, 1, 2)
    moved = F.grid_sample(planes, where, mode="bicubic", padding_mode="border", align_corners=False)
    return moved.permute(0, 2, 3, 1)


def draw_driver(points: Tensor, eye_open: Tensor, size: int) -> Tensor:
    """Draw landmarks `[N, 10, 2]` and eye openness `[N]` as a picture `[N, size, size, 3]` in 0..1."""
    n = len(points)
    grid = pixel_grid(size, points.device)
    xs, ys = grid[:, 0].view(1, size, size), grid[:, 1].view(1, size, size)

    def at(i: int) -> tuple[Tensor, Tensor]:
        return points[:, i, 0].view(n, 1, 1), points[:, i, 1].view(n, 1, 1)

    (jaw_lx, _), (jaw_rx, _), (_, chin_y), (_, eye_y0), (_, eye_y1) = at(8), at(9), at(7), at(0), at(1)
    width = (points[:, 9] - points[:, 8]).norm(dim=-1).clamp_min(0.2).view(n, 1, 1)

    def blob(i: int, radius: float) -> Tensor:
        x, y = at(i)
        return torch.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (radius * width) ** 2)

    brow = (eye_y0 + eye_y1) / 2
    centre = (jaw_lx + jaw_rx) / 2
    outline = 1 - ((xs - centre) / (width * 0.55)) ** 2 - ((ys - brow) / ((chin_y - brow).abs() + 0.1)) ** 2
    head = torch.sigmoid(outline * 3)
    eyes = (blob(0, 0.10) + blob(1, 0.10)) * (0.2 + 0.8 * eye_open.view(n, 1, 1))
    (left_x, _), (right_x, _), (_, top), (_, bottom) = at(3), at(4), at(5), at(6)
    half = ((right_x - left_x) / 2).abs() + 0.02
    gap = (bottom - top).clamp_min(0) / 2
    inside = 1 - ((xs - (left_x + right_x) / 2) / half) ** 2 - ((ys - (top + bottom) / 2) / (gap + 0.02)) ** 2
    mouth = torch.sigmoid(inside * 3) * (gap / (gap + 0.03))
    corners = blob(3, 0.07) + blob(4, 0.07)
    grey = 0.45 * head + 0.35 * blob(2, 0.09) - 0.5 * eyes + 0.5 * mouth - 0.25 * corners
    red = mouth + 0.5 * corners
    return (torch.stack([grey + 0.3 * red, grey, grey + 0.3 * eyes], -1) * 0.6 + 0.3).clamp(0, 1)


def look(points: Tensor, eye_open: Tensor) -> Tensor:
    """Feature vector `[N, 21]` whose distance says how different two frames of one person look."""
    return torch.cat([points.flatten(1), eye_open[:, None] * 0.4], 1)
