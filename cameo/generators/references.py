"""Reference frames of a person, their statistics, and the conditions they give for a motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from cameo.errors import NotVerified
from cameo.generators.base import Footage, Motion
from cameo.generators.reference_net import (
    CHANNELS,
    FRAMES,
    IDENTITY_CHANNELS,
    SIZE,
    TOKEN_DIM,
    TOKENS,
    Conditions,
    ReferenceNet,
)
from cameo.generators.warp import draw_driver, look, warp_to

REFERENCES = 16
GRID = SIZE // 8
HABITS = 5  # principal motions kept for casting without borrowed motion
# Sealed tensors, their shapes (None: any length up to 64) and types.
LAYOUT: dict[str, tuple[tuple[int | None, ...], torch.dtype]] = {
    "frames": ((None, SIZE, SIZE, 3), torch.uint8),
    "points": ((None, 10, 2), torch.float32),
    "eye_open": ((None,), torch.float32),
    "gain": ((CHANNELS,), torch.float32),
    "variance": ((CHANNELS, GRID, GRID), torch.float32),
    "identity": ((IDENTITY_CHANNELS,), torch.float32),
    "tokens": ((TOKENS, TOKEN_DIM), torch.float32),
    "neutral": ((21,), torch.float32),
    "habits": ((HABITS, 21), torch.float32),
}


@dataclass
class ReferenceIdentity:
    """Sixteen frames that differ most in pose, how well they predict the person, learned inputs, habits of motion.

    frames `[R, 64, 64, 3]` uint8, points `[R, 10, 2]`, eye_open `[R]`; gain `[160]` and variance `[160, 8, 8]` of the
    target given the nearest warped frame; identity `[32]`, tokens `[4, 64]` learned; neutral `[21]` mean look, habits
    `[5, 21]` principal motions scaled to one standard deviation.
    """

    frames: Tensor
    points: Tensor
    eye_open: Tensor
    gain: Tensor
    variance: Tensor
    identity: nn.Parameter
    tokens: nn.Parameter
    neutral: Tensor
    habits: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return what is sealed, by name."""
        return {name: getattr(self, name).detach().contiguous() for name in LAYOUT}

    def trainable(self) -> list[nn.Parameter]:
        """Return the learned inputs."""
        return [self.identity, self.tokens]

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> ReferenceIdentity:
        """Check names, shapes, types and finiteness, then rebuild.

        Raises:
            NotVerified: the tensors are not an identity of this generator.
        """
        if set(tensors) != set(LAYOUT):
            raise NotVerified("the sealed identity holds other tensors than this generator's", "enrol again")
        for name, (shape, kind) in LAYOUT.items():
            t = tensors[name]
            fits = t.ndim == len(shape) and all(w is None or w == n for w, n in zip(shape, t.shape, strict=False))
            fits = fits and t.dtype == kind and 0 < len(t) <= max(64, CHANNELS)
            if not fits or not bool(t.float().isfinite().all()):
                raise NotVerified(f"the sealed identity's '{name}' has a wrong shape, type or value", "enrol again")
        learned = {name: nn.Parameter(tensors[name].clone()) for name in ("identity", "tokens")}
        values: dict[str, Any] = {**tensors, **learned}
        return cls(**values)


def choose_references(footage: Footage, count: int = REFERENCES) -> Tensor:
    """Frames that differ most in pose (farthest-point sampling over `look`), starting near the mean; indices."""
    usable = torch.nonzero(footage.usable).flatten()
    flat = look(footage.motion.points[usable], footage.motion.eye_open[usable])
    chosen = [int((flat - flat.median(0).values).norm(dim=1).argmin())]
    nearest = (flat - flat[chosen[0]]).norm(dim=1)
    limit = torch.quantile((flat - flat.median(0).values).norm(dim=1), 0.97)  # outliers are tracking errors
    allowed = (flat - flat.median(0).values).norm(dim=1) <= limit
    while len(chosen) < min(count, int(allowed.sum())):
        chosen.append(int(torch.where(allowed, nearest, -1.0).argmax()))
        nearest = torch.minimum(nearest, (flat - flat[chosen[-1]]).norm(dim=1))
    return usable[torch.tensor(chosen)]


def nearest_references(
    points: Tensor, eyes: Tensor, target: Motion, exclude: Tensor | None = None, rank: int = 0
) -> tuple[Tensor, Tensor]:
    """Pick the `rank`-th and the next most similar references for chunks `[n, T, …]`: indices, distances `[n, 2]`.

    `exclude` `[n, R]` bool: references a chunk must not use.
    """
    mean = look(target.points.mean(1), target.eye_open.mean(1))
    distance = torch.cdist(mean, look(points, eyes))
    hidden = distance if exclude is None else distance + 1e3 * exclude
    order = hidden.argsort(1)
    last = max(0, len(points) - 2)
    pair = order[:, min(rank, last) : min(rank, last) + 2]
    pair = pair if pair.shape[1] == 2 else pair.expand(-1, 2)
    return pair, distance.gather(1, pair)


def chunk_conditions(
    net: ReferenceNet, who: ReferenceIdentity, target: Motion, pair: Tensor, distance: Tensor, shown: bool = True
) -> Conditions:
    """Warp and encode a pair of references for every chunk of a motion `[n, 8, …]`."""
    n, t = target.points.shape[:2]
    flat_points, flat_eyes = target.points.flatten(0, 1), target.eye_open.flatten()
    drawn = draw_driver(flat_points, flat_eyes, SIZE).view(n, t, SIZE, SIZE, 3)
    bent = []
    for k in range(2):
        wide = lambda q, k=k: q[pair[:, k]][:, None].expand(-1, t, *q.shape[1:]).flatten(0, 1)  # noqa: E731
        warped = warp_to(wide(who.frames.float() / 255), wide(who.points), flat_points)
        bent.append(net.latent.encode(warped.view(n, t, SIZE, SIZE, 3)))
    return with_identity(net, who, net.driver_latent.encode(drawn), bent[0], bent[1], distance, shown)


def with_identity(
    net: ReferenceNet, who: ReferenceIdentity, driver: Tensor,
    near: Tensor, second: Tensor, distance: Tensor, shown: bool,
) -> Conditions:  # fmt: skip
    """Add the learned inputs and the prior's statistics; without references the base's own statistics apply."""
    n = len(driver)
    if shown:
        gain, variance = who.gain, who.variance
    else:
        gain, variance = net.prior_gain[0], net.prior_variance[0].view(-1, 1, 1).expand(-1, GRID, GRID)
    return Conditions(
        driver, near, second, distance, torch.full((n,), shown),
        who.identity.expand(n, -1), who.tokens.expand(n, -1, -1),
        gain.view(1, -1, 1, 1, 1).expand(n, -1, -1, -1, -1), variance[None, :, None].expand(n, -1, -1, -1, -1),
    )  # fmt: skip


def fit_statistics(target: Tensor, near: Tensor, ceiling: Tensor) -> tuple[Tensor, Tensor]:
    """How well warped references predict this person: gain `[C]`, residual variance `[C, 8, 8]`.

    The variance is smoothed over places and capped at the base's (`ceiling` `[C]`): more prior noise than the base was
    trained to remove only stays visible.
    """
    gain = ((target * near).sum((0, 2, 3, 4)) / near.pow(2).sum((0, 2, 3, 4)).clamp_min(1e-6)).clamp(0, 1)
    square = (target - gain.view(1, -1, 1, 1, 1) * near) ** 2
    overall = square.mean((0, 2, 3, 4)).clamp_min(1e-4)
    place = (square / overall.view(1, -1, 1, 1, 1)).mean((0, 1, 2))[None, None]
    smooth = F.avg_pool2d(F.pad(place, (1, 1, 1, 1), mode="replicate"), 3, 1)
    place = (0.5 * smooth + 0.5 * place)[0]
    variance = overall.view(-1, 1, 1) * (0.1 + 0.9 * place)
    return gain, torch.minimum(variance, ceiling.view(-1, 1, 1)).clamp_min(1e-4)


def motion_habits(motion: Motion) -> tuple[Tensor, Tensor]:
    """Mean look `[21]` and principal motions `[5, 21]`, each one standard deviation long."""
    flat = look(motion.points, motion.eye_open)
    mean = flat.mean(0)
    _, size, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    kept = torch.zeros(HABITS, flat.shape[1])
    k = min(HABITS, len(size))
    kept[:k] = axes[:k] * (size[:k] / max(1, len(flat) - 1) ** 0.5)[:, None]
    return mean, kept


def as_chunks(motion: Motion, starts: Tensor) -> Motion:
    """Cut windows of eight frames, `[n, 8, …]`."""
    index = starts[:, None] + torch.arange(FRAMES)
    return Motion(motion.points[index], motion.eye_open[index])
