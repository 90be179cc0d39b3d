"""The registry's one table."""

from __future__ import annotations

import datetime

from sqlalchemy import JSON, DateTime, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Collect the tables."""


class DoubleRow(Base):
    """Hold one enrolled double. `created` is UTC; `sha256` is of the whole `.cameo` file."""

    __tablename__ = "doubles"

    bundle_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), index=True)
    path: Mapped[str] = mapped_column(String(4096))
    sha256: Mapped[str] = mapped_column(String(64))
    created: Mapped[datetime.datetime] = mapped_column(DateTime())
    encoders: Mapped[list[str]] = mapped_column(JSON)
    assurance: Mapped[str] = mapped_column(String(32))
