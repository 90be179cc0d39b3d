"""What is kept, by what, and why a run ends."""

from __future__ import annotations

import math

import torch
from torch import nn

from cameo.adapt.recipe import Recipe
from cameo.adapt.state import Judgement, Run
from cameo.records import TuningStep


def judged(run: Run, step: int, score: float | None, copying: float = 0.5, held_loss: float = math.nan) -> None:
    run.step = step
    run.average = [torch.full((1,), float(step))]
    likeness = math.nan if score is None else score
    found = TuningStep(step, 0.1, likeness, 0.1, 0.0, copying=copying, held_loss=held_loss)
    run.consider(Judgement(found, score), Recipe(patience=2))


def fresh() -> Run:
    return Run.of([nn.Parameter(torch.zeros(1))])


def test_the_best_is_kept() -> None:
    run = fresh()
    for step, score in ((0, 0.2), (1, 0.5), (50, 0.7), (100, 0.6)):
        judged(run, step, score)
    assert (run.best_step, run.best[0].item(), run.stopped) == (50, 50, "")
    judged(run, 150, 0.69)
    assert run.stopped == "the likeness stopped rising"
    assert run.chosen_by == "likeness"


def test_a_rise_that_is_none_is_kept_and_tires() -> None:
    run = fresh()
    for step, score in ((0, 0.2), (1, 0.5), (25, 0.5004), (50, 0.5008)):
        judged(run, step, score)
    assert (run.best_step, run.stopped) == (50, "the likeness stopped rising")


def test_slow_rises_add_up() -> None:
    run = fresh()
    judged(run, 1, 0.5)
    for k in range(1, 9):
        judged(run, 25 * k, 0.5 + 0.0006 * k)
    assert (run.best_step, run.stopped) == (200, "")


def test_a_loss_that_falls_a_little_has_fallen() -> None:
    run = fresh()
    for step, loss in ((0, 0.1), (1, 0.0999), (25, 0.0998), (50, 0.0997), (75, 0.0996)):
        judged(run, step, None, held_loss=loss)
    assert (run.best_step, run.stopped) == (75, "")


def test_what_was_judged_before_the_descent_does_not_tire_it() -> None:
    run = fresh()
    for step, score in ((0, 0.9), (1, 0.5), (50, 0.6)):
        judged(run, step, score)
    assert (run.best_step, run.stale, run.stopped) == (0, 1, "")


def test_a_copy_is_not_kept_however_like_it_is() -> None:
    run = fresh()
    judged(run, 0, 0.2, copying=1.0)  # references shown again, before anything is learned
    judged(run, 1, 0.5)
    judged(run, 50, 0.9, copying=0.99)
    assert (run.best_step, run.stopped) == (1, "copying began")


def test_without_a_face_the_held_out_loss_decides() -> None:
    run = fresh()
    for step, loss in ((0, 0.9), (1, 0.8), (50, 0.5), (100, 0.6), (150, 0.55)):
        judged(run, step, None, held_loss=loss)
    assert (run.best_step, run.chosen_by) == (50, "held-out loss")
    assert run.stopped == "the held-out loss stopped falling"


def test_the_first_face_ends_that() -> None:
    run = fresh()
    judged(run, 0, None, held_loss=0.1)
    judged(run, 50, 0.3)
    assert (run.best_step, run.best_score, run.chosen_by) == (50, 0.3, "likeness")
    judged(run, 100, None, held_loss=0.01)
    assert (run.best_step, run.chosen_by) == (50, "likeness")
