"""Say in sentences what a measurement of likeness came to, and how it was made."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cameo.report.fidelity_tables import interval, percent, signed, two, verdict
from cameo.scores import FIRST, VOICE
from cameo.weights import licence_notice

if TYPE_CHECKING:
    from cameo.scores import Difference, Fidelity, Row, SystemScore, SystemVoice, VoiceBasis

_PUBLISHED = {"opens2v": "OpenS2V-Eval", "consisid": "ConsisID"}


def conclude_fidelity(made: Fidelity) -> list[str]:
    """Say how far every system has come, which of every two is more alike, and the same of voices."""
    lines = [_come(system) for system in made.systems]
    lines += [_compared(one) for one in made.differences if one.measure == FIRST and one.likeness.people]
    lines += [_sounds(system.system, system.voice) for system in made.systems if system.voice]
    return lines + [_compared(one, "voice") for one in made.differences if one.measure == VOICE and one.likeness.people]


def describe_method(made: Fidelity) -> list[str]:
    """Say how likeness was measured: protocol, recognisers, references, versions; then what to know about it."""
    followed = "as its published script does it, slips included" if made.as_published else "by its definition"
    lines = [
        f"{made.frames} frames of every clip, evenly from the first to the last, {followed} "
        f"({_PUBLISHED[made.protocol]}): of the largest face in each the cosine to the reference, at least 0; frames "
        "without a face are passed over; their mean is the score, 0 without any."
    ]
    for measure in made.measures:
        lines.append(f"{measure.title}: {measure.encoder}, weights {measure.digest[:16]}….")
        if notice := licence_notice(measure.encoder, measure.licence):
            lines.append(f"{notice}.")
    lines += [
        f"{one.person}: {one.faces} of {one.frames} reference frames have a face; "
        f"{one.real_frames} real frames were held out."
        for one in made.references
    ]
    lines += _describe_voices(made.voice)
    lines.append("Intervals are 95 % bootstrap intervals over people and, within each, their clips.")
    lines += made.notes
    lines.append(", ".join(f"{name} {number}" for name, number in made.versions.items()) + ".")
    return lines


def _describe_voices(voice: VoiceBasis | None) -> list[str]:
    if voice is None or not voice.people:
        return []
    lines = [
        f"Voices: {voice.encoder}, weights {voice.digest[:16]}…: the mean cosine of windows of a clip's speech to the "
        "mean of the person's reference."
    ]
    if notice := licence_notice(voice.encoder, voice.licence):
        lines.append(f"{notice}.")
    return lines + [
        f"{one.person}: {one.speech_s:.1f} s of speech in the reference; {one.held_s:.1f} s were held out."
        for one in voice.people
    ]


def _come(system: SystemScore) -> str:
    row = system.rows[0]
    told = f"{system.system}: likeness {_between(row, 'real clips')}"
    return f"{told}. Faces were found in {percent(row.found.value)} of the frames."


def _sounds(system: str, voice: SystemVoice) -> str:
    if not math.isfinite(voice.likeness.value):
        return f"{system}: there is speech, and no voice to compare it with."
    return f"{system}: voice {_between(voice, 'own voice')}."


def _between(row: Row | SystemVoice, ceiling: str) -> str:
    """Say where something lies between floor and ceiling, as far as they are known."""
    told = two(row.likeness.value)
    if math.isfinite(row.likeness.low):
        told += f" ({interval(row.likeness)})"
    known = ((ceiling, row.ceiling.value), ("other people", row.floor.value))
    beside = ", ".join(f"{what} {two(value)}" for what, value in known if math.isfinite(value))
    told += f"; to compare: {beside}" if beside else ""
    return told + (f", which makes {percent(row.closed.value)} of the way" if math.isfinite(row.closed.value) else "")


def _compared(one: Difference, what: str = "") -> str:
    by = f" in {what}" if what else ""
    told = {
        "the first is more alike": f"{one.first} is more alike{by} than {one.second}",
        "the second is more alike": f"{one.second} is more alike{by} than {one.first}",
        "no difference shown": f"No difference{by} is shown between {one.first} and {one.second}",
        "too few to tell": f"There is too little to compare {one.first} with {one.second}{by}",
    }[verdict(one.likeness)]
    return f"{told}: {signed(one.likeness.value)} ({interval(one.likeness, signed)})."
