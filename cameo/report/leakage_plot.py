"""Draw what an adapter gives back: likeness, distances to the nearest training frame, and the scores of the attack."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from cameo.records import Float32

_STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}
_SIZE_INCH, _DPI = (12.0, 6.4), 110
_COLOURS = ("#7a7a7a", "#1f6fb2", "#d1732b", "#8a4fa3")  # of real frames first
_LIKENESS = ("#c9c9c9", *_COLOURS[1:3], _COLOURS[0])
_NEARER = 5.0  # percentile of the real frames, see `fidelity.nearness`


def draw_leakage(
    likeness: Mapping[str, float],
    distances: Mapping[str, Mapping[str, Float32]],
    scores: Mapping[str, tuple[Float32, Float32]],
) -> bytes:
    """Draw a PNG of six panels.

    Args:
        likeness: by what is shown, from floor to ceiling.
        distances: by measure, by what is shown, real frames first.
        scores: by way, of learned and of held-out windows.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=_SIZE_INCH, layout="constrained")
        panels = figure.subplots(2, 3)
        _bars(panels[0, 0], likeness)
        for axes, (measure, groups) in zip(panels.flat[1:4], distances.items(), strict=False):
            _dots(axes, groups)
            axes.set(title=f"nearest training frame, by {measure}", xlabel="distance; 0 is a copy")
        for axes, (way, (members, others)) in zip(panels.flat[4:], scores.items(), strict=False):
            _dots(axes, {"held out": others, "learned from": members}, limit=False)
            axes.set(title=f"telling it by its loss, {way}", xlabel="loss with LoRA less loss without")
        buffer = io.BytesIO()
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None}, pil_kwargs={"dpi": (_DPI, _DPI)})
    return buffer.getvalue()


def _bars(axes: Any, likeness: Mapping[str, float]) -> None:
    places = np.arange(len(likeness))
    values = np.nan_to_num([*likeness.values()])
    axes.barh(places, values, color=_LIKENESS[: len(places)], height=0.6)
    for place, value in zip(places, values, strict=True):
        axes.text(value, place, f" {value:.2f}", va="center")
    axes.set_yticks(places, [*likeness])
    axes.set(xlim=(0, 1.12), title="likeness: what it was tuned for", xlabel="cosine to frames it did not see")


def _dots(axes: Any, groups: Mapping[str, Float32], limit: bool = True) -> None:
    """Draw every value, moved up and down a little so that none hides another; a tick marks the median."""
    random = np.random.default_rng(0)
    for k, values in enumerate(groups.values()):
        seen = values[np.isfinite(values)]
        place = len(groups) - 1 - k
        axes.plot(seen, place + random.uniform(-0.22, 0.22, len(seen)), "o", ms=3.5, alpha=0.55, color=_COLOURS[k])
        if len(seen):
            axes.plot([np.median(seen)] * 2, [place - 0.36, place + 0.36], color="black", linewidth=1.4)
    if limit:
        real = next(iter(groups.values()))
        axes.axvline(float(np.percentile(real, _NEARER)), color=_COLOURS[0], linestyle="--", linewidth=1)
        axes.set_xlim(left=0)
    axes.set_yticks(range(len(groups)), [*groups][::-1])
    axes.set_ylim(-0.6, len(groups) - 0.4)
