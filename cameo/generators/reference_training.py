"""Learn one person for the reference generator: what has a closed form at once, the rest by a loss to descend."""

from __future__ import annotations

import torch
from torch import Tensor

from cameo.generators.appearance import Straightened, register, straighten
from cameo.generators.base import Footage, Motion
from cameo.generators.latent import BLOCK, BLOCK_T
from cameo.generators.lora import without_lora
from cameo.generators.other_people import rendered_footage
from cameo.generators.prior import mixture_gains, residual_variance, sharing
from cameo.generators.reference_net import FRAMES, SIZE, Conditions, ReferenceNet, flow_loss
from cameo.generators.references import (
    Chunks,
    ReferenceIdentity,
    as_chunks,
    describe_chunks,
    draw_chunks,
    nearest_references,
    places_of_references,
    warp_chunks,
)
from cameo.generators.region_weight import face_weights

STRIDE = 2  # frames between training windows
FOLDS = 4  # an appearance is measured on frames it was not fitted to
DRAWS = 3  # each window is trained with its three best references
# Of the share and the trust that least squares asks for: it likes smooth pictures. When this was chosen, on persons a-d
# of benchmarks/adapter_gain.py, half of both gave a mean likeness of 0.893 and a mouth correlation of 0.77, all of both
# 0.886 and 0.73, none 0.894 and 0.79.
CAUTION = 0.5
LEAST_TRUST = 0.05  # a channel that is not trusted at all would never learn
HIGH_NOISE = 1.2  # few sampling steps: the training times lean to pure noise


class TrainingChunks:
    """Hold the cached latents of a person's training windows, and set what is learned in closed form.

    Implements `Lessons`; `drop_aids` is the share of the windows that are shown without references, `face_weight` how
    many times as much as the background eyes and mouth count.

    While training, the expected latent is shrunk by least squares, so that the network learns only what is missing
    from it; sampled is around the expectation that keeps its contrast, which faces need to be recognised.
    """

    def __init__(
        self, net: ReferenceNet, footage: Footage, who: ReferenceIdentity, drop_aids: float, face_weight: float = 1.0
    ) -> None:
        self._net, self._who, self._drop = net, who, drop_aids
        starts = footage.windows(FRAMES, STRIDE)
        self.spans = torch.stack([starts, starts + FRAMES], 1)
        motion = as_chunks(footage.motion, starts)
        exclude = _own(places_of_references(who, footage), starts)
        usable = torch.nonzero(footage.usable).flatten()
        shape = who.neutral[:20].view(10, 2)
        frames = register(straighten(footage.frames[usable].float() / 255, footage.motion[usable], shape))
        everything = frames.fit(torch.arange(len(usable)))
        who.learn(textures=everything.textures, scale=everything.scale)
        self._clean = _encode_in_register(net, footage, frames, usable, starts)
        learned, driver = _unseen_appearance(net, footage, frames, usable, starts), draw_chunks(net, motion)
        cells = (FRAMES // BLOCK_T, SIZE // BLOCK, SIZE // BLOCK)
        self._weights = face_weights(motion.points, cells, face_weight)
        self._strangers: tuple[Tensor, Conditions] | None = None
        self._draws = []
        for rank in range(DRAWS):
            index, distance = nearest_references(who, motion, exclude, rank)
            self._draws.append(Chunks(driver, warp_chunks(net, who, motion, index), learned, distance))
        self._solve()

    @torch.no_grad()
    def _solve(self) -> None:
        """Set share, variances and trust, from windows whose appearance and reference come from elsewhere."""
        clean, best, limits = self._clean, self._draws[0], self._net.prior_variance
        self._gains = mixture_gains(clean, [best.near, best.learned])
        self._alone_gain = mixture_gains(clean, [best.learned])
        both, alone = (self._shrunk(best, shown) for shown in (True, False))
        self._who.learn(
            share=CAUTION * sharing(clean, best.near, best.learned),
            variance=residual_variance(clean - both, limits[3]),
            alone_variance=residual_variance(clean - alone, limits[2]),
        )
        self._who.learn(trust=CAUTION * self._fitting_trust())

    def _shrunk(self, chunks: Chunks, shown: bool) -> Tensor:
        given = [chunks.near, chunks.learned] if shown else [chunks.learned]
        gains = self._gains if shown else self._alone_gain
        return torch.stack([g.view(1, -1, 1, 1, 1) * x for g, x in zip(gains, given, strict=True)]).sum(0)

    def _fitting_trust(self) -> Tensor:
        """Share `[C]` of the untuned network's correction, from pure noise, that fits this person best."""
        c = self._told(self._draws[0], True)
        correction = torch.cat([
            self._net(torch.randn_like(part.mean), torch.ones(len(part.mean)), part) - part.mean
            for part in (c.pick(slice(k, k + 16)) for k in range(0, len(self._clean), 16))
        ])  # fmt: skip
        wanted = (correction * (self._clean - c.mean)).sum((0, 2, 3, 4))
        return (wanted / correction.pow(2).sum((0, 2, 3, 4)).clamp_min(1e-6)).clamp(LEAST_TRUST, 1)

    def _told(self, chunks: Chunks, shown: bool) -> Conditions:
        return chunks.conditions(self._who, shown, self._shrunk(chunks, shown))

    def __len__(self) -> int:
        return len(self._clean)

    def loss(self, windows: Tensor) -> Tensor:
        """Return the mean loss of the windows `[B]`."""
        batch, draw = len(windows), int(torch.randint(0, DRAWS, ()))
        shown = torch.rand(batch) >= self._drop
        parts = []
        for given in (True, False):
            at = windows[shown == given]
            if not len(at):
                continue
            c, clean = self._told(_pick(self._draws[draw], at), given), self._clean[at]
            weight = self._weights[at]
            if torch.rand(()) < 0.5:
                clean, c = self._net.latent.mirror(clean), c.mirrored(self._net.latent, self._net.driver_latent)
                weight = weight.flip(-1)
            parts.append(flow_loss(self._net, clean, c, _drawn_times(len(at)), weight) * len(at) / batch)
        return torch.stack(parts).sum()

    def prior_loss(self, count: int) -> Tensor:
        """Return how far the adapted network is from the base on `count` chunks of rendered people."""
        if self._strangers is None:
            self._strangers = _told_of_strangers(self._net)
        clean, told = self._strangers
        at = torch.randint(0, len(clean), (count,))
        c, t = told.pick(at), _drawn_times(count)
        tv = t.view(-1, 1, 1, 1, 1)
        noisy = (1 - tv) * clean[at] + tv * torch.randn_like(clean[at])
        with torch.no_grad(), without_lora(self._net.transformer):
            wanted = self._net(noisy, t, c)
        return (((self._net(noisy, t, c) - wanted) / tv.clamp_min(0.2)) ** 2).mean()


def _drawn_times(count: int) -> Tensor:
    return torch.sigmoid(torch.randn(count) + HIGH_NOISE)


@torch.no_grad()
def _told_of_strangers(net: ReferenceNet) -> tuple[Tensor, Conditions]:
    """Latents of other people, and what the network is told of them: how they move, and nothing else."""
    people = rendered_footage(FRAMES, SIZE)
    motion = Motion(torch.stack([p.motion.points for p in people]), torch.stack([p.motion.eye_open for p in people]))
    clean = net.latent.encode(torch.stack([p.frames for p in people]).float() / 255)
    unknown, n = torch.zeros_like(clean), len(clean)
    nobody = torch.zeros(n, dtype=torch.bool)
    variance = net.prior_variance[0].view(1, -1, 1, 1, 1).expand(n, -1, 1, *clean.shape[3:])
    told = Conditions(
        draw_chunks(net, motion), unknown, unknown, torch.zeros(n), nobody, nobody,
        net.no_identity.expand(n, -1), net.no_tokens.expand(n, -1, -1),
        unknown, variance, torch.ones(n, clean.shape[1], 1, 1, 1),
    )  # fmt: skip
    return clean, told


@torch.no_grad()
def _encode_in_register(
    net: ReferenceNet, footage: Footage, frames: Straightened, usable: Tensor, starts: Tensor
) -> Tensor:
    """Latent of the windows that begin at `starts`, of frames put in register with their landmarks.

    Against frames that are a pixel off, the best estimate is a blurred one.
    """
    placed = torch.zeros(footage.frames.shape)
    placed[usable] = frames.back()
    return net.latent.encode(placed[starts[:, None] + torch.arange(FRAMES)])


def _unseen_appearance(
    net: ReferenceNet, footage: Footage, frames: Straightened, usable: Tensor, starts: Tensor
) -> Tensor:
    """Latent of the appearance along each window, fitted without the window and its surroundings."""
    fold = (starts + FRAMES // 2) * FOLDS // len(footage)
    drawn: list[Tensor] = []
    for k in range(FOLDS):
        own = starts[fold == k]
        if not len(own):
            continue
        away = (usable < int(own.min()) - FRAMES) | (usable >= int(own.max()) + 2 * FRAMES)
        away = away if int(away.sum()) > 4 * FRAMES else torch.ones_like(away)
        fitted = frames.fit(torch.nonzero(away).flatten())
        drawn.append(describe_chunks(net, fitted, as_chunks(footage.motion, own)))
    return torch.cat(drawn)  # folds are in the order of the starts


def _own(chosen: Tensor, starts: Tensor) -> Tensor:
    """Which references, at frames `[R]`, lie in or next to each window `[n]`, `[n, R]` bool: no chunk is its own."""
    offset = chosen[None] - starts[:, None]
    return (offset > -FRAMES) & (offset < 2 * FRAMES)


def _pick(chunks: Chunks, index: Tensor) -> Chunks:
    return Chunks(chunks.driver[index], chunks.near[index], chunks.learned[index], chunks.distance[index])
