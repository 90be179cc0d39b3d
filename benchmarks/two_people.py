"""Two people in one scene: is each face nearer to its own person than to the other, with regions and without?

    python -m benchmarks.two_people                                       # three rendered people, three pairs
    python -m benchmarks.two_people --clips FOLDER/*.mp4 --face-model insightface:FOLDER --out FILE.json

Everybody is tuned for the reference generator on the first three quarters of their clip; then every pair is drawn side
by side, by their own habits. Each half is scored by a recogniser (one that took no part in tuning, when it is not the
embedded one): mean over frames of max(0, cosine to the mean direction of a person's real test frames), a frame without
a face counting 0. `--keep` keeps what was tuned, which is biometric data, for another run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.footage import rendered_clips, subjects
from benchmarks.results import write_result
from benchmarks.sheets import write_sheet
from benchmarks.shots import Scorer
from cameo.adapt.judge import Judges
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.condition.plug import adapter_name, loaded, plug
from cameo.condition.regions import masks_for, plug_together, side_by_side
from cameo.embed.face import FaceEncoder, load_face_encoder
from cameo.files import atomic_write
from cameo.generators.base import Direction
from cameo.generators.reference import load_reference
from cameo.generators.reference_clip import Take
from cameo.generators.reference_net import SIZE
from cameo.generators.reference_scene import draw_together, lay_squares
from cameo.generators.together import TokenLayers

if TYPE_CHECKING:
    from cameo.generators.reference import ReferenceGenerator
    from cameo.records import UInt8

ALONE = "each alone"
REGIONS = "regions"
SEEING = "regions, but places see each other"
EVERYWHERE = "own references in place, LoRAs and tokens everywhere"
BLENDED = "no regions: everything of both everywhere, half each"
ROWS = (ALONE, REGIONS, SEEING, EVERYWHERE, BLENDED)


@dataclass(frozen=True)
class Person:
    """Hold one person: sealed parts, and real frames that tuning never saw."""

    name: str
    parts: dict[str, bytes]
    real: UInt8


def people_of(generator: ReferenceGenerator, clips: Sequence[Path], recipe: Recipe, keep: Path | None) -> list[Person]:
    """Tune everybody, or read what was kept."""
    people, judge = [], load_face_encoder()
    names = ("adapter.reference.face", "identity.reference.face")
    for clip in clips:
        kept = {name: keep / f"{clip.stem}.{name}" for name in names} if keep else {}
        frames = keep / f"{clip.stem}.npz" if keep else None
        if frames is not None and frames.exists():
            parts = {name: path.read_bytes() for name, path in kept.items()}
            people.append(Person(clip.stem, parts, np.load(frames)["real"]))
            continue
        (subject,) = subjects(generator, [clip])
        made = tune(generator, subject.train, Judges(judge.embed, rendered_people()), recipe)
        person = Person(clip.stem, dict(made.parts), np.asarray(subject.test.frames[subject.test.usable]))
        print(f"{clip.stem}: tuned, step {made.best_step} kept", flush=True)
        for name, path in kept.items():
            atomic_write(path, person.parts[name], 0o600)
        if frames is not None:
            np.savez(frames, real=person.real)
        people.append(person)
    return people


def drawn(generator: ReferenceGenerator, pair: Sequence[Person], frames: int, seed: int) -> dict[str, list[UInt8]]:
    """Draw a pair in every way: per row, the square of the one and of the other."""
    direction = generator.settle_together(Direction(frames, seed), 2)
    masks = masks_for(side_by_side(2), generator.cells(direction))
    parts, take = [person.parts for person in pair], Take(frames, generator.cells(direction), seed, 1)
    made: dict[str, list[UInt8]] = {ALONE: []}
    for k, own in enumerate(parts):
        with plug(generator, own) as who:
            made[ALONE].append(generator.perform(who, generator.settle(Direction(frames, seed + k))).frames)  # type: ignore[arg-type]

    def cut(wide: UInt8) -> list[UInt8]:
        return [wide[:, y * 8 : y * 8 + SIZE, x * 8 : x * 8 + SIZE] for y, x in lay_squares(masks)[1]]

    layers = generator.token_layers
    for row, used in ((REGIONS, layers), (SEEING, TokenLayers(layers.told, layers.asking))):
        generator.token_layers = used
        try:
            with plug_together(generator, parts, masks) as both:
                made[row] = cut(generator.perform_together(both, masks, direction).frames)  # type: ignore[arg-type]
        finally:
            generator.token_layers = layers
    with loaded(generator, parts) as both:
        generator.denoiser.set_adapters([adapter_name(k, "face") for k in range(2)], [0.5, 0.5])
        made[EVERYWHERE] = cut(draw_together(generator.net, both, masks, take))  # type: ignore[arg-type]
        halves = masks.repeat_interleave(2, 0) / 2  # both of them in the left square, and both in the right
        made[BLENDED] = cut(draw_together(generator.net, [*both, *both], halves, take))  # type: ignore[list-item]
    return made


def scored(
    encoder: FaceEncoder, pair: Sequence[Person], made: dict[str, list[UInt8]], step: int
) -> list[dict[str, Any]]:
    """Score both squares of every row against both people."""
    scorers = [Scorer(encoder, person.real) for person in pair]
    results = []
    for row, squares in made.items():
        for k, square in enumerate(squares):
            own, found = scorers[k].score(square[::step])
            other, _ = scorers[1 - k].score(square[::step])
            results.append({"row": row, "person": pair[k].name, "beside": pair[1 - k].name, "own": float(own.mean()),
                            "other": float(other.mean()), "found": float(found.mean())})  # fmt: skip
    return results


def as_markdown(results: Sequence[dict[str, Any]]) -> str:
    """The table: means over all faces, and how many are nearer to their own person."""
    lines = ["| | own | other | nearer to own | faces found |", "|---|---|---|---|---|"]
    for row in ROWS:
        of_row = [r for r in results if r["row"] == row]
        mean: Callable[[str], float] = lambda key, some=of_row: float(np.mean([r[key] for r in some]))  # type: ignore[misc]  # noqa: E731
        nearer = sum(r["own"] > r["other"] for r in of_row)
        lines.append(
            f"| {row} | {mean('own'):.3f} | {mean('other'):.3f} | {nearer} of {len(of_row)} | {mean('found'):.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, nargs="+", help="one clip per person; without, people are rendered")
    parser.add_argument("--people", type=int, default=3, help="how many to render")
    parser.add_argument("--face-model", default="embedded", help="the recogniser that scores: insightface:FOLDER")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--step", type=int, default=4, help="score every n-th frame")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change settings of the recipe")
    parser.add_argument("--keep", type=Path, help="folder for what was tuned; biometric data")
    parser.add_argument("--out", type=Path, help="write everything as JSON, and contact sheets beside it")
    args = parser.parse_args()
    recipe = Recipe(**{name: json.loads(value) for name, value in (pair.split("=") for pair in args.set)})
    generator, encoder = load_reference(), load_face_encoder(args.face_model)
    with tempfile.TemporaryDirectory() as rendered:
        clips = args.clips or rendered_clips(Path(rendered), args.people)
        people = people_of(generator, clips, recipe, args.keep)
    results: list[dict[str, Any]] = []
    for seed, pair in enumerate(combinations(people, 2)):
        made = drawn(generator, pair, args.frames, seed)
        results += scored(encoder, pair, made, args.step)
        print(f"{pair[0].name} and {pair[1].name}", flush=True)
        if args.out:
            shown = {row: np.concatenate(squares, 2)[:: max(1, args.frames // 5)][:5] for row, squares in made.items()}
            write_sheet(args.out.with_name(f"{args.out.stem}-{pair[0].name}-{pair[1].name}.png"), shown)
    print(as_markdown(results))
    if args.out:
        facts = {"scorer": asdict(encoder.info), "recipe": asdict(recipe), "results": results}
        write_result(args.out, facts, {"people": len(people), "faces": len(results) // len(ROWS)})


if __name__ == "__main__":
    main()
