"""The words of the report: they must follow from the enrolment."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cameo.records import Check, Precedents, TuningStep
from cameo.report import wording
from cameo.report.parts import TUNED_LIMIT
from cameo.weights import RESEARCH_ONLY

if TYPE_CHECKING:
    from cameo.records import Adapter, Enrollment


def figure(enrollment: Enrollment, label: str) -> wording.KeyFigure:
    return next(f for f in wording.key_figures(enrollment) if f.label == label)


def untuned(adapter: Adapter) -> Adapter:
    return replace(adapter, best_step=0)


def test_a_good_recording_is_ready_and_says_what_could_be_better(enrollment: Enrollment) -> None:
    conclusion = wording.conclude(enrollment)
    assert (conclusion.level, conclusion.name, conclusion.state) == ("ok", "ada.cameo", "is ready")
    assert "In 2 of 5 checks" in conclusion.verdict
    assert [check.name for check in conclusion.advice] == ["length", "speech"]
    assert conclusion.notes == ()


def test_a_recording_without_warnings_has_no_advice(enrollment: Enrollment) -> None:
    checks = tuple(replace(check, level="ok") for check in enrollment.quality.checks)
    conclusion = wording.conclude(replace(enrollment, quality=replace(enrollment.quality, checks=checks)))
    assert conclusion.advice == ()
    assert conclusion.verdict == "It is good: the recording passed all 5 checks."


def test_only_the_files_name_is_in_the_headline(enrollment: Enrollment) -> None:
    sealed = replace(enrollment.sealed, path="/home/ada/doubles/me.cameo")
    assert wording.conclude(replace(enrollment, sealed=sealed)).name == "me.cameo"


def test_a_failed_check_makes_it_weak(enrollment: Enrollment) -> None:
    checks = tuple(replace(c, level="fail" if c.name == "face" else c.level) for c in enrollment.quality.checks)
    conclusion = wording.conclude(replace(enrollment, quality=replace(enrollment.quality, checks=checks)))
    assert (conclusion.level, conclusion.state) == ("warn", "is sealed, but weak")
    assert conclusion.notes == ("The recording fails a check: frames with a face.",)
    assert conclusion.advice[0].name == "face"


def test_two_people_in_the_recording_make_it_weak(enrollment: Enrollment) -> None:
    faces = replace(enrollment, frame_likeness=np.full_like(enrollment.frame_likeness, 0.2))
    assert any("one face" in note for note in wording.conclude(faces).notes)
    voices = replace(enrollment, window_likeness=np.array([0.9, 0.1, 0.2], np.float32))
    assert any("one voice" in note for note in wording.conclude(voices).notes)


def test_a_double_that_resembles_somebody_else_is_weak(enrollment: Enrollment) -> None:
    curve = (TuningStep(0, math.nan, 0.3, 0.5, 0.0), TuningStep(100, 0.4, 0.4, 0.5, 9.0))
    adapter = replace(enrollment.adapter, curve=curve, best_step=100)
    assert any("somebody else" in note for note in wording.conclude(replace(enrollment, adapter=adapter)).notes)


def test_a_tuned_part_over_the_limit_is_said(enrollment: Enrollment) -> None:
    just = replace(enrollment.sealed, parts={"adapter.reference.face": TUNED_LIMIT - 5, "identity.reference.face": 5})
    over = replace(enrollment.sealed, parts={"adapter.reference.face": TUNED_LIMIT, "identity.reference.face": 5})
    assert wording.conclude(replace(enrollment, sealed=just)).level == "ok"
    assert wording.conclude(replace(enrollment, sealed=over)).notes == (
        "Adapter and identity are larger than 4 MB together.",
    )


def test_key_figures(enrollment: Enrollment) -> None:
    assert figure(enrollment, "Usable frames").value == "86 of 100"
    longer = replace(enrollment.clip, used_s=9.0)  # the voice came from a recording of its own
    speech = figure(replace(enrollment, clip=longer), "Speech")
    assert (speech.value, speech.note) == ("3.4 s", "in 4.0 s of sound")
    assert figure(enrollment, "File").value == "612 kB"
    assert figure(enrollment, "File").note == "adapter and identity are 581 kB of at most 4 MB"
    made = figure(enrollment, "Generated likeness")
    assert (made.value, made.note) == ("0.81", "0.64 before tuning, 0.22 to the nearest other person")
    assert figure(enrollment, "One voice").value == "0.89"
    assert figure(enrollment, "One face").value == f"{np.median(wording.used_likeness(enrollment)):.2f}"


def test_key_figures_of_an_untuned_double(enrollment: Enrollment) -> None:
    made = figure(replace(enrollment, adapter=untuned(enrollment.adapter)), "Generated likeness")
    assert (made.value, made.note) == ("0.64", "0.31 to the nearest other person")


def test_key_figures_without_a_judge_or_a_likeness(enrollment: Enrollment) -> None:
    blank = replace(
        enrollment,
        adapter=replace(enrollment.adapter, curve=()),
        frame_likeness=np.full_like(enrollment.frame_likeness, math.nan),
        window_likeness=np.zeros(0, np.float32),
    )
    for label in ("Generated likeness", "One face", "One voice"):
        assert figure(blank, label).value == "–"
    assert "nan" not in str(wording.key_figures(blank)) + wording.tuning_summary(blank.adapter)
    assert wording.conclude(blank).level == "ok"


def test_tuning_summary(enrollment: Enrollment) -> None:
    adapter = enrollment.adapter
    assert wording.tuning_summary(adapter) == (
        "Step 300 was kept. The likeness rose from 0.64 to 0.81. Tuning ended because the likeness stopped rising."
    )
    unseen = replace(adapter, curve=(*adapter.curve[:3], replace(adapter.curve[3], held_loss=0.25, likeness=math.nan)))
    assert wording.tuning_summary(unseen).startswith("No face was found in anything the generator made")
    assert "Step 300 was kept, because its loss" in wording.tuning_summary(unseen)
    assert wording.tuning_summary(untuned(adapter)).startswith("Tuning did not help, so nothing of it was kept")
    fell = replace(adapter, curve=(TuningStep(0, math.nan, 0.8, 0.2, 0.0), TuningStep(300, 0.2, 0.7, 0.2, 1.0)))
    assert "went from 0.80 to 0.70" in wording.tuning_summary(fell)
    assert "without reference frames" in wording.tuning_summary(fell)
    assert wording.tuning_summary(replace(adapter, curve=(), stopped="")) == "Step 300 was kept."


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ([0.9, 0.1, math.nan, 0.5], "2 of 3 frames reach 0.35; a typical one has 0.50."),
        ([0.35], "There is a single frame, and nothing else to compare it with."),
        ([], "No frame could be compared."),
        ([math.nan], "No frame could be compared."),
    ],
)
def test_agreement(scores: list[float], sentence: str) -> None:
    assert wording.agreement(np.array(scores, np.float64), 0.35, "frame", "frames") == sentence


def test_checks_by_urgency_keep_their_order_within_a_level(enrollment: Enrollment) -> None:
    names = [check.name for check in wording.checks_by_urgency(enrollment.quality.checks)]
    assert names == ["length", "speech", "face", "sharpness", "clipping"]


def test_consent_is_gathered_under_its_lines() -> None:
    lines = ["I am 18.", "It may be used:", "  - by me", "  - never: x", "I can withdraw."]
    assert wording.consent_paragraphs(lines) == [
        wording.Paragraph("I am 18.", ()),
        wording.Paragraph("It may be used:", ("by me", "never: x")),
        wording.Paragraph("I can withdraw.", ()),
    ]
    assert wording.consent_paragraphs(["  - alone"]) == [wording.Paragraph("", ("alone",))]
    assert wording.consent_paragraphs([]) == []


def compared(name: str, level: str) -> Check:
    return Check(
        name, name, 0.7, "", "below 0.50 to the likest of 3 doubles of others", level, "measured", "look again"
    )


@pytest.mark.parametrize(
    ("precedents", "words"),
    [
        (Precedents("off"), "Nobody was looked for"),
        (Precedents("all"), "There is no earlier double on this machine that could be compared."),
        (Precedents("all", not_compared=4), "Not compared: 4, made with other encoders"),
        (Precedents("all", (compared("own_face", "ok"),)), "Nothing speaks against it"),
        (Precedents("all", (compared("others_voice", "warn"),)), "Something does not fit"),
        (Precedents("all", (compared("others_face", "fail"),)), "Another owner has enrolled this face"),
    ],
)
def test_who_was_enrolled_before(enrollment: Enrollment, precedents: Precedents, words: str) -> None:
    assert words in wording.conclude_precedents(precedents)
    conclusion = wording.conclude(replace(enrollment, precedents=precedents))
    assert (conclusion.level == "warn") == precedents.duplicate


def test_a_level_that_is_live(enrollment: Enrollment) -> None:
    assert wording.explain_assurance("matched + live").startswith(wording.ASSURANCE["matched"])
    assert wording.explain_assurance("matched + live").endswith(wording.LIVE_TOO)
    assert wording.explain_assurance("consistency-only") == wording.ASSURANCE["consistency-only"]
    assert wording.explain_assurance("something new") == ""


def test_a_licence_that_asks_for_something_is_said(enrollment: Enrollment) -> None:
    assert wording.licence_notices(enrollment) == []
    encoder = replace(enrollment.face.encoder, id="insightface:a+b", licence=RESEARCH_ONLY)
    (notice,) = wording.licence_notices(replace(enrollment, face=replace(enrollment.face, encoder=encoder)))
    assert notice.startswith("insightface:a+b is for non-commercial research only")
