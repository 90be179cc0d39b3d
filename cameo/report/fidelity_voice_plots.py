"""Draw the plots about voices: between other people's and the people's own, by person, and of lips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cameo.faces.lips import LAG_S
from cameo.report.drawing import FAINT, GOOD, draw_plot, write_into
from cameo.report.fidelity_plots import LOOKS, REAL, Strip, draw_people, draw_strips, plain

if TYPE_CHECKING:
    from markupsafe import Markup

    from cameo.scores import Fidelity, Lips

OWN = "own voice"


def plot_voices(made: Fidelity) -> Markup:
    """Plot for each system with speech where its voices lie between other people's and the people's own."""
    return draw_strips("voices", _strips(made), OWN)


def plot_speakers(made: Fidelity) -> Markup:
    """Plot everybody's voice in each system with speech, between their own floor and ceiling."""
    return draw_people("speakers", _strips(made), OWN)


def plot_lips(made: Fidelity) -> Markup:
    """Plot of every clip with speech how lips go with the sound, over the delay at which they would go best."""
    series = _lips(made)
    points = [one for _, lips in series for one in lips]

    def paint(axes: Any) -> None:
        axes.axvspan(-LAG_S, LAG_S, color=FAINT, alpha=0.15, linewidth=0)
        for k, (system, lips) in enumerate(series):
            # Real clips come first: large and empty, so that others are seen on top of them.
            colour, form = LOOKS[(k - 1) % len(LOOKS)] if k else (GOOD, "D")
            size, inside = (6, colour) if k else (9, "none")
            places = [one.lag_s for one in lips], [one.sync for one in lips]
            if lips:
                axes.plot(*places, form, color=colour, markerfacecolor=inside, markersize=size, label=plain(system))
        if not points:
            write_into(axes, "no clip has enough of a mouth and of speech")
        reach = max([1.0, *(abs(one.lag_s) for one in points)])
        axes.set_xlim(-1.05 * reach, 1.05 * reach)
        axes.set_ylim(min([-0.2, *(one.sync for one in points)]) - 0.05, 1.05)
        axes.set_xlabel("delay of the sound that would fit best, s")
        axes.set_ylabel("lips with sound")

    return draw_plot("lips", paint)


def _strips(made: Fidelity) -> list[Strip]:
    return [
        Strip(system.system, voice, {p.person: (p.floor, p.likeness, p.ceiling) for p in voice.people})
        for system in made.systems
        if (voice := system.voice) is not None
    ]


def _lips(made: Fidelity) -> list[tuple[str, list[Lips]]]:
    """By system what is told of its clips' lips, after those of real clips."""
    found = [(REAL, [lips for one in (made.voice.people if made.voice else ()) for lips in one.lips])]
    for system in made.systems:
        voices = [clip.voice for clip in made.clips if clip.system == system.system and clip.voice]
        found.append((system.system, [voice.lips for voice in voices if voice.lips]))
    return found
