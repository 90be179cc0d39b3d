"""Plots: what they say in words, that nothing in them can break a page, that missing values are no accident."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from cameo.records import TuningStep
from cameo.report import plots

if TYPE_CHECKING:
    from cameo.records import Enrollment


def words(svg: str) -> list[str]:
    """The text in a plot; it must be XML."""
    root = ElementTree.fromstring(svg)
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


def test_faces_have_a_threshold_and_all_three_kinds_of_frames(enrollment: Enrollment) -> None:
    used = enrollment.frames_used.copy()
    used[:10] = False
    text = words(plots.plot_faces(replace(enrollment, frames_used=used)))
    assert {"used", "not needed", "left out", "one person from 0.35", "time in the recording, s"} <= set(text)


def test_each_run_of_rejected_frames_is_shaded(enrollment: Enrollment) -> None:
    # Three runs, and the patch in the legend.
    assert plots.plot_faces(enrollment).count("fill: var(--bad); opacity: 0.16") == 4


def test_a_clip_without_rejected_frames_has_no_shade(enrollment: Enrollment) -> None:
    quality = replace(enrollment.quality, reasons=("",) * len(enrollment.clip.frames))
    assert "left out" not in words(plots.plot_faces(replace(enrollment, quality=quality)))


def test_voices_have_a_threshold_and_a_mark_for_each_window(enrollment: Enrollment) -> None:
    svg = plots.plot_voices(enrollment)
    assert {"piece of speech", "one person from 0.35"} <= set(words(svg))
    marks = re.search(r"<g clip-path[^>]*>((?:\s*<use [^>]*/>)+)\s*</g>", svg)
    assert marks is not None
    assert marks.group(1).count("<use ") == len(enrollment.window_likeness)


def test_the_kept_step_is_named_and_ringed(enrollment: Enrollment) -> None:
    svg = plots.plot_likeness(enrollment.adapter)
    assert {"this person", "nearest other", "kept: step 300"} <= set(words(svg))
    assert "var(--good)" in svg
    assert "kept: step 300" in words(plots.plot_loss(enrollment.adapter))


def test_step_0_is_called_untuned(enrollment: Enrollment) -> None:
    adapter = replace(enrollment.adapter, best_step=0)
    assert "kept: step 0, untuned" in words(plots.plot_likeness(adapter))
    assert "kept: step 0, untuned" in words(plots.plot_loss(adapter))


def test_nothing_judged_and_nothing_learned_are_said(enrollment: Enrollment) -> None:
    blank = replace(enrollment.adapter, best_step=0, curve=(TuningStep(0, math.nan, math.nan, math.nan, 0.0),))
    assert "the likeness was not judged" in words(plots.plot_likeness(blank))
    assert "nothing was learned step by step" in words(plots.plot_loss(blank))
    empty = replace(blank, curve=())
    assert "the likeness was not judged" in words(plots.plot_likeness(empty))
    assert "nothing was learned step by step" in words(plots.plot_loss(empty))


@pytest.mark.parametrize("windows", [[], [1.0], [math.nan, 0.4], [-0.3, 0.2], np.linspace(0, 1, 200)])
def test_any_number_of_windows(enrollment: Enrollment, windows: list[float]) -> None:
    assert words(plots.plot_voices(replace(enrollment, window_likeness=np.array(windows, np.float32))))


def test_frames_without_any_likeness(enrollment: Enrollment) -> None:
    unknown = np.full_like(enrollment.frame_likeness, math.nan)
    assert "left out" in words(plots.plot_faces(replace(enrollment, frame_likeness=unknown)))


def test_ids_differ_between_plots_and_references_are_met(enrollment: Enrollment) -> None:
    drawn = [plots.plot_faces(enrollment), plots.plot_voices(enrollment), plots.plot_loss(enrollment.adapter)]
    seen: set[str] = set()
    for svg in drawn:
        ids = re.findall(r'\bid="([^"]*)"', svg)
        assert len(ids) == len(set(ids))
        assert not seen & set(ids)
        seen |= set(ids)
        assert set(re.findall(r"(?:href=\"|url\()#([^\")]*)", svg)) <= set(ids)


def test_colours_are_the_pages(enrollment: Enrollment) -> None:
    for svg in (plots.plot_faces(enrollment), plots.plot_voices(enrollment), plots.plot_likeness(enrollment.adapter)):
        assert not re.findall(r"(?:fill|stroke): #(?!fff)[0-9a-f]{6}", svg)
        assert "var(--main)" in svg


def test_copying_is_held_against_real_frames(enrollment: Enrollment) -> None:
    shown = words(plots.plot_copying(enrollment.adapter))
    assert "new real frames" in shown
    assert "a copy" in shown
    blank = replace(enrollment.adapter, curve=(), facts={})
    assert "copying was not judged" in words(plots.plot_copying(blank))
    assert "a copy" not in words(plots.plot_copying(blank))
