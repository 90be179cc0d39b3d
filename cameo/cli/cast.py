"""The verb that generates a clip of a double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser


def cast(words: Sequence[str]) -> None:
    """Run `cameo cast`."""
    parser = VerbParser("cast", "Generate a clip of the double in FILE, with its owner's key.")
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="MP4", help="the video to write")
    parser.add_argument("--generator", default="reference", metavar="NAME", help="default: reference")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another motion (default 0)")
    parser.add_argument("--frames", type=int, default=100, metavar="N", help="8 to 1500, 25 a second (default 100)")
    parser.add_json()
    options = parser.parse_args(words)
    keys = terminal.load_keys(options.key)
    # Only now: this loads the generator's libraries.
    from cameo.casting import cast as run

    with terminal.progress() as progress:
        clip = run(
            options.file,
            keys=keys,
            out=options.out,
            generator=options.generator,
            seed=options.seed,
            frames=options.frames,
            progress=progress,
        )
    rows = [
        ("video", f"{clip.path}  {clip.seconds:.1f} s, {clip.width} x {clip.height}"),
        ("made by", f"{clip.generator}, seed {clip.seed}; a generated clip, not a recording"),
        ("of", f"double {clip.bundle_id}; the generator's weights are as they were"),
    ]
    terminal.result(asdict(clip), options.json, terminal.table(rows))
