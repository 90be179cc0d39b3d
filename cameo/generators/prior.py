"""The analytic prior: how well pictures of a person predict the latent that is wanted, by least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


def mixture_gains(target: Tensor, given: Sequence[Tensor]) -> Tensor:
    """Least-squares gains `[K, C]` per channel of K predictors `[N, C, T', h, w]` of a target of that shape."""
    if not given:
        return target.new_zeros(0, target.shape[1])
    square = torch.stack([torch.stack([(a * b).sum((0, 2, 3, 4)) for b in given]) for a in given])
    cross = torch.stack([(a * target).sum((0, 2, 3, 4)) for a in given])
    matrix = square.permute(2, 0, 1)
    size = torch.diagonal(matrix, dim1=1, dim2=2).mean(1).view(-1, 1, 1).clamp_min(1e-6)
    matrix = matrix + 1e-3 * size * torch.eye(len(given), device=matrix.device)
    solved: Tensor = torch.linalg.solve(matrix, cross.T[..., None])
    return solved[..., 0].T


def sharing(target: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Share `[C, h, w]` in 0..1 of `first` against `second` `[N, C, T', h, w]` that predicts the target best.

    Each place is solved from its 3 x 3 neighbours, pulled to the channel's own share by as much evidence again.
    Source: ridge regression towards a prior mean, A. E. Hoerl and R. W. Kennard, "Ridge regression" (1970).
    """
    apart = first - second
    cross, square = (apart * (target - second)).sum((0, 2)), (apart**2).sum((0, 2))
    wanted, evidence = (_near_mean(x) + x.mean((1, 2), keepdim=True) for x in (cross, square))
    return (wanted / evidence.clamp_min(1e-6)).clamp(0, 1)


def residual_variance(residual: Tensor, ceiling: Tensor) -> Tensor:
    """Variance `[C, h, w]` of a residual `[N, C, T', h, w]`: a channel's times a place's, smoothed.

    It is capped at the base's (`ceiling` `[C]`): more noise than the base was trained to remove only stays visible.
    """
    square = residual**2
    overall = square.mean((0, 2, 3, 4)).clamp_min(1e-4)
    place = (square / overall.view(1, -1, 1, 1, 1)).mean((0, 1, 2))[None]
    place = (0.5 * _near_mean(place) + 0.5 * place)[0]
    variance = overall.view(-1, 1, 1) * (0.1 + 0.9 * place)
    return torch.minimum(variance, ceiling.view(-1, 1, 1)).clamp_min(1e-4)


def _near_mean(values: Tensor) -> Tensor:
    """Mean over 3 x 3 neighbouring cells of `[C, h, w]`; the border is repeated."""
    return F.avg_pool2d(F.pad(values[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
