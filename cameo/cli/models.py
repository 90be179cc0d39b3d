"""The verb that shows, fetches and checks the weights of recognisers that do not ship."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cameo import config
from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.weights import Pack

_ACTIONS = ("list", "pull", "verify", "path")
_HEAD = ("pack", "for", "size", "licence", "here")


def models(words: Sequence[str]) -> None:
    """Run `cameo models`."""
    parser = VerbParser(
        "models",
        "Show the packs of weights that cameo knows, and where they are: list. Download one: pull. Hash what is\n"
        "here and compare: verify. Print the folder, verified, for other programs: path.\n\n"
        "Nothing else in cameo downloads weights, and the encoders that ship need none.",
    )
    parser.add_argument("action", choices=_ACTIONS, metavar="ACTION", help=", ".join(_ACTIONS))
    parser.add_argument("pack", nargs="?", metavar="PACK", help="which; needed by pull and path")
    parser.add_json()
    options = parser.parse_args(words)
    from cameo.weights import known_pack

    if options.pack is None and options.action in ("pull", "path"):
        raise UsageError(f"which pack shall be used? {options.action} needs its name", "see: cameo models list")
    if options.pack is not None and options.action == "list":
        raise UsageError("list shows all packs", "leave the name out")
    pack = known_pack(options.pack) if options.pack is not None else None
    home = config.home()
    if options.action == "list":
        _list(home, options.json)
    elif options.action == "verify":
        _verify(pack, home, options.json)
    elif pack is not None:
        (_pull if options.action == "pull" else _path)(pack, home, options.json)


def _list(home: Path, as_json: bool) -> None:
    from cameo.weights import PACKS, look_for

    found = {name: look_for(pack, home) for name, pack in PACKS.items()}
    value = [
        {
            "pack": pack.name,
            "model": f"{pack.kind}:{pack.name}",
            "for": pack.use,
            "bytes": pack.size,
            "licence": pack.licence,
            "commercial": pack.commercial,
            "source": pack.source,
            "folder": str(found[pack.name]) if found[pack.name] else None,
        }
        for pack in PACKS.values()
    ]
    rows = [
        (pack.name, pack.use, terminal.size(pack.size), pack.licence, str(found[pack.name] or "no"))
        for pack in PACKS.values()
    ]
    terminal.result({"packs": value}, as_json, terminal.columns(_HEAD, rows))


def _pull(pack: Pack, home: Path, as_json: bool) -> None:
    from cameo.weights import pull_pack

    _notice(pack)
    with terminal.progress() as progress:
        pulled = pull_pack(pack, home, progress)
    for name in pulled.unvouched:
        terminal.warn(f"{name}: unknown digest, recorded as {pulled.digests[name]}")
    value = {
        "pack": pack.name,
        "folder": str(pulled.folder),
        "sha256": pulled.digests,
        "unvouched": list(pulled.unvouched),
        "licence": pack.licence,
    }
    terminal.result(value, as_json, [*_shown(pack, pulled.folder, pulled.digests), *_usage(pack)])


def _verify(pack: Pack | None, home: Path, as_json: bool) -> None:
    from cameo.weights import PACKS, find_pack, look_for, verify_pack

    chosen = [pack] if pack else [known for known in PACKS.values() if look_for(known, home)]
    value, lines = [], []
    for one in chosen:
        folder = find_pack(one.name, home)
        digests = verify_pack(one, folder)
        value.append({"pack": one.name, "folder": str(folder), "sha256": digests, "licence": one.licence})
        lines += _shown(one, folder, digests)
    terminal.result({"verified": True, "packs": value}, as_json, lines or ["there is no known pack on this machine"])


def _path(pack: Pack, home: Path, as_json: bool) -> None:
    from cameo.weights import find_pack

    folder = find_pack(pack.name, home)
    _notice(pack)
    terminal.result({"pack": pack.name, "folder": str(folder)}, as_json, [str(folder)])


def _notice(pack: Pack) -> None:
    from cameo.weights import licence_notice

    if notice := licence_notice(pack.name, pack.licence):
        terminal.warn(notice)


def _shown(pack: Pack, folder: Path, digests: dict[str, str]) -> list[str]:
    rows = [(pack.name, str(folder)), ("licence", pack.licence)]
    for file in pack.files:
        state = digests.get(file.name, "not here, and not needed")
        vouched = "" if file.sha256 or file.name not in digests else "  (nobody states what it should be)"
        rows.append((file.name, state + vouched))
    return terminal.table(rows)


def _usage(pack: Pack) -> list[str]:
    return [f"use it with: --{pack.use}-model {pack.kind}:{pack.name}"]
