"""A double from start to end, for a person who does not exist: record, keys, enrol, verify, cast.

python examples/enrol_and_cast.py demo/
python examples/enrol_and_cast.py demo/ --seed 3 --seconds 5 --steps 0     # quick: only what has a closed form

For a real person, take their own video in place of the sample, ask them for the passphrase, and show them the terms
before they agree; `cameo enroll` does all of that.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cameo
from cameo.adapt.recipe import Recipe
from cameo.synthetic.selfie import write_selfie


def step_lines() -> Callable[[str, float], None]:
    """Make a function that prints a line for each step, when it begins."""
    begun: list[str] = []

    def show(label: str, _fraction: float) -> None:
        step = label.partition(": ")[0]
        if step not in begun:
            begun.append(step)
            print(f"… {step}", file=sys.stderr)

    return show


def make_double(folder: Path, seed: int, seconds: float, steps: int) -> None:
    """Go through the whole journey; every file is left in `folder`, except the passphrase, which is forgotten."""
    show = step_lines()
    selfie, double, clip = folder / "selfie.mp4", folder / "sample.cameo", folder / "clip.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    keys = cameo.Keys.generate()
    pub = keys.save(folder / "sample.key", passphrase=secrets.token_urlsafe(16))

    write_selfie(selfie, seed, seconds, show)

    options = cameo.EnrollOptions(recipe=Recipe(steps=steps), report=folder / "sample.html")
    enrolled = cameo.enroll(selfie, keys=keys, out=double, options=options, progress=show)
    print(f"sealed   {double}, {enrolled.sealed.size / 1e6:.1f} MB, {enrolled.sealed.assurance}")
    judged = {step.step: step.likeness for step in enrolled.adapter.curve}
    print(f"likeness {judged[0]:.3f} before tuning, {judged[enrolled.adapter.best_step]:.3f} as kept")

    verified = cameo.Bundle.open(double).verify(cameo.PublicKeys.load(pub))
    print(f"verified {', '.join(part.name for part in verified.manifest.parts)}")

    made = cameo.cast(double, keys=keys, out=clip, options=cameo.CastOptions(seed=seed), progress=show)
    print(f"cast     {made.path}, {made.seconds:.1f} s, {made.width} x {made.height}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a double in a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; no double may be in it yet")
    parser.add_argument("--seed", type=int, default=0, help="which person (default 0)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long they talk (default 10)")
    parser.add_argument("--steps", type=int, default=Recipe().steps, help="tuning steps at most (default %(default)s)")
    options = parser.parse_args(arguments)
    try:
        make_double(options.folder, options.seed, options.seconds, options.steps)
    except cameo.CameoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
