"""The verb that makes keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.crypto.keys import Keys
from cameo.crypto.keystore import remember_passphrase


def keygen(words: Sequence[str]) -> None:
    """Run `cameo keygen`."""
    parser = VerbParser("keygen", "Make an owner's keys, protected by a passphrase: $CAMEO_PASSPHRASE, or asked.")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FILE", help="the key file; the .pub file is put beside it"
    )
    parser.add_argument("--keyring", action="store_true", help="remember the passphrase in the system's keyring")
    parser.add_json()
    options = parser.parse_args(words)
    out: Path = options.out
    passphrase = terminal.new_passphrase(out)
    keys = Keys.generate()
    pub = keys.save(out, passphrase)
    fingerprint = keys.public.fingerprint
    if options.keyring:
        remember_passphrase(fingerprint, passphrase)
    value = {"key": str(out), "pub": str(pub), "fingerprint": fingerprint}
    rows = [("key", f"{out}  keep it, and keep a copy"), ("pub", f"{pub}  for everyone"), ("fingerprint", fingerprint)]
    terminal.result(value, options.json, terminal.table(rows))
