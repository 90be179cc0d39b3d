"""Say what a cosine is worth: log-likelihood ratios and thresholds from measured pairs of one and of two people.

Calibrations of the encoders that were measured are kept in `weights/calibration.json` under id and digest. They are
not taken from a double: its owner could have written them.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from cameo.embed.template import compare
from cameo.errors import EncoderMismatch, MissingWeights, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import EncoderInfo, Float32, Float64, Template

RATES = (0.1, 0.01, 0.001)
# Fewer false accepts than this say too little about a rate. Source: chosen; with ten the true rate is at most 1.8
# times the stated one, with 95 % confidence.
LEAST_FALSE_ACCEPTS = 10
_LEAST_PAIRS = 10
_ROUNDS = 100
_NORMAL_95 = 1.959964  # two-sided


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the score that the share `rate` of pairs of two people reaches.

    `at_most` bounds the true share with 97.5 % confidence, were the pairs independent.
    """

    rate: float
    score: float
    at_most: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold what turns an encoder's cosine into evidence.

    Attributes:
        encoder, digest: whose scores these are.
        slope, offset: natural log-likelihood ratio = slope * cosine + offset.
        genuine, impostor: how many pairs it was fitted on.
        thresholds: at stated false accept rates, the loosest first.
        source: which pairs.
    """

    encoder: str
    digest: str
    slope: float
    offset: float
    genuine: int
    impostor: int
    thresholds: tuple[Threshold, ...]
    source: str

    def log_likelihood_ratio(self, score: float) -> float:
        """Natural log of how much likelier `score` is for one person than for two; positive speaks for one.

        It is bounded by the log of the number of pairs: what never happened in N pairs may still happen once in N.
        """
        evidence = self.slope * score + self.offset
        return float(min(max(evidence, -math.log(self.genuine)), math.log(self.impostor)))

    def threshold(self, rate: float) -> Threshold:
        """Find the threshold at a false accept rate.

        Raises:
            UsageError: too few pairs were measured for that rate.
        """
        for threshold in self.thresholds:
            if math.isclose(threshold.rate, rate):
                return threshold
        known = ", ".join(f"{t.rate:g}" for t in self.thresholds)
        raise UsageError(f"{self.encoder} was not measured at a false accept rate of {rate:g}", f"use one of {known}")


class Comparison(msgspec.Struct, frozen=True):
    """Hold what the comparison of two templates came to: cosine, log-likelihood ratio, and the verdict at `rate`."""

    score: float
    log_likelihood_ratio: float
    same: bool
    rate: float


def compare_calibrated(a: Template, b: Template, calibration: Calibration, rate: float = 0.01) -> Comparison:
    """Compare two templates and say what the cosine is worth.

    Raises:
        EncoderMismatch: the templates, or the calibration, come from different encoders.
        UsageError: the calibration has no threshold at `rate`.
    """
    if (a.encoder.id, a.encoder.digest) != (calibration.encoder, calibration.digest):
        raise EncoderMismatch(
            f"the calibration of {calibration.encoder} says nothing about scores of {a.encoder.id}",
            "measure this encoder with benchmarks.calibrate",
        )
    score = compare(a, b)
    limit = calibration.threshold(rate)
    return Comparison(score, calibration.log_likelihood_ratio(score), score >= limit.score, rate)


def fit_calibration(genuine: Float32, impostor: Float32, encoder: EncoderInfo, source: str) -> Calibration:
    """Fit a calibration to scores of pairs of one person and of two.

    Both kinds weigh alike, whatever their numbers, so that the fit's log odds are log-likelihood ratios. Targets a
    little inside 0 and 1 keep the slope finite when no scores overlap.

    Args:
        genuine: `[N]` cosines of pairs of one person.
        impostor: `[M]` cosines of pairs of two.
        encoder: what made the vectors.
        source: which pairs these are.

    Raises:
        UsageError: fewer than ten pairs of a kind, scores that are no cosines, or no better than chance.

    Source: N. Brümmer and J. du Preez, "Application-independent evaluation of speaker detection", 2006; J. Platt,
    "Probabilistic outputs for support vector machines", 1999, for the targets.
    """
    scores = np.concatenate([genuine, impostor]).astype(np.float64)
    if min(len(genuine), len(impostor)) < _LEAST_PAIRS:
        raise UsageError("too few scores to calibrate with", f"measure at least {_LEAST_PAIRS} pairs of either kind")
    if not np.isfinite(scores).all() or np.abs(scores).max() > 1.001:
        raise UsageError("these scores are no cosines", "give finite scores between -1 and 1")
    slope, offset = _logistic(scores, len(genuine))
    if slope <= 0:
        raise UsageError("pairs of one person score no higher than pairs of two", "check which scores are which")
    kept = tuple(t for rate in RATES if (t := _threshold(impostor, rate)) is not None)
    return Calibration(
        encoder.id, encoder.digest, round(slope, 4), round(offset, 4), len(genuine), len(impostor), kept, source
    )


def find_calibration(encoder: EncoderInfo, path: Path | None = None) -> Calibration | None:
    """Find the calibration of an encoder; None when it was not measured.

    Args:
        encoder: whose.
        path: a table written by `benchmarks.calibrate`; the package's own by default.

    Raises:
        MissingWeights: the table cannot be read.
    """
    table = _shipped() if path is None else _read(path)
    return next((c for c in table if (c.encoder, c.digest) == (encoder.id, encoder.digest)), None)


@cache
def _shipped() -> tuple[Calibration, ...]:
    return _read(files("cameo.embed") / "weights" / "calibration.json")  # type: ignore[arg-type]


def _read(path: Path) -> tuple[Calibration, ...]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Calibration, ...])
    except (OSError, msgspec.DecodeError) as error:
        hint = "install cameo-double again, or write the table anew with benchmarks.calibrate"
        raise MissingWeights(f"the calibrations in {path.name} cannot be read", hint) from error


def _logistic(scores: Float64, genuine: int) -> tuple[float, float]:
    """Fit slope and offset by Newton's method; the first `genuine` scores are of one person."""
    impostor = len(scores) - genuine
    target = np.r_[np.full(genuine, (genuine + 1) / (genuine + 2)), np.full(impostor, 1 / (impostor + 2))]
    weight = np.r_[np.full(genuine, 0.5 / genuine), np.full(impostor, 0.5 / impostor)]
    middle, scale = float(scores.mean()), max(float(scores.std()), 1e-6)
    design = np.column_stack([(scores - middle) / scale, np.ones(len(scores))])
    at = np.zeros(2)
    for _ in range(_ROUNDS):
        odds = design @ at
        chance = 1 / (1 + np.exp(-odds))
        gradient = design.T @ (weight * (chance - target))
        curvature = (design * (weight * chance * (1 - chance))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # or it would overshoot where nothing overlaps
        at -= step
        if np.abs(step).max() < 1e-9:
            break
    return float(at[0] / scale), float(at[1] - at[0] * middle / scale)


def _threshold(impostor: Float32, rate: float) -> Threshold | None:
    """Find the score at a rate, rounded up; None where too few pairs of two people were measured."""
    count = len(impostor)
    if count * rate < LEAST_FALSE_ACCEPTS:
        return None
    score = math.ceil(float(np.quantile(impostor, 1 - rate)) * 1e4) / 1e4
    return Threshold(rate, score, round(_upper_bound(int((impostor >= score).sum()), count), 6))


def _upper_bound(hits: int, count: int) -> float:
    """Bound a share from above. Source: E. B. Wilson, "Probable inference", 1927."""
    share, square = hits / count, _NORMAL_95**2
    centre = share + square / (2 * count)
    spread = _NORMAL_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return (centre + spread) / (1 + square / count)
