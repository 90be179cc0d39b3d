"""Ceiling > own adapter > base ≈ floor: the reference generator, scored by the harness that scores any other.

    python -m benchmarks.identity_fidelity                                  # four rendered people
    python -m benchmarks.identity_fidelity --clips FOLDER/*.mp4 --face-model insightface:FOLDER --out FOLDER
    python -m benchmarks.identity_fidelity --quick                          # two rendered people, few steps

Of each person an adapter is tuned. Clips are generated along the movement of the last quarter of the recording, which
tuning does not see, and written as MP4, beside the real frames of that quarter:

- `own`: adapter and learned identity, no reference frames; so what the adapter itself holds is measured.
- `own + references`: the same with reference frames shown, as `cameo cast` does.
- `base`: the generator as it ships, without adapter and without reference frames.

Then `cameo.score_fidelity` scores the folders: the reference is what tuning saw, the ceiling the real frames of the
last quarter, the floor those of the other people, all 64 x 64 and compressed alike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from safetensors.torch import load

from benchmarks.footage import Subject, rendered_clips, subjects
from benchmarks.results import write_result
from cameo.adapt.judge import Judges
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.condition.plug import plug
from cameo.embed.face import load_face_encoder
from cameo.generators.reference import load_reference
from cameo.generators.references import ReferenceIdentity
from cameo.media import write_mp4
from cameo.report.fidelity_files import as_markdown
from cameo.scores import FIRST, Fidelity
from cameo.scoring import FidelityOptions, score_fidelity

mpl.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  after the choice of where to draw

if TYPE_CHECKING:
    from cameo.generators.reference import ReferenceGenerator
    from cameo.records import UInt8

OWN, AIDED, BASE = "own", "own + references", "base"
SYSTEMS = {OWN: "own", AIDED: "aided", BASE: "base"}  # to the folders of their clips
PEOPLE, REAL = "people", "real"
QUICK: dict[str, Any] = {"steps": 8, "judge_every": 4, "judged_frames": 8, "looked_at": 4}


def generated(
    generator: ReferenceGenerator, subject: Subject, recipe: Recipe, say: Callable[[str], None]
) -> Iterator[tuple[str, UInt8]]:
    """Tune an adapter and generate with it, with references and without, and without anything: folder and frames."""
    judges = Judges(load_face_encoder().embed, rendered_people())
    tuned = tune(generator, subject.train, judges, recipe)
    say(f"{subject.name}, seed {recipe.seed}: step {tuned.best_step} kept, {tuned.curve[-1].seconds:.0f} s")
    motion = subject.test.motion
    who = ReferenceIdentity.load(load(tuned.parts["identity.reference.face"]))
    with plug(generator, tuned.parts):
        for system, shown in ((OWN, False), (AIDED, True)):
            yield SYSTEMS[system], generator.sample(who, motion, recipe.seed, show_references=shown)
    nobody = generator.fit_identity(subject.train)
    yield SYSTEMS[BASE], generator.sample(nobody, motion, recipe.seed, show_references=False)


def write_clips(folder: Path, people: list[Subject], recipe: Recipe, seeds: int, say: Callable[[str], None]) -> None:
    """Write what the harness reads: a clip of every person, system and seed, references and real frames."""
    generator = load_reference()
    for subject in people:
        for name, footage in ((PEOPLE, subject.train), (REAL, subject.test)):
            _write(folder / name / f"{subject.name}.mp4", np.asarray(footage.frames[footage.usable]), generator.fps)
        for seed in range(seeds):
            for system, frames in generated(generator, subject, replace(recipe, seed=seed), say):
                _write(folder / system / f"{subject.name}-{seed}.mp4", frames, generator.fps)


def as_found(made: Fidelity) -> dict[str, Any]:
    """What each system came to by the first recogniser, between what real clips and other people score."""
    systems = {}
    for system in made.systems:
        row = system.rows[0]
        systems[system.system] = {
            "likeness": row.likeness.value,
            "interval": (row.likeness.low, row.likeness.high),
            "ceiling": row.ceiling.value,
            "floor": row.floor.value,
            "closed": row.closed.value,
            "people": {one.person: one.likeness[FIRST] for one in system.people},
        }
    gap = next(d.likeness for d in made.differences if (d.measure, d.first, d.second) == (FIRST, OWN, BASE))
    return {
        "scorer": made.measures[0].encoder,
        "protocol": made.protocol,
        "systems": systems,
        "own_less_base": {"value": gap.value, "interval": (gap.low, gap.high)},
    }


def draw_systems(made: Fidelity, path: Path) -> None:
    """Draw ceiling, systems and floor on one line each, with intervals and people, as PNG."""
    rows = {
        system.system: (system.rows[0].likeness, [p.likeness[FIRST] for p in system.people]) for system in made.systems
    }
    first = made.systems[0]
    lines = {
        "real clips (ceiling)": (first.rows[0].ceiling, [p.ceiling[FIRST] for p in first.people]),
        **rows,
        "other people (floor)": (first.rows[0].floor, [p.floor[FIRST] for p in first.people]),
    }
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(lines) + 1.2), layout="constrained")
    for at, (mean, people) in enumerate(reversed(lines.values())):
        axes.plot(people, [at] * len(people), "o", color="0.6", markersize=4)
        if np.isfinite(mean.low):
            axes.hlines(at, mean.low, mean.high, color="C0", linewidth=4, alpha=0.5)
        axes.plot([mean.value], [at], "o", color="C0", markersize=9)
    axes.set_yticks(range(len(lines)), list(reversed(lines)))
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.set_xlabel(f"likeness by {made.measures[0].encoder}; mean over people, 95 % interval, people")
    axes.grid(visible=True, axis="x", alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _write(path: Path, frames: UInt8, fps: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, frames, fps)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", help="one clip per person; without, people are rendered")
    parser.add_argument("--people", type=int, default=4, help="how many to render")
    parser.add_argument("--face-model", default="embedded", help="the recogniser that scores: insightface:FOLDER")
    parser.add_argument("--second-model", default="", help="one more")
    parser.add_argument("--protocol", default="opens2v")
    parser.add_argument("--seeds", type=int, default=1, help="clips of each person and system")
    parser.add_argument("--steps", type=int, help="of tuning; without, the recipe's own number")
    parser.add_argument("--quick", action="store_true", help="two rendered people, few steps")
    parser.add_argument("--out", type=Path, help="folder for the clips, the report and fidelity.png")
    return parser.parse_args()


def main() -> None:
    """Tune, generate, score, and say what it came to."""
    args = _options()
    recipe = Recipe(**(QUICK if args.quick else {}))
    recipe = replace(recipe, steps=args.steps) if args.steps else recipe
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.out or Path(scratch)
        clips = args.clips or rendered_clips(Path(scratch) / "rendered", 2 if args.quick else args.people)
        people = list(subjects(load_reference(), clips))
        write_clips(folder, people, recipe, args.seeds, lambda text: print(text, file=sys.stderr, flush=True))
        options = FidelityOptions(
            protocol=args.protocol, face_model=args.face_model, second_model=args.second_model, real=folder / REAL,
            out=args.out,
        )  # fmt: skip
        systems = {system: folder / place for system, place in SYSTEMS.items()}
        made = score_fidelity(systems, folder / PEOPLE, options=options)
        print(as_markdown(made))
        if args.out:
            draw_systems(made, args.out / "fidelity.png")
            samples = {"people": len(people), "seeds": args.seeds}
            write_result(args.out / "identity_fidelity.json", {**as_found(made), "steps": recipe.steps}, samples)


if __name__ == "__main__":
    main()
