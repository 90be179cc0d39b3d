"""The options by which a verb is told whose right opens a double: its owner's key, or a grant."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser, owner_beside
from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.crypto.keys import Keys
    from cameo.unlocking import Borrowed


def add_right(parser: VerbParser, does: str) -> None:
    """Add them; `does` is what the owner or somebody else does, as in "casts"."""
    parser.add_argument("--key", type=Path, metavar="KEY", help=f"the owner's .key file, if the owner {does}")
    parser.add_argument("--grant", type=Path, metavar="GRANT", help="the .grant file, if somebody else does")
    parser.add_argument("--as", type=Path, dest="holder", metavar="KEY", help="the .key file of who holds the grant")
    parser.add_argument("--host", type=Path, metavar="KEY", help="the .key file of the host that is named in it")
    parser.add_argument("--owner", type=Path, metavar="PUB", help="the owner's .pub file (default: beside FILE)")
    parser.add_argument(
        "--status", metavar="WHERE", help="where the owner publishes what is revoked (default: as the grant says)"
    )
    parser.add_argument("--purpose", default="", metavar="ID", help="what for; with a grant it must be said")


def brought_right(options: argparse.Namespace, done: str) -> tuple[Keys | None, Borrowed | None]:
    """Load the keys of one of the two rights.

    Args:
        options: as parsed; `file` is the double.
        done: the verb as a participle, which is its name, too, as in "cast".

    Raises:
        UsageError: both are given, or neither, or something is missing or too much.
        NotPermitted: a passphrase is wrong.
    """
    by_grant = options.grant is not None
    _require_one(options, by_grant, done)
    if not by_grant:
        return terminal.load_keys(options.key), None
    from cameo.crypto.keys import PublicKeys
    from cameo.unlocking import Borrowed

    borrowed = Borrowed(
        grant=options.grant,
        host=terminal.load_keys(options.host),
        owner=PublicKeys.load(options.owner or owner_beside(options.file)),
        holder=terminal.load_keys(options.holder),
        status=options.status,
    )
    return None, borrowed


def _require_one(options: argparse.Namespace, by_grant: bool, done: str) -> None:
    if (options.key is not None) == by_grant:
        verb = done.removesuffix("ed")
        hint = f"give one of the two; see: cameo {verb} --help"
        raise UsageError(f"a double is {done} with --key or with --grant", hint)
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
