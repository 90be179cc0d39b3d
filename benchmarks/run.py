"""Run the benchmarks, write down what they found and where, and hold it against what is claimed.

    python -m benchmarks.run [NAME ...] [--quick] [--rounds 3] [--seed 0] [--clips FOLDER] [--pack FOLDER]
                             [--speech FOLDER] [--out FOLDER]
    python -m benchmarks.run --list
    python -m benchmarks.run --table

Each runs in processes of its own, once a round. `results/NAME.json` gets the result of every round, the machine, the
versions, the seeds and how much was measured, and a value per round for every claim. The status is 1 when a claim does
not hold or a benchmark fails. `--quick` takes a minute or two, needs nothing, and writes to build/benchmarks: it asks
whether what is claimed still holds, not how much. `--table` writes the claims in docs/benchmarks.md anew from
benchmarks/results.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.catalogue import BENCHMARKS, INPUTS, Benchmark, Inputs, lacks
from benchmarks.claims import Unreadable, Verdict, judge
from benchmarks.claims_table import rewrite, shown
from benchmarks.machine import ROOT, commit, machine, versions
from cameo.cli.terminal import Progress, progress, say
from cameo.files import atomic_write

RESULTS = ROOT / "benchmarks" / "results"
QUICK_RESULTS = ROOT / "build" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
ROUNDS = 3
_TOLD = 2000  # characters of a failure


@dataclass(frozen=True, slots=True)
class Settings:
    """Say how all of them run."""

    inputs: Inputs
    quick: bool
    rounds: int
    seed: int
    out: Path


class Failed(Exception):
    """A benchmark did not do its work."""


def lacking(benchmark: Benchmark, settings: Settings) -> str:
    """Say why a benchmark cannot run here; "" when it can."""
    if settings.quick and benchmark.quick is None:
        return "not in the quick mode"
    if importlib.util.find_spec(benchmark.module) is None:
        return f"there is no {benchmark.module}"
    # Quick runs are the same everywhere: what is given to them is left aside.
    inputs = Inputs() if settings.quick else settings.inputs
    return next((why for need in benchmark.needs if (why := lacks(need, inputs))), "")


def run_once(benchmark: Benchmark, settings: Settings, seed: int) -> dict[str, Any]:
    """Run one round in a process of its own; the entry of `rounds` in its results.

    Raises:
        Failed: it ended badly, or wrote no JSON.
    """
    words = ["-m", benchmark.module, *benchmark.words(settings.inputs, settings.quick, seed)]
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / f"{benchmark.name}{'' if benchmark.written else '.json'}"
        environment = {**os.environ, "PYTHONPATH": _path(), "CAMEO_HOME": str(Path(name) / "home")}
        load, begun = os.getloadavg()[0], time.monotonic()
        done = subprocess.run(
            [sys.executable, *words, "--out", str(out)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - begun
        if done.returncode:
            raise Failed(f"status {done.returncode}\n{(done.stderr or done.stdout)[-_TOLD:].strip()}")
        try:
            found = json.loads(_without_places((out / benchmark.written).read_text("utf-8"), settings.inputs))
        except (OSError, ValueError) as error:
            raise Failed(f"it wrote no JSON to --out: {error}") from error
        if (drawn := out.with_suffix(".png")).is_file():
            shutil.copyfile(drawn, settings.out / drawn.name)
    command = _without_places(shlex.join(["python", *words]), settings.inputs)
    return {"command": command, "seed": seed, "seconds": round(seconds, 1), "load": round(load, 2), "found": found}


def _without_places(text: str, inputs: Inputs) -> str:
    """Write CLIPS, PACK and SPEECH for the folders that were given: where they lie is nobody's business."""
    for name in INPUTS:
        if inputs.given(name):
            text = text.replace(str(getattr(inputs, name)), name.upper())
    return text


def _path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def measure(benchmark: Benchmark, settings: Settings, pulse: Callable[[int], None]) -> list[Verdict]:
    """Run all rounds of a benchmark, write `results/<name>.json`, and judge its claims.

    Raises:
        Failed: a round did, or lacks what a claim reads.
    """
    rounds = []
    for number in range(settings.rounds):
        pulse(number)
        rounds.append(run_once(benchmark, settings, settings.seed + number))
    claims = benchmark.judged(settings.inputs, settings.quick)
    try:
        verdicts = [judge(claim, [one["found"] for one in rounds]) for claim in claims]
    except Unreadable as error:
        raise Failed(str(error)) from error
    result = {
        "name": benchmark.name,
        "mode": "quick" if settings.quick else "full",
        "command": rounds[0]["command"],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "git": commit(),
        "seed": settings.seed if benchmark.seeded else None,
        "samples": rounds[0]["found"].get("samples", {}),
        "claims": [asdict(verdict) for verdict in verdicts],
        "rounds": rounds,
    }
    atomic_write(settings.out / f"{benchmark.name}.json", json.dumps(result, indent=1).encode() + b"\n")
    return verdicts


def run_all(benchmarks: Sequence[Benchmark], settings: Settings, report: Progress) -> bool:
    """Run benchmarks one after the other, saying what became of each; whether all that ran did well."""
    settings.out.mkdir(parents=True, exist_ok=True)
    well, ran = True, 0
    for place, benchmark in enumerate(benchmarks, 1):
        label = f"[{place}/{len(benchmarks)}] {benchmark.name}"
        why = lacking(benchmark, settings)
        if why:
            say(f"{label} skipped: {why}")
            continue
        begun = time.monotonic()
        try:
            verdicts = measure(benchmark, settings, _rounds(report, label, settings.rounds))
        except Failed as failure:
            for line in f"{label} FAILED: {failure}".splitlines():
                say(line)
            well = False
            continue
        report(label, 1.0)
        ran += 1
        say(f"{label} took {time.monotonic() - begun:.0f} s; {_counted(verdicts)}")
        for verdict in verdicts:
            print(f"{'holds ' if verdict.holds else 'MISSED'}  {benchmark.name}: {shown(verdict)}", flush=True)
        well = well and all(verdict.holds for verdict in verdicts)
    if not ran:
        say("nothing was measured")
    return well and ran > 0


def _rounds(report: Progress, label: str, rounds: int) -> Callable[[int], None]:
    return lambda number: report(f"{label}: round {number + 1} of {rounds}", number / rounds)


def _counted(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "nothing is claimed of it"
    held = sum(verdict.holds for verdict in verdicts)
    return f"{held} of {len(verdicts)} claims hold"


def main(argv: Sequence[str] | None = None, known: Sequence[Benchmark] = BENCHMARKS) -> int:
    """Read the command line; the exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    by_name = {benchmark.name: benchmark for benchmark in known}
    for name in args.names:
        if name not in by_name:
            parser.error(f"no benchmark {name}: there are {', '.join(by_name)}")
    for name in INPUTS:
        if getattr(args, name) is not None and not getattr(args, name).is_dir():
            parser.error(f"--{name}: {getattr(args, name)} is no folder")
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds: at least 1")
    if args.list:
        for benchmark in known:
            needs = ", ".join(benchmark.needs) or "nothing"
            print(
                f"{benchmark.name:18} {benchmark.module}, needs {needs}{'' if benchmark.quick is None else '; quick'}"
            )
        return 0
    if args.table:
        rewrite(PAGE, RESULTS, known)
        return 0
    everything = [benchmark for benchmark in known if benchmark.quick is not None or not args.quick]
    benchmarks = [by_name[name] for name in args.names] or everything
    inputs = Inputs(**{name: folder and folder.resolve() for name in INPUTS for folder in [getattr(args, name)]})
    out = args.out or (QUICK_RESULTS if args.quick else RESULTS)
    settings = Settings(inputs, args.quick, args.rounds or (1 if args.quick else ROUNDS), args.seed, out.absolute())
    with progress() as report:
        return 0 if run_all(benchmarks, settings, report) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which of them; all without")
    parser.add_argument("--quick", action="store_true", help="only whether what is claimed still holds")
    parser.add_argument("--rounds", type=int, help=f"how often each runs ({ROUNDS}; with --quick once)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; every further one has the next")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="clips, one of each person")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="an InsightFace pack, .../models/NAME")
    parser.add_argument("--speech", type=Path, metavar="FOLDER", help="readings, a folder of *.flac for each speaker")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the results go")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and what they need")
    parser.add_argument("--table", action="store_true", help="write the claims in docs/benchmarks.md anew")
    return parser


if __name__ == "__main__":
    sys.exit(main())
