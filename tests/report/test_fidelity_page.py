"""The page of a measurement of likeness, and its tables, sentences and files."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cameo.report.fidelity_files import as_csv, as_json, as_markdown
from cameo.report.fidelity_page import render_fidelity
from cameo.report.fidelity_tables import interval, percent, signed, tables_of, two, verdict
from cameo.report.fidelity_wording import conclude_fidelity, describe_method
from cameo.scores import (
    CURRICULAR,
    FIRST,
    ClipScore,
    ClipVoice,
    Difference,
    Drift,
    Estimate,
    Fidelity,
    FrameShown,
    Lips,
    Measure,
    PersonRow,
    PersonVoice,
    PoseRow,
    RealScore,
    Reference,
    Row,
    Shown,
    Skipped,
    SystemScore,
    SystemVoice,
    VoiceBasis,
    VoiceReference,
)
from cameo.weights import RESEARCH_ONLY
from tests.report.markup import Page

NAN = math.nan
HOSTILE = '"><script>alert(1)</script>$\\frac{|`<img src=x>'
ESTIMATE = Estimate(0.71, 0.62, 0.79, 2, 4)


def clip_of(system: str, person: str, likeness: float) -> ClipScore:
    by = {FIRST: (likeness, NAN, likeness, likeness), CURRICULAR: (likeness,) * 4}
    values = {FIRST: likeness, CURRICULAR: likeness}
    return ClipScore(
        system, person, person, f"{person}.mp4", 64, 48, 1.5, (0.0, 0.5, 1.0, 1.5), by, (0.0, NAN, 20.0, -5.0), 22.0,
        values, values, values, {"frontal": likeness, "turned": NAN}, Drift(-0.1, 0.8, 0.7, 0.9), NAN,
    )  # fmt: skip


def system_of(name: str, likeness: float, people: tuple[str, ...]) -> SystemScore:
    by = {FIRST: likeness, CURRICULAR: likeness}
    rows = tuple(
        PersonRow(one, 2, by, {FIRST: 0.9, CURRICULAR: NAN}, {FIRST: 0.1, CURRICULAR: 0.1}, 1.0, -0.01, 0.9, NAN)
        for one in people
    )
    own = replace(ESTIMATE, value=likeness)
    unknown = Estimate(NAN)
    row = Row(FIRST, own, Estimate(0.9, 0.8, 0.95), Estimate(0.1), Estimate(0.6, 0.5, 0.7), own, Estimate(0.98))
    poses = (PoseRow("frontal", 9, own, Estimate(0.9)), PoseRow("turned", 0, unknown, unknown))
    return SystemScore(
        name, rows, 4, 1, (row, replace(row, measure=CURRICULAR, ceiling=unknown, closed=unknown)), poses, own, own,
        own, unknown, own, own, unknown,
    )  # fmt: skip


def made_of(names: tuple[str, ...] = ("own", "base"), people: tuple[str, ...] = ("ada", "bob")) -> Fidelity:
    systems = tuple(system_of(name, 0.7 - 0.3 * k, people) for k, name in enumerate(names))
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    shown = tuple(
        Shown(name, (FrameShown(name, people[0], "a.mp4", 0.5, 0.2, picture),),
              (FrameShown(name, people[-1], "b.mp4", 1.0, 0.9, picture),))
        for name in names
    )  # fmt: skip
    real = RealScore("ada", "own", 0.5, 22.0, {FIRST: (0.9,)}, {FIRST: (0.1,)}, 1.0, {"frontal": 0.9}, (), 0.9)
    return Fidelity(
        "opens2v", 32, False,
        (Measure(FIRST, "FaceSim-Arc", "insightface:x", "ab" * 32, RESEARCH_ONLY, False),
         Measure(CURRICULAR, "FaceSim-Cur", "onnx:y", "cd" * 32, "", False)),
        tuple(Reference(one, 16, 15, 32) for one in people), systems,
        tuple(Difference(FIRST, names[0], other, Estimate(0.3, 0.2, 0.4, 2, 4)) for other in names[1:]),
        (real,), tuple(clip_of(name, one, 0.7) for name in names for one in people),
        (Skipped("broken.mp4", "not a recording that can be read"),), None, ("A note.",), {"cameo": "1"}, shown,
    )  # fmt: skip


def heard(made: Fidelity) -> Fidelity:
    """Let the clips speak: the first system's with lips, and everybody's first clip; one clip is silent."""
    voice = ClipVoice(3.2, 0.61, 0.7, NAN, Lips(0.4, 0.02, -0.08))
    clips = [replace(clip, voice=voice if clip.system == made.clips[0].system else replace(voice, lips=None))
             for clip in made.clips]  # fmt: skip
    people = tuple(PersonVoice(row.person, 1, 3.2, 0.61, 0.7, NAN, 0.4, 0.02) for row in made.systems[0].people)
    unknown = Estimate(NAN)
    spoken = SystemVoice(people, 2, Estimate(0.61, 0.5, 0.7), Estimate(0.7), Estimate(0.05), Estimate(0.86, 0.7, 0.9),
                         Estimate(0.4), Estimate(0.02), Estimate(0.5), unknown)  # fmt: skip
    basis = VoiceBasis("ecapa:x", "ef" * 32, RESEARCH_ONLY, "matched",
                       tuple(VoiceReference(one.person, 6.0, 2.5, (Lips(0.5, 0.01, 0.0),)) for one in people),
                       (Skipped("own/silent.mp4", "it has no sound track"),))  # fmt: skip
    systems = tuple(replace(system, voice=spoken) for system in made.systems)
    return replace(made, clips=tuple(clips), systems=systems, voice=basis)


@pytest.fixture(scope="module")
def html() -> str:
    return render_fidelity(made_of())


def test_the_result_comes_first(html: str) -> None:
    page = Page(html)
    text = page.text
    first = (
        "own: likeness 0.70 (0.62 to 0.79); to compare: real clips 0.90, other people 0.10, which makes 60% of the way."
    )
    assert first in text
    assert (
        text.index(first) < text.index("own is more alike than base: +0.300 (+0.200 to +0.400).") < text.index("People")
    )
    assert "1 file could not be scored" in text and "broken.mp4 : not a recording that can be read" in text
    assert len(page.all("svg")) == 5  # a strip for each recogniser, people, time, poses
    assert len(page.all("img")) == 4


def test_nothing_is_fetched_and_nothing_runs(html: str) -> None:
    page = Page(html)
    assert not page.all("script") and not page.all("link")
    assert all(value.startswith("data:image/jpeg") for value in page.values("src"))
    policy = page.all("meta")[5]
    assert policy["content"].startswith("default-src 'none'")
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_the_same_measurement_gives_the_same_text(html: str) -> None:
    assert render_fidelity(made_of()) == html


def test_hostile_names() -> None:
    made = made_of((HOSTILE, "base"), (HOSTILE, "bob"))
    made = replace(made, skipped=(Skipped(HOSTILE, HOSTILE),))
    page = Page(render_fidelity(made))
    assert not page.all("script") and len(page.all("img")) == 4
    markdown = as_markdown(made)
    assert "<script>" not in markdown and "<img" not in markdown
    for line in markdown.splitlines():
        if line.startswith("|"):
            assert line.replace("\\|", "").count("|") >= 3
    rows = list(csv.DictReader(io.StringIO(as_csv(made))))
    assert rows[0]["system"] == HOSTILE and rows[0]["turned"] == ""
    assert json.loads(as_json(made))["systems"][0]["system"] == HOSTILE


@pytest.mark.parametrize("people", [1, 3, 40])
def test_any_number_of_people(people: int) -> None:
    names = tuple(f"person{k}" for k in range(people))
    assert "person0" in Page(render_fidelity(made_of(("own",), names))).text


def test_many_systems() -> None:
    Page(render_fidelity(made_of(tuple(f"system{k}" for k in range(9)))))


def test_tables() -> None:
    tables = {table.title: table for table in tables_of(made_of())}
    assert list(tables) == ["Likeness", "Differences", "Poses, time, copies", "People"]
    for table in tables.values():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert tables["Poses, time, copies"].rows[0][2] == "not shown"
    assert tables["Differences"].rows[0][-1] == "the first is more alike"
    assert "Differences" not in [table.title for table in tables_of(made_of(("own",)))]


def test_numbers() -> None:
    assert (two(-0.001), two(NAN), signed(0.3, 2), signed(-0.0123), percent(0.5)) == (
        "0.00",
        "–",
        "+0.30",
        "-0.012",
        "50%",
    )
    assert interval(Estimate(0.5)) == "–" and interval(ESTIMATE) == "0.62 to 0.79"
    told = [
        verdict(Estimate(v, low, high))
        for v, low, high in ((0, -1, 1), (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), (1, NAN, NAN))
    ]
    assert told == ["no difference shown", "the first is more alike", "the second is more alike", "too few to tell"]


def test_sentences_where_little_is_known() -> None:
    made = made_of(("own",))
    bare = replace(
        made.systems[0].rows[0],
        ceiling=Estimate(NAN),
        floor=Estimate(NAN),
        closed=Estimate(NAN),
        likeness=Estimate(0.7),
    )
    alone = replace(made, systems=(replace(made.systems[0], rows=(bare,)),), differences=())
    assert conclude_fidelity(alone) == ["own: likeness 0.70. Faces were found in 98% of the frames."]
    told = describe_method(made)
    assert any("non-commercial" in line for line in told) and "A note." in told


def test_voices_have_a_section_of_their_own(html: str) -> None:
    page = Page(render_fidelity(heard(made_of())))
    assert "Voices" not in Page(html).text
    assert "own: voice 0.61 (0.50 to 0.70); to compare: own voice 0.70, other people 0.05" in page.text
    assert "Not heard own/silent.mp4 : it has no sound track" in page.text
    assert "ecapa:x is for non-commercial research only" in page.text
    assert "ada: 6.0 s of speech in the reference; 2.5 s were held out." in page.text
    assert len(page.all("svg")) == 8  # three more
    ids = page.values("id")
    assert len(ids) == len(set(ids))


def test_tables_of_voices() -> None:
    tables = {table.title: table for table in tables_of(heard(made_of()))}
    assert list(tables)[-2:] == ["Voice", "Voices of people"]
    for table in tables.values():
        assert all(len(row) == len(table.head) for row in table.rows)
    assert tables["Voice"].rows[0][6:8] == ("0.40 (real 0.50)", "2%")
    assert tables["Voices of people"].rows[0][:4] == ("ada", "own", "1", "3.2 s")


def test_voices_with_hostile_names() -> None:
    made = heard(made_of((HOSTILE, "base"), (HOSTILE, "bob")))
    assert made.voice is not None
    made = replace(made, voice=replace(made.voice, encoder=HOSTILE, unheard=(Skipped(HOSTILE, HOSTILE),)))
    page = Page(render_fidelity(made))
    assert not page.all("script") and len(page.all("img")) == 4
    assert "<script>" not in as_markdown(made)


def test_speech_that_cannot_be_compared() -> None:
    made = heard(made_of(("own",)))
    voice = made.systems[0].voice
    assert voice is not None
    unknown = Estimate(NAN)
    nobody = tuple(replace(one, likeness=NAN, ceiling=NAN, sync=NAN, chance=NAN) for one in voice.people)
    mute = replace(voice, people=nobody, likeness=unknown, ceiling=unknown, floor=unknown, closed=unknown)
    made = replace(made, systems=(replace(made.systems[0], voice=mute),))
    assert "own: there is speech, and no voice to compare it with." in Page(render_fidelity(made)).text


def test_voices_in_a_line_for_each_clip() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(heard(made_of())))))
    assert (rows[0]["speech_s"], rows[0]["voice"], rows[0]["voice_floor"]) == ("3.2", "0.61", "")
    assert (rows[0]["lips_sync"], rows[0]["lips_chance"], rows[0]["lips_lag_s"]) == ("0.4", "0.02", "-0.08")
    assert rows[-1]["lips_sync"] == "" and rows[-1]["voice"] == "0.61"
    silent = list(csv.DictReader(io.StringIO(as_csv(made_of()))))
    assert silent[0]["voice"] == ""


def test_json_has_no_nan_and_no_pictures() -> None:
    def no_constants(name: str) -> Any:
        raise AssertionError(name)

    document = json.loads(as_json(heard(made_of())), parse_constant=no_constants)
    assert "shown" not in document and document["clips"][0]["likeness"]["first"][1] is None
