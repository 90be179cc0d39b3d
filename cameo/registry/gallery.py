"""Keep the turned templates of doubles, encrypted under a key that is not in the database.

The key is derived from a secret file in cameo's home folder and the registry's own id: a copy of the database alone
tells neither what a template is nor which two are alike, and two registries have nothing in common.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, delete, func, insert, select

from cameo import config
from cameo.crypto.box import KEY_BYTES, derive, fresh_key, open_stream, seal_stream
from cameo.database import Database
from cameo.errors import CameoError, NotVerified, OutputError
from cameo.files import atomic_create
from cameo.registry.schema import doubles, endings, identity, vectors

_PURPOSE = "gallery"


@dataclass(frozen=True, slots=True)
class TurnedVector:
    """Hold one turned template as bytes.

    Attributes:
        modality: "face" or "voice".
        encoder, digest: what made it, and the SHA-256 (hex) of its weights.
        rotation: name of the rotation.
        data: the vector.
        bundle_id, owner: whose double it is of; the registry sets them, not the caller.
    """

    modality: str
    encoder: str
    digest: str
    rotation: str
    data: bytes
    bundle_id: str = ""
    owner: str = ""


class GalleryShelf:
    """Store turned templates; every method is one transaction."""

    _database: Database

    def gallery_key(self) -> bytes:
        """Return the 32 bytes by which templates of this registry are turned and encrypted, made if there are none.

        Raises:
            OutputError: the secret cannot be written.
            CameoError: it cannot be read, or is damaged.
        """
        with self._database.reading() as connection:
            name = connection.execute(select(identity.c.id)).scalar_one()
        return derive(_secret(config.home() / "gallery.secret"), _PURPOSE, str(name))

    def turned_vectors(self, like: TurnedVector) -> list[TurnedVector]:
        """List those of the modality, encoder and rotation of `like`, by bundle id.

        What does not decrypt is left out, like what another key has turned: `living` tells how many doubles there are.

        Raises:
            CameoError: the database or the secret cannot be read.
        """
        query = (
            select(vectors, doubles.c.owner)
            .join_from(vectors, doubles, vectors.c.bundle_id == doubles.c.bundle_id)
            .where(vectors.c.modality == like.modality, vectors.c.encoder == like.encoder)
            .where(vectors.c.digest == like.digest, vectors.c.rotation == like.rotation)
            .order_by(vectors.c.bundle_id)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        key = self.gallery_key() if rows else b""
        found = []
        for row in rows:
            with suppress(NotVerified):
                data = open_stream(key, row.sealed, "a turned template", *_context(row.bundle_id, like))
                found.append(replace(like, data=data, bundle_id=row.bundle_id, owner=row.owner))
        return found

    def living(self, owner: str) -> tuple[int, int]:
        """Count the doubles that were neither withdrawn nor erased: of this owner, and of others."""
        ended = select(endings.c.bundle_id)
        query = select(func.count()).select_from(doubles).where(doubles.c.bundle_id.not_in(ended))
        with self._database.reading() as connection:
            own = connection.scalar(query.where(doubles.c.owner == owner)) or 0
            return own, (connection.scalar(query) or 0) - own

    def _sealed(self, bundle_id: str, turned: Iterable[TurnedVector]) -> list[dict[str, object]]:
        """Encrypt what shall be kept of a double, as rows."""
        turned = list(turned)
        key = self.gallery_key() if turned else b""
        return [
            {
                "bundle_id": bundle_id,
                "modality": vector.modality,
                "encoder": vector.encoder,
                "digest": vector.digest,
                "rotation": vector.rotation,
                "sealed": seal_stream(key, vector.data, *_context(bundle_id, vector)),
            }
            for vector in turned
        ]


def _context(bundle_id: str, vector: TurnedVector) -> tuple[str, ...]:
    return _PURPOSE, bundle_id, vector.modality, vector.encoder, vector.digest, vector.rotation


def put_vectors(connection: Connection, bundle_id: str, rows: list[dict[str, object]]) -> None:
    """Store the rows of a double in place of those it had."""
    drop_vectors(connection, bundle_id)
    connection.execute(insert(vectors), rows)


def drop_vectors(connection: Connection, bundle_id: str) -> None:
    """Remove what is kept of a double."""
    connection.execute(delete(vectors).where(vectors.c.bundle_id == bundle_id))


def _secret(path: Path) -> bytes:
    """Read the secret, made on first use for its owner alone."""
    if not os.path.lexists(path):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            hint = "set CAMEO_HOME to a folder you may write to"
            raise OutputError(f"cannot make {path.parent}: {reason}", hint) from None
        try:
            atomic_create(path, fresh_key(), 0o600)
        except OutputError:
            if not path.is_file():  # otherwise another process was faster
                raise
    try:
        secret = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CameoError(
            f"cannot read {path}: {reason}", "make it readable for you, or set CAMEO_GALLERY=off"
        ) from None
    if len(secret) != KEY_BYTES:
        hint = "restore it from a backup; without one, move it away: what it turned is not compared any more"
        raise CameoError(f"{path} is damaged", hint)
    return secret
