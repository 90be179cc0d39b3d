"""The verb that renders a person to try things with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import OutputError

_SHORTEST_S, _LONGEST_S = 3.0, 60.0
_LAST_SEED = 2**31 - 1


def sample(words: Sequence[str]) -> None:
    """Run `cameo sample`."""
    parser = VerbParser(
        "sample", "Render a talking person who does not exist: a made head, a made voice, no real data."
    )
    parser.add_argument("out", type=_mp4, metavar="OUT", help="the video to write, an MP4 file")
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="which person, 0 to 2147483647 (default 0)")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="how long, 3 to 60 (default 10; 5 are enough to enrol)",
    )
    parser.add_json()
    options = parser.parse_args(words)
    out: Path = options.out
    if _is_taken(out):
        raise OutputError(f"{out} exists already", "choose another name, or move the old file away")
    # After the words are known to be right: this loads the renderer.
    from cameo.synthetic.selfie import write_selfie

    with terminal.progress() as progress:
        selfie = write_selfie(out, options.seed, options.seconds, progress)
    frames, height, width = selfie.frames.shape[:3]
    seconds = frames / selfie.fps
    value = {"video": str(out), "seed": options.seed, "seconds": seconds, "width": width, "height": height}
    rows = [
        ("video", f"{out}  {seconds:.1f} s, {width} x {height}"),
        ("seed", f"{options.seed}  the same seed gives the same person"),
        ("person", "this person does not exist"),
    ]
    terminal.result({**value, "real_person": False}, options.json, terminal.table(rows))


def _mp4(word: str) -> Path:
    """Read a name for an MP4 file."""
    path = Path(word)
    if path.suffix.lower() != ".mp4":
        raise argparse.ArgumentTypeError(f"the name must end in .mp4: {word}")
    return path


def _is_taken(path: Path) -> bool:
    """Whether something stands there that a wrong word must not replace, such as a real selfie."""
    try:
        return path.exists()
    except OSError:
        return False  # writing says why


def _seed(word: str) -> int:
    """Read a seed, 0 .. 2^31 - 1."""
    seed = int(word) if word.isascii() and word.isdigit() and len(word) <= 10 else -1
    if not 0 <= seed <= _LAST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {_LAST_SEED}, not {word[:20]!r}")
    return seed


def _seconds(word: str) -> float:
    """Read a length in seconds, 3 .. 60; neither nan nor inf is between them."""
    try:
        seconds = float(word)
    except ValueError:
        seconds = float("nan")
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"must be from {_SHORTEST_S:g} to {_LONGEST_S:g}, not {word[:20]!r}")
    return seconds
