"""Draw how well people are told apart: ROC and DET curves, as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  after the choice of where to draw
from scipy.stats import norm  # noqa: E402

if TYPE_CHECKING:
    from benchmarks.error_rates import Pairs
    from cameo.records import Float64

_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8)


def curve(pairs: Pairs) -> tuple[Float64, Float64]:
    """False accepts and true accepts at every score, both rising."""
    order = np.argsort(-pairs.score, kind="stable")
    same = pairs.same[order]
    last = np.r_[np.diff(pairs.score[order]) != 0, True]  # equal scores are accepted together
    accepted = np.r_[0, np.cumsum(same)[last] / same.sum()]
    false = np.r_[0, np.cumsum(~same)[last] / (~same).sum()]
    return false, accepted


def draw(title: str, sets: dict[str, Pairs], out: Path) -> list[Path]:
    """Draw one line per encoder; returns the files `out`.png and `out`.svg."""
    figure, (roc, det) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    for name, pairs in sets.items():
        false, accepted = curve(pairs)
        least = 0.5 / max(1, int((~pairs.same).sum())), 0.5 / max(1, int(pairs.same.sum()))
        roc.plot(np.maximum(false, least[0]), accepted, label=name, drawstyle="steps-post")
        shown = (
            norm.ppf(np.clip(false, least[0], 1 - least[0])),
            norm.ppf(np.clip(1 - accepted, least[1], 1 - least[1])),
        )
        det.plot(*shown, label=name)
    roc.set(xscale="log", xlabel="false accepts", ylabel="true accepts", title=f"ROC, {title}", ylim=(0, 1.02))
    roc.axvline(0.01, color="grey", linestyle=":", linewidth=1)
    places = norm.ppf(_TICKS)
    labels = [f"{tick:.3g}" for tick in _TICKS]
    det.set(xlabel="false accepts", ylabel="false rejects", title=f"DET, {title}")
    det.set_xticks(places, labels)
    det.set_yticks(places, labels)
    limits = norm.ppf((0.0005, 0.85))
    det.set(xlim=limits, ylim=limits)
    det.plot(limits, limits, color="grey", linestyle=":", linewidth=1)
    for axes in (roc, det):
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize="small")
    files = [out.with_suffix(ending) for ending in (".png", ".svg")]
    for file in files:
        figure.savefig(file, dpi=120)
    plt.close(figure)
    return files
