"""Say in plain words what an enrolment came to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from cameo.records import CONSISTENCY_ONLY, MATCHED, split_assurance
from cameo.report.numbers import UNKNOWN, duration, likeness, number, size
from cameo.report.parts import TUNED_LIMIT, tuned_size
from cameo.weights import licence_notice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cameo.records import Adapter, Check, Enrollment, Float32, Precedents, TuningStep, Verdict

# Keyed by the level an encoder promises; an unknown level is shown by its name alone.
ASSURANCE = {
    CONSISTENCY_ONLY: "The likeness scores tell whether a clip is one person and whether a result moved towards them, "
    "not who somebody is.",
    MATCHED: "The likeness scores were measured on telling people apart: they tell whether two recordings show one "
    "person, not what that person is called.",
}

UNTUNED = (
    "Tuning did not help, so nothing of it was kept (step 0): the double shows the person from reference frames "
    "alone, as the generator did before tuning."
)
UNJUDGED = (
    "No face was found in anything the generator made, so there was no likeness to judge by. Step {step} was kept, "
    "because its loss on frames that tuning never saw is the lowest ({loss})."
)

LIVE_TOO = (
    "It is live besides: the recording answered a challenge that was issued for it, so somebody said and did what "
    "nobody could have foreseen."
)

_URGENCY = ("fail", "warn")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Sum an enrolment up.

    `level` is "ok" or "warn"; `name` is the file's and `state` ends the sentence it begins; `verdict` says whether
    the double is good, `notes` what is weak, and `advice` what a new recording should do better.
    """

    level: str
    name: str
    state: str
    verdict: str
    notes: tuple[str, ...]
    advice: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """Hold one number of the summary row, as text."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Hold a line of consent and the points listed under it."""

    text: str
    points: tuple[str, ...]


def conclude(enrollment: Enrollment) -> Conclusion:
    """Say whether what was made is good, and what would make it better."""
    notes = _weaknesses(enrollment)
    advice = tuple(c for c in checks_by_urgency(enrollment.quality.checks) if c.level != "ok")
    return Conclusion(
        level="warn" if notes else "ok",
        name=PurePath(enrollment.sealed.path).name,
        state="is sealed, but weak" if notes else "is ready",
        verdict=_verdict(bool(notes), len(advice), len(enrollment.quality.checks)),
        notes=tuple(notes),
        advice=advice,
    )


def key_figures(enrollment: Enrollment) -> list[KeyFigure]:
    """Pick the numbers a reader looks for first."""
    reasons, sealed = enrollment.quality.reasons, enrollment.sealed
    usable = reasons.count("")
    kept, first = kept_step(enrollment.adapter), untuned_step(enrollment.adapter)
    made, other = (likeness(kept.likeness), likeness(kept.impostor)) if kept else (UNKNOWN, UNKNOWN)
    before = f"{likeness(first.likeness)} before tuning, " if first and kept and kept.step > 0 else ""
    # Not the clip's length: the voice may come from a recording of its own.
    sound_s = len(enrollment.clip.sound) / enrollment.clip.rate_hz
    tuned = f"adapter and identity are {size(tuned_size(sealed))} of at most {size(TUNED_LIMIT)}"
    return [
        KeyFigure("Usable frames", f"{usable} of {len(reasons)}", f"{len(reasons) - usable} left out, shown below"),
        KeyFigure("Speech", duration(enrollment.speech.seconds), f"in {duration(sound_s)} of sound"),
        KeyFigure("One face", *_typical(used_likeness(enrollment), enrollment.face.encoder.threshold)),
        KeyFigure("One voice", *_typical(enrollment.window_likeness, enrollment.voice.encoder.threshold)),
        KeyFigure("Generated likeness", made, f"{before}{other} to the nearest other person" if kept else "not judged"),
        KeyFigure("File", size(sealed.size), tuned),
    ]


def kept_step(adapter: Adapter) -> TuningStep | None:
    """Find the judgement of the step that was kept; None when it was not judged."""
    return _judged(adapter, adapter.best_step)


def untuned_step(adapter: Adapter) -> TuningStep | None:
    """Find the judgement from before tuning; None when there is none."""
    return _judged(adapter, 0)


def tuning_summary(adapter: Adapter) -> str:
    """Say in a few sentences which step was kept, what it gained, and why tuning ended."""
    ended = f" Tuning ended because {adapter.stopped}." if adapter.stopped else ""
    return _kept(adapter) + ended


def _kept(adapter: Adapter) -> str:
    kept, first = kept_step(adapter), untuned_step(adapter)
    losses = [step.held_loss for step in adapter.curve if step.step == adapter.best_step]
    if losses and math.isfinite(losses[-1]):
        return UNJUDGED.format(step=adapter.best_step, loss=number(losses[-1]))
    if adapter.best_step == 0:
        return UNTUNED
    sentence = f"Step {adapter.best_step} was kept."
    if kept and first:
        change = kept.likeness - first.likeness
        word = "rose" if change > 0 else "went"
        sentence += f" The likeness {word} from {likeness(first.likeness)} to {likeness(kept.likeness)}."
        if change <= 0:
            sentence += " It was kept because the person is also known without reference frames."
    return sentence


def used_likeness(enrollment: Enrollment) -> Float32:
    """Likeness to the face template of the frames that were used, `[N]`."""
    return enrollment.frame_likeness[enrollment.frames_used]


def agreement(scores: Float32, threshold: float, one: str, many: str) -> str:
    """Count in a sentence how many of the cosines `scores` reach `threshold`; `one` and `many` name them."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return f"No {one} could be compared."
    if len(known) == 1:
        return f"There is a single {one}, and nothing else to compare it with."
    reached = int((known >= threshold).sum())
    return f"{reached} of {len(known)} {many} reach {likeness(threshold)}; a typical one has {np.median(known):.2f}."


def checks_by_urgency(checks: Iterable[Check]) -> list[Check]:
    """Put failed checks first, then those that could be better, and leave the rest in order."""
    return sorted(checks, key=lambda c: _URGENCY.index(c.level) if c.level in _URGENCY else len(_URGENCY))


def conclude_liveness(verdict: Verdict) -> str:
    """Say what the evidence on somebody being in front of the camera comes to."""
    if verdict.live:
        return "A challenge was answered: digits and turns that nobody could know before."
    told = (
        "No challenge was asked, so nothing here shows that somebody was there; what follows can only speak against it."
    )
    against = len(verdict.warnings)
    return f"{told} {'Nothing does.' if not against else f'{against} of it does.'}"


def explain_assurance(assurance: str) -> str:
    """Say what a level of assurance promises; "" for one that is not known."""
    encoders, live = split_assurance(assurance)
    return " ".join(filter(None, (ASSURANCE.get(encoders, ""), LIVE_TOO if live else "")))


def conclude_precedents(precedents: Precedents) -> str:
    """Say in a sentence or two whom among those enrolled before the person is like."""
    if precedents.among == "off":
        return "Nobody was looked for, and nothing is kept for later searches: CAMEO_GALLERY is off."
    if precedents.among == "nobody":
        return "The double was enrolled before; nobody was looked for again."
    if precedents.duplicate:
        told = "Another owner has enrolled this face on this machine. It was enrolled all the same, as was asked for."
    elif precedents.warnings:
        told = "Something does not fit; these encoders may well be wrong about it."
    elif precedents.checks:
        told = "Nothing speaks against it among the doubles that were enrolled on this machine."
    else:
        told = "There is no earlier double on this machine that could be compared."
    left = precedents.not_compared
    return told + (f" Not compared: {left}, made with other encoders, or nothing is kept of them." if left else "")


def licence_notices(enrollment: Enrollment) -> list[str]:
    """Say what the licences of the encoders ask for; nothing where they ask for nothing."""
    encoders = (enrollment.face.encoder, enrollment.voice.encoder)
    return [f"{notice}." for encoder in encoders if (notice := licence_notice(encoder.id, encoder.licence))]


def consent_paragraphs(lines: Iterable[str]) -> list[Paragraph]:
    """Gather indented lines as points under the line before them."""
    paragraphs: list[Paragraph] = []
    for line in lines:
        if line.startswith(" "):
            last = paragraphs.pop() if paragraphs else Paragraph("", ())
            paragraphs.append(Paragraph(last.text, (*last.points, line.strip().removeprefix("- "))))
        else:
            paragraphs.append(Paragraph(line, ()))
    return paragraphs


def _judged(adapter: Adapter, step: int) -> TuningStep | None:
    found = (point for point in adapter.curve if point.step == step and math.isfinite(point.likeness))
    return next(found, None)


def _verdict(weak: bool, better: int, checks: int) -> str:
    if weak:
        return "It can be used, but not everything is as it should be:"
    if better:
        return f"It is good. In {better} of {checks} checks the recording could be better still; see below how."
    return f"It is good: the recording passed all {checks} checks." if checks else "It is good."


def _weaknesses(enrollment: Enrollment) -> list[str]:
    notes = [f"The recording fails a check: {check.title.lower()}." for check in enrollment.quality.failed]
    if enrollment.precedents.duplicate:
        notes.append("Another owner has enrolled this face on this machine.")
    kept = kept_step(enrollment.adapter)
    if kept and kept.likeness <= kept.impostor:
        notes.append("What the generator shows looks no more like this person than like somebody else.")
    if _disagree(used_likeness(enrollment), enrollment.face.encoder.threshold):
        notes.append("Most frames do not look like one face: there may be more than one person in them.")
    if _disagree(enrollment.window_likeness, enrollment.voice.encoder.threshold):
        notes.append("Most of the speech does not sound like one voice: there may be more than one speaker.")
    if tuned_size(enrollment.sealed) > TUNED_LIMIT:
        notes.append(f"Adapter and identity are larger than {size(TUNED_LIMIT)} together.")
    return notes


def _disagree(scores: Float32, threshold: float) -> bool:
    known = scores[np.isfinite(scores)]
    return bool(len(known)) and float(np.median(known)) < threshold


def _typical(scores: Float32, threshold: float) -> tuple[str, str]:
    known = scores[np.isfinite(scores)]
    if not len(known):
        return UNKNOWN, "not compared"
    note = f"typical likeness within the recording; one person from {likeness(threshold)}"
    return likeness(float(np.median(known))), note
