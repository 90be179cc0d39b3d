"""The verbs by which an owner publishes what is revoked, and a host takes it in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.grants.publish import Published
    from cameo.grants.status import Revocation, StatusSnapshot

_OFTEN_ENOUGH_S = 240.0  # hosts refuse a list older than 300 s


class _Part(NamedTuple):
    run: Callable[[Sequence[str]], None]
    help: str


def status(words: Sequence[str]) -> None:
    """Run `cameo status`."""
    if words and words[0] in _PARTS:
        _PARTS[words[0]].run(words[1:])
        return
    lines = "\n".join(f"  cameo status {name:<8} {part.help}" for name, part in _PARTS.items())
    parser = VerbParser("status", f"Say and learn which grants are revoked. One of:\n\n{lines}")
    parser.add_argument("part", choices=tuple(_PARTS), metavar="|".join(_PARTS))
    if not words:
        parser.print_help(sys.stderr)
        raise SystemExit(UsageError.exit_code)
    parser.parse_args(words)


def _publish(words: Sequence[str]) -> None:
    """Run `cameo status publish`."""
    parser = VerbParser(
        "status publish",
        "Sign the list of revoked grants, and the groups, and write them where hosts can fetch them.\n\n"
        "Hosts refuse a list older than five minutes: sign it again before that, or use --every.",
    )
    _add_key(parser)
    parser.add_argument(
        "-o", "--out", required=True, metavar="FILE_OR_FOLDER", help="a folder to be served as it is, or one file"
    )
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="go on: sign again this often, and at once after a revocation"
    )
    parser.add_json()
    options = parser.parse_args(words)
    every: float | None = options.every
    if every is not None and not 1 <= every <= 86_400:
        raise UsageError(f"--every {every:g} is not possible", "choose between 1 and 86400 seconds")
    if every is not None and every > _OFTEN_ENOUGH_S:
        terminal.warn(f"hosts refuse a list older than 300 s; signing every {every:g} s leaves gaps")
    from cameo.grants.publish import publish_files
    from cameo.grants.status import read_status
    from cameo.publishing import published, registry_seq

    keys = terminal.load_keys(options.key)

    def version() -> int:
        return registry_seq(keys.public.fingerprint)

    def write() -> tuple[StatusSnapshot, Published, list[Path]]:
        made = published(keys)
        files = publish_files(options.out, made.status_token, made.groups, made.statements)
        return read_status(made.status_token, keys.public), made, files

    # Looked up before signing: a revocation in between is signed twice rather than late.
    first = version()
    snapshot, made, files = write()
    value = {
        "owner": keys.public.fingerprint,
        "seq": snapshot.seq,
        "revoked": snapshot.revoked,
        "groups": sorted(made.groups),
        "files": [str(path) for path in files],
    }
    rows = [("seq", str(snapshot.seq)), ("revoked", str(snapshot.revoked)), ("groups", str(len(made.groups)))]
    rows += [("file", str(path)) for path in files]
    terminal.result(
        value, options.json, [f"published: what {keys.public.fingerprint[:16]}… says", *terminal.table(rows)]
    )
    sys.stdout.flush()
    if every is not None:
        _repeat(every, first, version, lambda: write()[0])


def _repeat(every_s: float, last: int, version: Callable[[], int], write: Callable[[], StatusSnapshot]) -> None:
    """Write every so often, and within a second after `version` has changed, until Ctrl-C."""
    due = time.monotonic() + every_s
    try:
        while True:
            time.sleep(min(1.0, max(due - time.monotonic(), 0.0)))
            now = version()
            if now == last and time.monotonic() < due:
                continue
            snapshot = write()
            if now != last:
                terminal.say(f"published: seq {snapshot.seq}, {snapshot.revoked} revoked")
            last, due = now, time.monotonic() + every_s
    except KeyboardInterrupt:
        terminal.say("stopped; hosts go by what was published last for five minutes")


def _serve(words: Sequence[str]) -> None:
    """Run `cameo status serve`."""
    from cameo.grants.publish import DEFAULT_PORT, StatusServer

    parser = VerbParser(
        "status serve",
        "Serve the list of revoked grants, and the groups, until Ctrl-C; the first line printed is the URL.\n\n"
        "Beyond this machine, put a web server with HTTPS before it.",
    )
    _add_key(parser)
    parser.add_argument("--address", default="127.0.0.1", metavar="ADDRESS", help="where to listen (this machine only)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="PORT", help=f"{DEFAULT_PORT}; 0 picks a free one"
    )
    parser.add_json()
    options = parser.parse_args(words)
    from cameo.publishing import published, registry_seq

    keys = terminal.load_keys(options.key)
    owner = keys.public.fingerprint
    listen = (options.address, options.port)
    server = StatusServer(lambda: published(keys), lambda: registry_seq(owner), listen, terminal.warn)
    terminal.result({"url": server.url, "owner": owner}, options.json, [server.url])
    sys.stdout.flush()
    terminal.say("serving until Ctrl-C")
    server.serve()
    terminal.say("stopped; hosts go by the last answer for five minutes")


def _fetch(words: Sequence[str]) -> None:
    """Run `cameo status fetch`."""
    parser = VerbParser(
        "status fetch", "Take an owner's list of revoked grants, or one revocation, into the host's ledger."
    )
    parser.add_argument("where", metavar="WHERE", help="a URL, a folder or a file")
    parser.add_argument("--owner", type=Path, required=True, metavar="PUB", help="the owner's .pub file")
    parser.add_argument("--host", type=Path, required=True, metavar="KEY", help="this host's .key file")
    parser.add_json()
    options = parser.parse_args(words)
    from cameo.crypto.keys import PublicKeys
    from cameo.grants.ledger import Ledger
    from cameo.publishing import take_status

    owner = PublicKeys.load(options.owner)
    with closing(Ledger(terminal.load_keys(options.host))) as ledger:
        taken = take_status(options.where, owner, ledger)
    value = _taken(taken, owner, time.time())
    rows = [("seq", str(value["seq"])), ("age", f"{value['age_s']:.0f} s"), ("revoked", str(value["revoked"]))]
    if value["kind"] == "revocation":
        rows.append(("grant", str(value["grant"]) or "every one of this double"))
        rows.append(("double", str(value["bundle_id"])))
    said = {"status": "the status list", "revocation": "a revocation"}[str(value["kind"])]
    terminal.result(value, options.json, [f"taken in: {said} of {owner.fingerprint[:16]}…", *terminal.table(rows)])


def _taken(taken: StatusSnapshot | Revocation, owner: PublicKeys, now: float) -> dict[str, str | int | float]:
    """Say what was taken in; the members are the same for both kinds."""
    from cameo.grants.status import Revocation

    statement = taken if isinstance(taken, Revocation) else None
    return {
        "kind": "revocation" if statement else "status",
        "owner": owner.fingerprint,
        "seq": taken.seq,
        "age_s": round(max(now - taken.iat, 0.0), 1),
        "revoked": len(taken.index) if isinstance(taken, Revocation) else taken.revoked,
        "bundle_id": statement.bundle_id if statement else "",
        "grant": statement.grant if statement else "",
    }


def _add_key(parser: VerbParser) -> None:
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")


_PARTS = {
    "publish": _Part(_publish, "write the list of revoked grants into files"),
    "serve": _Part(_serve, "serve it over HTTP"),
    "fetch": _Part(_fetch, "take an owner's list into a host's ledger"),
}
