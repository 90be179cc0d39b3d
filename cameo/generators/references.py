"""What makes the reference generator show one person: reference frames, and what was learned about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cameo.errors import NotVerified
from cameo.generators.appearance import MEASURES, Appearance
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
from cameo.generators.voice_conversion import VoiceAdapter
from cameo.generators.warp import draw_driver, look, warp_to

if TYPE_CHECKING:
    from collections.abc import Sequence

REFERENCES = 16
SAME_LOOK = 1e-4  # distance of two looks of one frame: nothing but rounding
ELSEWHERE = -(10**6)
HABITS = 5  # principal motions, for casting without borrowed motion
GRID = SIZE // 8
PLACES = (CHANNELS, GRID, GRID)
# The sealed reference frames, their shapes (None: any length up to 64) and types.
REFERENCE_LAYOUT: dict[str, tuple[tuple[int | None, ...], torch.dtype]] = {
    "frames": ((None, SIZE, SIZE, 3), torch.uint8),
    "points": ((None, 10, 2), torch.float32),
    "eye_open": ((None,), torch.float32),
}
# What is learned about the person; with the LoRA, this is the adapter.
LEARNED_LAYOUT: dict[str, tuple[tuple[int | None, ...], torch.dtype]] = {
    "neutral": ((21,), torch.float32),
    "habits": ((HABITS, 21), torch.float32),
    "textures": ((MEASURES + 1, SIZE, SIZE, 3), torch.float32),
    "scale": ((2, MEASURES), torch.float32),
    "share": (PLACES, torch.float32),
    "variance": (PLACES, torch.float32),
    "alone_variance": (PLACES, torch.float32),
    "trust": ((CHANNELS,), torch.float32),
    "identity": ((IDENTITY_CHANNELS,), torch.float32),
    "tokens": ((TOKENS, TOKEN_DIM), torch.float32),
}
LAYOUT = REFERENCE_LAYOUT | LEARNED_LAYOUT
DESCENDED = ("trust", "identity", "tokens")  # learned by gradient descent; the rest of it in closed form


@dataclass
class ReferenceIdentity:
    """Hold sixteen frames that differ most in pose, and everything learned about the person but the LoRA.

    frames `[R, 64, 64, 3]` uint8, points `[R, 10, 2]`, eye_open `[R]`: the references.
    neutral `[21]` mean look, habits `[5, 21]` principal motions, each one standard deviation long; textures
    `[7, 64, 64, 3]` and scale `[2, 6]` of the `Appearance` (all zero: not learned yet); share `[160, 8, 8]` of the
    reference in the expected latent, the rest is the appearance; variance `[160, 8, 8]` around it, alone_variance if no
    references are given; trust `[160]`: share of the network's correction that is applied; identity `[32]` and tokens
    `[4, 64]`: inputs of the network. voice: what is known of it, if that was unlocked; a part of its own when sealed.
    """

    frames: Tensor
    points: Tensor
    eye_open: Tensor
    neutral: nn.Parameter
    habits: nn.Parameter
    textures: nn.Parameter
    scale: nn.Parameter
    share: nn.Parameter
    variance: nn.Parameter
    alone_variance: nn.Parameter
    trust: nn.Parameter
    identity: nn.Parameter
    tokens: nn.Parameter
    voice: VoiceAdapter | None = None

    def __post_init__(self) -> None:
        for name in LEARNED_LAYOUT:
            value = getattr(self, name).detach().clone()
            setattr(self, name, nn.Parameter(value, requires_grad=name in DESCENDED))

    def tensors(self, modality: str) -> dict[str, Tensor]:
        """Return what is sealed with the face's LoRA, by name; there is no other modality."""
        if modality != "face":
            raise ValueError(f"the reference generator has no {modality} modality")
        return {name: getattr(self, name).detach().contiguous() for name in LAYOUT}

    def trainable(self) -> Sequence[nn.Parameter]:
        """Return all that is learned, what is solved in closed form included."""
        return [getattr(self, name) for name in LEARNED_LAYOUT]

    @torch.no_grad()
    def learn(self, **values: Tensor) -> None:
        """Set learned inputs by name."""
        for name, value in values.items():
            getattr(self, name).copy_(value)

    @property
    def known(self) -> bool:
        """Whether an appearance has been learned."""
        return bool(self.textures.any())

    @property
    def appearance(self) -> Appearance:
        """What the person looks like in motion."""
        return Appearance(self.textures, self.scale, self.neutral[:20].view(10, 2))

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
            fits = fits and t.dtype == kind and (shape[0] is not None or 0 < len(t) <= 64)
            if not fits or not bool(t.float().isfinite().all()):
                raise NotVerified(f"the sealed identity's '{name}' has a wrong shape, type or value", "enrol again")
        if len({len(tensors[name]) for name in REFERENCE_LAYOUT}) != 1:
            raise NotVerified("the sealed identity's references differ in number", "enrol again")
        values: dict[str, Any] = {name: tensors[name] for name in LAYOUT}
        return cls(**values)


@torch.no_grad()
def neutral_identity(net: ReferenceNet, footage: Footage) -> ReferenceIdentity:
    """Take references from footage; learned inputs start neutral: nothing is known but how the person moves."""
    chosen = choose_references(footage)
    neutral, habits = motion_habits(footage.motion[torch.nonzero(footage.usable).flatten()])
    places = torch.zeros(PLACES)
    values: dict[str, Any] = {
        "frames": footage.frames[chosen].clone(),
        "points": footage.motion.points[chosen].clone(),
        "eye_open": footage.motion.eye_open[chosen].clone(),
        "neutral": neutral,
        "habits": habits,
        "textures": torch.zeros(MEASURES + 1, SIZE, SIZE, 3),
        "scale": torch.zeros(2, MEASURES),
        "share": places + 1,
        "variance": places + net.prior_variance[1].view(-1, 1, 1),
        "alone_variance": places + net.prior_variance[0].view(-1, 1, 1),
        "trust": torch.ones(CHANNELS),
        "identity": net.no_identity,
        "tokens": net.no_tokens,
    }
    return ReferenceIdentity(**values)


def motion_habits(motion: Motion) -> tuple[Tensor, Tensor]:
    """Mean look `[21]` and principal motions `[5, 21]`, each one standard deviation long."""
    flat = look(motion.points, motion.eye_open)
    mean = flat.mean(0)
    _, size, axes = torch.linalg.svd(flat - mean, full_matrices=False)
    kept = torch.zeros(HABITS, flat.shape[1])
    k = min(HABITS, len(size))
    kept[:k] = axes[:k] * (size[:k] / max(1, len(flat) - 1) ** 0.5)[:, None]
    return mean, kept


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


def places_of_references(who: ReferenceIdentity, footage: Footage) -> Tensor:
    """Which frame of footage each reference is, `[R]`; a frame that is far from all where it is none of them."""
    looks = look(who.points, who.eye_open), look(footage.motion.points, footage.motion.eye_open)
    apart = torch.cdist(*looks, compute_mode="donot_use_mm_for_euclid_dist")  # the other mode rounds more than it finds
    nearest = apart.min(1)
    return torch.where(nearest.values < SAME_LOOK, nearest.indices, ELSEWHERE)


def nearest_references(
    who: ReferenceIdentity, target: Motion, exclude: Tensor | None = None, rank: int = 0
) -> tuple[Tensor, Tensor]:
    """Pick the `rank`-th most similar reference for chunks `[n, 8, …]`: indices and distances `[n]`.

    `exclude` `[n, R]` bool: references a chunk must not use.
    """
    mean = look(target.points.mean(1), target.eye_open.mean(1))
    distance = torch.cdist(mean, look(who.points, who.eye_open))
    hidden = distance if exclude is None else distance + 1e3 * exclude
    index = hidden.argsort(1)[:, min(rank, len(who.points) - 1)]
    return index, distance.gather(1, index[:, None])[:, 0]


@torch.no_grad()
def draw_chunks(net: ReferenceNet, motion: Motion) -> Tensor:
    """Latent of the driver drawings of chunks `[n, 8, …]`."""
    drawn = draw_driver(motion.points.flatten(0, 1), motion.eye_open.flatten(), SIZE)
    return net.driver_latent.encode(drawn.view(-1, FRAMES, SIZE, SIZE, 3))


@torch.no_grad()
def warp_chunks(net: ReferenceNet, who: ReferenceIdentity, motion: Motion, index: Tensor) -> Tensor:
    """Latent of references `index` `[n]`, each bent to the eight frames of its chunk."""
    wide = lambda q: q[index][:, None].expand(-1, FRAMES, *q.shape[1:]).flatten(0, 1)  # noqa: E731
    bent = warp_to(wide(who.frames.float() / 255), wide(who.points), motion.points.flatten(0, 1))
    return net.latent.encode(bent.view(-1, FRAMES, SIZE, SIZE, 3))


@torch.no_grad()
def describe_chunks(net: ReferenceNet, appearance: Appearance, motion: Motion) -> Tensor:
    """Latent of an appearance drawn along chunks `[n, 8, …]`."""
    flat = Motion(motion.points.flatten(0, 1), motion.eye_open.flatten())
    return net.latent.encode(appearance.draw(flat).view(-1, FRAMES, SIZE, SIZE, 3))


@dataclass(frozen=True)
class Chunks:
    """Hold what is shown for `n` chunks of eight frames: latents driver, near, learned; distance `[n]`."""

    driver: Tensor
    near: Tensor
    learned: Tensor
    distance: Tensor

    def conditions(self, who: ReferenceIdentity, shown: bool = True, mean: Tensor | None = None) -> Conditions:
        """Add the learned inputs; `shown`: whether references are given, `mean`: another expectation than theirs."""
        n = len(self.driver)
        if mean is None:
            mean = self.learned + spread(who.share) * (self.near - self.learned) if shown else self.learned
        variance = who.variance if shown else who.alone_variance
        return Conditions(
            self.driver, self.near, self.learned, self.distance,
            torch.full((n,), shown), torch.full((n,), who.known),
            who.identity.expand(n, -1), who.tokens.expand(n, -1, -1),
            mean, spread(variance).expand(n, -1, -1, -1, -1), who.trust.view(1, -1, 1, 1, 1).expand(n, -1, -1, -1, -1),
        )  # fmt: skip


def show_chunks(net: ReferenceNet, who: ReferenceIdentity, motion: Motion) -> Chunks:
    """Draw, warp and describe the chunks `[n, 8, …]` of a motion."""
    index, distance = nearest_references(who, motion)
    near, driver = warp_chunks(net, who, motion, index), draw_chunks(net, motion)
    learned = describe_chunks(net, who.appearance, motion) if who.known else torch.zeros_like(near)
    return Chunks(driver, near, learned, distance)


def spread(values: Tensor) -> Tensor:
    """View `[C, h, w]` as `[1, C, 1, h, w]`."""
    return values[None, :, None]


def as_chunks(motion: Motion, starts: Tensor) -> Motion:
    """Cut windows of eight frames, `[n, 8, …]`."""
    index = starts[:, None] + torch.arange(FRAMES)
    return Motion(motion.points[index], motion.eye_open[index])
