"""Read a ledger without the host's private keys: for audits."""

from __future__ import annotations

from sqlalchemy import select

from cameo import config
from cameo.crypto.keys import PublicKeys
from cameo.database import Database
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
        """List whose ledger it is, by fingerprint.

        Raises:
            NotVerified: keys were changed in the database: they are not those of their fingerprint.
        """
        query = select(tables.hosts).order_by(tables.hosts.c.fingerprint)
        with self._database.reading() as connection:
            return [PublicKeys(bytes(row.sign), bytes(row.decrypt)) for row in connection.execute(query)]

    def lines(self, host: str, bundle_id: str | None = None) -> list[bytes]:
        """Return the receipts of a host, all or those of one double, as lines for `receipt.verify_receipts`."""
        receipts = tables.receipts
        query = select(receipts.c.envelope).where(receipts.c.host == host).order_by(receipts.c.seq)
        if bundle_id is not None:
            query = query.where(receipts.c.bundle_id == bundle_id)
        with self._database.reading() as connection:
            return [bytes(line) + b"\n" for line in connection.scalars(query)]
