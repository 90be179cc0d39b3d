"""Tell how much of the footage it was tuned on an adapter gives back: frames, and the fact that they were in it.

Copies are looked for among generated pictures (`nearness`). Membership is looked for in the training loss: an adapter
that has memorised its footage improves the loss of the windows it saw more than that of windows it did not. The attack
is calibrated by the loss without the LoRA at the same noise and times, because some windows are easy for any model.

Source: S. Yeom et al., "Privacy risk in machine learning" (2018), the loss as a membership test; the same of diffusion
models: T. Matsumoto et al., "Membership inference attacks against diffusion models" (2023), and N. Carlini et al.,
"Extracting training data from diffusion models" (2023), section 5; L. Watson et al., "On the importance of difficulty
calibration in membership inference attacks" (2022), the calibration; N. Carlini et al., "Membership inference attacks
from first principles" (2022), that a rate at few false alarms says more than an area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.stats import mannwhitneyu

from cameo.copying import share_below
from cameo.fidelity.nearness import PERCENTILE, RUN, Estimate, Nearness, Views, estimate

if TYPE_CHECKING:
    from cameo.records import Float32

Copying = Literal["unknown", "none", "some", "most"]
CHANCE = 0.5  # of a coin, and of new real pictures
SIGNIFICANT = 0.05
MOST = 0.5  # share of the pictures
FALSE_ALARMS = (0.01, 0.1)


@dataclass(frozen=True, slots=True)
class Membership:
    """Hold how well windows that were learned from are told from windows that were not.

    Attributes:
        auc: area under the curve of the attack, 0.5 for none; interval over windows that do not overlap.
        blind: the same area by the loss without the LoRA: windows may be easy, or unlike the others.
        chance: how often a coin would do as well (Mann and Whitney's test, one-sided).
        caught: share of the learned windows that are told at 1 % and at 10 % false alarms, NaN where fewer windows were
            held out than that takes (100, 10).
        members, others: scores `[n]` and `[m]`: loss with the LoRA less that without, low for what was learned.
    """

    auc: Estimate
    blind: float
    chance: float
    caught: tuple[float, ...]
    members: Float32
    others: Float32

    @property
    def told(self) -> bool:
        """Whether learned windows were told from others by more than chance."""
        return self.auc.low > CHANCE and self.chance < SIGNIFICANT

    @property
    def silent(self) -> bool:
        """Whether the LoRA changes no loss: no step of a descent was kept, and nothing can be asked of it."""
        return not (self.members.any() or self.others.any())


@dataclass(frozen=True, slots=True)
class Losses:
    """Hold the training loss of windows `[seeds, n]`, with the LoRA and without it."""

    tuned: Float32
    untuned: Float32


@dataclass(frozen=True, slots=True)
class Way:
    """Hold what one way of generating gives back: by the adapter alone, or aided by references.

    Attributes:
        aided: whether references, tokens and the like were given.
        likeness: mean of max(0, cosine) to the mean direction of the held-out pictures, 0 without a face.
        found: share of the pictures with a face.
        nearness: of pictures made along moments that were held out.
        retold: of pictures made along moments that were learned from, as if somebody had their motion; empty where a
            generator cannot be led along one.
        membership: what the loss tells.
    """

    aided: bool
    likeness: Estimate
    found: float
    nearness: tuple[Nearness, ...]
    retold: tuple[Nearness, ...]
    membership: Membership

    @property
    def copying(self) -> Copying:
        """How many pictures of new moments lie nearer than new real ones do."""
        return judge_copying(self.nearness)

    @property
    def retelling(self) -> Copying:
        """How many pictures of learned moments do; these have the pose of a frame that was learned from."""
        return judge_copying(self.retold)


@dataclass(frozen=True, slots=True)
class Leakage:
    """Hold what an adapter gives back of its footage, and the likeness that it was tuned for.

    Attributes:
        alone, aided: the two ways of generating.
        ceiling: likeness of held-out frames to the others of them; floor: of other people.
        learned, held_out: frames.
    """

    alone: Way
    aided: Way
    ceiling: float
    floor: float
    learned: int
    held_out: int

    @property
    def ways(self) -> tuple[Way, Way]:
        """Both."""
        return self.alone, self.aided


def judge_copying(nearness: Sequence[Nearness]) -> Copying:
    """Say how many of the generated pictures lie nearer to training pictures than new real ones do.

    The face is not asked: an encoder finds all pictures of a person alike, that is what it is for. It is not known
    where there are too few pictures with a face for an interval.
    """
    asked = [near for near in nearness if near.measure != "face" and np.isfinite(near.singled.low)]
    if not asked:
        return "unknown"
    seen = [near for near in asked if near.singled.low > CHANCE]
    if any(near.nearer.value >= MOST for near in seen):
        return "most"
    return "some" if any(near.nearer.low > PERCENTILE / 100 for near in seen) else "none"


def infer_membership(members: Losses, others: Losses) -> Membership:
    """Attack: tell windows that were learned from others by how much the LoRA improves their loss."""
    scores = members.tuned - members.untuned, others.tuned - others.untuned
    mean = scores[0].mean(0), scores[1].mean(0)
    chance = float("nan")
    if len(mean[0]) and len(mean[1]):
        chance = float(mannwhitneyu(*mean, alternative="less").pvalue)
    return Membership(
        auc=_over_seeds(*scores),
        blind=share_below(members.untuned.mean(0), others.untuned.mean(0)),
        chance=chance,
        caught=tuple(_caught(*mean, rate) for rate in FALSE_ALARMS),
        members=mean[0],
        others=mean[1],
    )


def _over_seeds(members: Float32, others: Float32) -> Estimate:
    """Estimate the area from scores `[seeds, n]` that are averaged over the seeds, as an attacker would."""
    whole = estimate(share_below, members.mean(0)[None], others.mean(0)[None], 1)
    seeds = tuple(share_below(a, b) for a, b in zip(members, others, strict=True))
    return Estimate(whole.value, whole.low, whole.high, seeds)


def _caught(members: Float32, others: Float32, rate: float) -> float:
    """Share of the members that score lower than all but `rate` of the others; NaN if those are too few to say."""
    allowed = int(rate * len(others) + 1e-9)
    if not allowed or not len(members):
        return float("nan")
    return float(np.mean(members < np.sort(others)[allowed]))


def likeness_of(made: Sequence[Views], centre: Float32) -> Estimate:
    """Mean likeness of the pictures that each seed gave to a direction `[D]`."""
    values = np.stack([_cosines(views, centre) for views in made])
    return estimate(lambda one, _other: float(one.mean()), values, values, RUN)


def mean_likeness(views: Views, centre: Float32) -> float:
    """Mean of max(0, cosine) to a direction `[D]`; pictures without a face count 0, NaN without pictures."""
    return float(_cosines(views, centre).mean()) if len(views) else float("nan")


def real_likeness(views: Views) -> float:
    """Mean likeness of real pictures with a face to each other: runs of neighbours to the mean direction of the others.

    NaN where there are fewer than two runs.
    """
    runs = np.array_split(views.vectors, max(1, len(views) // RUN))
    if len(runs) < 2:
        return float("nan")
    whole, found = views.vectors.sum(0), []
    for run in runs:
        rest = whole - run.sum(0)
        found.append(np.maximum(run @ rest / max(float(np.linalg.norm(rest)), 1e-9), 0))
    return float(np.concatenate(found).mean())


def _cosines(views: Views, centre: Float32) -> Float32:
    return np.where(views.found, np.maximum(views.vectors @ centre, 0), 0).astype(np.float32)


def summarise(leakage: Leakage) -> dict[str, object]:
    """Put the numbers into values that JSON has; what is not known is null."""
    return {
        "frames": {"learned": leakage.learned, "held_out": leakage.held_out},
        "likeness": {"ceiling": _known(leakage.ceiling), "floor": _known(leakage.floor)},
        "without_references": _way(leakage.alone),
        "with_references": _way(leakage.aided),
    }


def _way(way: Way) -> dict[str, object]:
    attack = way.membership
    return {
        "likeness": _estimate(way.likeness),
        "found": _known(way.found),
        "copying": way.copying,
        "nearest": {near.measure: _nearness(near) for near in way.nearness},
        "retold_copying": way.retelling if way.retold else None,
        "retold": {near.measure: _nearness(near) for near in way.retold} or None,
        "membership": {
            "auc": _estimate(attack.auc),
            "auc_without_lora": _known(attack.blind),
            "chance": _known(attack.chance),
            "caught": {f"{rate:g}": _known(share) for rate, share in zip(FALSE_ALARMS, attack.caught, strict=True)},
            "windows": {"learned": len(attack.members), "held_out": len(attack.others)},
            "told": attack.told,
        },
    }


def _nearness(near: Nearness) -> dict[str, object]:
    return {
        "generated": _known(near.usual),
        "held_out": _known(near.usual_real),
        "closest": _known(float(np.min(near.made[np.isfinite(near.made)], initial=np.inf))),
        "nearer": _estimate(near.nearer),
        "singled_out": _estimate(near.singled),
    }


def _estimate(found: Estimate) -> dict[str, object]:
    seeds = [_known(value) for value in found.seeds]
    return {"value": _known(found.value), "low": _known(found.low), "high": _known(found.high), "seeds": seeds}


def _known(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None
