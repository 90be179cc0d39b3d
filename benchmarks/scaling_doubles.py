"""Points of `benchmarks.scaling` that remember doubles, and look for a face among them.

Rows are put into the tables many at once, by the code that writes them one by one otherwise.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from benchmarks.scaling_points import Costs, blocks, per_call
from cameo.embed.gallery import pack_vector
from cameo.embed.template import PosedTemplate
from cameo.recognising import Newcomer, find_precedents
from cameo.records import MATCHED, EncoderInfo
from cameo.registry.gallery import TurnedVector, put_vectors
from cameo.registry.schema import doubles
from cameo.registry.store import Double, Registry

ENCODER = EncoderInfo("recogniser-512", "face", "ab" * 32, 512, MATCHED, "none", 0.3, "made for a measurement")
ROTATION = "0" * 16
NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.UTC)


def begin_doubles(size: int, _folder: Path) -> Callable[[], Costs]:
    """Register, look up, list, and look for a face among so many doubles of other owners."""
    registry, random_ = Registry(), np.random.default_rng(0)
    names = [secrets.token_hex(16) for _ in range(size)]
    for block in blocks(size):
        sealed = {names[k]: registry._sealed(names[k], [_turned(random_)]) for k in block}
        with registry._database.writing() as connection:
            connection.execute(insert(doubles), [_double_row(name) for name in sealed])
            for name, rows in sealed.items():
                put_vectors(connection, name, rows)

    def register() -> None:
        fresh = secrets.token_hex(16)
        registry.register(Double(fresh, "cd" * 32, Path(fresh), "ab" * 32, NOW, ("recogniser-512",), MATCHED))

    newcomer = Newcomer("ef" * 32, "all", (_template(random_),))
    return lambda: {
        "register one more": per_call(register),
        "look one up": per_call(lambda: registry.get(names[size // 2])),
        "list": per_call(registry.list),
        "search a face": per_call(lambda: find_precedents(newcomer)),
    }


def _double_row(name: str) -> dict[str, Any]:
    return {"bundle_id": name, "owner": "cd" * 32, "path": f"/doubles/{name}.cameo", "sha256": "ab" * 32,
            "created": NOW.replace(tzinfo=None), "encoders": ["recogniser-512"], "assurance": MATCHED}  # fmt: skip


def _template(random_: np.random.Generator) -> PosedTemplate:
    vector = random_.standard_normal(ENCODER.dimension).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return PosedTemplate(vector, 0.1, 12, np.zeros(0, np.float32), ENCODER, rotation=ROTATION)


def _turned(random_: np.random.Generator) -> TurnedVector:
    return TurnedVector("face", ENCODER.id, ENCODER.digest, ROTATION, pack_vector(_template(random_)))
