"""What is told of one clip: scores, poses, drift."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cameo.fidelity.clips import RealLooks, Rules, score_clip, score_real
from cameo.fidelity.folders import ClipFile
from cameo.fidelity.looks import Looks
from cameo.fidelity.protocols import OPENS2V
from cameo.scores import FIRST, ClipScore

FILE = ClipFile(Path("x.mp4"), "x.mp4", "own", "ada", "ada")
ADA = np.eye(3, dtype=np.float32)[0]


def face(yaw_deg: float = 0.0, apart: float = 30.0) -> np.ndarray:
    """Points of a head turned by so much, as `faces.track.head_pose` reads them."""
    points = np.full((10, 2), np.nan, np.float32)
    aside = 0.6 * math.sin(math.radians(yaw_deg)) * apart
    points[:5] = np.array([[0, 0], [apart, 0], [apart / 2 + aside, 0.6 * apart], [5, apart], [apart - 5, apart]])
    return points


def looks_of(cosines: list[float], yaws: list[float] | None = None, every_s: float = 0.5) -> Looks:
    """Frames with these cosines to Ada; NaN is no face."""
    looks = Looks()
    for k, cosine in enumerate(cosines):
        if math.isnan(cosine):
            looks.add(every_s * k, None, {FIRST: None})
            continue
        vector = np.array([cosine, math.sqrt(1 - cosine**2), 0], np.float32)
        looks.add(every_s * k, face(yaws[k] if yaws else 0.0), {FIRST: vector})
    return looks


def scored(looks: Looks) -> ClipScore:
    return score_clip(FILE, looks, {FIRST: ADA}, Rules(OPENS2V), (64, 48), math.nan)


def test_frames_without_a_face_are_passed_over_and_told() -> None:
    clip = scored(looks_of([0.5, math.nan, 0.7, -0.4]))
    assert clip.score[FIRST] == pytest.approx(0.4)
    assert clip.strict[FIRST] == pytest.approx(0.3)
    assert clip.found[FIRST] == 0.75
    assert clip.likeness[FIRST] == pytest.approx((0.5, math.nan, 0.7, -0.4), nan_ok=True)
    assert (clip.width, clip.height, clip.eyes_px) == (64, 48, 30.0)
    assert clip.drift is None


def test_no_face_at_all_scores_nothing() -> None:
    clip = scored(looks_of([math.nan] * 10))
    assert (clip.score[FIRST], clip.strict[FIRST], clip.found[FIRST]) == (0.0, 0.0, 0.0)
    assert math.isnan(clip.eyes_px) and clip.drift is None and all(map(math.isnan, clip.poses.values()))


def test_poses() -> None:
    clip = scored(looks_of([0.9, 0.8, 0.3, 0.5], [0.0, 10.0, 30.0, -20.0]))
    assert clip.poses == pytest.approx({"frontal": 0.85, "turned": 0.4})
    assert np.allclose(clip.yaw_deg, [0, 10, 30, -20], atol=1.0)


def test_drift_is_the_slope_over_time() -> None:
    clip = scored(looks_of([0.9 - 0.05 * k for k in range(16)]))
    assert clip.drift is not None
    assert clip.drift.slope_per_s == pytest.approx(-0.1)
    assert clip.drift.first > 0.8 and clip.drift.last < 0.3
    assert clip.drift.kept < 0.75
    steady = scored(looks_of([0.7] * 16)).drift
    assert steady is not None
    assert (steady.slope_per_s, steady.kept) == pytest.approx((0.0, 1.0), abs=1e-5)


def test_frames_without_a_face_do_not_make_a_drift() -> None:
    cosines = [0.8 if k % 3 else math.nan for k in range(20)]
    found = scored(looks_of(cosines)).drift
    assert found is not None and found.slope_per_s == pytest.approx(0.0, abs=1e-6)
    # A quarter without any face leaves nothing to compare.
    assert scored(looks_of([math.nan] * 5 + [0.8] * 15)).drift is None


def test_real_frames_make_ceiling_and_floor() -> None:
    own = RealLooks("ada", 0.5, (looks_of([0.9] * 8), looks_of([0.8] * 8)))
    others = [RealLooks("bob", 0.5, (looks_of([0.1] * 4),)), RealLooks("eve", 1.0, ())]
    real = score_real("own", own, others, {FIRST: ADA}, Rules(OPENS2V))
    assert real.ceiling[FIRST] == pytest.approx((0.9, 0.8)) and real.floor[FIRST] == pytest.approx((0.1,))
    assert (real.found, real.scale, real.eyes_px) == (1.0, 0.5, 30.0)
    assert real.poses["frontal"] == pytest.approx(0.85) and math.isnan(real.poses["turned"])
    assert real.slopes_per_s == pytest.approx((0.0, 0.0), abs=1e-6)
    nothing = score_real("own", RealLooks("ada", 1.0, ()), [], {FIRST: ADA}, Rules(OPENS2V))
    assert nothing.ceiling[FIRST] == () and nothing.floor[FIRST] == () and math.isnan(nothing.kept)
