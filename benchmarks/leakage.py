"""How much of its footage an adapter gives back, as tuning goes on, beside the likeness that is bought with it.

    python -m benchmarks.leakage                                            # two rendered people
    python -m benchmarks.leakage --clips FOLDER/*.mp4 --face-model insightface:FOLDER --out FOLDER
    python -m benchmarks.leakage --quick                                    # one person, few steps: to see that it runs

Each person is tuned anew for every number of steps, without a judge, so that nothing stops it early; 0 is what has a
closed form. The last quarter of each clip, which neither tuning nor its judge sees, is what is held out. What is
measured is what `cameo bench leakage` measures; see docs/how-to/measure-leakage.md.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import torch

from benchmarks.footage import TEST_GAP, TEST_SHARE, rendered_clips, whole_footage
from benchmarks.results import write_result
from cameo.adapt.judge import Judges
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import split, tune
from cameo.eliciting import Exhibit, ProbeSettings, probe_adapter
from cameo.embed.face import load_face_encoder
from cameo.fidelity.leakage import Leakage, summarise
from cameo.generators.reference import load_reference

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.fidelity.leakage import Way
    from cameo.generators.base import Footage, Generator

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  after the choice of where to draw

STEPS = (0, 50, 150, 600)
QUICK: dict[str, Any] = {"rank": 4, "batch": 2, "warm_up": 2}


@dataclass(frozen=True)
class Point:
    """Hold what an adapter of one person gives back after so many steps."""

    person: str
    steps: int
    leakage: Leakage


def measure(
    generator: Generator, person: tuple[str, Footage], steps: int, encoder: FaceEncoder,
    settings: ProbeSettings, changes: dict[str, Any],
) -> Point:  # fmt: skip
    """Tune for so many steps, and probe."""
    name, footage = person
    test = int(len(footage) * (1 - TEST_SHARE))
    given = footage.part(0, test - TEST_GAP)
    recipe = Recipe(**{"steps": steps, "judged": False, **changes})
    adapter = tune(generator, given, Judges(load_face_encoder().embed, rendered_people()), recipe)
    learned = len(split(given, recipe.held_out)[0])  # what tuning holds out is probed by nobody
    probed = probe_adapter(generator, adapter.parts, Exhibit(footage, learned, test), encoder, settings)
    return Point(name, steps, probed.leakage)


def _mean(points: Sequence[Point], steps: int, of: Any) -> tuple[float, float, float]:
    """Mean, lowest and highest over people."""
    values = [of(point.leakage) for point in points if point.steps == steps]
    return float(np.mean(values)), float(np.min(values)), float(np.max(values))


def _nearer(way: Way, retold: bool) -> float:
    near = way.retold if retold else way.nearness
    return next(one.nearer.value for one in near if one.measure == "structure")


def _singled(way: Way, retold: bool) -> float:
    near = way.retold if retold else way.nearness
    return next(one.singled.value for one in near if one.measure == "structure")


COLUMNS: dict[str, Any] = {
    "likeness, alone": lambda found: found.alone.likeness.value,
    "likeness, with references": lambda found: found.aided.likeness.value,
    "ceiling": lambda found: found.ceiling,
    "nearer, alone": lambda found: _nearer(found.alone, False),
    "nearer, retold": lambda found: _nearer(found.alone, True),
    "singled out, alone": lambda found: _singled(found.alone, False),
    "singled out, retold": lambda found: _singled(found.alone, True),
    "membership AUC, alone": lambda found: found.alone.membership.auc.value,
    "AUC without LoRA": lambda found: found.alone.membership.blind,
}


def as_table(points: Sequence[Point]) -> str:
    """Mean over people with the lowest and the highest, in Markdown."""
    steps = sorted({point.steps for point in points})
    lines = [f"| steps | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for count in steps:
        cells = []
        for of in COLUMNS.values():
            mean, low, high = _mean(points, count, of)
            cells.append(f"{mean:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(points: Sequence[Point], out: Path) -> None:
    """Plot likeness and the three signs of leakage against steps, a thin line per person, the mean thick."""
    steps = sorted({point.steps for point in points})
    panels = (
        ("likeness", ("likeness, alone", "likeness, with references", "ceiling"), None),
        ("nearer than 5 % of new real frames", ("nearer, alone", "nearer, retold"), 0.05),
        ("membership by the loss, AUC", ("membership AUC, alone", "AUC without LoRA"), 0.5),
    )
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 4), layout="constrained")
    places = range(len(steps))
    for panel, (title, names, chance) in zip(axes, panels, strict=True):
        for k, name in enumerate(names):
            for person in sorted({point.person for point in points}):
                own = [point for point in points if point.person == person]
                panel.plot(places, [_mean(own, s, COLUMNS[name])[0] for s in steps], color=f"C{k}", alpha=0.25, lw=1)
            panel.plot(places, [_mean(points, s, COLUMNS[name])[0] for s in steps], "o-", color=f"C{k}", label=name)
        if chance is not None:
            panel.axhline(chance, color="grey", linestyle="--", linewidth=1, label="new real frames, or a coin")
        panel.set_xticks(places, [str(count) for count in steps])
        panel.set(title=title, xlabel="tuning steps", ylim=(0, 1.05))
        panel.legend(fontsize=8)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", help="one clip per person; without, people are rendered")
    parser.add_argument("--people", type=int, default=2, help="how many to render")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--face-model", default="embedded", help="the recogniser that measures: insightface:FOLDER")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change settings of the recipe")
    parser.add_argument("--quick", action="store_true", help="one person, few steps: to see that it runs")
    parser.add_argument("--out", type=Path, help="folder for leakage.json and leakage.png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    changes = {name: json.loads(value) for name, value in (pair.split("=") for pair in args.set)}
    settings, steps, people = ProbeSettings(seeds=args.seeds), args.steps, args.people
    if args.quick:
        changes, settings = QUICK | changes, ProbeSettings(seeds=1, pictures=12, windows=4, draws=1)
        steps, people = (0, 4), 1
    generator, encoder, points = load_reference(), load_face_encoder(args.face_model), list[Point]()
    with tempfile.TemporaryDirectory() as rendered:
        clips = args.clips or rendered_clips(Path(rendered), people)
        for path in clips[:1] if args.quick else clips:
            footage = whole_footage(generator, path)
            for count in steps:
                points.append(measure(generator, (path.stem, footage), count, encoder, settings, changes))
                found = points[-1].leakage.alone
                print(f"{path.stem}, {count} steps: likeness {found.likeness.value:.3f}, AUC "
                      f"{found.membership.auc.value:.2f} ({found.membership.auc.low:.2f} to "
                      f"{found.membership.auc.high:.2f})", flush=True)  # fmt: skip
    print(as_table(points))
    if args.out:
        runs = [{"person": p.person, "steps": p.steps, **summarise(p.leakage)} for p in points]
        facts = {"scorer": encoder.info.id, "changes": changes, "runs": runs}
        samples = {"people": len({p.person for p in points}), "seeds": settings.seeds}
        write_result(args.out / "leakage.json", facts, samples)
        draw(points, args.out / "leakage.png")


if __name__ == "__main__":
    main()
