"""The ledger's tables. A change here needs a migration beside it; times are Unix seconds."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

from cameo.database import Schema

SCHEMA = Schema("ledger", Path(__file__).parent / "migrations", ("0001",))

FILE_NAME = "ledger.sqlite"

metadata = MetaData()

# Whose ledger it is: the hosts' public keys, 32 bytes each, so that receipts can be verified without a key file.
hosts = Table(
    "hosts",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("sign", LargeBinary(), nullable=False),
    Column("decrypt", LargeBinary(), nullable=False),
)

# The highest time ever seen, in one row.
clock = Table(
    "clock",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=False),
    Column("highest", Float(53), nullable=False),
)

# Challenges that nobody has answered yet.
nonces = Table(
    "nonces",
    metadata,
    Column("host", String(64), primary_key=True),
    Column("nonce", String(22), primary_key=True),
    Column("expires", Float(53), nullable=False, index=True),
)

# How often a grant or delegation was used. Ids are drawn by whoever issued it: they count apart for each issuer.
uses = Table(
    "uses",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("jti", String(32), primary_key=True),
    Column("used", BigInteger(), nullable=False),
)

# What is known of each status list. `sha256` is of the bits as they were published; `bits` (zlib) has every bit that
# was ever set; `changes` counts how often it was written.
status_lists = Table(
    "status_lists",
    metadata,
    Column("uri", String(256), primary_key=True),
    Column("seq", BigInteger(), nullable=False),
    Column("iat", BigInteger(), nullable=False),
    Column("exp", BigInteger(), nullable=False),
    Column("ttl", Integer(), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer(), nullable=False),
    Column("bits", LargeBinary(), nullable=False),
    Column("changes", BigInteger(), nullable=False),
)

# What signed statements revoked, whether a list shows it or not.
revoked = Table(
    "revoked",
    metadata,
    Column("uri", String(256), primary_key=True),
    Column("place", Integer(), primary_key=True, autoincrement=False),
)

# Doubles whose consent was withdrawn.
withdrawn = Table(
    "withdrawn",
    metadata,
    Column("uri", String(256), primary_key=True),
    Column("bundle_id", String(32), primary_key=True),
)

# The newest list seen of every group.
group_lists = Table(
    "group_lists",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("group_id", String(32), primary_key=True),
    Column("seq", BigInteger(), nullable=False),
    Column("sha256", String(64), nullable=False),
)

# The chain. `sha256` is of the payload, `envelope` the line as it is exported.
receipts = Table(
    "receipts",
    metadata,
    Column("host", String(64), primary_key=True),
    Column("seq", BigInteger(), primary_key=True, autoincrement=False),
    Column("bundle_id", String(32), nullable=False),
    Column("double_seq", BigInteger(), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("envelope", LargeBinary(), nullable=False),
    Index("ix_receipts_double", "host", "bundle_id", "double_seq"),
    Index("ix_receipts_owner", "host", "owner", "seq"),
)
