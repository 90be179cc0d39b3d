"""The registry's tables. A change here needs a migration beside it; times are UTC without a zone."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from cameo.database import Schema

SCHEMA = Schema("registry", Path(__file__).parent / "migrations", ("0001", "0002", "0003"))

metadata = MetaData()

# One enrolled double each; `sha256` is of the whole `.cameo` file.
doubles = Table(
    "doubles",
    metadata,
    Column("bundle_id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("path", String(4096), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created", DateTime(), nullable=False),
    Column("encoders", JSON(), nullable=False),
    Column("assurance", String(32), nullable=False),
)

# Turned templates of doubles, encrypted; they end with their double, and follow it to another owner.
vectors = Table(
    "vectors",
    metadata,
    Column("bundle_id", String(32), ForeignKey("doubles.bundle_id", ondelete="CASCADE"), primary_key=True),
    Column("modality", String(8), primary_key=True),
    Column("encoder", String(512), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("rotation", String(16), nullable=False),
    Column("sealed", LargeBinary(), nullable=False),
)

# One row: what tells this registry from others, so that no two turn templates alike.
identity = Table("identity", metadata, Column("id", String(32), primary_key=True))

# Doubles whose consent was withdrawn or that were erased. Apart from `doubles`: it outlives their file.
endings = Table(
    "endings",
    metadata,
    Column("bundle_id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("withdrawn_at", DateTime()),
    Column("erased_at", DateTime()),
)

# One status list for every owner.
lists = Table(
    "lists",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("seq", Integer(), nullable=False),
    Column("size", Integer(), nullable=False),
)

# One grant each; `place` is its index in its owner's status list.
grants = Table(
    "grants",
    metadata,
    Column("jti", String(32), primary_key=True),
    Column("bundle_id", String(32), nullable=False, index=True),
    Column("owner", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("holder", String(64), nullable=False),
    Column("host", String(64), nullable=False),
    Column("place", Integer(), nullable=False),
    Column("purposes", JSON(), nullable=False),
    Column("issued", DateTime(), nullable=False),
    Column("expires", DateTime(), nullable=False),
    Column("delegable", Boolean(), nullable=False),
    Column("path", String(4096), nullable=False),
    Column("parent", String(32)),
    Column("revoked_at", DateTime()),
    UniqueConstraint("owner", "place", name="uq_grants_owner_place"),
)

# Signed revocation statements; `number` is the order they were made in.
statements = Table(
    "statements",
    metadata,
    Column("number", Integer(), primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("bundle_id", String(32), nullable=False),
    Column("jti", String(32)),
    Column("body", Text(), nullable=False),
    Column("at", DateTime(), nullable=False),
)

# The newest signed list of every group.
groups = Table(
    "groups",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("group_id", String(32), primary_key=True),
    Column("seq", Integer(), nullable=False),
    Column("token", Text(), nullable=False),
)
