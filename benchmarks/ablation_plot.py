"""Draw the rows of the ablation: likeness with its interval, with and without references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  after the choice of where to draw


def draw_rows(rows: dict[str, Any], out: Path) -> None:
    """Draw one line per row, the first on top, as PNG."""
    names = list(rows)
    figure, axes = plt.subplots(figsize=(9, 0.6 * len(names) + 1.6), layout="constrained")
    for key, bounds, form, shift in (("likeness", "interval", "o", 0.12), ("bare", "bare_interval", "s", -0.12)):
        values = [rows[name][key] for name in names]
        errors = [
            [rows[n][key] - rows[n][bounds][0] for n in names],
            [rows[n][bounds][1] - rows[n][key] for n in names],
        ]
        places = [len(names) - 1 - k + shift for k in range(len(names))]
        label = "with references" if key == "likeness" else "without references"
        axes.errorbar(values, places, xerr=errors, fmt=form, capsize=3, label=label)
    axes.set_yticks(range(len(names)), [f"{n}  ({rows[n]['seconds']:.0f} s)" for n in reversed(names)])
    axes.set_xlabel("likeness to real test frames, 95 % intervals; (CPU seconds)")
    axes.grid(visible=True, axis="x", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=2)
    figure.savefig(out, dpi=120)
    plt.close(figure)
