"""Remember doubles. Registries made before there were migrations have this table already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table, unless it is there."""
    if sa.inspect(op.get_bind()).has_table("doubles"):
        return
    op.create_table(
        "doubles",
        sa.Column("bundle_id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("path", sa.String(4096), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.DateTime(), nullable=False),
        sa.Column("encoders", sa.JSON(), nullable=False),
        sa.Column("assurance", sa.String(32), nullable=False),
    )
    op.create_index("ix_doubles_owner", "doubles", ["owner"])
