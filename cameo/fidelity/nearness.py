"""Tell how near generated pictures of a face lie to those an adapter was tuned on, by what new real ones do.

Three distances that need no downloaded weights. *pixels* sees light and shade of the whole aligned face, whatever its
brightness; *structure* sees edges and texture in small places, so that a blurred picture is not near to all; *face* is
the space of a face encoder. Each is measured to the nearest training picture. Two shares are taken of it:

- *nearer*: how many generated pictures lie nearer than 5 % of the real ones that were held out do. About 5 % of new
  real pictures would.
- *singled out*: how often a generated picture singles out one training picture more than a real one does; see
  `cameo.copying`. New real pictures have 0.5, training pictures handed out again 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.copying import share_below, singled_out, standardised, vectors_apart

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, Int64, UInt8

PERCENTILE = 5.0
RUN = 8  # pictures that are drawn together by the bootstrap: neighbours in time are alike
ROUNDS = 1000
TAILS = (2.5, 97.5)  # percentiles: an interval of 95 %
_BLOCK, _STRIDE = 8, 4  # pixels of a place that is compared, and between places
_STABLE = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_ROWS = 16  # compared at once, so that memory does not grow with the clip


@dataclass(frozen=True, slots=True)
class Views:
    """Hold pictures of one face to be compared.

    Attributes:
        grey: `[N, S, S]` uint8, aligned by eyes, nose and mouth.
        vectors: `[N, D]` unit rows of a face encoder, zeros where it found no face.
        found: `[N]` whether a face was found; the others count as 0 in likeness and are left out of distances.
    """

    grey: UInt8
    vectors: Float32
    found: Bool

    def __len__(self) -> int:
        return len(self.grey)

    @property
    def seen(self) -> Views:
        """Those with a face."""
        return Views(self.grey[self.found], self.vectors[self.found], self.found[self.found])


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hold a number, its 95 % interval (NaN where there is too little for one), and what each seed gives."""

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Nearness:
    """Hold distances to the nearest training picture by one measure.

    Attributes:
        measure: "pixels", "structure" or "face".
        made: `[seeds, N]` of generated pictures, NaN without a face; nearest: `[seeds, N]` to which training picture.
        real: `[H]` of real pictures that were held out; nearest_real: `[H]`.
        nearer, singled: see the module.
    """

    measure: str
    made: Float32
    nearest: Int64
    real: Float32
    nearest_real: Int64
    nearer: Estimate
    singled: Estimate

    @property
    def usual(self) -> float:
        """Median distance of the generated pictures, NaN if none shows a face."""
        return float(np.nanmedian(self.made)) if np.isfinite(self.made).any() else float("nan")

    @property
    def usual_real(self) -> float:
        """Median distance of the real pictures."""
        return float(np.median(self.real))


def _by_pixels(one: Views, other: Views) -> Float32:
    return vectors_apart(standardised(one.grey), standardised(other.grey))


def _by_structure(one: Views, other: Views) -> Float32:
    return structure_apart(one.grey, other.grey)


def _by_face(one: Views, other: Views) -> Float32:
    return vectors_apart(one.vectors, other.vectors)


MEASURES: dict[str, Callable[[Views, Views], Float32]] = {
    "pixels": _by_pixels, "structure": _by_structure, "face": _by_face,
}  # fmt: skip


def structure_apart(one: UInt8, other: UInt8) -> Float32:
    """Distances of grey pictures `[N, S, S]` and `[M, S, S]`: 1 less their structural similarity, `[N, M]` in 0..2.

    Source: Z. Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004), with its
    constants, over squares of 8 x 8 pixels as in their index of 2002; here every fourth pixel has one.
    """
    a, b = _places(one), _places(other)
    b_mean, b_power = b.mean(2), b.var(2)
    b = b - b_mean[..., None]
    out = np.zeros((len(one), len(other)), np.float32)
    for start in range(0, len(one), _ROWS):
        part = a[:, start : start + _ROWS]
        mean, power = part.mean(2), part.var(2)
        together = (part - mean[..., None]) @ b.transpose(0, 2, 1) / b.shape[2]
        mean, power = mean[..., None], power[..., None]
        light = (2 * mean * b_mean[:, None] + _STABLE[0]) / (mean**2 + b_mean[:, None] ** 2 + _STABLE[0])
        shape = (2 * together + _STABLE[1]) / (power + b_power[:, None] + _STABLE[1])
        out[start : start + _ROWS] = 1 - (light * shape).mean(0)
    return out


def _places(grey: UInt8) -> Float32:
    """Cut pictures into overlapping squares, `[B, N, 64]`."""
    cut = np.lib.stride_tricks.sliding_window_view(grey, (_BLOCK, _BLOCK), (1, 2))[:, ::_STRIDE, ::_STRIDE]
    flat = cut.reshape(len(grey), cut.shape[1] * cut.shape[2], _BLOCK**2)
    return np.ascontiguousarray(flat.transpose(1, 0, 2), np.float32)


class NearestFrames:
    """Compare generated pictures with those that were learned from, and with real ones that were held out."""

    def __init__(self, train: Views, held: Views) -> None:
        self._train, held = train.seen, held.seen
        self._real = {name: apart(held, self._train) for name, apart in MEASURES.items()}

    def compare(self, made: Sequence[Views]) -> tuple[Nearness, ...]:
        """Measure the pictures that each seed gave, as many for each."""
        return tuple(self._compare(name, made) for name in MEASURES)

    def _compare(self, measure: str, made: Sequence[Views]) -> Nearness:
        distance, relative, nearest = [], [], []
        for views in made:
            apart = MEASURES[measure](views, self._train)
            hide = np.where(views.found, 1.0, np.nan).astype(np.float32)
            distance.append(apart.min(1) * hide)
            relative.append(singled_out(apart) * hide)
            nearest.append(apart.argmin(1))
        real = self._real[measure]
        return Nearness(
            measure,
            np.stack(distance),
            np.stack(nearest),
            real.min(1),
            real.argmin(1),
            estimate(share_nearer, np.stack(distance), real.min(1)[None], RUN),
            estimate(share_below, np.stack(relative), singled_out(real)[None], RUN),
        )


def share_nearer(made: Float32, real: Float32) -> float:
    """Share of distances `[N]` below the 5th percentile of others `[H]`, NaN without either."""
    if not len(made) or not len(real):
        return float("nan")
    return float(np.mean(made < np.percentile(real, PERCENTILE)))


def estimate(statistic: Callable[[Float32, Float32], float], one: Float32, other: Float32, run: int) -> Estimate:
    """Take a statistic of values `[seeds, N]` and `[seeds, M]`, which may hold NaN; `other` may have one row.

    The interval draws runs of `run` neighbours anew, of all seeds together: seeds are no new evidence of a person.

    Source: B. Efron, "Bootstrap methods: another look at the jackknife" (1979), percentiles; in blocks after H. R.
    Künsch, "The jackknife and the bootstrap for general stationary observations" (1989).
    """
    rows = np.broadcast_to(other, (len(one), other.shape[1]))
    seeds = tuple(statistic(_finite(a), _finite(b)) for a, b in zip(one, rows, strict=True))
    value = statistic(_finite(one), _finite(other))
    low, high = _bounds(statistic, _runs(one, run), _runs(other, run))
    return Estimate(value, low, high, seeds)


def _finite(values: Float32) -> Float32:
    return values[np.isfinite(values)]


def _runs(values: Float32, run: int) -> list[Float32]:
    """Cut `[seeds, N]` into runs along N, all seeds of each together."""
    return np.array_split(values, max(1, values.shape[1] // run), axis=1)


def _bounds(
    statistic: Callable[[Float32, Float32], float], one: list[Float32], other: list[Float32]
) -> tuple[float, float]:
    if min(len(one), len(other)) < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(0)

    def drawn(runs: list[Float32]) -> Float32:
        return _finite(np.concatenate([runs[k].ravel() for k in random.integers(0, len(runs), len(runs))]))

    values = np.array([statistic(drawn(one), drawn(other)) for _ in range(ROUNDS)])
    if not np.isfinite(values).any():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(values, TAILS)
    return float(low), float(high)


def closest_pairs(nearness: Nearness, count: int) -> list[tuple[int, int, int, float]]:
    """Pick the pairs that lie nearest, no two of one moment: seed, picture, training picture and distance."""
    picked: list[tuple[int, int, int, float]] = []
    for flat in np.argsort(nearness.made, axis=None):
        seed, at = divmod(int(flat), nearness.made.shape[1])
        distance, train = float(nearness.made[seed, at]), int(nearness.nearest[seed, at])
        apart = all(abs(at - a) >= RUN or abs(train - t) >= RUN for _, a, t, _ in picked)
        if np.isfinite(distance) and apart and len(picked) < count:
            picked.append((seed, at, train, distance))
    return picked
