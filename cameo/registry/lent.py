"""What the owner lent, and what was taken back (frozen values; the methods are in `registry/lending.py`)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["friend", "group", "everyone", "owner"]


@dataclass(frozen=True, slots=True)
class Lent:
    """Describe one grant that was issued.

    Attributes:
        jti: id of the grant, 32 hex.
        kind: whom it is for.
        holder: fingerprint of the friend, id of the group, or "" for everyone.
        host: fingerprint of the host whose key opens it.
        issued, expires: with a time zone.
        path: where the grant file was written.
        parent: jti of the grant this one replaces or narrows, if any.
        index: place in the owner's status list; -1 until `Registry.allot` drew it.
        revoked_at: with a time zone; None while it holds.
    """

    jti: str
    bundle_id: str
    owner: str
    kind: Kind
    holder: str
    host: str
    purposes: tuple[str, ...]
    issued: datetime.datetime
    expires: datetime.datetime
    delegable: bool
    path: Path
    parent: str | None = None
    index: int = -1
    revoked_at: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Say what a revocation statement must say; who holds the owner's key signs it (see `Registry.revoke`).

    Attributes:
        id: of the statement, 32 hex, fresh.
        jti: of the grant, or None for every grant of the double.
        indices: places in the owner's status list that it covers, rising.
        seq: of the status list that first has them.
        at: with a time zone.
    """

    id: str
    owner: str
    bundle_id: str
    jti: str | None
    indices: tuple[int, ...]
    seq: int
    at: datetime.datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """Hold a signed revocation statement as it was stored; `body` is the token."""

    id: str
    owner: str
    bundle_id: str
    jti: str | None
    body: str
    at: datetime.datetime


@dataclass(frozen=True, slots=True)
class StatusState:
    """Hold what the owner's status list must say: its `seq`, how many entries, which are revoked (rising)."""

    owner: str
    seq: int
    size: int
    revoked: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Hold the newest signed list of a group; `token` is the list."""

    group_id: str
    owner: str
    seq: int
    token: str
