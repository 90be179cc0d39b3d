"""The verb that generates a clip of a double."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.rights import add_right, brought_right


def cast(words: Sequence[str]) -> None:
    """Run `cameo cast`."""
    options = _read(words)
    keys, borrowed = brought_right(options, "cast")
    # Only now: this loads the generator's libraries.
    from cameo.casting import cast as run
    from cameo.staging import CastOptions

    chosen = CastOptions(
        purpose=options.purpose,
        prompt=options.prompt,
        generator=options.generator,
        seed=options.seed,
        frames=options.frames,
        size=options.size,
        steps=options.steps,
        modalities=tuple(options.modality or ()),
        commercial=options.commercial,
        say=options.say,
    )
    with terminal.progress() as progress:
        clip = run(options.file, keys=keys, borrowed=borrowed, out=options.out, options=chosen, progress=progress)
    rows = [
        ("video", f"{clip.path}  {clip.seconds:.1f} s, {clip.width} x {clip.height}"),
        ("made by", f"{clip.generator}, seed {clip.seed}; a generated clip, not a recording"),
        ("of", f"double {clip.bundle_id}; the generator's weights are as they were"),
        ("for", f"{clip.purpose}; on record, receipt {clip.receipt[:16]}…: cameo audit"),
    ]
    terminal.result(asdict(clip), options.json, terminal.table(rows))


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "cast",
        "Generate a clip of the double in FILE: with its owner's key, or with a grant, its holder's key and\n"
        "the key of the host it names. Every use, and every refusal, goes on record: cameo audit.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    add_right(parser, "casts")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="the scene; judged by the owner's rules")
    parser.add_argument("--commercial", action="store_true", help="the clip is for a commercial end")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="MP4", help="the video to write")
    parser.add_argument(
        "--generator", default="reference", metavar="NAME", help="reference (default), wan:WEIGHTS, ltx2:WEIGHTS, …"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another motion (default 0)")
    parser.add_argument(
        "--frames", type=int, metavar="N", help="8 to 1500 (default: the generator's own, 100, or as long as the line)"
    )
    parser.add_argument(
        "--say", type=Path, metavar="SOUND", help="a spoken line, 1 to 60 s: the double says it, in its owner's voice"
    )
    parser.add_argument("--size", type=_size, metavar="WxH", help="in pixels (default: the generator's own)")
    parser.add_argument("--steps", type=int, metavar="N", help="of sampling (default: the generator's own number)")
    parser.add_argument(
        "--modality",
        action="append",
        choices=("face", "voice"),
        help="plug in no more than this; may be repeated (default: what consent and grant allow)",
    )
    parser.add_json()
    return parser.parse_args(words)


def _size(text: str) -> tuple[int, int]:
    """Read a size such as 832x480."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"a size is width x height, such as 832x480, not {text!r}")
    return int(width), int(height)
