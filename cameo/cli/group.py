"""The verb that keeps a group: a signed list of people that grants name, and that changes without new grants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser


def group(words: Sequence[str]) -> None:
    """Run `cameo group`."""
    parser = VerbParser(
        "group",
        "Make or edit a group in FILE: people a double can be lent to together.\n\n"
        "Who is added can use what was lent to the group from then on, who is removed cannot any more; no grant\n"
        "is issued again. Hosts elsewhere learn it from what you publish: cameo status.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .group file; made if it is not there")
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the owner's .key file")
    parser.add_argument("--add", type=Path, action="append", default=[], metavar="PUB", help="a .pub file to add")
    parser.add_argument("--remove", type=Path, action="append", default=[], metavar="PUB", help="a .pub file to remove")
    parser.add_argument("--name", metavar="NAME", help="of a new group (default: the file's name)")
    parser.add_json()
    options = parser.parse_args(words)
    from cameo.crypto.keys import PublicKeys
    from cameo.publishing import keep_group

    keys = terminal.load_keys(options.key)
    add = [PublicKeys.load(path) for path in options.add]
    remove = [PublicKeys.load(path).fingerprint for path in options.remove]
    made = keep_group(options.file, keys=keys, add=add, remove=remove, name=options.name)
    members = [member.fingerprint for member in made.members]
    value = {"file": str(options.file), "id": made.sub, "name": made.name, "seq": made.seq, "members": members}
    rows = [("id", made.sub), ("seq", str(made.seq))]
    rows += [("members", fingerprint) for fingerprint in members] or [("members", "nobody")]
    terminal.result(value, options.json, [f"{options.file}: the group {made.name}", *terminal.table(rows)])
