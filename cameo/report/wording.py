"""Say in plain words what an enrolment came to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.records import CONSISTENCY_ONLY, MATCHED

if TYPE_CHECKING:
    from cameo.records import Adapter, Enrollment, Float32, TuningStep

# Keyed by the level an encoder promises; an unknown level is shown by its name alone.
ASSURANCE = {
    CONSISTENCY_ONLY: "The encoders can tell whether a recording shows one person from start to end, and whether a "
    "result moved towards that person. They cannot tell who somebody is: do not use them as proof of identity.",
    MATCHED: "The encoders were measured on telling people apart, so another recording can be compared with this "
    "double. A match says that two recordings show one person; it does not say what that person is called.",
}


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Sum an enrolment up; `level` is "ok" or "warn", `notes` say what is weak and `advice` what would help."""

    level: str
    headline: str
    sentence: str
    notes: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """Hold one number of the summary row, as text."""

    label: str
    value: str
    note: str


def conclude(enrollment: Enrollment) -> Conclusion:
    """Say whether the double is ready, on what it rests, and what would make it better."""
    notes = _weaknesses(enrollment)
    headline = "This double is sealed, but it is weak." if notes else "This double is ready."
    level = "warn" if notes else "ok"
    if enrollment.adapter.best_step == 0:
        notes.append("Tuning did not help: the untuned references are used.")
    advice = tuple(f"{c.title}: {c.advice}." for c in enrollment.quality.checks if c.level != "ok")
    return Conclusion(level, headline, _evidence(enrollment), tuple(notes), advice)


def key_figures(enrollment: Enrollment) -> list[KeyFigure]:
    """Pick the numbers a reader looks for first."""
    reasons, checks, sealed = enrollment.quality.reasons, enrollment.quality.checks, enrollment.sealed
    usable = reasons.count("")
    good = sum(check.level == "ok" for check in checks)
    kept, first = kept_step(enrollment.adapter), next(iter(enrollment.adapter.curve), None)
    before = f", {first.likeness:.2f} before tuning" if first and not math.isnan(first.likeness) else ""
    likeness = f"{kept.likeness:.2f}" if kept else "–"
    other = f"{kept.impostor:.2f} to the nearest other person{before}" if kept else "not judged"
    return [
        KeyFigure("Usable frames", f"{usable} of {len(reasons)}", f"{len(reasons) - usable} rejected"),
        KeyFigure("Speech", duration(enrollment.speech.seconds), f"in {duration(enrollment.clip.used_s)} of recording"),
        KeyFigure("Checks passed", f"{good} of {len(checks)}", "see the quality table"),
        KeyFigure("One face", *_middle(used_likeness(enrollment), enrollment.face.encoder.threshold)),
        KeyFigure("One voice", *_middle(enrollment.window_likeness, enrollment.voice.encoder.threshold)),
        KeyFigure("Tuned likeness", likeness, other),
        KeyFigure("File", size(sealed.size), f"{len(sealed.parts)} encrypted parts"),
        KeyFigure("Time taken", duration(sum(enrollment.seconds.values())), f"{len(enrollment.seconds)} steps"),
    ]


def kept_step(adapter: Adapter) -> TuningStep | None:
    """Find the judgement of the step that was kept; None when it was not judged."""
    judged = (step for step in adapter.curve if not (math.isnan(step.likeness) or math.isnan(step.impostor)))
    return next((step for step in judged if step.step == adapter.best_step), None)


def used_likeness(enrollment: Enrollment) -> Float32:
    """Likeness to the face template of the frames that were used, `[N]`."""
    return enrollment.frame_likeness[enrollment.frames_used]


def agreement(scores: Float32, threshold: float, what: str) -> str:
    """Count in a sentence how many of the cosines `scores` reach `threshold`; `what` is plural."""
    known = scores[~np.isnan(scores)]
    if not len(known):
        return f"No {what} could be compared."
    reached = int((known >= threshold).sum())
    return f"{reached} of {len(known)} {what} reach {threshold:.2f}; the median is {np.median(known):.2f}."


def number(value: float) -> str:
    """Print a measured value with three significant digits, large ones without decimals."""
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def size(count: int) -> str:
    """Print a number of bytes with a decimal unit."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def duration(seconds: float) -> str:
    """Print a time span in seconds, from a minute on in minutes and seconds."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _evidence(enrollment: Enrollment) -> str:
    reasons, kept = enrollment.quality.reasons, kept_step(enrollment.adapter)
    kind = "untuned" if enrollment.adapter.best_step == 0 else "tuned"
    parts = f"{reasons.count('')} of {len(reasons)} frames usable, {duration(enrollment.speech.seconds)} of speech"
    if kept is None:
        return f"{parts}; the likeness was not judged."
    return f"{parts}, {kind} likeness {kept.likeness:.2f} against {kept.impostor:.2f} for the nearest other person."


def _weaknesses(enrollment: Enrollment) -> list[str]:
    notes = [f"Failed: {check.title.lower()}." for check in enrollment.quality.failed]
    kept = kept_step(enrollment.adapter)
    if kept and kept.likeness <= kept.impostor:
        notes.append("What the generator shows looks no more like this person than like somebody else.")
    if _disagree(used_likeness(enrollment), enrollment.face.encoder.threshold):
        notes.append("Most frames do not look like the face template: there may be more than one person in them.")
    if _disagree(enrollment.window_likeness, enrollment.voice.encoder.threshold):
        notes.append("Most of the speech does not sound like the voice template: there may be more than one speaker.")
    return notes


def _disagree(scores: Float32, threshold: float) -> bool:
    known = scores[~np.isnan(scores)]
    return bool(len(known)) and float(np.median(known)) < threshold


def _middle(scores: Float32, threshold: float) -> tuple[str, str]:
    known = scores[~np.isnan(scores)]
    if not len(known):
        return "–", "not compared"
    return f"{np.median(known):.2f}", f"median likeness to the template; one person from {threshold:.2f}"
