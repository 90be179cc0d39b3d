"""Say whether a recording is good enough to enrol from, and if not, what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.limits import RULES
from cameo.capture.picture_checks import judge_picture, measure_faces, score_frames
from cameo.capture.speech_checks import SILENT_DB, judge_sound, judge_voices
from cameo.errors import CaptureRejected
from cameo.records import QualityReport

if TYPE_CHECKING:
    from cameo.records import Check, Clip, FaceTrack, Float32, Speech


def assess(clip: Clip, track: FaceTrack, speech: Speech) -> QualityReport:
    """Run every check on a recording, its face track and its speech.

    Checks that need a face or speech are left out when there is none, and so is what a recording cannot tell.
    """
    faces = measure_faces(clip.frames, track)
    scores, reasons = score_frames(track, faces)
    usable = np.array([not reason for reason in reasons], bool)
    checks = judge_picture(clip, track, faces, usable) + judge_sound(clip, speech)
    return QualityReport(tuple(checks), scores, reasons)


def add_voices(report: QualityReport, windows: Float32) -> QualityReport:
    """Add the check for a second voice, which needs a voice encoder.

    Args:
        report: of `assess`.
        windows: `[K, D]` unit rows, windows of the speech in order.
    """
    return replace(report, checks=(*report.checks, *judge_voices(windows)))


def require_good(report: QualityReport) -> None:
    """Let a good recording pass.

    Raises:
        CaptureRejected: naming the first failed check, with its advice as the hint; the report is attached.
    """
    if not report.failed:
        return
    first = report.failed[0]
    others = len(report.failed) - 1
    more = f" (and {others} more failed {'check' if others == 1 else 'checks'})" if others else ""
    raise CaptureRejected(_problem(first) + more, first.advice, report)


def _problem(check: Check) -> str:
    """Say in one line what is wrong; total absence has words of its own."""
    if check.name == "face" and check.value == 0:
        return "no face found in the clip"
    if check.name == "sound" and check.value <= SILENT_DB:
        return "there is no sound in the recording"
    if check.name == "speech" and check.value == 0:
        return "no speech found, the sound holds noise or music only"
    rule = RULES[check.name]
    limit = f"{rule.sense} {rule.fail:g} {rule.unit}".rstrip()
    verdict = "needed" if rule.sense == "at least" else "allowed"
    return f"{rule.problem.format(value=check.value)}, {limit} {verdict}"
