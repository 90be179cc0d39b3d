"""Draw the plots of the page as SVG that stands in it, in the page's own colours and letters."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib.style
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Callable

    from cameo.records import Adapter, Bool, Enrollment, Float64

# What is drawn in one of these colours gets the page's: dark and light themes are a matter of the style sheet.
_INK, _FAINT, _MAIN, _OTHER, _BAD = "#010203", "#010204", "#010205", "#010206", "#010207"
_GOOD = "#010208"
_VARIABLES = {_INK: "--ink", _FAINT: "--faint", _MAIN: "--main", _OTHER: "--other", _BAD: "--bad"} | {_GOOD: "--good"}

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cameo",
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
}
_SIZE_INCH = (5.2, 3.2)
# Nothing of when and by what it was drawn: the same enrolment gives the same bytes.
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def plot_faces(enrollment: Enrollment) -> Markup:
    """Plot how much each frame looks like the face template over the time of the clip."""
    times, scores = enrollment.clip.times_s, enrollment.frame_likeness
    rejected = np.array([bool(reason) for reason in enrollment.quality.reasons], bool)
    used = enrollment.frames_used & ~rejected

    def paint(axes: Any) -> None:
        marks = ((used, "o", _MAIN, "used"), (~used & ~rejected, "o", _FAINT, "not needed"), (rejected, "x", _BAD, ""))
        for mask, form, colour, label in marks:
            if mask.any():
                axes.plot(times[mask], scores[mask], form, color=colour, markersize=3.5, label=label)
        _shade(axes, times, rejected)
        _threshold(axes, enrollment.face.encoder.threshold)
        _cosines(axes, scores)
        axes.set_xlabel("time in the recording, s")

    return _draw("faces", paint)


def plot_voices(enrollment: Enrollment) -> Markup:
    """Plot how much each window of speech sounds like the voice template."""
    scores = enrollment.window_likeness

    def paint(axes: Any) -> None:
        windows = np.arange(1, len(scores) + 1)
        axes.vlines(windows, 0, scores, color=_MAIN, linewidth=1.5, alpha=0.45)
        axes.plot(windows, scores, "o", color=_MAIN, markersize=6, label="piece of speech")
        _threshold(axes, enrollment.voice.encoder.threshold)
        _cosines(axes, scores)
        axes.set_xlim(0.4, max(len(scores), 1) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("pieces of speech, in order")

    return _draw("voices", paint)


def plot_loss(adapter: Adapter) -> Markup:
    """Plot the training loss per step."""
    steps = np.array([point.step for point in adapter.curve], float)
    losses = np.array([point.loss for point in adapter.curve], float)

    def paint(axes: Any) -> None:
        known = np.isfinite(losses)
        if known.any():
            axes.plot(steps[known], losses[known], "o-", color=_MAIN, markersize=5, label="loss")
            axes.set_ylim(0, 1.1 * float(losses[known].max()) or 1.0)
        else:
            _say(axes, "nothing was learned step by step")
        _steps(axes, adapter)
        axes.set_ylabel("loss")

    return _draw("loss", paint)


def plot_likeness(adapter: Adapter) -> Markup:
    """Plot per step how much generated frames look like the person, and like the nearest other person."""
    steps = np.array([point.step for point in adapter.curve], float)
    own = np.array([point.likeness for point in adapter.curve], float)
    other = np.array([point.impostor for point in adapter.curve], float)
    voice = np.array([point.voice for point in adapter.curve], float)

    def paint(axes: Any) -> None:
        if not np.isfinite(own).any():
            _say(axes, "the likeness was not judged")
        lines = (
            (own, "o-", _MAIN, "this person"), (other, "s--", _OTHER, "nearest other"), (voice, "^-", _FAINT, "voice"),
        )  # fmt: skip
        for values, form, colour, label in lines:
            known = np.isfinite(values)
            if known.any():
                axes.plot(steps[known], values[known], form, color=colour, markersize=5, label=label)
        best = (steps == adapter.best_step) & np.isfinite(own)
        axes.plot(steps[best], own[best], "o", color=_GOOD, markersize=11, markeredgewidth=2, fillstyle="none")
        _cosines(axes, np.concatenate([own, other, voice]))
        _steps(axes, adapter)

    return _draw("likeness", paint)


def plot_copying(adapter: Adapter) -> Markup:
    """Plot per step how often a generated frame singles out a training frame more than a real one does."""
    steps = np.array([point.step for point in adapter.curve], float)
    shares = np.array([point.copying for point in adapter.curve], float)

    def paint(axes: Any) -> None:
        known = np.isfinite(shares)
        if known.any():
            axes.plot(steps[known], shares[known], "o-", color=_MAIN, markersize=5, label="generated")
        else:
            _say(axes, "copying was not judged")
        axes.axhline(0.5, color=_OTHER, linewidth=1.2, linestyle="--", label="new real frames")
        limit = adapter.facts.get("copying_limit")
        if limit is not None:
            axes.axhline(limit, color=_BAD, linewidth=1.2, linestyle="--", label="a copy")
        axes.set_ylim(-0.03, 1.05)
        _steps(axes, adapter)
        axes.set_ylabel("copying")

    return _draw("copying", paint)


def _draw(name: str, paint: Callable[[Any], None]) -> Markup:
    """Let `paint` fill one pair of axes and return it as an SVG element whose ids begin with `name`."""
    buffer = io.StringIO()
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=_SIZE_INCH, layout="constrained")
        axes = figure.subplots()
        paint(axes)
        count = len(axes.get_legend_handles_labels()[0])
        if count:
            figure.legend(loc="outside upper left", ncols=3 if count <= 3 else 2)
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        FigureCanvasSVG(figure).print_svg(buffer, metadata=_NO_METADATA)
    text = buffer.getvalue()
    # What it shows is said in words beside it.
    svg = text[text.index("<svg") :].replace("<svg ", '<svg aria-hidden="true" ', 1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    for reference in ('id="', 'href="#', "url(#"):
        svg = svg.replace(reference, f"{reference}{name}-")
    return Markup(svg)  # noqa: S704 - matplotlib has escaped the text in it


def _shade(axes: Any, times: Float64, rejected: Bool) -> None:
    """Shade the spans of time in which every frame was rejected; a frame without a face has no likeness to plot."""
    half = float(np.median(np.diff(times))) / 2 if len(times) > 1 else 0.5
    edges = np.flatnonzero(np.diff(np.concatenate([[False], rejected, [False]])))
    for index, (first, end) in enumerate(edges.reshape(-1, 2)):
        span = (times[first] - half, times[end - 1] + half)
        axes.axvspan(*span, color=_BAD, alpha=0.16, linewidth=0, zorder=0, label="" if index else "left out")


def _threshold(axes: Any, threshold: float) -> None:
    label = f"one person from {threshold:.2f}"
    axes.axhline(threshold, color=_OTHER, linewidth=1.5, linestyle="--", label=label)


def _cosines(axes: Any, scores: Any) -> None:
    """Show all of 0..1, so that two reports compare, and as much below 0 as is needed."""
    lowest = float(np.nanmin(scores)) if np.isfinite(scores).any() else 0.0
    axes.set_ylim(min(0.0, lowest - 0.05), 1.02)
    axes.set_ylabel("likeness")


def _steps(axes: Any, adapter: Adapter) -> None:
    """Label the steps and mark the one that was kept."""
    label = f"kept: step {adapter.best_step}" if adapter.best_step else "kept: step 0, untuned"
    axes.axvline(adapter.best_step, color=_INK, linewidth=1.2, linestyle=":", label=label)
    last = max((point.step for point in adapter.curve), default=0)
    margin = 0.03 * last or 1.0
    axes.set_xlim(-margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=(1, 2, 5, 10), integer=True))
    axes.set_xlabel("tuning step")


def _say(axes: Any, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
