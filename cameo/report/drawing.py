"""Draw plots as SVG that stands in a page, in the page's own colours and letters."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib.style
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

# What is drawn in one of these colours gets the page's: dark and light themes are a matter of the style sheet.
INK, FAINT, MAIN, OTHER, BAD = "#010203", "#010204", "#010205", "#010206", "#010207"
GOOD = "#010208"
_VARIABLES = {INK: "--ink", FAINT: "--faint", MAIN: "--main", OTHER: "--other", BAD: "--bad"} | {GOOD: "--good"}

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "cameo",
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.borderaxespad": 0.0,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.2,
}
SIZE_INCH = (5.2, 3.2)
# Nothing of when and by what it was drawn: the same enrolment gives the same bytes.
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def draw_plot(name: str, paint: Callable[[Any], None], size_inch: tuple[float, float] = SIZE_INCH) -> Markup:
    """Let `paint` fill one pair of axes and return it as an SVG element whose ids begin with `name`."""
    buffer = io.StringIO()
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=size_inch, layout="constrained")
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


def write_into(axes: Any, text: str) -> None:
    """Write a sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
