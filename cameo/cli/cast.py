"""The verb that generates a clip of a double."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser, owner_beside
from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.unlocking import Borrowed


def cast(words: Sequence[str]) -> None:
    """Run `cameo cast`."""
    options = _read(words)
    by_grant = options.grant is not None
    _require_right(options, by_grant)
    keys = None if by_grant else terminal.load_keys(options.key)
    borrowed = _borrowed(options) if by_grant else None
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
    parser.add_argument("--key", type=Path, metavar="KEY", help="the owner's .key file, if the owner casts")
    parser.add_argument("--grant", type=Path, metavar="GRANT", help="the .grant file, if somebody else does")
    parser.add_argument("--as", type=Path, dest="holder", metavar="KEY", help="the .key file of who holds the grant")
    parser.add_argument("--host", type=Path, metavar="KEY", help="the .key file of the host that is named in it")
    parser.add_argument("--owner", type=Path, metavar="PUB", help="the owner's .pub file (default: beside FILE)")
    parser.add_argument(
        "--status", metavar="WHERE", help="where the owner publishes what is revoked (default: as the grant says)"
    )
    parser.add_argument("--purpose", default="", metavar="ID", help="what for; with a grant it must be said")
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


def _require_right(options: argparse.Namespace, by_grant: bool) -> None:
    if (options.key is not None) == by_grant:
        raise UsageError("a double is cast with --key or with --grant", "give one of the two; see: cameo cast --help")
    needed = {"--as": options.holder, "--host": options.host}
    lent = {**needed, "--owner": options.owner, "--status": options.status}
    if by_grant:
        missing = [name for name, path in needed.items() if path is None]
        if missing:
            raise UsageError(f"a grant is used with {' and '.join(missing)}", "give the .key file")
        if not options.purpose:
            raise UsageError("a grant is used for a purpose", "say which: --purpose ID; see: cameo inspect GRANT")
        return
    stray = [name for name, path in lent.items() if path is not None]
    if stray:
        verb = "go" if len(stray) > 1 else "goes"
        raise UsageError(f"{', '.join(stray)} {verb} with --grant only", "leave it out, or give the grant")


def _borrowed(options: argparse.Namespace) -> Borrowed:
    from cameo.crypto.keys import PublicKeys
    from cameo.unlocking import Borrowed

    return Borrowed(
        grant=options.grant,
        host=terminal.load_keys(options.host),
        owner=PublicKeys.load(options.owner or owner_beside(options.file)),
        holder=terminal.load_keys(options.holder),
        status=options.status,
    )
