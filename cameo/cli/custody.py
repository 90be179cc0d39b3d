"""The verbs that change what a double allows, hand it over to another key, or end it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError
from cameo.seal.bundle import Bundle


def erase(words: Sequence[str]) -> None:
    """Run `cameo erase`."""
    parser = VerbParser(
        "erase",
        "Erase the double in FILE from this machine: every grant is revoked, every wrapped key that is here\n"
        "is destroyed, and a signed receipt says so. Copies elsewhere are not reached. This cannot be undone.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, metavar="KEY", help="the owner's .key file (default: beside FILE)")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="RECEIPT", help="the deletion receipt (default: FILE's name, .erased.json)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_json()
    options = parser.parse_args(words)
    file: Path = options.file
    key = options.key or file.with_suffix(".key")
    if options.key is None and not key.is_file():
        raise UsageError(f"whose is {file}? there is no {key.name} beside it", "give the owner's key: --key ada.key")
    receipt = options.out or file.with_suffix(".erased.json")
    terminal.say(f"{file} will be destroyed, and every grant of it revoked. This cannot be undone.")
    terminal.confirm("Erase it?", options.yes)
    keys = terminal.load_keys(key)
    from cameo.custody import erase as run

    done = run(file, keys=keys, receipt=receipt)
    value = {"receipt": str(receipt), "deletion": done}
    rows = [("destroyed", f"{item.kind:<6}  {item.name}") for item in done.files]
    rows += [("revoked", f"grant {grant}") for grant in done.revoked]
    rows += [("forgotten", f"{done.unfinished} unfinished enrolments")] if done.unfinished else []
    rows += [("receipt", f"{receipt}  signed; keep it")]
    rows += [("not reached", "copies on other machines and in backups; there, your key still opens them")]
    terminal.result(value, options.json, [f"erased: double {done.bundle_id}", *terminal.table(rows)])


def rekey(words: Sequence[str]) -> None:
    """Run `cameo rekey`."""
    parser = VerbParser(
        "rekey",
        "Hand the double in FILE over from one key of yours to another. FILE is sealed anew: neither the old\n"
        "key nor an old grant opens it, and a statement signed by both keys in it says so.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="your .key file so far")
    parser.add_argument("--new", type=Path, required=True, metavar="KEY", help="your .key file from now on")
    parser.add_json()
    options = parser.parse_args(words)
    if not options.new.is_file():
        raise UsageError(f"there is no key {options.new}", f"make it first: cameo keygen --out {options.new}")
    old, new = terminal.load_keys(options.key), terminal.load_keys(options.new)
    from cameo.custody import rekey as run

    done = run(options.file, keys=old, new=new)
    value = {
        "file": done.path,
        "bundle_id": done.bundle_id,
        "old": done.old,
        "new": done.new,
        "sha256": done.sha256,
        "revoked": list(done.revoked),
    }
    rows = [("from", done.old), ("to", done.new)]
    rows += [("revoked", f"grant {grant}: issue it again with the new key") for grant in done.revoked]
    rows += [("tell them", f"{options.new.with_suffix('.pub')} is what others verify with from now on")]
    terminal.result(value, options.json, [f"{done.path}: handed over", *terminal.table(rows)])


def consent(words: Sequence[str]) -> None:
    """Run `cameo consent`."""
    parser = VerbParser(
        "consent",
        "Change what the double in FILE allows, from now on. The new terms are shown first, and become a signed\n"
        "event in its consent record. Grants made under the old terms are revoked: issue them again.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument("--consent", type=Path, metavar="TOML", help="the new terms (default: you are asked)")
    parser.add_argument("--yes", action="store_true", help="you have read the consent text and agree")
    parser.add_json()
    options = parser.parse_args(words)
    from cameo.cli.consent import agreed_terms
    from cameo.custody import amend

    generators = [entry.id for entry in Bundle.open(options.file).claims.generators]
    terms = agreed_terms(options.consent, generators, options.yes)
    keys = terminal.load_keys(options.key)
    done = amend(options.file, keys=keys, terms=terms, method="flag" if options.yes else "interactive")
    value = {
        "file": done.path,
        "bundle_id": done.bundle_id,
        "kind": done.kind,
        "sha256": done.sha256,
        "revoked": list(done.revoked),
    }
    rows = [("revoked", f"grant {grant}: issue it again, if it shall go on") for grant in done.revoked]
    rows += [("hosts", "need the file as it is now, with new grants")]
    terminal.result(value, options.json, [f"{done.path}: consent {done.kind}", *terminal.table(rows)])
