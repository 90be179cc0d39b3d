"""Remember grants, status lists, revocation statements, groups, and doubles that ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "endings",
        sa.Column("bundle_id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime()),
        sa.Column("erased_at", sa.DateTime()),
    )
    op.create_table(
        "lists",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
    )
    _make_grants()
    op.create_table(
        "statements",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("bundle_id", sa.String(32), nullable=False),
        sa.Column("jti", sa.String(32)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_statements_owner", "statements", ["owner"])
    op.create_table(
        "groups",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("group_id", sa.String(32), primary_key=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
    )


def _make_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("jti", sa.String(32), primary_key=True),
        sa.Column("bundle_id", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("host", sa.String(64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("issued", sa.DateTime(), nullable=False),
        sa.Column("expires", sa.DateTime(), nullable=False),
        sa.Column("delegable", sa.Boolean(), nullable=False),
        sa.Column("path", sa.String(4096), nullable=False),
        sa.Column("parent", sa.String(32)),
        sa.Column("revoked_at", sa.DateTime()),
        sa.UniqueConstraint("owner", "place", name="uq_grants_owner_place"),
    )
    op.create_index("ix_grants_bundle_id", "grants", ["bundle_id"])
