"""Read a ledger without the host's private keys: for audits."""

from __future__ import annotations

from sqlalchemy import select

from cameo import config
from cameo.crypto.keys import PublicKeys
from cameo.database import Database
from cameo.errors import NotVerified
from cameo.grants import ledger_schema as tables


class LedgerReader:
    """Look at a ledger; nothing is changed."""

    def __init__(self, url: str | None = None) -> None:
        """Open the ledger at `url`, or the default one; see `grants.ledger.Ledger`.

        Raises:
            CameoError: it cannot be opened.
        """
        self._database = Database(tables.SCHEMA, url or config.ledger_url(), config.home() / tables.FILE_NAME)

    def close(self) -> None:
        """Let go of the database's files."""
        self._database.close()

    def hosts(self) -> list[PublicKeys]:
        """List whose receipts these are, by fingerprint.

        Raises:
            NotVerified: "bad_receipt": the database names keys that are not those of their fingerprint, or lacks some.
        """
        named, receipts = tables.hosts, tables.receipts
        with self._database.reading() as connection:
            rows = connection.execute(select(named).order_by(named.c.fingerprint)).all()
            on_record = set(connection.scalars(select(receipts.c.host).distinct()))
        found = {row.fingerprint: PublicKeys(bytes(row.sign), bytes(row.decrypt)) for row in rows}
        wrong = [name for name, keys in found.items() if keys.fingerprint != name]
        wrong += sorted(on_record - set(found))
        if wrong:
            message = f"the ledger holds other keys than those of host {wrong[0][:16]}…, or none"
            raise NotVerified(message, "its database was changed by something else", "bad_receipt")
        return list(found.values())

    def lines(self, host: str, bundle_id: str | None = None) -> list[bytes]:
        """Return the receipts of a host, all or those of one double; see `receipt_lines`."""
        return receipt_lines(self._database, host, bundle_id)


def receipt_lines(database: Database, host: str, bundle_id: str | None = None) -> list[bytes]:
    """Return receipts as lines for `receipt.verify_receipts`: a host's whole chain, or all of one double in it."""
    receipts = tables.receipts
    query = select(receipts.c.envelope).where(receipts.c.host == host).order_by(receipts.c.seq)
    if bundle_id is not None:
        query = query.where(receipts.c.bundle_id == bundle_id)
    with database.reading() as connection:
        return [bytes(line) + b"\n" for line in connection.scalars(query)]
