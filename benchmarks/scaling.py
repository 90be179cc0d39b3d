"""How cost grows: with the length and the size of a recording, with people in a scene, doubles, grants, revocations.

    python -m benchmarks.scaling [SERIES ...] [--quick] [--turns 1] [--out FILE.json]

Every point runs in a process of its own, in turns; what it stands on (a clip, a database of so many rows) is made
before and not timed. Processor time is what the exponents are fitted to, by least squares on
logarithms over all points; `last` is the exponent between the last two. Peak memory is what the work adds to what was
there before it began, where the system tells (Linux). A plot is drawn beside --out. --quick takes three small points
of some of the series, in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import write_result
from benchmarks.scaling_plot import draw
from benchmarks.scaling_points import SERIES, Series


def run_point(series: Series, size: int, folder: Path, apart: bool) -> dict[str, Any]:
    """Measure one point, `apart` in a process of its own.

    Raises:
        SystemExit: it failed there.
    """
    home = {"CAMEO_HOME": tempfile.mkdtemp(prefix="home-", dir=folder)}
    if not apart:
        os.environ.update(home)
        return {**series.measure(size, folder), "peak": None}  # memory of earlier points would be in it
    words = [sys.executable, "-m", "benchmarks.scaling_points", series.name, str(size), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **home})
    if done.returncode:
        raise SystemExit(f"{series.name}, {size} {series.unit}, failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Fit the b of cost = a · size^b by least squares on the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(costs, 1e-9)), 1)[0])


def measure(series: Series, sizes: Sequence[int], turns: int, apart: bool) -> dict[str, Any]:
    """Measure all points of a series, in turns; the median of each, and the exponents."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series.prepare(folder, sizes)
        rows: list[list[dict[str, Any]]] = [[] for _ in sizes]
        for turn in range(turns):
            for row, size in zip(rows, sizes, strict=True):
                print(f"{series.name}, turn {turn + 1} of {turns}: {size} {series.unit}", file=sys.stderr, flush=True)
                row.append(run_point(series, size, folder, apart))
    curves = {
        curve: [statistics.median(one["processor_s"][curve] for one in row) for row in rows]
        for curve in rows[0][0]["processor_s"]
    }
    peaks = [[one["peak"] for one in row if one["peak"] is not None] for row in rows]
    found: dict[str, Any] = {
        "unit": series.unit,
        "sizes": list(sizes),
        "processor_s": curves,
        "exponents": {curve: exponent(sizes, costs) for curve, costs in curves.items()},
        "last": {curve: exponent(sizes[-2:], costs[-2:]) for curve, costs in curves.items()},
    }
    if all(peaks):
        found["peak_bytes"] = [statistics.median(some) for some in peaks]
    return found


def print_table(name: str, found: dict[str, Any]) -> None:
    """Print a series, a line for each of its curves."""
    unit = found["unit"]
    print(f"\n{name}\n\n| | {' | '.join(f'{size:,} {unit}' for size in found['sizes'])} | exponent | at the end |")
    print(f"|---|{'---|' * len(found['sizes'])}---|---|")
    for curve, costs in found["processor_s"].items():
        cells = " | ".join(_seconds(cost) for cost in costs)
        print(f"| {curve} | {cells} | {found['exponents'][curve]:.2f} | {found['last'][curve]:.2f} |")
    if "peak_bytes" in found:
        print(f"| memory added | {' | '.join(f'{peak / 1e6:,.0f} MB' for peak in found['peak_bytes'])} | | |")
    sys.stdout.flush()


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def main() -> None:
    """Measure one point, or series of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="SERIES", help=f"which: {', '.join(SERIES)}")
    parser.add_argument("--quick", action="store_true", help="three small points of some")
    parser.add_argument("--turns", type=int, default=1, help="how often every point is measured (1)")
    parser.add_argument("--out", type=Path, help="write everything as JSON, and a plot beside it")
    args = parser.parse_args()
    unknown = set(args.names) - set(SERIES)
    if unknown:
        parser.error(f"no series {', '.join(sorted(unknown))}: there are {', '.join(SERIES)}")
    found: dict[str, Any] = {}
    for name in args.names or SERIES:
        sizes = SERIES[name].quick if args.quick else SERIES[name].sizes
        if sizes:
            found[name] = measure(SERIES[name], sizes, args.turns, not args.quick)
            print_table(name, found[name])
    if args.out:
        points = sum(len(one["sizes"]) for one in found.values())
        write_result(args.out, {"series": found}, {"series": len(found), "points": points, "turns": args.turns})
        draw(found, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
