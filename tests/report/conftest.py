"""An enrolment of a rendered person, with the values a good recording gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from cameo.records import (
    CONSISTENCY_ONLY,
    Adapter,
    Check,
    EncoderInfo,
    Enrollment,
    Evidence,
    FaceTrack,
    Mistake,
    Precedents,
    QualityReport,
    SealedFile,
    Speech,
    Template,
    TuningStep,
    Verdict,
)
from tests.conftest import RenderedPerson, clip_of

if TYPE_CHECKING:
    from cameo.records import Float32, UInt8

RATE_HZ = 16_000
REJECTED = {"no face": range(20, 24), "blurred": range(50, 59), "turned away": range(90, 91)}

CHECKS = (
    Check("length", "Length", 4.0, "s", "at least 3 s, better 5 s", "warn", "chosen", "record 10 to 20 seconds"),
    Check("face", "Frames with a face", 96.0, "%", "at least 50 %, better 80 %", "ok", "chosen", "film one face"),
    Check("sharpness", "Sharpness of the face", 1278.4, "", "at least 7, better 25", "ok", "measured", "hold still"),
    Check("speech", "Speech", 3.4, "s", "at least 3 s, better 8 s", "warn", "measured", "speak for 10 to 20 seconds"),
    Check("clipping", "Clipped samples", 0.0, "%", "at most 0.1 %", "ok", "chosen", "lower the recording level"),
)

CURVE = (
    TuningStep(0, math.nan, 0.64, 0.31, 0.0, 0.02),
    TuningStep(100, 0.412, 0.73, 0.26, 14.0, 0.11),
    TuningStep(200, 0.268, 0.79, 0.24, 28.1, 0.16),
    TuningStep(300, 0.221, 0.81, 0.22, 42.3, 0.19),
    TuningStep(400, 0.197, 0.80, 0.22, 56.4, 0.24),
)


def track_of(person: RenderedPerson) -> FaceTrack:
    """Track a rendered face where the renderer put it, but for the frames without a face."""
    count = len(person.points)
    found = np.ones(count, bool)
    found[list(REJECTED["no face"])] = False
    low, high = person.points.min(1), person.points.max(1)
    boxes = np.where(found[:, None], np.concatenate([low, high - low], 1), np.nan).astype(np.float32)
    points = np.where(found[:, None, None], person.points, np.nan).astype(np.float32)
    zeros = np.zeros(count, np.float32)
    return FaceTrack(boxes, points, person.eye_open, person.mouth, zeros, zeros, zeros, found.astype(np.int64), found)


def reasons_of(count: int) -> tuple[str, ...]:
    """Why each of `count` frames was rejected."""
    return tuple(next((why for why, frames in REJECTED.items() if i in frames), "") for i in range(count))


def template_of(modality: str, dimension: int, scores: Float32) -> Template:
    info = EncoderInfo(
        id=f"embedded-{modality}-1",
        modality=modality,
        digest="5c" * 32,
        dimension=dimension,
        assurance=CONSISTENCY_ONLY,
        licence="Apache-2.0",
        threshold=0.35,
        threshold_source=f"benchmarks/training/fit_{modality}.py",
    )
    vector = np.eye(1, dimension, dtype=np.float32)[0]
    return Template(vector, float(1 - scores.mean()), len(scores), scores, info)


def adapter_of(person: RenderedPerson) -> Adapter:
    """An adapter whose stills are the person's last frames, dulled to stand for generated ones."""
    frames = person.clip.frames[-12::2]
    real = np.stack([cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.uint8)
    parts = {"adapter.reference.face": b"lora", "identity.reference.face": b"references"}
    before, after = _blur(real, 2.0), _blur(real, 0.7)
    mistakes = tuple(Mistake(0.4 * k, 0.31 + k / 50, 0.62, real[k], before[k], after[k]) for k in range(4))
    return Adapter(
        "reference", "9e" * 32, parts, CURVE, 300, before, after, real, {"copying_limit": 0.95},
        stopped="the likeness stopped rising", mistakes=mistakes,
    )  # fmt: skip


def _blur(stills: UInt8, sigma: float) -> UInt8:
    return np.stack([cv2.GaussianBlur(still, (0, 0), sigma) for still in stills]).astype(np.uint8)


def build_enrollment(person: RenderedPerson) -> Enrollment:
    """Enrol a rendered person without running a stage."""
    random, count = np.random.default_rng(4), len(person.clip.frames)
    sound = (0.1 * random.standard_normal(4 * RATE_HZ)).astype(np.float32)
    clip, track, reasons = clip_of(person.clip.frames, sound), track_of(person), reasons_of(count)
    usable = np.array([not reason for reason in reasons], bool)
    drift = 0.8 + 0.06 * np.sin(np.arange(count) / 9) + random.normal(0, 0.02, count)
    likeness = np.where(track.found, np.where(usable, drift, drift - 0.3), np.nan).astype(np.float32)
    windows = np.array([0.71, 0.88, 0.93, 0.9], np.float32)
    return Enrollment(
        clip=clip,
        track=track,
        speech=Speech(sound[: int(3.4 * RATE_HZ)], np.array([[0.3, 3.7]])),
        quality=QualityReport(CHECKS, usable.astype(np.float32), reasons),
        face=template_of("face", 3335, likeness[usable]),
        voice=template_of("voice", 190, windows),
        frame_likeness=likeness,
        frames_used=usable,
        window_likeness=windows,
        liveness=Verdict((Evidence("lips", "Mouth and sound", 0.7, 1.0, True, False, "p = 0.01", "they agree"),)),
        precedents=Precedents("all"),
        adapter=adapter_of(person),
        sealed=SealedFile(
            path="ada.cameo",
            sha256="a1" * 32,
            size=612_480,
            bundle_id="0f" * 16,
            owner="7b" * 32,
            assurance=CONSISTENCY_ONLY,
            parts={
                "adapter.reference.face": 401_231,
                "identity.reference.face": 180_244,
                "template.face": 14_302,
                "template.voice": 1_652,
            },
        ),
        consent=("I am 18 or older.", "It may be used:", "  - only the owner: clips of themselves, until 2027-11-25"),
        seconds={"read": 1.1, "track": 2.9, "tune": 56.4, "seal": 0.04},
        versions={"cameo-double": "0.1.0", "torch": "2.11.0"},
    )


@pytest.fixture(scope="session")
def enrollment(person: RenderedPerson) -> Enrollment:
    """The enrolment of a rendered person."""
    return build_enrollment(person)
