"""What the tuned adapter buys: likeness of generated frames to held-out real frames, against every simpler thing.

    python -m benchmarks.adapter_gain                                     # four rendered people
    python -m benchmarks.adapter_gain --clips FOLDER/*.mp4 --face-model insightface:FOLDER --seeds 3 --out FILE.json

The recogniser that scores takes no part in tuning when it is not the embedded one. The last quarter of each clip is
seen by nobody but this script; its landmarks drive the generator. Likeness is the mean over frames of
max(0, cosine to the mean direction of the real test frames), a frame without a face counting 0. Intervals are 95 %
bootstrap intervals over people and, within a person, runs of eight frames.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load, save

from benchmarks.footage import Subject, rendered_clips, subjects
from benchmarks.results import write_result
from benchmarks.sheets import write_sheet
from benchmarks.shots import Scorer, Shot, interval, mean_of
from cameo.adapt.judge import Judges
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.condition.plug import plug
from cameo.embed.face import FaceEncoder, load_face_encoder
from cameo.faces.landmarks import locate, point_frames
from cameo.generators.motion_track import borrow
from cameo.generators.reference import load_reference
from cameo.generators.reference_net import FRAMES, SIZE
from cameo.generators.references import LEARNED_LAYOUT, ReferenceIdentity, as_chunks, show_chunks

if TYPE_CHECKING:
    from cameo.generators.base import Motion
    from cameo.generators.reference import ReferenceGenerator
    from cameo.records import Adapter, UInt8

FLOOR = "other people's real frames"
WARP = "warped reference, no network"
BASE = "base, references, no adapter"
OWN = "own adapter"
ANOTHER = "another's adapter, own references"
ANOTHER_LORA = "another's LoRA alone, all else own"
DROPPED = "own adapter, no references"
BORROWED = "own adapter, borrowed motion"
CEILING = "real training frames through the latent"
ROWS = (FLOOR, WARP, BASE, OWN, ANOTHER, ANOTHER_LORA, DROPPED, BORROWED, CEILING)


def warped(generator: ReferenceGenerator, identity: ReferenceIdentity, motion: Motion) -> UInt8:
    """The nearest reference bent along a motion, through the latent: what the network starts from."""
    starts = torch.arange(0, len(motion) - FRAMES + 1, FRAMES)
    near = show_chunks(generator.net, identity, as_chunks(motion, starts)).near
    frames = generator.net.latent.decode(near).clamp(0, 1).flatten(0, 1)
    return np.asarray((frames * 255).round().byte())


def through_latent(generator: ReferenceGenerator, frames: torch.Tensor) -> UInt8:
    """Encode and decode real frames."""
    latent = generator.net.latent
    whole = frames[: len(frames) // FRAMES * FRAMES].view(-1, FRAMES, SIZE, SIZE, 3)
    return np.asarray(
        (latent.decode(latent.encode(whole.float() / 255)).clamp(0, 1) * 255).round().byte().flatten(0, 1)
    )


def mouth_correlation(frames: UInt8, motion: Motion) -> float:
    """Correlation of the lips' parting in the frames with that of the motion, NaN for a mouth that stays as it is."""
    points = ((motion.points[: len(frames)] + 1) * SIZE / 2 - 0.5).numpy().astype(np.float32)
    seen = locate(frames, point_frames(points))[2]
    unit = np.linalg.norm(points[:, 1] - points[:, 0], axis=1)
    driver = np.linalg.norm(points[:, 6] - points[:, 5], axis=1) / unit
    if driver.std() < 1e-3 or seen.std() < 1e-6:
        return float("nan")
    return float(np.corrcoef(seen, driver)[0, 1])


def with_learned(own: bytes, other: bytes) -> bytes:
    """One person's sealed references with another's learned inputs."""
    tensors, theirs = load(own), load(other)
    facts = json.loads(own[8 : 8 + int.from_bytes(own[:8], "little")])["__metadata__"]
    return save({**tensors, **{name: theirs[name] for name in LEARNED_LAYOUT}}, facts)


@dataclass
class Bench:
    """Tune and measure everybody for one seed."""

    generator: ReferenceGenerator
    judge: FaceEncoder
    scorer: FaceEncoder
    recipe: Recipe
    people: list[Subject]

    def run(self, seed: int, say: Callable[[str], None]) -> tuple[list[Shot], dict[str, dict[str, UInt8]], list[Any]]:
        """Return shots, some frames of every row per person, and the tuning curves."""
        adapters: dict[str, Adapter] = {}
        for subject in self.people:
            recipe = replace(self.recipe, seed=seed)
            tuned = tune(self.generator, subject.train, Judges(self.judge.embed, rendered_people()), recipe)
            adapters[subject.name], curve = tuned, tuned.curve
            say(f"seed {seed}: {subject.name} tuned in {curve[-1].seconds:.0f} s, step {tuned.best_step} kept,"
                f" judge {curve[0].likeness:.3f} -> {max(s.likeness for s in curve):.3f}")  # fmt: skip
        shots: list[Shot] = []
        stills: dict[str, dict[str, UInt8]] = {}
        for k, subject in enumerate(self.people):
            frames = self._frames(subject, k, adapters, seed)
            stills[subject.name] = {
                "real": _some(np.asarray(subject.test.frames)),
                **{r: _some(f) for r, f in frames.items()},
            }
            shots += self._shots(subject, k, frames, seed)
        curves = [{"person": n, "seed": seed, "best_step": a.best_step, "curve": [asdict(s) for s in a.curve]}
                  for n, a in adapters.items()]  # fmt: skip
        return shots, stills, curves

    def _frames(self, subject: Subject, k: int, adapters: dict[str, Adapter], seed: int) -> dict[str, UInt8]:
        g, motion = self.generator, subject.test.motion
        other = self.people[(k + 1) % len(self.people)]
        plain = g.fit_identity(subject.train)
        out = {
            WARP: warped(g, plain, motion),
            BASE: g.sample(plain, motion, seed),
            CEILING: through_latent(g, subject.train.frames[subject.train.usable]),
        }
        own, theirs = adapters[subject.name].parts, adapters[other.name].parts
        adapter, identity = "adapter.reference.face", "identity.reference.face"
        mixed = with_learned(own[identity], theirs[identity])
        with plug(g, own):
            who = ReferenceIdentity.load(load(own[identity]))
            out[OWN] = g.sample(who, motion, seed)
            out[DROPPED] = g.sample(who, motion, seed, show_references=False)
            out[BORROWED] = g.sample(who, borrow(who, other.test.motion), seed)
        with plug(g, {adapter: theirs[adapter], identity: mixed}):
            out[ANOTHER] = g.sample(ReferenceIdentity.load(load(mixed)), motion, seed)
        with plug(g, {adapter: theirs[adapter], identity: own[identity]}):
            out[ANOTHER_LORA] = g.sample(who, motion, seed)
        return out

    def _shots(self, subject: Subject, k: int, frames: dict[str, UInt8], seed: int) -> list[Shot]:
        scorer = Scorer(self.scorer, np.asarray(subject.test.frames[subject.test.usable]))
        strangers = [np.asarray(p.test.frames) for p in self.people if p is not subject]
        shots = []
        for row, shown in {FLOOR: np.concatenate([_some(s, 8) for s in strangers]), **frames}.items():
            likeness, detected = scorer.score(shown)
            motion = subject.test.motion if row in (WARP, BASE, OWN, ANOTHER, ANOTHER_LORA, DROPPED) else None
            if row == BORROWED:
                with_habits = self.generator.fit_identity(subject.train)
                motion = borrow(with_habits, self.people[(k + 1) % len(self.people)].test.motion)
            mouth = mouth_correlation(shown, motion) if motion is not None else float("nan")
            shots.append(Shot(row, subject.name, seed, likeness, detected, mouth))
        return shots


def _some(frames: UInt8, count: int = 10) -> UInt8:
    return frames[np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)]


def closed(row: str) -> Callable[[list[Shot]], float]:
    """Share of the way from floor to ceiling that a row has come."""

    def share(shots: list[Shot]) -> float:
        floor, ceiling = mean_of(FLOOR)(shots), mean_of(CEILING)(shots)
        return (mean_of(row)(shots) - floor) / max(ceiling - floor, 1e-6)

    return share


def summary(shots: list[Shot]) -> dict[str, Any]:
    """Everything the table shows."""
    rows: dict[str, Any] = {}
    for row in ROWS:
        of_row = [s for s in shots if s.row == row]
        mouths = [s.mouth for s in of_row if np.isfinite(s.mouth)]
        rows[row] = {
            "likeness": mean_of(row)(shots),
            "interval": interval(of_row, mean_of(row)),
            "detected": float(np.mean([s.detected.mean() for s in of_row])),
            "mouth": float(np.mean(mouths)) if mouths else None,
            "people": {p: float(np.mean([s.likeness.mean() for s in of_row if s.person == p]))
                       for p in sorted({s.person for s in of_row})},
            "mouths": {p: float(np.mean([s.mouth for s in of_row if s.person == p]))
                       for p in sorted({s.person for s in of_row})} if mouths else {},
            "spread_over_seeds": float(np.mean([np.std([s.likeness.mean() for s in of_row if s.person == p])
                                                for p in {s.person for s in of_row}])),
        }  # fmt: skip

    def less(a: str, b: str) -> Callable[[list[Shot]], float]:
        return lambda some: mean_of(a)(some) - mean_of(b)(some)

    claims = {"own minus warp": less(OWN, WARP), "own minus no adapter": less(OWN, BASE),
              "own minus another's": less(OWN, ANOTHER), "closed": closed(OWN),
              "closed, borrowed motion": closed(BORROWED)}  # fmt: skip
    return {
        "rows": rows,
        "claims": {k: {"value": of(shots), "interval": interval(shots, of)} for k, of in claims.items()},
    }


def as_markdown(result: dict[str, Any]) -> str:
    """The table of a summary."""
    people = sorted(result["rows"][OWN]["people"])
    lines = [f"| likeness | mean (95 %) | {' | '.join(people)} | faces found | mouth |",
             f"|---|---|{'---|' * len(people)}---|---|"]  # fmt: skip
    for row, r in result["rows"].items():
        cells = " | ".join(f"{r['people'][p]:.3f}" for p in people)
        mouth = "" if r["mouth"] is None else f"{r['mouth']:.2f}"
        low, high = r["interval"]
        lines.append(
            f"| {row} | {r['likeness']:.3f} ({low:.3f} to {high:.3f}) | {cells} | {r['detected']:.0%} | {mouth} |"
        )
    lines.append("")
    lines += [f"- {name}: {c['value']:.3f} ({c['interval'][0]:.3f} to {c['interval'][1]:.3f})"
              for name, c in result["claims"].items()]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", help="one clip per person; without, people are rendered")
    parser.add_argument("--people", type=int, default=4, help="how many to render")
    parser.add_argument("--face-model", default="embedded", help="the recogniser that scores: insightface:FOLDER")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="the first of them")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change settings of the recipe")
    parser.add_argument("--out", type=Path, help="write everything as JSON, and contact sheets beside it")
    args = parser.parse_args()
    values = {name: json.loads(value) for name, value in (pair.split("=") for pair in args.set)}
    generator = load_reference()
    with tempfile.TemporaryDirectory() as rendered:
        clips = args.clips or rendered_clips(Path(rendered), args.people)
        people = list(subjects(generator, clips))
    bench = Bench(generator, load_face_encoder(), load_face_encoder(args.face_model), Recipe(**values), people)
    shots: list[Shot] = []
    curves: list[Any] = []
    for seed in range(args.seed, args.seed + args.seeds):
        new, stills, curve = bench.run(seed, lambda text: print(text, flush=True))
        shots, curves = shots + new, curves + curve
        if args.out and seed == args.seed:
            for name, rows in stills.items():
                write_sheet(args.out.with_name(f"{args.out.stem}-{name}.png"), rows)
    result = summary(shots)
    print(as_markdown(result))
    if args.out:
        facts = {"scorer": asdict(bench.scorer.info), "recipe": asdict(bench.recipe)}
        write_result(args.out, {**facts, **result, "curves": curves}, {"people": len(people), "seeds": args.seeds})


if __name__ == "__main__":
    main()
