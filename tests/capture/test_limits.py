"""The page of the quality checks says what the code judges by."""

from __future__ import annotations

from pathlib import Path

import pytest

from cameo.capture import picture_limits, sound_limits
from cameo.capture.limits import RULES
from cameo.capture.rule import Rule
from tests.docs.markdown import ROOT, codes, rows, section

PAGE = ROOT / "docs" / "reference" / "quality-checks.md"
COMPONENTS = {
    "UnifiedQualityScore", "BackgroundUniformity", "IlluminationUniformity", "LuminanceMean", "LuminanceVariance",
    "UnderExposurePrevention", "OverExposurePrevention", "DynamicRange", "Sharpness", "CompressionArtifacts",
    "NaturalColour", "SingleFacePresent", "EyesOpen", "MouthClosed", "EyesVisible", "MouthOcclusionPrevention",
    "FaceOcclusionPrevention", "InterEyeDistance", "HeadSize", "LeftwardCropOfTheFaceImage",
    "RightwardCropOfTheFaceImage", "MarginAboveOfTheFaceImage", "MarginBelowOfTheFaceImage", "HeadPoseYaw",
    "HeadPosePitch", "HeadPoseRoll", "ExpressionNeutrality", "NoHeadCoverings",
}  # fmt: skip


def test_the_page_lists_every_check() -> None:
    told: dict[str, list[str]] = {}
    for heading in ("## Picture", "## Sound"):
        told |= {codes(row[0])[0]: row[1:] for row in rows(section(PAGE, heading)) if codes(row[0])}
    assert told == {
        rule.name: [rule.component, rule.title, rule.limit, rule.advice, rule.source] for rule in RULES.values()
    }


def test_the_page_speaks_of_every_component_of_the_standard() -> None:
    """Those that are not judged are named, with the reason."""
    text = Path(PAGE).read_text("utf-8")
    judged = {rule.component for rule in RULES.values() if rule.component}
    assert judged <= COMPONENTS
    missing = {codes(row[0])[0] for row in rows(section(PAGE, "## What is not judged")) if codes(row[0])}
    assert missing == COMPONENTS - judged
    assert all(name in text for name in COMPONENTS)


@pytest.mark.parametrize("module", [picture_limits, sound_limits])
def test_no_rule_is_forgotten(module: object) -> None:
    assert {rule.name for rule in vars(module).values() if isinstance(rule, Rule)} <= set(RULES)


def test_names_are_names_of_one_rule() -> None:
    written = [rule for m in (picture_limits, sound_limits) for rule in vars(m).values() if isinstance(rule, Rule)]
    assert len(written) == len({rule.name for rule in written}) == len(RULES)
