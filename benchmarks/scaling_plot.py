"""Draw how cost grows, a panel for each series."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

_COLUMNS = 2
_FEW_DECADES = 2.0


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write a PNG: processor time against size, both on logarithmic axes, with a dotted line that is linear."""
    columns = min(_COLUMNS, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(figsize=(6.6 * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (name, series) in zip(panels, found.items(), strict=False):
        _draw_series(panel, name, series)
    for panel in panels[len(found) :]:
        panel.axis("off")
    figure.savefig(path, dpi=110)


def _draw_series(panel: Any, name: str, series: Mapping[str, Any]) -> None:
    sizes = np.asarray(series["sizes"], float)
    for curve, costs in series["processor_s"].items():
        label = f"{curve}: {series['exponents'][curve]:.2f}"
        wide = 2.2 if curve == "time" else 1.2
        panel.plot(sizes, np.asarray(costs) * 1e3, marker="o", markersize=3.5, linewidth=wide, label=label)
    start = max(max(costs[0] for costs in series["processor_s"].values()), 1e-6) * 1e3
    panel.plot(sizes, start * sizes / sizes[0], color="grey", linestyle=":", linewidth=1, label="linear: 1")
    panel.set(xscale="log", yscale="log", title=name, xlabel=series["unit"], ylabel="processor time, ms")
    panel.set_xticks(sizes, [f"{int(size):,}" for size in sizes], fontsize="small")
    panel.minorticks_off()
    low, high = panel.get_ylim()
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if math.log10(high / low) < _FEW_DECADES else (1,)))
    panel.yaxis.set_major_formatter(lambda value, _place: f"{value:,.6g}")
    panel.grid(visible=True, alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    beside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "frameon": False}
    panel.legend(fontsize="small", title="exponent", title_fontsize="small", alignment="left", **beside)
