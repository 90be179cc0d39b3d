"""The verb that shows who used a double, and who was refused."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.auditing import Audit
    from cameo.grants.receipt import Receipt

_HEAD = ("when (UTC)", "what", "purpose", "by", "grant", "length", "why")


def audit(words: Sequence[str]) -> None:
    """Run `cameo audit`."""
    parser = VerbParser(
        "audit",
        "Show every use of a double, and every refusal, from the receipts of this machine's hosts, or from\n"
        "RECEIPTS that a host exported. Signatures and the chain between receipts are verified first.",
    )
    parser.add_argument("receipts", type=Path, nargs="?", metavar="RECEIPTS", help="exported receipts, with --host")
    parser.add_argument("--cameo", metavar="ID", help="only this double: its id, or its .cameo file")
    parser.add_argument("--host", type=Path, metavar="PUB", help="only this host; whose the RECEIPTS must be")
    parser.add_argument("-o", "--export", type=Path, metavar="FILE", help="write the receipts of --host for others")
    parser.add_json()
    options = parser.parse_args(words)
    from cameo.auditing import audit as run
    from cameo.auditing import export_receipts
    from cameo.crypto.keys import PublicKeys

    bundle_id = _bundle_id(options.cameo)
    host = PublicKeys.load(options.host) if options.host else None
    if options.export and (host is None or options.receipts):
        raise UsageError("what is exported are the receipts of one host of this machine", "give --host studio.pub")
    found = run(bundle_id, export=options.receipts, host=host)
    if options.export and host is not None:
        export_receipts(options.export, host, bundle_id)
    value = {
        "verified": True,
        "bundle_id": bundle_id,
        "hosts": [{"host": a.host, "from_first": a.from_first, "receipts": a.receipts} for a in found],
        "exported": str(options.export) if options.export else None,
    }
    lines = [line for audited in found for line in audit_lines(audited)]
    if options.export:
        lines.append(f"exported to {options.export}")
    terminal.result(value, options.json, lines or ["nothing is on record"])


def _bundle_id(word: str | None) -> str | None:
    if word is None or re.fullmatch(r"[0-9a-f]{32}", word):
        return word
    if not Path(word).is_file():
        raise UsageError(f"{word} is neither a double's id nor its file", "an id is 32 hex digits; see: cameo inspect")
    from cameo.seal.bundle import Bundle

    return Bundle.open(word).claims.bundle_id


def audit_lines(audited: Audit) -> list[str]:
    """Lay out the receipts of one host."""
    count = len(audited.receipts)
    whole = "from the first" if audited.from_first else "earlier ones are not here"
    head = f"host {audited.host[:16]}…: {count} receipt{'s' if count != 1 else ''}, chain and signatures hold, {whole}"
    return [head, *terminal.columns(_HEAD, [_row(receipt) for receipt in audited.receipts])]


def _row(receipt: Receipt) -> tuple[str, ...]:
    at = datetime.datetime.fromtimestamp(receipt.at, datetime.UTC)
    by = "owner" if receipt.holder and receipt.holder == receipt.owner else receipt.holder[:8] or "?"
    grant = receipt.grant[:8] + (f" > {receipt.delegation[:8]}" if receipt.delegation else "")
    why = receipt.code + (f" ({receipt.rule})" if receipt.rule else "")
    what, length = {"allow": "allowed", "deny": "refused"}.get(receipt.decision, receipt.decision), ""
    if receipt.action == "export":
        what = "exported" if receipt.decision == "released" else f"export {what}"
    else:
        length = f"{receipt.seconds:.1f} s"
    return (f"{at:%Y-%m-%d %H:%M:%S}", what, receipt.purpose, by, grant, length, why)
