"""Lay a measurement of likeness out in tables of words, for the terminal, Markdown and the page alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cameo.report.numbers import UNKNOWN
from cameo.scores import FIRST, VOICE

if TYPE_CHECKING:
    from collections.abc import Callable

    from cameo.scores import Estimate, Fidelity, Measure, PersonRow, SystemScore


@dataclass(frozen=True, slots=True)
class Table:
    """Hold a table: `rows` have a cell for every word of `head`; `note` says how to read it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def tables_of(made: Fidelity) -> list[Table]:
    """Lay out everything there is; tables without rows are left out."""
    return [table for table in (systems_table(made), *face_tables(made), *voice_tables(made)) if table.rows]


def face_tables(made: Fidelity) -> list[Table]:
    """Lay out what there is beside the first table about faces."""
    tables = (differences_table(made), behaviour_table(made), people_table(made))
    return [table for table in tables if table.rows]


def voice_tables(made: Fidelity) -> list[Table]:
    """Lay out what there is about voices."""
    return [table for table in (voices_table(made), speakers_table(made)) if table.rows]


def systems_table(made: Fidelity) -> Table:
    """A line for each system and recogniser."""
    titles = {measure.key: measure.title for measure in made.measures}
    rows = [
        (
            system.system if k == 0 else "",
            titles[row.measure],
            two(row.likeness.value),
            interval(row.likeness),
            two(row.ceiling.value),
            two(row.floor.value),
            percent(row.closed.value),
            percent(row.found.value),
            two(row.strict.value),
            f"{row.likeness.people}" if k == 0 else "",
            f"{system.clips}" if k == 0 else "",
        )
        for system in made.systems
        for k, row in enumerate(system.rows)
    ]
    head = (
        "system", "by", "likeness", "95 %", "real clips", "other people", "of the way", "faces found",
        "no face as 0", "people", "clips",
    )  # fmt: skip
    note = (
        "Likeness is the mean over people of their clips' scores. Real clips of the same people are the ceiling, those "
        "of other people the floor, with faces as large as in the clips; the way is from floor to ceiling."
    )
    return Table("Likeness", head, tuple(rows), note)


def differences_table(made: Fidelity) -> Table:
    """A line for every two systems and recogniser."""
    titles = {measure.key: measure.title for measure in made.measures} | {VOICE: "voice"}
    rows = [
        (
            f"{one.first} less {one.second}", titles[one.measure], signed(one.likeness.value),
            interval(one.likeness, signed), verdict(one.likeness),
        )
        for one in made.differences
        if one.likeness.people
    ]  # fmt: skip
    note = "Over the people that both show, drawn together; clips of the same names are drawn in pairs."
    return Table("Differences", ("systems", "by", "difference", "95 %", ""), tuple(rows), note)


def behaviour_table(made: Fidelity) -> Table:
    """A line for each system: poses, drift, consistency and copying, by the first recogniser."""
    head = (
        "system", "frontal", "turned", "change in a clip", "per second", "first to last quarter", "clip to clip",
        "copying",
    )  # fmt: skip
    rows = []
    for system in made.systems:
        frontal, turned = (_beside(pose.likeness, pose.real) if pose.frames else "not shown" for pose in system.poses)
        rows.append(
            (
                system.system, frontal, turned, signed(system.change.value, 2),
                signed(system.slope_per_s.value), two(system.kept.value),
                _beside(system.consistency, system.real_consistency),
                two(system.copying.value),
            )
        )  # fmt: skip
    note = (
        f"By {_first(made).title}. Turned is by 15° or more. The change is from a clip's first to its last quarter. "
        "Clip to clip is the cosine between clips of one film, beside that of a real recording to its reference. "
        "Copying is how often a frame singles out one reference frame more than real frames do: 0.5 is none, 1 a copy."
    )
    return Table("Poses, time, copies", head, tuple(rows), note)


def people_table(made: Fidelity) -> Table:
    """A line for each person and system."""
    keys = [measure.key for measure in made.measures]
    rows = []
    for person in sorted({row.person for system in made.systems for row in system.people}):
        for k, (system, row) in enumerate(_of_person(made, person)):
            rows.append((person if k == 0 else "", system.system, f"{row.clips}", *_person_cells(row, keys)))
    titles = [measure.title for measure in made.measures]
    head = (
        "person", "system", "clips", *titles, "real clips", "other people", "faces found", "per second",
        "clip to clip", "copying",
    )  # fmt: skip
    return Table("People", head, tuple(rows), "Real clips and other people are by the first recogniser.")


def voices_table(made: Fidelity) -> Table:
    """A line for each system whose clips have speech."""
    rows = [
        (
            system.system, two(voice.likeness.value), interval(voice.likeness), two(voice.ceiling.value),
            two(voice.floor.value), percent(voice.closed.value), _beside(voice.sync, voice.real_sync),
            _beside(voice.chance, voice.real_chance, percent), f"{len(voice.people)}", f"{voice.clips}",
        )
        for system in made.systems
        if (voice := system.voice) is not None
    ]  # fmt: skip
    head = (
        "system", "voice", "95 %", "own voice", "other people", "of the way", "lips", "as good when moved", "people",
        "clips",
    )  # fmt: skip
    note = (
        "Clips with speech only. Own voice is that of held-out real speech in pieces about as long. Lips are how the "
        "opening of the mouth goes with the level of the sound, from -1 to 1, and how often it goes as well with the "
        "sound moved to a wrong place: half the time where the two do not belong together."
    )
    return Table("Voice", head, tuple(rows), note)


def speakers_table(made: Fidelity) -> Table:
    """A line for each person and system with speech."""
    spoken = [(system, row) for system in made.systems if system.voice for row in system.voice.people]
    rows = []
    for person in sorted({row.person for _, row in spoken}):
        for k, (system, row) in enumerate((system, row) for system, row in spoken if row.person == person):
            rows.append(
                (
                    person if k == 0 else "", system.system, f"{row.clips}", f"{row.speech_s:.1f} s",
                    two(row.likeness), two(row.ceiling), two(row.floor), two(row.sync), percent(row.chance),
                )
            )  # fmt: skip
    head = (
        "person", "system", "clips", "speech", "voice", "own voice", "other people", "lips", "as good when moved",
    )  # fmt: skip
    return Table("Voices of people", head, tuple(rows), "Speech is that of a clip in the mean.")


def _of_person(made: Fidelity, person: str) -> list[tuple[SystemScore, PersonRow]]:
    return [(system, row) for system in made.systems for row in system.people if row.person == person]


def _person_cells(row: PersonRow, keys: list[str]) -> tuple[str, ...]:
    return (
        *(two(row.likeness[key]) for key in keys), two(row.ceiling[FIRST]), two(row.floor[FIRST]),
        percent(row.found), signed(row.slope_per_s), two(row.consistency), two(row.copying),
    )  # fmt: skip


def two(value: float) -> str:
    """Print a likeness with two decimals, and no minus before zero."""
    return f"{round(value, 2) + 0.0:.2f}" if math.isfinite(value) else UNKNOWN


def signed(value: float, digits: int = 3) -> str:
    """Print a difference with its sign."""
    return f"{round(value, digits) + 0.0:+.{digits}f}" if math.isfinite(value) else UNKNOWN


def percent(value: float) -> str:
    """Print a share."""
    return f"{value:.0%}" if math.isfinite(value) else UNKNOWN


def verdict(difference: Estimate) -> str:
    """Say whether an interval shows a difference."""
    if not math.isfinite(difference.low):
        return "too few to tell"
    if difference.low <= 0 <= difference.high:
        return "no difference shown"
    return "the first is more alike" if difference.value > 0 else "the second is more alike"


def interval(estimate: Estimate, write: Callable[[float], str] = two) -> str:
    """Print an interval; a dash where there is none."""
    return f"{write(estimate.low)} to {write(estimate.high)}" if math.isfinite(estimate.low) else UNKNOWN


def _beside(shown: Estimate, real: Estimate, write: Callable[[float], str] = two) -> str:
    """Print a value, and that of real clips beside it where both are known."""
    both = math.isfinite(shown.value) and math.isfinite(real.value)
    return f"{write(shown.value)} (real {write(real.value)})" if both else write(shown.value)


def _first(made: Fidelity) -> Measure:
    return made.measures[0]
