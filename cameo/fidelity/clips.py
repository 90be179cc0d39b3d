"""Score one clip from what was seen in it, and a person's real recordings in the same way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.fidelity.protocols import facesim, strict_facesim
from cameo.scores import FIRST, ClipScore, Drift, RealScore

if TYPE_CHECKING:
    from cameo.fidelity.folders import ClipFile
    from cameo.fidelity.looks import Looks
    from cameo.fidelity.protocols import Protocol
    from cameo.records import Float32, Float64

LEAST_FOR_DRIFT = 8  # frames with a face: two in each quarter


@dataclass(frozen=True, slots=True)
class Rules:
    """Hold how clips are scored: by which protocol, and whether its slips are kept."""

    protocol: Protocol
    as_published: bool = False

    def score(self, measure: str, cosines: Float64) -> float:
        """Make one number of the cosine of each frame, NaN where there is no face."""
        return facesim(cosines, self.as_published and measure in self.protocol.drops_zeros)


def score_clip(
    file: ClipFile,
    looks: Looks,
    references: Mapping[str, Float32 | None],
    rules: Rules,
    size: tuple[int, int],
    copying: float,
) -> ClipScore:
    """Score a clip.

    Args:
        file: which.
        looks: what was seen in it.
        references: by measure, the unit vector `[D]` that stands for the person; None where that recogniser found no
            face in the reference, and so can say nothing.
        rules: how.
        size: width and height in pixels.
        copying: see `ClipScore`.
    """
    cosines = {measure: looks.cosines(measure, reference) for measure, reference in references.items()}
    blind = {measure for measure, reference in references.items() if reference is None}
    eyes = looks.eyes_px
    return ClipScore(
        system=file.system,
        person=file.person,
        film=file.film,
        clip=file.name,
        width=size[0],
        height=size[1],
        duration_s=float(looks.times_s[-1]),
        times_s=_rounded(looks.times_s),
        likeness={measure: _rounded(values) for measure, values in cosines.items()},
        yaw_deg=_rounded(looks.yaw_deg, 1),
        eyes_px=float(np.nanmedian(eyes)) if np.isfinite(eyes).any() else float("nan"),
        score={m: math.nan if m in blind else rules.score(m, values) for m, values in cosines.items()},
        strict={m: math.nan if m in blind else strict_facesim(values) for m, values in cosines.items()},
        found={measure: float(looks.found(measure).mean()) for measure in cosines},
        poses=looks.poses(np.maximum(cosines[FIRST], 0.0)),
        drift=drift(looks, cosines[FIRST]),
        copying=copying,
    )


def drift(looks: Looks, cosines: Float64) -> Drift | None:
    """Measure how identity changes over a clip; None where fewer than `LEAST_FOR_DRIFT` frames show a face.

    Args:
        looks: what was seen.
        cosines: `[N]` of each frame to the reference, NaN where there is no face.
    """
    seen = np.isfinite(cosines)
    times, quarter = looks.times_s, max(1, len(looks) // 4)
    first, last = looks.direction(FIRST, slice(quarter)), looks.direction(FIRST, slice(-quarter, None))
    if seen.sum() < LEAST_FOR_DRIFT or np.ptp(times[seen]) <= 0 or first is None or last is None:
        return None
    likeness = np.maximum(cosines, 0.0)
    slope = np.polyfit(times[seen], likeness[seen], 1)[0]
    ends = [float(np.nanmean(part)) for part in (likeness[:quarter], likeness[-quarter:])]
    return Drift(float(slope), ends[0], ends[1], float(first @ last))


@dataclass(frozen=True, slots=True)
class RealLooks:
    """Hold a person's held-out real recordings, each as a clip, shrunk by `scale`; photographs are one recording."""

    person: str
    scale: float
    recordings: tuple[Looks, ...]


def score_real(
    system: str, own: RealLooks, others: Sequence[RealLooks], references: Mapping[str, Float32 | None], rules: Rules
) -> RealScore:
    """Score real frames against a person's reference: their own for the ceiling, those of others for the floor."""
    likeness = [np.maximum(looks.cosines(FIRST, references[FIRST]), 0.0) for looks in own.recordings]
    means = [m for looks in own.recordings if (m := looks.direction(FIRST)) is not None]
    drifts = [drift(looks, looks.cosines(FIRST, references[FIRST])) for looks in own.recordings]
    eyes = np.concatenate([looks.eyes_px for looks in own.recordings]) if own.recordings else np.zeros(0)
    found = np.concatenate([looks.found(FIRST) for looks in own.recordings]) if own.recordings else np.zeros(0)

    def scored(some: RealLooks, measure: str) -> list[float]:
        if references[measure] is None:
            return []
        return [rules.score(measure, looks.cosines(measure, references[measure])) for looks in some.recordings]

    return RealScore(
        person=own.person,
        system=system,
        scale=own.scale,
        eyes_px=float(np.nanmedian(eyes)) if np.isfinite(eyes).any() else float("nan"),
        ceiling={measure: tuple(scored(own, measure)) for measure in references},
        floor={
            measure: tuple(float(np.mean(values)) for other in others if (values := scored(other, measure)))
            for measure in references
        },
        found=float(found.mean()) if len(found) else float("nan"),
        poses=_pooled_poses(own.recordings, likeness),
        slopes_per_s=tuple(one.slope_per_s for one in drifts if one is not None),
        kept=_mean_cosine(means, references[FIRST]),
    )


def _mean_cosine(rows: Sequence[Float32], reference: Float32 | None) -> float:
    return float((np.stack(rows) @ reference).mean()) if rows and reference is not None else math.nan


def _pooled_poses(recordings: Sequence[Looks], likeness: Sequence[Float64]) -> dict[str, float]:
    shown: dict[str, list[float]] = {}
    for looks, values in zip(recordings, likeness, strict=True):
        for pose, here in looks.in_pose().items():
            shown.setdefault(pose, []).extend(values[here & np.isfinite(values)].tolist())
    return {pose: float(np.mean(values)) if values else float("nan") for pose, values in shown.items()}


def _rounded(values: Float64, digits: int = 4) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
