"""Draw the plots of a page about likeness: between floor and ceiling, by person, over time and by pose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cameo.report.drawing import BAD, FAINT, GOOD, INK, MAIN, OTHER, draw_plot, write_into
from cameo.scores import FIRST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from cameo.scores import Estimate, Fidelity, Row, SystemVoice

REAL, OTHERS, MADE = "real clips", "other people", "generated"
_LINES = 60  # clips drawn one by one over time
_PARTS = 8  # of a clip, over which means are drawn
_NAMED = 16  # people whose names fit under a plot
LOOKS = ((MAIN, "o"), (INK, "s"), (BAD, "^"), (FAINT, "D"), (GOOD, "v"), (OTHER, "P"))


@dataclass(frozen=True, slots=True)
class Strip:
    """Hold a system to be drawn: its estimates, and of every person floor, likeness and ceiling."""

    system: str
    row: Row | SystemVoice
    people: Mapping[str, tuple[float, float, float]]


def plot_strip(made: Fidelity, measure: str) -> Markup:
    """Plot for each system where its clips lie between other people and real clips, by one recogniser."""
    return draw_strips(f"strip-{measure}", _strips(made, measure), REAL)


def plot_people(made: Fidelity) -> Markup:
    """Plot everybody's likeness in each system, between their own floor and ceiling."""
    return draw_people("people", _strips(made, FIRST), REAL)


def _strips(made: Fidelity, measure: str) -> list[Strip]:
    return [
        Strip(
            system.system,
            next(row for row in system.rows if row.measure == measure),
            {p.person: (p.floor[measure], p.likeness[measure], p.ceiling[measure]) for p in system.people},
        )
        for system in made.systems
    ]


def draw_strips(name: str, strips: Sequence[Strip], ceiling: str) -> Markup:
    """Draw a line for each system: floor, likeness and ceiling, of everybody and in the mean.

    Args:
        name: with which ids of the plot begin.
        strips: the systems.
        ceiling: what it is called.
    """

    def paint(axes: Any) -> None:
        for at, strip in enumerate(reversed(strips)):
            floors, likenesses, ceilings = zip(*strip.people.values(), strict=True)
            sides = (
                (strip.row.floor, floors, OTHER, "s", OTHERS),
                (strip.row.likeness, likenesses, MAIN, "o", MADE),
                (strip.row.ceiling, ceilings, GOOD, "D", ceiling),
            )
            for mean, people, colour, form, label in sides:
                axes.plot(people, [at] * len(people), form, color=colour, alpha=0.4, markersize=4)
                _mean(axes, mean, at, colour, form, "" if at else label)
        axes.set_yticks(range(len(strips)), [plain(strip.system) for strip in reversed(strips)])
        axes.set_ylim(-0.6, len(strips) - 0.4)
        values = [value for strip in strips for person in strip.people.values() for value in person]
        axes.set_xlim(min(0.0, _least(values)) - 0.02, 1.03)
        axes.set_xlabel("likeness")
        axes.grid(axis="x", color=FAINT, alpha=0.2)

    return draw_plot(name, paint, (10.4, 1.3 + 0.42 * len(strips)))


def draw_people(name: str, strips: Sequence[Strip], ceiling: str) -> Markup:
    """Draw a column for each person: a mark for every system, and bars for floor and ceiling; see `draw_strips`."""
    people = sorted({person for strip in strips for person in strip.people})

    def paint(axes: Any) -> None:
        width = min(0.8, 0.22 * len(strips) + 0.2)
        unnamed = {ceiling, OTHERS}
        for at, person in enumerate(people):
            found = [strip.people[person] for strip in strips if person in strip.people]
            for label, colour, side in ((ceiling, GOOD, 2), (OTHERS, OTHER, 0)):
                known = [three[side] for three in found if math.isfinite(three[side])]
                if known:
                    span = (at - width / 2, at + width / 2)
                    axes.hlines(
                        np.mean(known), *span, color=colour, linewidth=2.5, label=label if label in unnamed else ""
                    )
                    unnamed.discard(label)
        for k, strip in enumerate(strips):
            colour, form = LOOKS[k % len(LOOKS)]
            shift = (k - (len(strips) - 1) / 2) * width / max(1, len(strips))
            places = [at + shift for at, person in enumerate(people) if person in strip.people]
            values = [strip.people[person][1] for person in people if person in strip.people]
            axes.plot(places, values, form, color=colour, markersize=6, label=plain(strip.system))
        if len(people) <= _NAMED:
            turned = {"rotation": 30, "ha": "right"} if len(people) > 4 else {}
            axes.set_xticks(range(len(people)), [plain(person[:18]) for person in people], **turned)
        else:
            axes.set_xticks([])
            axes.set_xlabel(f"{len(people)} people, by name")
        axes.set_xlim(-0.6, len(people) - 0.4)
        _likeness(axes)

    return draw_plot(name, paint)


def plot_time(made: Fidelity) -> Markup:
    """Plot likeness over the length of a clip: each clip faintly, the mean of each system boldly."""

    def paint(axes: Any) -> None:
        drawn = 0
        for k, system in enumerate(made.systems):
            colour, form = LOOKS[k % len(LOOKS)]
            clips = [clip for clip in made.clips if clip.system == system.system and clip.duration_s > 0]
            for clip in clips[: max(1, _LINES // len(made.systems))]:
                share = 100 * np.array(clip.times_s) / clip.duration_s
                axes.plot(share, np.maximum(clip.likeness[FIRST], 0), color=colour, alpha=0.18, linewidth=1)
            middles, means = _over_time(
                [(np.array(c.times_s) / c.duration_s, np.array(c.likeness[FIRST])) for c in clips]
            )
            if len(means):
                drawn += 1
                axes.plot(100 * middles, means, f"{form}-", color=colour, markersize=5, label=plain(system.system))
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
            colour, form = LOOKS[k % len(LOOKS)]
            for at, pose in enumerate(system.poses):
                place = at + (k - count / 2 + 0.5) * 0.6 / count
                _upright(axes, pose.likeness, place, colour, form, "" if at else plain(system.system))
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


def plain(text: str) -> str:
    """Keep matplotlib from reading formulas in names."""
    return text.replace("$", r"\$")
