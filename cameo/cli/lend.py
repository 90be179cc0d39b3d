"""The verbs that lend a double, narrow what was lent, and take it back."""

from __future__ import annotations

import argparse
import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.durations import seconds_until
from cameo.errors import UsageError
from cameo.files import atomic_create, require_free

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.grants.group import Group
    from cameo.lending import Granted
    from cameo.recalling import Revoked


def grant(words: Sequence[str]) -> None:
    """Run `cameo grant`."""
    parser = VerbParser(
        "grant",
        "Lend the double in FILE to somebody, for named purposes, at one host, until a day.\n\n"
        "The grant never reaches further than the consent in FILE. It opens FILE as it is now: sealing it\n"
        "again ends it. Take it back with: cameo revoke.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--to", type=Path, metavar="PUB", help="a friend's .pub file (your own: for yourself elsewhere)")
    whom.add_argument("--to-group", type=Path, metavar="GROUP", help="a .group file: see cameo group")
    whom.add_argument("--to-everyone", action="store_true", help="anyone; only where the consent says so")
    parser.add_argument("--host", type=Path, required=True, metavar="PUB", help="the .pub file of who may open it")
    parser.add_argument("--purpose", action="append", required=True, metavar="ID", help="what for; may be repeated")
    _add_limits(parser, "default: all that the purposes allow")
    _add_actions(parser, "default: generate; export gives out a plain file that cannot be called back")
    parser.add_argument("--delegable", action="store_true", help="the friend may narrow it once, for a tool")
    parser.add_argument("--commercial", action="store_true", help="commercial use is allowed")
    parser.add_argument(
        "--status-at", default="", metavar="WHERE", help="where you publish what is revoked: a URL or a path"
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="GRANT", help="the .grant file to write")
    parser.add_json()
    options = parser.parse_args(words)
    require_free(options.out)
    from cameo.crypto.keys import PublicKeys
    from cameo.lending import EVERYONE, GrantTerms
    from cameo.lending import grant as run

    keys = terminal.load_keys(options.key)
    to: PublicKeys | Group | str = EVERYONE
    if options.to is not None:
        to = PublicKeys.load(options.to)
    elif options.to_group is not None:
        from cameo.publishing import load_group

        to = load_group(options.to_group, keys.public)
    terms = GrantTerms(
        tuple(options.purpose),
        **_limits(options),
        delegable=options.delegable,
        commercial=options.commercial,
        status_at=options.status_at,
        actions=tuple(sorted(set(options.action or ("generate",)))),
    )
    made = run(options.file, keys=keys, to=to, host=PublicKeys.load(options.host), terms=terms, out=options.out)
    _show(made, options.json, f"{options.out}: lent, give it to them together with {options.file.name}")


def delegate(words: Sequence[str]) -> None:
    """Run `cameo delegate`."""
    parser = VerbParser(
        "delegate",
        "Narrow GRANT, which you hold, for another key: once, and never wider.",
    )
    parser.add_argument("grant", type=Path, metavar="GRANT", help="the .grant file you hold")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="your .key file")
    parser.add_argument("--to", type=Path, required=True, metavar="PUB", help="the .pub file of the tool")
    parser.add_argument("--purpose", action="append", metavar="ID", help="only for this; may be repeated")
    _add_limits(parser, "default: as granted")
    _add_actions(parser, "default: as granted")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="GRANT", help="the .grant file to write")
    parser.add_json()
    options = parser.parse_args(words)
    require_free(options.out)
    from cameo.crypto.keys import PublicKeys
    from cameo.lending import Narrowing
    from cameo.lending import delegate as run

    keys = terminal.load_keys(options.key)
    actions = tuple(sorted(set(options.action or ())))
    narrowed = Narrowing(tuple(options.purpose or ()), **_limits(options), actions=actions)
    made = run(options.grant, keys=keys, to=PublicKeys.load(options.to), narrowed=narrowed, out=options.out)
    _show(made, options.json, f"{options.out}: narrowed, for the tool alone")


def revoke(words: Sequence[str]) -> None:
    """Run `cameo revoke`."""
    parser = VerbParser(
        "revoke",
        "Take a grant back, with all that was delegated from it; or, with --all, the consent to a double.\n\n"
        "Hosts refuse it as soon as they look at your status list again: cameo status. What somebody has\n"
        "decrypted already is a copy, and cannot be called back.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("grant", type=Path, nargs="?", metavar="GRANT", help="the .grant file")
    what.add_argument("--id", metavar="ID", help="the id of the grant, if its file is not at hand")
    what.add_argument("--all", type=Path, metavar="FILE", help="withdraw the consent to this double: every grant ends")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument("--reason", default="", metavar="TEXT", help="for the record; everyone can read it")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FILE", help="write the signed statement, for a host to take in"
    )
    parser.add_json()
    options = parser.parse_args(words)
    if options.id is not None and not re.fullmatch(r"[0-9a-f]{32}", options.id):
        raise UsageError(f"{options.id!r} is no grant's id", "an id is 32 hex digits; see: cameo inspect GRANT")
    if options.out:
        require_free(options.out)
    from cameo.recalling import revoke as take_back
    from cameo.recalling import withdraw

    keys = terminal.load_keys(options.key)
    if options.all is not None:
        done = withdraw(options.all, keys=keys, reason=options.reason)
    else:
        done = take_back(options.grant or options.id, keys=keys, reason=options.reason)
    if options.out:
        atomic_create(options.out, done.statements[-1].encode() + b"\n")
    value = {
        "bundle_id": done.bundle_id,
        "revoked": list(done.grants),
        "withdrawn": done.withdrawn,
        "seq": done.seq,
        "statement": str(options.out) if options.out else None,
    }
    terminal.result(value, options.json, _revoked_lines(done, options.out))


def _revoked_lines(done: Revoked, out: Path | None) -> list[str]:
    count = len(done.grants)
    if done.withdrawn:
        head = f"withdrawn: no grant of double {done.bundle_id} holds any more"
    else:
        head = "revoked" if count else "nothing changed: it was revoked before"
    rows = [("grants", f"{grant}  ended now") for grant in done.grants]
    rows.append(("status list", f"seq {done.seq}; publish it, if hosts are elsewhere: cameo status publish"))
    if out:
        rows.append(("statement", str(out)))
    return [head, *terminal.table(rows)]


def _add_actions(parser: VerbParser, default: str) -> None:
    parser.add_argument("--action", action="append", choices=("generate", "export"), help=f"{default}; may be repeated")


def _add_limits(parser: VerbParser, default: str) -> None:
    parser.add_argument("--modality", action="append", choices=("face", "voice"), help=f"{default}; may be repeated")
    parser.add_argument(
        "--output", action="append", choices=("audio", "image", "video"), help=f"{default}; may be repeated"
    )
    parser.add_argument("--generator", action="append", metavar="NAME", help=f"{default}; may be repeated")
    parser.add_argument("--max-uses", type=int, metavar="N", help="so many clips altogether")
    parser.add_argument("--max-seconds", type=float, metavar="S", help="length of one clip")
    parser.add_argument("--max-pixels", type=int, metavar="N", help="width times height of a frame")
    parser.add_argument("--expires", metavar="WHEN", help="30d, 12h, or a day like 2027-01-31")


def _limits(options: argparse.Namespace) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    for name in ("max_uses", "max_seconds", "max_pixels"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name.replace('_', '-')} {value:g} allows nothing", "give a number above 0")
    return {
        "modalities": tuple(sorted(set(options.modality or ()))),
        "outputs": tuple(sorted(set(options.output or ()))),
        "generators": tuple(sorted(set(options.generator or ()))),
        "max_uses": options.max_uses,
        "max_seconds": options.max_seconds,
        "max_pixels": options.max_pixels,
        "expires_s": seconds_until(options.expires, now) if options.expires else None,
    }


def _show(made: Granted, as_json: bool, head: str) -> None:
    from cameo.grants.scope import describe_scope

    value = {
        "file": made.path,
        "id": made.id,
        "bundle_id": made.bundle_id,
        "holder": made.holder,
        "host": made.host,
        "scope": made.scope,
        "expires": made.expires,
        "delegable": made.delegable,
    }
    rows = [("id", made.id), *(("allows", line) for line in describe_scope(made.scope))]
    # Fingerprints have 64 digits, the ids of groups 32.
    held = made.holder if len(made.holder) == 64 else f"the group {made.holder}"
    rows.append(("held by", held if made.holder else "everyone"))
    rows.append(("opens at", f"host {made.host}"))
    rows.append(("until", terminal.moment(made.expires)))
    rows.append(("passed on", "once, narrowed" if made.delegable else "not"))
    terminal.result(value, as_json, [head, *terminal.table(rows)])
