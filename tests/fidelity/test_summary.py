"""Sums over people, shots and systems, held against sums written out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cameo.fidelity.clips import Rules, score_clip
from cameo.fidelity.folders import ClipFile
from cameo.fidelity.notes import notes_on
from cameo.fidelity.protocols import CONSISID, OPENS2V
from cameo.fidelity.summary import Scored, compare_systems, consistency, summarise
from cameo.records import CONSISTENCY_ONLY, MATCHED
from cameo.scores import CURRICULAR, FIRST, ClipScore, Fidelity, Measure, RealScore
from tests.fidelity.test_clips import ADA, looks_of


def clip(person: str, name: str, likeness: float, film: str | None = None, system: str = "own") -> ClipScore:
    file = ClipFile(Path(name), name, system, person, person if film is None else film)
    return score_clip(file, looks_of([likeness] * 12), {FIRST: ADA}, Rules(OPENS2V), (64, 64), 0.5)


def real(person: str, ceiling: float = 0.9, floor: float = 0.1, system: str = "own") -> RealScore:
    known = math.isfinite(ceiling)
    ceilings, floors = ({FIRST: (value,) if known else ()} for value in (ceiling, floor))
    return RealScore(person, system, 1.0, 30.0, ceilings, floors, 1.0, {"frontal": ceiling}, (0.0,), 0.95)


def scored(clips: list[ClipScore], *known: RealScore, system: str = "own") -> Scored:
    directions = {(one.person, one.clip): np.eye(3, dtype=np.float32)[k % 3] for k, one in enumerate(clips)}
    return Scored(system, clips, directions, {one.person: one for one in known})


def test_every_person_counts_alike() -> None:
    clips = [clip("ada", f"a{k}.mp4", 0.8) for k in range(9)] + [clip("bob", "b.mp4", 0.2)]
    found = summarise(scored(clips, real("ada"), real("bob", 0.7)), [FIRST])
    row = found.rows[0]
    assert row.likeness.value == pytest.approx(0.5)
    assert row.ceiling.value == pytest.approx(0.8) and row.floor.value == pytest.approx(0.1)
    assert row.closed.value == pytest.approx((0.5 - 0.1) / (0.8 - 0.1))
    assert (found.clips, found.faceless) == (10, 0)
    assert [(one.person, one.clips) for one in found.people] == [("ada", 9), ("bob", 1)]
    assert found.poses[0].frames == 120 and found.poses[1].frames == 0
    assert found.slope_per_s.value == pytest.approx(0, abs=1e-6) and found.copying.value == 0.5


def test_people_without_real_frames_have_no_way_to_go() -> None:
    clips = [clip("ada", "a.mp4", 0.8), clip("bob", "b.mp4", 0.2)]
    row = summarise(scored(clips, real("ada"), real("bob", math.nan)), [FIRST]).rows[0]
    assert row.likeness.people == 2 and row.ceiling.people == 1 and row.closed.people == 1
    assert row.closed.value == pytest.approx((0.8 - 0.1) / 0.8)


def test_shots_of_a_film_are_compared_and_no_others() -> None:
    clips = [clip("ada", "1", 0.8, "beach"), clip("ada", "2", 0.8, "beach"), clip("ada", "3", 0.8, "moon"),
             clip("ada", "4", 0.8, ""), clip("ada", "5", 0.8, "")]  # fmt: skip
    found = consistency(scored(clips))
    assert found == {"ada": pytest.approx((0.0,))}
    same = scored([clip("ada", "1", 0.8), clip("ada", "2", 0.8), clip("ada", "3", 0.8)])
    alike = Scored("own", same.clips, dict.fromkeys(same.directions, ADA), {})
    assert consistency(alike) == {"ada": pytest.approx((1.0, 1.0, 1.0))}


def test_systems_are_compared_over_the_people_of_both() -> None:
    one = scored([clip("ada", "a", 0.8), clip("bob", "b", 0.5), clip("eve", "e", 0.0)])
    other = scored([clip("ada", "a", 0.5, system="base"), clip("bob", "b", 0.3, system="base")], system="base")
    found = compare_systems([one, other], [FIRST])
    assert [(d.first, d.second) for d in found] == [("own", "base")]
    assert found[0].likeness.value == pytest.approx(0.25) and found[0].likeness.people == 2
    nobody = scored([clip("zoe", "z", 0.5, system="base")], system="base")
    assert math.isnan(compare_systems([one, nobody], [FIRST])[0].likeness.value)


@pytest.mark.parametrize(("protocol", "expected"), [(OPENS2V, 0.5), (CONSISID, 0.25)])
def test_the_slip_is_of_one_measure_and_one_protocol(protocol: object, expected: float) -> None:
    cosines = np.array([0.5, -0.2])
    rules = Rules(protocol, as_published=True)  # type: ignore[arg-type]
    assert rules.score(CURRICULAR, cosines) == expected
    assert rules.score(FIRST, cosines) == 0.25
    assert Rules(protocol).score(CURRICULAR, cosines) == 0.25  # type: ignore[arg-type]


def test_notes() -> None:
    def made(measure: Measure, as_published: bool, *people: str) -> Fidelity:
        clips = [clip(person, f"{person}.mp4", 0.5) for person in people]
        summed = summarise(scored(clips, *(real(person) for person in people)), [FIRST])
        reals = tuple(real(person) for person in people)
        return Fidelity("opens2v", 32, as_published, (measure,), (), (summed,), (), reals, tuple(clips), (), (), {})

    embedded = Measure(FIRST, "likeness", "cameo-face", "0" * 64, "", False)
    pack = Measure(FIRST, "FaceSim-Arc", "insightface:x", "0" * 64, "", False)
    published = Measure(FIRST, "FaceSim-Arc", "insightface:buffalo_l", "0" * 64, "", True)
    notes = " ".join(notes_on(made(embedded, False, "ada"), CONSISTENCY_ONLY, [], []))
    assert "say nothing beside published ones" in notes and "There is one person" in notes
    notes = " ".join(notes_on(made(pack, True, "ada", "bob"), MATCHED, ["own/x.mp4"], ["FaceSim-Cur: ada"]))
    assert "these are by insightface:x" in notes and "There are 2 people" in notes
    assert "fewer frames were looked at: own/x.mp4" in notes and "FaceSim-Cur: ada" in notes
    assert notes_on(made(published, True, *"abcdef"), MATCHED, [], []) == ()
