"""Sums over people, shots and systems, held against sums written out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cameo.fidelity.clips import Rules, score_clip
from cameo.fidelity.folders import ClipFile
from cameo.fidelity.notes import notes_on
from cameo.fidelity.protocols import CONSISID, OPENS2V
from cameo.fidelity.summary import Scored, compare_systems, consistency, summarise
from cameo.fidelity.voice_summary import sum_voices
from cameo.records import CONSISTENCY_ONLY, MATCHED
from cameo.scores import (
    CURRICULAR,
    FIRST,
    VOICE,
    ClipScore,
    ClipVoice,
    Fidelity,
    Lips,
    Measure,
    RealScore,
    VoiceBasis,
    VoiceReference,
)
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
        return Fidelity(
            "opens2v", 32, as_published, (measure,), (), (summed,), (), reals, tuple(clips), (), None, (), {}
        )

    embedded = Measure(FIRST, "likeness", "cameo-face", "0" * 64, "", False)
    pack = Measure(FIRST, "FaceSim-Arc", "insightface:x", "0" * 64, "", False)
    published = Measure(FIRST, "FaceSim-Arc", "insightface:buffalo_l", "0" * 64, "", True)
    notes = " ".join(notes_on(made(embedded, False, "ada"), CONSISTENCY_ONLY, [], []))
    assert "say nothing beside published ones" in notes and "There is one person" in notes
    notes = " ".join(notes_on(made(pack, True, "ada", "bob"), MATCHED, ["own/x.mp4"], ["FaceSim-Cur: ada"]))
    assert "these are by insightface:x" in notes and "There are 2 people" in notes
    assert "fewer frames were looked at: own/x.mp4" in notes and "FaceSim-Cur: ada" in notes
    assert notes_on(made(published, True, *"abcdef"), MATCHED, [], []) == ()


# Voices.


def spoken(person: str, name: str, likeness: float, lips: Lips | None = None) -> ClipScore:
    return replace(clip(person, name, 0.5), voice=ClipVoice(3.0, likeness, 0.8, 0.0, lips))


def known(person: str, speech_s: float = 6.0, held_s: float = 3.0, *lips: Lips) -> VoiceReference:
    return VoiceReference(person, speech_s, held_s, lips)


def test_every_speaker_counts_alike() -> None:
    clips = [spoken("ada", f"a{k}", 0.6, Lips(0.5, 0.1, 0.0)) for k in range(5)]
    clips += [spoken("bob", "b", 0.2), clip("eve", "e", 0.5)]
    voice = sum_voices(clips, [known("ada", 6.0, 3.0, Lips(0.7, 0.0, 0.0), Lips(0.9, 0.2, 0.04)), known("bob")])
    assert voice is not None
    assert voice.likeness.value == pytest.approx(0.4) and voice.closed.value == pytest.approx(0.5)
    assert (voice.clips, [(one.person, one.clips) for one in voice.people]) == (6, [("ada", 5), ("bob", 1)])
    assert (voice.sync.value, voice.sync.people) == (0.5, 1)
    assert (voice.real_sync.value, voice.real_chance.value) == pytest.approx((0.8, 0.1))
    assert voice.people[0].sync == 0.5 and math.isnan(voice.people[1].sync)
    assert sum_voices([clip("eve", "e", 0.5)], []) is None


def test_systems_are_compared_by_voice_where_there_is_speech() -> None:
    own = [spoken("ada", "1", 0.7), spoken("bob", "1", 0.6), clip("eve", "1", 0.5)]
    base = [spoken("ada", "1", 0.1), clip("bob", "1", 0.5), spoken("eve", "1", 0.2)]
    gap = compare_systems([scored(own), scored(base, system="base")], [FIRST, VOICE])[1]
    assert (gap.measure, gap.likeness.people) == (VOICE, 1) and gap.likeness.value == pytest.approx(0.6)


def test_notes_on_voices() -> None:
    measure = Measure(FIRST, "FaceSim-Arc", "insightface:buffalo_l", "0" * 64, "", True)
    clips = [spoken(person, f"{person}.mp4", 0.5) for person in "abcde"] + [clip("f", "f.mp4", 0.5)]
    some = scored(clips, *(real(person) for person in "abcdef"))
    basis = VoiceBasis("embedded-voice-1", "0" * 64, "", CONSISTENCY_ONLY, (), ())

    def notes(voice: VoiceBasis | None) -> str:
        reals = tuple(some.real.values())
        made = Fidelity("opens2v", 32, True, (measure,), (), (summarise(some, [FIRST]),), (), reals, tuple(clips), (),
                        voice, (), {})  # fmt: skip
        return " ".join(notes_on(made, MATCHED, [], []))

    assert notes(None) == ""
    assert notes(basis) == "No voice was compared: no clip has sound."
    people = (known("a", 0.0), known("b", 6.0, 0.5), known("c", 6.0, 1.5), known("d"), known("e"), known("f", 0.0, 0.0))
    told = notes(replace(basis, people=people))
    assert "embedded-voice-1 tells voices apart too badly" in told
    assert "for lack of speech in the reference: a." in told
    assert "No ceiling for the voice, for lack of held-out speech: b." in told
    assert "the ceiling of the voice is too low: c." in told
    assert "own: 1 of 6 clips have no speech, and no part in what is said of voices: of f." in told
    assert "badly" not in notes(replace(basis, people=people, assurance=MATCHED))
