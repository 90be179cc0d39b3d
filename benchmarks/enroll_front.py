"""How fast the front of an enrolment is, and how well it tells people apart, beside the script a user writes by hand.

    python -m benchmarks.enroll_front --pack FOLDER [--clips FOLDER] [--ecapa FOLDER] [--rounds 3] [--longer N]
                                      [--out FILE.json] [--plot FILE.png]

Both make a face and a voice embedding of each clip with the same weights (`benchmarks/peers/`). They run in processes
of their own, in turns, and a ratio is taken within a turn, for each clip. Processor time is compared as well as wall
time: it depends far less on what else the machine does. Loading libraries and weights is told apart. What cameo does
more, the gate and the landmarks for the generator, is in its time.

`--pack` is a folder `.../models/NAME` as InsightFace lays it out. Without `--clips` four sample people are rendered;
without `--ecapa` an ECAPA-TDNN of the published size gets random weights, which is as slow as the published one, and
says nothing about voices. `--longer N` repeats the first clip N times in one file and enrols that once, for its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.error_rates import Pairs, cross_pairs, rates
from benchmarks.peers.made_ecapa import write_model
from benchmarks.results import write_result
from cameo.synthetic.selfie import write_selfie

CAMEO, BY_HAND, SPARSE = "cameo", "by hand", "by hand, every 5th frame"
FRONTS = {
    BY_HAND: ("benchmarks.peers.enroll_by_hand",),
    SPARSE: ("benchmarks.peers.enroll_by_hand", "--every", "5"),
    CAMEO: ("benchmarks.peers.enroll_with_cameo",),
}
WALL, PROCESSOR = 0, 1
GOAL = 5.0
PEOPLE, SECONDS = 4, 8.0
COLOURS = ("#4c72b0", "#c44e52", "#8172b3", "#dd8452", "#55a868", "#937860", "#da8bc3")  # one for each stage
CLIPS = (".mp4", ".mov", ".webm")


@dataclass(frozen=True, slots=True)
class Weights:
    """Name the folders that both fronts load."""

    pack: Path
    ecapa: Path


def run(front: str, weights: Weights, clips: list[Path]) -> dict[str, Any]:
    """Run a front over some clips in a process of its own; what it told.

    Raises:
        SystemExit: it failed.
    """
    module, *options = FRONTS[front]
    words = [sys.executable, "-m", module, "--pack", str(weights.pack), "--ecapa", str(weights.ecapa), *options]
    done = subprocess.run([*words, *map(str, clips)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{front} failed:\n{done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def spent(told: dict[str, Any], clock: int) -> list[float]:
    """Seconds of each clip over all stages, without loading."""
    return [sum(stage[clock] for stage in clip["stages_s"].values()) for clip in told["clips"]]


def stages(turns: list[dict[str, Any]], clock: int = PROCESSOR) -> dict[str, float]:
    """Median over the turns of the seconds in each stage, over all clips."""
    names = turns[0]["clips"][0]["stages_s"]
    return {
        name: float(np.median([sum(clip["stages_s"][name][clock] for clip in turn["clips"]) for turn in turns]))
        for name in names
    }


def separation(told: dict[str, Any]) -> Pairs:
    """Score the face template of each clip's first half against that of every second half."""
    first, second = (np.array([clip["halves"][k] for clip in told["clips"]], np.float32) for k in (0, 1))
    people = np.arange(len(first))
    return cross_pairs(first, second, people, people)


def repeat(clip: Path, times: int, out: Path) -> None:
    """Copy a clip's packets `times` times, one after the other, into one file, half a second apart."""
    with av.open(str(out), "w") as target:
        made: dict[int, Any] = {}
        for turn in range(times):
            with av.open(str(clip)) as source:
                length_s = float(source.duration or 0) / av.time_base + 0.5  # the tracks end at different times
                streams = [s for s in source.streams if s.type in ("video", "audio")]
                for stream in streams:
                    made.setdefault(stream.index, None)
                    if made[stream.index] is None:
                        made[stream.index] = target.add_stream_from_template(stream)
                for packet in source.demux(streams):
                    if packet.dts is None or packet.time_base is None:
                        continue
                    shift = round(turn * length_s / packet.time_base)
                    packet.dts += shift
                    packet.pts = None if packet.pts is None else packet.pts + shift
                    packet.stream = made[packet.stream.index]
                    target.mux(packet)


def measure(weights: Weights, clips: list[Path], rounds: int, longer: int, folder: Path) -> dict[str, Any]:
    """Let the fronts take turns, and once more on a long clip."""
    long = folder / f"long{clips[0].suffix}"
    if longer > 1:
        repeat(clips[0], longer, long)
    turns: dict[str, list[dict[str, Any]]] = {front: [] for front in FRONTS}
    for number in range(rounds):
        for front in FRONTS:
            print(f"round {number + 1} of {rounds}: {front}", file=sys.stderr)
            turns[front].append(run(front, weights, clips))
    found: dict[str, Any] = {"clips": [clip.name for clip in clips], "rounds": rounds, "load": os.getloadavg()}
    for front, told in turns.items():
        pairs = separation(told[0])
        found[front] = {
            "wall_s": [one for t in told for one in spent(t, WALL)],
            "processor_s": [one for t in told for one in spent(t, PROCESSOR)],
            "load_s": [t["load_s"][WALL] for t in told],
            "stages_s": stages(told),
            "faces": [clip["faces"] for clip in told[0]["clips"]],
            "voices": sum(clip["voice"] is not None for clip in told[0]["clips"]),
            "peak": float(np.median([t["peak"] for t in told])),
            "auc": rates(pairs).auc,
            "same": [float(pairs.score[pairs.same].min()), float(pairs.score[pairs.same].mean())],
            "different": [float(pairs.score[~pairs.same].max()), float(pairs.score[~pairs.same].mean())],
        }
    if longer > 1:
        for front in (SPARSE, CAMEO):  # what a script keeps in memory does not depend on how often it looks
            print(f"a clip {longer} times as long: {front}", file=sys.stderr)
            found[front]["peak_longer"] = run(front, weights, [long])["peak"]
    return found


def ratios(found: dict[str, Any], front: str, clock: str) -> list[float]:
    """How many times cameo's time a front takes, clip by clip and turn by turn."""
    return [theirs / ours for theirs, ours in zip(found[front][clock], found[CAMEO][clock], strict=True)]


def print_tables(found: dict[str, Any]) -> None:
    """Print times and memory, separation, and where the time goes."""
    print(f"{len(found['clips'])} clips, {found['rounds']} rounds, load {found['load'][0]:.1f}\n")
    print("| | times cameo's processor time | times cameo's wall time | loading | peak memory | on the long clip |")
    print("|---|---|---|---|---|---|")
    for front in FRONTS:
        row = found[front]
        cells = [_spread(ratios(found, front, clock)) for clock in ("processor_s", "wall_s")]
        long = f"{row['peak_longer'] / 1e9:.2f} GB" if "peak_longer" in row else ""
        cells += [_spread(row["load_s"], " s"), f"{row['peak'] / 1e9:.2f} GB", long]
        print(f"| {front} | {' | '.join(cells)} |")
    best = float(np.median(ratios(found, BY_HAND, "processor_s")))
    print(f"\ngoal: {GOAL:g} times as fast as by hand: {'holds' if best >= GOAL else 'MISSED'}\n")
    print("| halves of clips | AUC | same person, least (mean) | different people, most (mean) |\n|---|---|---|---|")
    for front in FRONTS:
        row = found[front]
        (least, same), (most, different) = row["same"], row["different"]
        print(f"| {front} | {row['auc']:.3f} | {least:.3f} ({same:.3f}) | {most:.3f} ({different:.3f}) |")
    for front in (BY_HAND, CAMEO):
        whole = sum(found[front]["stages_s"].values())
        shares = ", ".join(f"{name} {seconds / whole:.0%}" for name, seconds in found[front]["stages_s"].items())
        print(f"\n{front}: {shares}")


def _spread(values: list[float], unit: str = "") -> str:
    return f"{np.median(values):.1f}{unit} ({min(values):.1f} to {max(values):.1f})"


def plot_stages(found: dict[str, Any], path: Path) -> None:
    """Draw the processor time of each stage as bars, in shares of cameo's whole."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    whole = sum(found[CAMEO]["stages_s"].values())
    names = list(dict.fromkeys(name for front in FRONTS for name in found[front]["stages_s"]))
    colours = dict(zip(names, COLOURS, strict=True))
    for row, front in enumerate(FRONTS):
        left = 0.0
        for name, seconds in found[front]["stages_s"].items():
            axes.barh(row, seconds / whole, left=left, color=colours[name], label=name)
            left += seconds / whole
        axes.text(left + 0.05, row, f"{left:.1f}", va="center")
    axes.set_yticks(range(len(FRONTS)), list(FRONTS))
    axes.invert_yaxis()
    axes.set_xlabel("processor time, cameo's whole front is 1")
    axes.spines[["top", "right"]].set_visible(False)
    shown = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Find clips and weights, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--clips", type=Path)
    parser.add_argument("--ecapa", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--longer", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.clips:
            clips = sorted(path for path in args.clips.iterdir() if path.suffix.lower() in CLIPS)
        else:
            clips = [folder / f"person_{seed}.mp4" for seed in range(PEOPLE)]
            for seed, path in enumerate(clips):
                write_selfie(path, seed, SECONDS)
        if len(clips) < 2:
            raise SystemExit(f"{args.clips} holds fewer than two clips")
        weights = Weights(args.pack.resolve(), (args.ecapa or write_model(folder / "ecapa")).resolve())
        found = measure(weights, clips, args.rounds, args.longer, folder)
    if args.plot:
        plot_stages(found, args.plot)
    print_tables(found)
    if args.out:
        write_result(args.out, found, {"clips": len(clips), "turns": args.rounds})


if __name__ == "__main__":
    main()
