"""The analytic prior: how well pictures of a person predict the latent that is wanted, by least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

PULL = 1.0  # towards a channel's gain over the whole picture, in units of the mean cell's evidence
GAIN_LIMITS = (-0.25, 1.25)


def mixture_gains(target: Tensor, given: Sequence[Tensor]) -> Tensor:
    """Least-squares gains `[K, C]` per channel of K predictors `[N, C, T', h, w]` of a target of that shape."""
    if not given:
        return target.new_zeros(0, target.shape[1])
    square, cross = _normal_equations(target, given)
    return _solve(square.sum((-2, -1)), cross.sum((-2, -1)))


def mixture_gains_by_place(target: Tensor, given: Sequence[Tensor]) -> Tensor:
    """Least-squares gains `[K, C, h, w]` for every cell, from its 3 x 3 neighbours, pulled to the channel's own.

    Source: ridge regression towards a prior mean, A. E. Hoerl and R. W. Kennard, "Ridge regression" (1970).
    """
    square, cross = _normal_equations(target, given)
    overall = _solve(square.sum((-2, -1)), cross.sum((-2, -1)))
    evidence = torch.diagonal(square.mean((-2, -1)), dim1=0, dim2=1).T  # [K, C]
    pull = PULL * torch.diag_embed(evidence.T).permute(1, 2, 0)[..., None, None]
    wanted = (PULL * evidence * overall)[..., None, None]
    gains = _solve(_near_mean(square) + pull, _near_mean(cross) + wanted)
    return gains.clamp(*GAIN_LIMITS)


def residual_variance(residual: Tensor, ceiling: Tensor) -> Tensor:
    """Variance `[C, h, w]` of a residual `[N, C, T', h, w]`: a channel's times a place's, smoothed.

    It is capped at the base's (`ceiling` `[C]`): more prior noise than the base was trained to remove only stays visible.
    """
    square = residual**2
    overall = square.mean((0, 2, 3, 4)).clamp_min(1e-4)
    place = (square / overall.view(1, -1, 1, 1, 1)).mean((0, 1, 2))[None]
    place = (0.5 * _near_mean(place) + 0.5 * place)[0]
    variance = overall.view(-1, 1, 1) * (0.1 + 0.9 * place)
    return torch.minimum(variance, ceiling.view(-1, 1, 1)).clamp_min(1e-4)


def _normal_equations(target: Tensor, given: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Sums over clips and time of predictor times predictor `[K, K, C, h, w]` and predictor times target."""
    square = torch.stack([torch.stack([(a * b).sum((0, 2)) for b in given]) for a in given])
    return square, torch.stack([(a * target).sum((0, 2)) for a in given])


def _solve(square: Tensor, cross: Tensor) -> Tensor:
    """Solve `[K, K, …] x [K, …] = [K, …]` for every trailing index."""
    count = len(cross)
    matrix = square.flatten(2).permute(2, 0, 1)
    size = torch.diagonal(matrix, dim1=1, dim2=2).mean(1).view(-1, 1, 1).clamp_min(1e-6)
    matrix = matrix + 1e-3 * size * torch.eye(count, device=matrix.device)
    solved = torch.linalg.solve(matrix, cross.flatten(1).T[..., None])
    return solved[..., 0].T.reshape(cross.shape)


def _near_mean(values: Tensor) -> Tensor:
    """Mean over 3 x 3 neighbouring cells of `[…, h, w]`; the border is repeated."""
    shape = values.shape
    planes = F.pad(values.reshape(1, -1, *shape[-2:]), (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(planes, 3, 1).reshape(shape)
