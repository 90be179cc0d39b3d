"""What each part of likeness-driven tuning buys, at equal compute, on the reference generator.

    python -m benchmarks.tuning_ablation --prepare --clips FOLDER/*.mp4 --footage FILE.pt     # needs all of cameo
    python -m benchmarks.tuning_ablation --footage FILE.pt --face-model insightface:FOLDER --jobs 16 --out FILE.json
    python -m benchmarks.tuning_ablation --quick                                # one rendered person, few steps

The second line reads no video: torch, diffusers, peft, accelerate, numpy, scipy, OpenCV, matplotlib and safetensors are
enough, with onnxruntime and insightface for the recogniser that scores. That one takes no part in tuning when it is not
the embedded one. Each row is tuned for every person and seed, one process and one core each. Rows build on each other,
but for the first and the last: the loop of a script, a LoRA and nothing else; what has a closed form, and nobody
watches; the judge stops and keeps the best; the book of mistakes; the loss weighted to the face; steps that hold other
people to the base; all of that without learned tokens. `--rows` takes some of them.

All rows may take as many steps as the first; what is left of them when the judge stops is not used otherwise. The
judge's own time is charged by a further row: nobody watches, and what everything together took longer than fixed steps,
in CPU seconds, is spent on more steps.

Scored are frames generated along the last quarter of each clip, which nobody but this script sees.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load

from benchmarks.ablation_plot import draw_rows
from benchmarks.peers.lora_loop import load_plain_reference
from benchmarks.results import write_result
from benchmarks.shots import Scorer, Shot, interval, mean_of
from cameo.adapt.judge import Judges
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.condition.plug import plug
from cameo.copying import CopyControl
from cameo.embed.face import FaceEncoder, load_face_encoder
from cameo.generators.base import Footage, Motion
from cameo.generators.reference import load_reference
from cameo.generators.references import ReferenceIdentity

_PLAIN: dict[str, Any] = {"judged": False, "replay": 0.0, "face_weight": 1.0, "prior_share": 0.0}
_DEFAULT = Recipe()
LOOP, FIXED, LONGER = "the loop of a script", "fixed steps", "fixed steps, the judge's time as more steps"
JUDGED, BOOK, FACE, PRIOR, NO_TOKENS = (
    "judge", "+ book of mistakes", "+ face weighting", "+ other people", "all but tokens",
)  # fmt: skip
_STEP_BY_STEP: list[tuple[str, dict[str, Any]]] = [
    (JUDGED, {"judged": True}),
    (BOOK, {"replay": _DEFAULT.replay}),
    (FACE, {"face_weight": _DEFAULT.face_weight}),
    (PRIOR, {"prior_share": _DEFAULT.prior_share}),
    (NO_TOKENS, {"learn_inputs": False}),
]
ROWS = (LOOP, FIXED, LONGER, *(name for name, _ in _STEP_BY_STEP))
QUICK = {"rank": 4, "steps": 6, "batch": 2, "judge_every": 3, "judged_frames": 6, "warm_up": 2, "looked_at": 3}


@dataclass(frozen=True)
class Task:
    """Name one run: a row for a person and a seed, with its recipe."""

    row: str
    person: str
    recipe: Recipe


@dataclass(frozen=True)
class Found:
    """Hold what a run came to: shots with and without references, shares of copies, CPU seconds, and the curve."""

    task: Task
    shown: Shot
    bare: Shot
    copying: float
    seconds: float
    best_step: int
    stopped: str
    curve: list[dict[str, float]]


def recipes(base: Recipe) -> dict[str, Recipe]:
    """The recipe of every row but `LONGER`, which depends on what the others took."""
    changes = dict(_PLAIN)
    out = {LOOP: replace(base, **changes, learn_inputs=False), FIXED: replace(base, **changes)}
    for row, change in _STEP_BY_STEP:
        changes |= change
        out[row] = replace(base, **changes)
    return out


class Bench:
    """Tune and score one person at a time; one per process."""

    def __init__(self, footage: Path, scorer: str) -> None:
        self._people = read_footage(footage)
        self._generator, self._plain = load_reference(), load_plain_reference()
        self._judge = load_face_encoder()
        self._scorer: FaceEncoder = load_face_encoder(scorer)

    def run(self, task: Task) -> Found:
        """Tune, generate along the test motion, and score."""
        train, test = self._people[task.person]
        generator = self._plain if task.row == LOOP else self._generator
        began = time.process_time()
        tuned = tune(generator, train, Judges(self._judge.embed, rendered_people()), task.recipe)
        seconds = time.process_time() - began
        seed, real = task.recipe.seed, np.asarray(test.frames[test.usable])
        who = ReferenceIdentity.load(load(tuned.parts["identity.reference.face"]))
        with plug(generator, tuned.parts):
            frames, bare = (generator.sample(who, test.motion, seed, given) for given in (True, False))
        scorer = Scorer(self._scorer, real)
        shots = [Shot(task.row, task.person, seed, *scorer.score(f), float("nan")) for f in (frames, bare)]
        copying = CopyControl(np.asarray(train.frames[train.usable]), real).share(bare)
        curve = [asdict(step) for step in tuned.curve]
        return Found(task, shots[0], shots[1], copying, seconds, tuned.best_step, tuned.stopped, curve)


_bench: list[Bench] = []  # of this process


def _start(footage: Path, scorer: str) -> None:
    torch.set_num_threads(1)
    _bench.append(Bench(footage, scorer))


def _work(task: Task) -> Found:
    return _bench[0].run(task)


def run_all(tasks: list[Task], footage: Path, scorer: str, jobs: int) -> Iterator[Found]:
    """Run tasks in `jobs` processes, in any order."""
    if jobs == 1:
        _start(footage, scorer)
        yield from map(_work, tasks)
        _bench.clear()
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _start, (footage, scorer)) as pool:
        yield from pool.imap_unordered(_work, tasks)


def longer(found: list[Found], base: Recipe) -> list[Task]:
    """Give `FIXED` the CPU seconds that everything took longer, as more steps, for each person and seed."""
    took = {(f.task.row, f.task.person, f.task.recipe.seed): f.seconds for f in found}
    tasks = []
    for (row, person, seed), seconds in took.items():
        if row == FIXED and (PRIOR, person, seed) in took:
            more = max(0.0, took[PRIOR, person, seed] - seconds) / (seconds / base.steps)
            recipe = replace(base, **_PLAIN, seed=seed, steps=base.steps + round(more))
            tasks.append(Task(LONGER, person, recipe))
    return tasks


def write_footage(path: Path, clips: list[Path]) -> None:
    """Read clips as a generator sees them, test frames included, and write tensors that load without any of that."""
    from benchmarks.footage import subjects  # reads videos, which the runs need not be able to

    people = {s.name: [_tensors(s.train), _tensors(s.test)] for s in subjects(load_reference(), clips)}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(people, path)


def read_footage(path: Path) -> dict[str, tuple[Footage, Footage]]:
    """Read what `write_footage` wrote: name -> what is learned from, and what is tested on."""
    people = torch.load(path, weights_only=True)
    return {name: (_footage(train), _footage(test)) for name, (train, test) in people.items()}


def _tensors(footage: Footage) -> dict[str, torch.Tensor]:
    motion = footage.motion
    return {"frames": footage.frames, "points": motion.points, "eyes": motion.eye_open, "usable": footage.usable}


def _footage(saved: dict[str, torch.Tensor]) -> Footage:
    return Footage(saved["frames"], Motion(saved["points"], saved["eyes"]), saved["usable"])


def summary(found: list[Found]) -> dict[str, Any]:
    """Everything the table shows."""
    shots = [f.shown for f in found]
    rows: dict[str, Any] = {}
    measured = [row for row in ROWS if any(f.task.row == row for f in found)]
    for row in measured:
        of_row = [f for f in found if f.task.row == row]
        shown, bare = [f.shown for f in of_row], [f.bare for f in of_row]
        rows[row] = {
            "likeness": mean_of(row)(shown),
            "interval": interval(shown, mean_of(row)),
            "bare": mean_of(row)(bare),
            "bare_interval": interval(bare, mean_of(row)),
            "copying": float(np.mean([f.copying for f in of_row])),
            "seconds": float(np.mean([f.seconds for f in of_row])),
            "steps": float(np.mean([f.curve[-1]["step"] for f in of_row])),
            "kept_step": float(np.mean([f.best_step for f in of_row])),
            "detected": float(np.mean([s.detected.mean() for s in shown])),
            "people": {p: float(np.mean([s.likeness.mean() for s in shown if s.person == p]))
                       for p in sorted({s.person for s in shown})},
        }  # fmt: skip
    pairs = [(row, FIXED) for row in ROWS if row != FIXED] + [(PRIOR, LOOP), (PRIOR, LONGER)]
    pairs += [(BOOK, JUDGED), (FACE, BOOK), (PRIOR, FACE), (NO_TOKENS, PRIOR)]
    claims = {}
    for a, b in (pair for pair in pairs if set(pair) <= set(measured)):
        of, of_two = _less(a, b), [s for s in shots if s.row in (a, b)]
        claims[f"{a} less {b}"] = {"value": of(of_two), "interval": interval(of_two, of)}
    return {"rows": rows, "claims": claims}


def _less(a: str, b: str) -> Callable[[list[Shot]], float]:
    return lambda some: mean_of(a)(some) - mean_of(b)(some)


def as_table(result: dict[str, Any]) -> str:
    """The table of a summary, in Markdown."""
    people = sorted(next(iter(result["rows"].values()))["people"])
    lines = [f"| row | likeness (95 %) | without references | {' | '.join(people)} | copying | steps, kept | CPU s |",
             f"|---|---|---|{'---|' * len(people)}---|---|---|"]  # fmt: skip
    for row, r in result["rows"].items():
        cells = " | ".join(f"{r['people'][p]:.3f}" for p in people)
        lines.append(
            f"| {row} | {_bounded(r['likeness'], r['interval'])} | {_bounded(r['bare'], r['bare_interval'])}"
            f" | {cells} | {r['copying']:.2f} | {r['steps']:.0f}, {r['kept_step']:.0f} | {r['seconds']:.0f} |"
        )
    lines.append("")
    lines += [f"- {name}: {_bounded(c['value'], c['interval'])}" for name, c in result["claims"].items()]
    return "\n".join(lines)


def _bounded(value: float, bounds: tuple[float, float]) -> str:
    return f"{value:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"


def measure(args: argparse.Namespace, footage: Path) -> None:
    """Run everything, print the table, and write it down."""
    values = {name: json.loads(value) for name, value in (pair.split("=") for pair in args.set)}
    base = Recipe(**((QUICK if args.quick else {}) | values))
    people = args.people or sorted(read_footage(footage))
    seeds = range(args.seed, args.seed + args.seeds)
    tasks = [Task(row, person, replace(recipe, seed=seed)) for seed in seeds for person in people
             for row, recipe in recipes(base).items() if row in args.rows]  # fmt: skip
    found: list[Found] = []
    further = (lambda: longer(found, base)) if LONGER in args.rows else list
    for phase in (lambda: tasks, further):
        for done in run_all(phase(), footage, args.face_model, args.jobs):
            found.append(done)
            print(f"{len(found)} of {len(args.rows) * len(people) * args.seeds}: {done.task.person}, seed "
                  f"{done.task.recipe.seed}, {done.task.row}: {done.shown.likeness.mean():.3f} in {done.seconds:.0f} s",
                  flush=True)  # fmt: skip
    result = summary(found)
    print(as_table(result))
    if args.out:
        runs = [{"row": f.task.row, "person": f.task.person, "recipe": asdict(f.task.recipe),
                 "likeness": float(f.shown.likeness.mean()), "bare": float(f.bare.likeness.mean()),
                 "copying": f.copying, "seconds": f.seconds, "best_step": f.best_step, "stopped": f.stopped,
                 "curve": f.curve} for f in found]  # fmt: skip
        facts = {"scorer": args.face_model, "base": asdict(base)}
        write_result(args.out, {**facts, **result, "runs": runs}, {"people": len(people), "seeds": args.seeds})
        draw_rows(result["rows"], args.out.with_suffix(".png"))


def main() -> None:
    """Prepare footage, or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepare", action="store_true", help="read --clips into --footage, and do nothing else")
    parser.add_argument("--clips", type=Path, nargs="+", help="one clip per person; without, people are rendered")
    parser.add_argument("--footage", type=Path, help="what --prepare wrote; without, one person is rendered")
    parser.add_argument("--people", nargs="+", metavar="NAME", help="of those in --footage; without, all")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help="without, all")
    parser.add_argument("--face-model", default="embedded", help="the recogniser that scores: insightface:FOLDER")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one core each")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change settings of the recipe")
    parser.add_argument("--quick", action="store_true", help="a few steps: to see that it runs")
    parser.add_argument("--out", type=Path, help="write everything as JSON, and a plot beside it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as rendered:
        footage = args.footage or Path(rendered) / "footage.pt"
        if args.prepare or args.footage is None:
            write_footage(footage, args.clips or _rendered(Path(rendered)))
        if not args.prepare:
            measure(args, footage)


def _rendered(folder: Path) -> list[Path]:
    from benchmarks.footage import rendered_clips  # as in `write_footage`

    return rendered_clips(folder, 1)


if __name__ == "__main__":
    main()
