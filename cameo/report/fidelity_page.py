"""Write the page of a measurement of likeness: one HTML file without scripts and without anything fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cameo.report import fidelity_plots as plots
from cameo.report import fidelity_voice_plots as voice_plots
from cameo.report.fidelity_tables import face_tables, interval, percent, systems_table, two, voice_tables
from cameo.report.fidelity_wording import conclude_fidelity, describe_method
from cameo.report.pictures import Picture, Stills, picture_of
from cameo.report.templates import environment
from cameo.report.wording import KeyFigure

if TYPE_CHECKING:
    from markupsafe import Markup

    from cameo.report.fidelity_tables import Table
    from cameo.scores import Fidelity, FrameShown, Measure, Shown, SystemScore

_STILL_PX, _QUALITY = 176, 85


@dataclass(frozen=True, slots=True)
class MeasureStrip:
    """Hold the plot of one recogniser."""

    measure: Measure
    plot: Markup


@dataclass(frozen=True, slots=True)
class Voices:
    """Hold the section about voices."""

    strip: Markup
    people: Markup
    lips: Markup
    tables: list[Table]


def render_fidelity(made: Fidelity) -> str:
    """Render the page as an HTML document; the same measurement gives the same text."""
    return environment().get_template("fidelity.html.j2").render(
        made=made,
        conclusions=conclude_fidelity(made),
        figures=[_figure(system) for system in made.systems],
        strips=[MeasureStrip(measure, plots.plot_strip(made, measure.key)) for measure in made.measures],
        systems=systems_table(made),
        tables=face_tables(made),
        voices=_voices(made),
        people_plot=plots.plot_people(made),
        time_plot=plots.plot_time(made),
        poses_plot=plots.plot_poses(made),
        stills=[_stills(shown) for shown in made.shown],
        method=describe_method(made),
    )  # fmt: skip


def _voices(made: Fidelity) -> Voices | None:
    tables = voice_tables(made)
    if not tables:
        return None
    return Voices(voice_plots.plot_voices(made), voice_plots.plot_speakers(made), voice_plots.plot_lips(made), tables)


def _figure(system: SystemScore) -> KeyFigure:
    row = system.rows[0]
    note = f"95 %: {interval(row.likeness)}; {percent(row.closed.value)} of the way from other people to real clips"
    return KeyFigure(system.system, two(row.likeness.value), note)


def _stills(shown: Shown) -> tuple[Stills, Stills]:
    worst, best = (tuple(_still(frame) for frame in frames) for frames in (shown.worst, shown.best))
    return (
        Stills(f"{shown.system}: worst", "at most one of a clip", worst),
        Stills(f"{shown.system}: best", "at most one of a clip", best),
    )


def _still(frame: FrameShown) -> Picture:
    caption = f"{two(frame.likeness)} · {frame.person}, {frame.time_s:.1f} s"
    return picture_of(frame.picture, _STILL_PX, _QUALITY, caption, f"{frame.clip} at {frame.time_s:.1f} s")
