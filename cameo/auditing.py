"""WORKFLOW: audit. Read receipts, verify their chain, and show every use of a double."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.errors import CameoError, UsageError
from cameo.files import atomic_create
from cameo.grants.ledger_reader import LedgerReader
from cameo.grants.receipt import verify_receipts

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.grants.receipt import Receipt

StrPath = str | os.PathLike[str]
EXPORT_LIMIT = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Audit:
    """Hold what one host has on record, verified.

    Attributes:
        host: fingerprint of the host, who signed it.
        from_first: whether it begins with the first receipt of the host, or of the double if one was asked for.
        receipts: oldest first.
    """

    host: str
    from_first: bool
    receipts: tuple[Receipt, ...]


def audit(
    bundle_id: str | None = None, *, export: StrPath | None = None, host: PublicKeys | None = None
) -> list[Audit]:
    """Verify receipts and return them, host by host.

    Args:
        bundle_id: of one double; None for all.
        export: a file of receipts that a host gave you; None for the ledger of this machine.
        host: whose receipts; needed with `export`. Without it the ledger's own record of its hosts is taken: compare
            the fingerprints with those in your grants.

    Raises:
        UsageError: the file cannot be read, or `host` is missing.
        NotVerified: "bad_receipt": one was changed, removed or added in between.
    """
    if export is not None:
        if host is None:
            raise UsageError("whose receipts are these?", "give the host's public key: --host studio.pub")
        lines = _read_lines(export)
        return [_audited(host, lines, bundle_id)]
    found = []
    with closing(LedgerReader()) as ledger:
        for keys in ledger.hosts():
            if host is None or keys == host:
                # The whole chain is verified, even where one double is asked for.
                found.append(_audited(keys, ledger.lines(keys.fingerprint), bundle_id))
    return [audited for audited in found if audited.receipts or host is not None]


def export_receipts(path: StrPath, host: PublicKeys, bundle_id: str | None = None) -> int:
    """Write the receipts of a host of this machine, all or those of one double, as JSON lines for others to audit.

    Returns:
        How many.

    Raises:
        UsageError: there are none.
        NotVerified: they do not hold themselves.
        OutputError: the file exists, or cannot be written.
    """
    with closing(LedgerReader()) as ledger:
        lines = ledger.lines(host.fingerprint, bundle_id)
    if not lines:
        raise UsageError("nothing of this host is on record here", "check --host and --cameo")
    verify_receipts(lines, host)
    atomic_create(path, b"".join(lines))
    return len(lines)


def _audited(host: PublicKeys, lines: list[bytes], bundle_id: str | None) -> Audit:
    receipts = verify_receipts(lines, host)
    if bundle_id is None:
        return Audit(host.fingerprint, not receipts or receipts[0].seq == 1, tuple(receipts))
    mine = tuple(receipt for receipt in receipts if receipt.bundle_id == bundle_id)
    return Audit(host.fingerprint, not mine or mine[0].double_seq == 1, mine)


def _read_lines(path: StrPath) -> list[bytes]:
    try:
        if Path(path).stat().st_size > EXPORT_LIMIT:
            raise CameoError(
                f"{path} is too large", "export one double at a time: cameo audit --cameo ID --export FILE"
            )
        return Path(path).read_bytes().splitlines(keepends=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {path}: {reason}", "check the path of the exported receipts") from None
