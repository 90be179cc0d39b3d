"""Keep turned templates, and an id of this registry that no other has."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables, and draw the id."""
    op.create_table(
        "vectors",
        sa.Column("bundle_id", sa.String(32), sa.ForeignKey("doubles.bundle_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("modality", sa.String(8), primary_key=True),
        sa.Column("encoder", sa.String(512), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("rotation", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    identity = op.create_table("identity", sa.Column("id", sa.String(32), primary_key=True))
    op.bulk_insert(identity, [{"id": secrets.token_hex(16)}])
