"""Draw the plots of an enrolment's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from cameo.report.drawing import BAD, FAINT, GOOD, INK, MAIN, OTHER, draw_plot, write_into

if TYPE_CHECKING:
    from markupsafe import Markup

    from cameo.records import Adapter, Bool, Enrollment, Float64


def plot_faces(enrollment: Enrollment) -> Markup:
    """Plot how much each frame looks like the face template over the time of the clip."""
    times, scores = enrollment.clip.times_s, enrollment.frame_likeness
    rejected = np.array([bool(reason) for reason in enrollment.quality.reasons], bool)
    used = enrollment.frames_used & ~rejected

    def paint(axes: Any) -> None:
        marks = ((used, "o", MAIN, "used"), (~used & ~rejected, "o", FAINT, "not needed"), (rejected, "x", BAD, ""))
        for mask, form, colour, label in marks:
            if mask.any():
                axes.plot(times[mask], scores[mask], form, color=colour, markersize=3.5, label=label)
        _shade(axes, times, rejected)
        _threshold(axes, enrollment.face.encoder.threshold)
        _cosines(axes, scores)
        axes.set_xlabel("time in the recording, s")

    return draw_plot("faces", paint)


def plot_voices(enrollment: Enrollment) -> Markup:
    """Plot how much each window of speech sounds like the voice template."""
    scores = enrollment.window_likeness

    def paint(axes: Any) -> None:
        windows = np.arange(1, len(scores) + 1)
        axes.vlines(windows, 0, scores, color=MAIN, linewidth=1.5, alpha=0.45)
        axes.plot(windows, scores, "o", color=MAIN, markersize=6, label="piece of speech")
        _threshold(axes, enrollment.voice.encoder.threshold)
        _cosines(axes, scores)
        axes.set_xlim(0.4, max(len(scores), 1) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("pieces of speech, in order")

    return draw_plot("voices", paint)


def plot_loss(adapter: Adapter) -> Markup:
    """Plot the training loss per step."""
    steps = np.array([point.step for point in adapter.curve], float)
    losses = np.array([point.loss for point in adapter.curve], float)

    def paint(axes: Any) -> None:
        known = np.isfinite(losses)
        if known.any():
            axes.plot(steps[known], losses[known], "o-", color=MAIN, markersize=5, label="loss")
            axes.set_ylim(0, 1.1 * float(losses[known].max()) or 1.0)
        else:
            write_into(axes, "nothing was learned step by step")
        _steps(axes, adapter)
        axes.set_ylabel("loss")

    return draw_plot("loss", paint)


def plot_likeness(adapter: Adapter) -> Markup:
    """Plot per step how much generated frames look like the person, and like the nearest other person."""
    steps = np.array([point.step for point in adapter.curve], float)
    own = np.array([point.likeness for point in adapter.curve], float)
    other = np.array([point.impostor for point in adapter.curve], float)
    voice = np.array([point.voice for point in adapter.curve], float)

    def paint(axes: Any) -> None:
        if not np.isfinite(own).any():
            write_into(axes, "the likeness was not judged")
        lines = (
            (own, "o-", MAIN, "this person"), (other, "s--", OTHER, "nearest other"), (voice, "^-", FAINT, "voice"),
        )  # fmt: skip
        for values, form, colour, label in lines:
            known = np.isfinite(values)
            if known.any():
                axes.plot(steps[known], values[known], form, color=colour, markersize=5, label=label)
        best = (steps == adapter.best_step) & np.isfinite(own)
        axes.plot(steps[best], own[best], "o", color=GOOD, markersize=11, markeredgewidth=2, fillstyle="none")
        _cosines(axes, np.concatenate([own, other, voice]))
        _steps(axes, adapter)

    return draw_plot("likeness", paint)


def plot_copying(adapter: Adapter) -> Markup:
    """Plot per step how often a generated frame singles out a training frame more than a real one does."""
    steps = np.array([point.step for point in adapter.curve], float)
    shares = np.array([point.copying for point in adapter.curve], float)

    def paint(axes: Any) -> None:
        known = np.isfinite(shares)
        if known.any():
            axes.plot(steps[known], shares[known], "o-", color=MAIN, markersize=5, label="generated")
        else:
            write_into(axes, "copying was not judged")
        axes.axhline(0.5, color=OTHER, linewidth=1.2, linestyle="--", label="new real frames")
        limit = adapter.facts.get("copying_limit")
        if limit is not None:
            axes.axhline(limit, color=BAD, linewidth=1.2, linestyle="--", label="a copy")
        axes.set_ylim(-0.03, 1.05)
        _steps(axes, adapter)
        axes.set_ylabel("copying")

    return draw_plot("copying", paint)


def _shade(axes: Any, times: Float64, rejected: Bool) -> None:
    """Shade the spans of time in which every frame was rejected; a frame without a face has no likeness to plot."""
    half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rejected, [False]])))
    for index, (first, end) in enumerate(edges.reshape(-1, 2)):
        span = (times[first] - half, times[end - 1] + half)
        axes.axvspan(*span, color=BAD, alpha=0.16, linewidth=0, zorder=0, label="" if index else "left out")


def _threshold(axes: Any, threshold: float) -> None:
    label = f"one person from {threshold:.2f}"
    axes.axhline(threshold, color=OTHER, linewidth=1.5, linestyle="--", label=label)


def _cosines(axes: Any, scores: Any) -> None:
    """Show all of 0..1, so that two reports compare, and as much below 0 as is needed."""
    lowest = float(np.nanmin(scores)) if np.isfinite(scores).any() else 0.0
    axes.set_ylim(min(0.0, lowest - 0.05), 1.02)
    axes.set_ylabel("likeness")


def _steps(axes: Any, adapter: Adapter) -> None:
    """Label the steps and mark the one that was kept."""
    label = f"kept: step {adapter.best_step}" if adapter.best_step else "kept: step 0, untuned"
    axes.axvline(adapter.best_step, color=INK, linewidth=1.2, linestyle=":", label=label)
    last = max((point.step for point in adapter.curve), default=0)
    margin = 0.03 * last or 1.0
    axes.set_xlim(-margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=(1, 2, 5, 10), integer=True))
    axes.set_xlabel("tuning step")
