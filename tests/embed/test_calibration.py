"""Calibrated scores: likelihood ratios are what they say, thresholds hold their rate, doubtful data is refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cameo.embed.calibration import (
    LEAST_FALSE_ACCEPTS,
    Calibration,
    compare_calibrated,
    find_calibration,
    fit_calibration,
)
from cameo.embed.face import load_face_encoder
from cameo.embed.template import pool
from cameo.embed.voice import load_voice_encoder
from cameo.errors import EncoderMismatch, MissingWeights, UsageError
from tests.embed.test_template import FACE, rows

SIGMA, MEAN_SAME, MEAN_OTHER = 0.1, 0.5, 0.1


def scores(mean: float, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, SIGMA, count).clip(-1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> Calibration:
    return fit_calibration(scores(MEAN_SAME, 3000, 0), scores(MEAN_OTHER, 20_000, 1), FACE, "drawn by a test")


def test_the_fit_finds_the_true_ratio(fitted: Calibration) -> None:
    """Two normals of one width have a ratio that is linear in the score, whatever the numbers of pairs."""
    slope = (MEAN_SAME - MEAN_OTHER) / SIGMA**2
    middle = (MEAN_SAME + MEAN_OTHER) / 2
    assert fitted.slope == pytest.approx(slope, rel=0.1)
    assert -fitted.offset / fitted.slope == pytest.approx(middle, abs=0.02)
    assert fitted.log_likelihood_ratio(middle) == pytest.approx(0, abs=0.8)
    assert fitted.log_likelihood_ratio(0.4) == pytest.approx(slope * (0.4 - middle), rel=0.25)


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001])
def test_thresholds_hold_on_pairs_they_have_not_seen(fitted: Calibration, rate: float) -> None:
    limit = fitted.threshold(rate)
    fresh = scores(MEAN_OTHER, 200_000, 7)
    assert limit.at_most > rate
    assert float((fresh >= limit.score).mean()) < limit.at_most * 1.2
    assert float((fresh >= limit.score).mean()) > rate / 2


def test_a_rate_needs_pairs() -> None:
    few = fit_calibration(scores(MEAN_SAME, 50, 0), scores(MEAN_OTHER, 999, 1), FACE, "a test")
    assert [t.rate for t in few.thresholds] == [0.1]
    assert LEAST_FALSE_ACCEPTS == 10
    with pytest.raises(UsageError, match="was not measured at a false accept rate of 0.01"):
        few.threshold(0.01)


def test_evidence_is_bounded_by_what_was_measured(fitted: Calibration) -> None:
    assert fitted.log_likelihood_ratio(1.0) == pytest.approx(math.log(20_000))
    assert fitted.log_likelihood_ratio(-1.0) == pytest.approx(-math.log(3000))


def test_scores_that_do_not_overlap_give_a_finite_slope() -> None:
    found = fit_calibration(scores(0.9, 100, 0).clip(0.8, 1), scores(0.0, 100, 1).clip(-1, 0.3), FACE, "a test")
    assert np.isfinite([found.slope, found.offset]).all()
    assert 0.3 < -found.offset / found.slope < 0.8


def test_what_cannot_be_calibrated_is_refused() -> None:
    good, other = scores(MEAN_SAME, 50, 0), scores(MEAN_OTHER, 50, 1)
    for genuine, impostor, words in (
        (good[:5], other, "too few scores"),
        (good, np.full(50, np.nan, np.float32), "no cosines"),
        (good * 5, other, "no cosines"),
        (other, good, "no higher"),
    ):
        with pytest.raises(UsageError, match=words):
            fit_calibration(genuine, impostor, FACE, "a test")


def test_templates_are_compared_with_what_it_is_worth(fitted: Calibration) -> None:
    a, b = pool(rows(20, 0.2), None, FACE), pool(rows(20, 0.2, seed=5), None, FACE)
    same, other = compare_calibrated(a, a, fitted), compare_calibrated(a, b, fitted)
    assert same.same
    assert same.log_likelihood_ratio > 3
    assert other.rate == 0.01
    assert other.same == (other.score >= fitted.threshold(0.01).score)
    with pytest.raises(UsageError):
        compare_calibrated(a, a, fitted, rate=0.05)


@pytest.mark.parametrize("change", [{"encoder": "another"}, {"digest": "cd" * 32}])
def test_the_calibration_of_another_encoder_is_refused(fitted: Calibration, change: dict[str, str]) -> None:
    a = pool(rows(20, 0.2), None, FACE)
    with pytest.raises(EncoderMismatch, match="says nothing about scores of embedded-face-1"):
        compare_calibrated(a, a, msgspec.structs.replace(fitted, **change))


def test_the_encoders_that_ship_are_calibrated() -> None:
    for encoder in (load_face_encoder().info, load_voice_encoder().info):
        found = find_calibration(encoder)
        assert found is not None, encoder.id
        assert found.threshold(0.01).score < 1
        assert found.genuine >= 40
        assert "benchmarks.calibrate" in found.source
        assert find_calibration(dataclasses.replace(encoder, digest="0" * 64)) is None


def test_a_table_is_read_strictly(tmp_path: Path, fitted: Calibration) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(msgspec.json.encode((fitted,)))
    assert find_calibration(FACE, path) == fitted
    for broken in (b"", b"{}", msgspec.json.encode([{**msgspec.to_builtins(fitted), "more": 1}])):
        path.write_bytes(broken)
        with pytest.raises(MissingWeights, match="cannot be read"):
            find_calibration(FACE, path)
    with pytest.raises(MissingWeights):
        find_calibration(FACE, tmp_path / "nothing.json")
