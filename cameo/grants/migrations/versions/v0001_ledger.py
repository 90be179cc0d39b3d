"""Remember hosts, nonces, uses, revocations and receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "hosts",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("sign", sa.LargeBinary(), nullable=False),
        sa.Column("decrypt", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("highest", sa.Float(53), nullable=False),
    )
    op.create_table(
        "nonces",
        sa.Column("host", sa.String(64), primary_key=True),
        sa.Column("nonce", sa.String(22), primary_key=True),
        sa.Column("expires", sa.Float(53), nullable=False),
    )
    op.create_index("ix_nonces_expires", "nonces", ["expires"])
    op.create_table(
        "uses",
        sa.Column("issuer", sa.String(64), primary_key=True),
        sa.Column("jti", sa.String(32), primary_key=True),
        sa.Column("used", sa.BigInteger(), nullable=False),
    )
    _make_revocations()
    op.create_table(
        "receipts",
        sa.Column("host", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("bundle_id", sa.String(32), nullable=False),
        sa.Column("double_seq", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_receipts_double", "receipts", ["host", "bundle_id", "double_seq"])
    op.create_index("ix_receipts_owner", "receipts", ["host", "owner", "seq"])


def _make_revocations() -> None:
    op.create_table(
        "status_lists",
        sa.Column("uri", sa.String(256), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("iat", sa.BigInteger(), nullable=False),
        sa.Column("exp", sa.BigInteger(), nullable=False),
        sa.Column("ttl", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "revoked",
        sa.Column("uri", sa.String(256), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True, autoincrement=False),
    )
    op.create_table(
        "withdrawn",
        sa.Column("uri", sa.String(256), primary_key=True),
        sa.Column("bundle_id", sa.String(32), primary_key=True),
    )
    op.create_table(
        "group_lists",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("group_id", sa.String(32), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
