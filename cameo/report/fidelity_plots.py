"""Draw the plots of a page about likeness: between floor and ceiling, by person, over time and by pose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cameo.report.drawing import BAD, FAINT, GOOD, INK, MAIN, OTHER, draw_plot, write_into
from cameo.scores import FIRST

if TYPE_CHECKING:
    from markupsafe import Markup

    from cameo.scores import Estimate, Fidelity

REAL, OTHERS, MADE = "real clips", "other people", "generated"
_LINES = 60  # clips drawn one by one over time
_PARTS = 8  # of a clip, over which means are drawn
_NAMED = 16  # people whose names fit under a plot
_LOOKS = ((MAIN, "o"), (INK, "s"), (BAD, "^"), (FAINT, "D"), (GOOD, "v"), (OTHER, "P"))


def plot_strip(made: Fidelity, measure: str) -> Markup:
    """Plot for each system where its clips lie between other people and real clips, by one recogniser."""

    def paint(axes: Any) -> None:
        for at, system in enumerate(reversed(made.systems)):
            row = next(one for one in system.rows if one.measure == measure)
            sides = (
                (row.floor, [p.floor[measure] for p in system.people], OTHER, "s", OTHERS),
                (row.likeness, [p.likeness[measure] for p in system.people], MAIN, "o", MADE),
                (row.ceiling, [p.ceiling[measure] for p in system.people], GOOD, "D", REAL),
            )
            for mean, people, colour, form, label in sides:
                axes.plot(people, [at] * len(people), form, color=colour, alpha=0.4, markersize=4)
                _mean(axes, mean, at, colour, form, "" if at else label)
        axes.set_yticks(range(len(made.systems)), [_plain(s.system) for s in reversed(made.systems)])
        axes.set_ylim(-0.6, len(made.systems) - 0.4)
        values = [
            v
            for s in made.systems
            for p in s.people
            for v in (p.floor[measure], p.ceiling[measure], p.likeness[measure])
        ]
        axes.set_xlim(min(0.0, _least(values)) - 0.02, 1.03)
        axes.set_xlabel("likeness")
        axes.grid(axis="x", color=FAINT, alpha=0.2)

    return draw_plot(f"strip-{measure}", paint, (10.4, 1.3 + 0.42 * len(made.systems)))


def plot_people(made: Fidelity) -> Markup:
    """Plot everybody's likeness in each system, between their own floor and ceiling."""
    people = sorted({row.person for system in made.systems for row in system.people})

    def paint(axes: Any) -> None:
        width = min(0.8, 0.22 * len(made.systems) + 0.2)
        for at, person in enumerate(people):
            found = [row for system in made.systems for row in system.people if row.person == person]
            sides = ((REAL, GOOD, [row.ceiling for row in found]), (OTHERS, OTHER, [row.floor for row in found]))
            for label, colour, rows_of in sides:
                values = [row[FIRST] for row in rows_of]
                known = [value for value in values if math.isfinite(value)]
                if known:
                    span = (at - width / 2, at + width / 2)
                    axes.hlines(np.mean(known), *span, color=colour, linewidth=2.5, label="" if at else label)
        for k, system in enumerate(made.systems):
            colour, form = _LOOKS[k % len(_LOOKS)]
            rows = {row.person: row for row in system.people}
            shift = (k - (len(made.systems) - 1) / 2) * width / max(1, len(made.systems))
            places = [at + shift for at, person in enumerate(people) if person in rows]
            values = [rows[person].likeness[FIRST] for person in people if person in rows]
            axes.plot(places, values, form, color=colour, markersize=6, label=_plain(system.system))
        if len(people) <= _NAMED:
            turned = {"rotation": 30, "ha": "right"} if len(people) > 4 else {}
            axes.set_xticks(range(len(people)), [_plain(person[:18]) for person in people], **turned)
        else:
            axes.set_xticks([])
            axes.set_xlabel(f"{len(people)} people, by name")
        axes.set_xlim(-0.6, len(people) - 0.4)
        _likeness(axes)

    return draw_plot("people", paint)


def plot_time(made: Fidelity) -> Markup:
    """Plot likeness over the length of a clip: each clip faintly, the mean of each system boldly."""

    def paint(axes: Any) -> None:
        drawn = 0
        for k, system in enumerate(made.systems):
            colour, form = _LOOKS[k % len(_LOOKS)]
            clips = [clip for clip in made.clips if clip.system == system.system and clip.duration_s > 0]
            for clip in clips[: max(1, _LINES // len(made.systems))]:
                share = 100 * np.array(clip.times_s) / clip.duration_s
                axes.plot(share, np.maximum(clip.likeness[FIRST], 0), color=colour, alpha=0.18, linewidth=1)
            middles, means = _over_time(
                [(np.array(c.times_s) / c.duration_s, np.array(c.likeness[FIRST])) for c in clips]
            )
            if len(means):
                drawn += 1
                axes.plot(100 * middles, means, f"{form}-", color=colour, markersize=5, label=_plain(system.system))
        if not drawn:
            write_into(axes, "no face was found in clips of more than one frame")
        axes.set_xlabel("of the clip, %")
        _likeness(axes)

    return draw_plot("time", paint)


def plot_poses(made: Fidelity) -> Markup:
    """Plot likeness of frontal and of turned heads, beside real frames in the same pose."""

    def paint(axes: Any) -> None:
        names = [pose.pose for pose in made.systems[0].poses]
        count = len(made.systems) + 1
        for k, system in enumerate(made.systems):
            colour, form = _LOOKS[k % len(_LOOKS)]
            for at, pose in enumerate(system.poses):
                place = at + (k - count / 2 + 0.5) * 0.6 / count
                _upright(axes, pose.likeness, place, colour, form, "" if at else _plain(system.system))
        for at, pose in enumerate(made.systems[0].poses):
            _upright(axes, pose.real, at + (count / 2 - 0.5) * 0.6 / count, GOOD, "D", "" if at else REAL)
        frames = [sum(system.poses[at].frames for system in made.systems) for at in range(len(names))]
        labels = [f"{name}\n{many} frames" for name, many in zip(names, frames, strict=True)]
        axes.set_xticks(range(len(names)), labels)
        axes.set_xlim(-0.6, len(names) - 0.4)
        _likeness(axes)

    return draw_plot("poses", paint)


def _over_time(clips: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Mean likeness in each of `_PARTS` parts of the clips, over frames with a face."""
    shares = np.concatenate([share for share, _ in clips]) if clips else np.zeros(0)
    values = np.concatenate([value for _, value in clips]) if clips else np.zeros(0)
    part = np.minimum((shares * _PARTS).astype(int), _PARTS - 1)
    seen = [p for p in range(_PARTS) if np.isfinite(values[part == p]).any()]
    means = [float(np.nanmean(np.maximum(values[part == p], 0))) for p in seen]
    return (np.array(seen) + 0.5) / _PARTS, np.array(means)


def _mean(axes: Any, mean: Estimate, at: float, colour: str, form: str, label: str) -> None:
    if math.isfinite(mean.low):
        axes.hlines(at, mean.low, mean.high, color=colour, linewidth=4, alpha=0.5)
    if math.isfinite(mean.value):
        axes.plot([mean.value], [at], form, color=colour, markersize=10, label=label)


def _upright(axes: Any, mean: Estimate, at: float, colour: str, form: str, label: str) -> None:
    if math.isfinite(mean.low):
        axes.vlines(at, mean.low, mean.high, color=colour, linewidth=3, alpha=0.5)
    axes.plot([at], [mean.value], form, color=colour, markersize=8, label=label)


def _likeness(axes: Any) -> None:
    low, _ = axes.get_ylim()
    axes.set_ylim(min(0.0, low), 1.05)
    axes.set_ylabel("likeness")


def _least(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return min(known, default=0.0)


def _plain(text: str) -> str:
    """Keep matplotlib from reading formulas in names."""
    return text.replace("$", r"\$")
