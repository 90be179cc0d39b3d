"""Search a person among many: one turned template against all that were turned by the same key, the likest first.

Among N strangers the likest one is N times as likely to reach a threshold as a single one is. So a search has a limit
of its own, which rises with N (`search_limit`). See docs/explanation/templates.md.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cameo.embed.brought import MATCHED_RATE
from cameo.embed.rotation import rotate_template
from cameo.embed.template import PosedTemplate
from cameo.errors import EncoderMismatch, NotVerified
from cameo.records import Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cameo.embed.calibration import Calibration
    from cameo.records import EncoderInfo, Float32

# How often a search that nobody belongs in may find somebody. Source: chosen; who is wrongly found may say so.
FALSE_ALARMS = 0.01
# One recording that is enrolled twice is found, whatever the limit would be. Source: chosen; it scores 1.
SAME_RECORDING = 0.99
_SPARE = 32  # candidates that are scored again, so that rounding cannot change who is first


@dataclass(frozen=True, slots=True)
class Hit:
    """Name one that was found, and its cosine to the probe."""

    name: str
    score: float


class Gallery:
    """Hold turned vectors of one encoder and one key, ready to be searched.

    FAISS is used where it is installed (the extra `search`); either way the same are found, with the same scores.
    """

    def __init__(
        self, encoder: EncoderInfo, rotation: str, names: Sequence[str], rows: Float32, faiss: bool | None = None
    ) -> None:
        """Index `[N, D]` unit rows, one for each of `names`.

        Args:
            encoder: what made the vectors.
            rotation: name of the rotation that turned them.
            names: what a hit is called.
            rows: the vectors.
            faiss: whether to use it; None where it is installed.

        Raises:
            EncoderMismatch: the rows have another size than the encoder's, or there are more or fewer than names.
        """
        if rows.shape != (len(names), encoder.dimension):
            raise EncoderMismatch(f"{len(names)} vectors of shape {rows.shape} are not from encoder {encoder.id}")
        self._encoder, self._rotation, self._names = encoder, rotation, tuple(names)
        self._rows = np.ascontiguousarray(rows, np.float32)
        self._index = _faiss_index(self._rows) if (has_faiss() if faiss is None else faiss) else None

    def __len__(self) -> int:
        return len(self._names)

    def search(self, probe: PosedTemplate, count: int = 1) -> list[Hit]:
        """Find the `count` likest, best first; fewer when there are fewer.

        Raises:
            EncoderMismatch: the probe comes from another encoder, or was turned by another key.
        """
        mine = (self._encoder.id, self._encoder.digest, self._rotation)
        if (probe.encoder.id, probe.encoder.digest, probe.rotation) != mine:
            raise EncoderMismatch(
                f"this template cannot be looked for among those of {self._encoder.id}",
                "make it with the same encoder, and turn it with the same key",
            )
        near = self._near(probe.vector, min(len(self), count + _SPARE))
        # Again, in double precision, so that the way they were found leaves no trace.
        scores = np.clip(self._rows[near].astype(np.float64) @ probe.vector.astype(np.float64), -1.0, 1.0).round(6)
        order = np.lexsort((near, -scores))[:count]
        return [Hit(self._names[near[i]], float(scores[i])) for i in order]

    def _near(self, vector: Float32, count: int) -> NDArray[np.intp]:
        if count == 0:
            return np.zeros(0, np.intp)
        if self._index is not None:
            return np.asarray(self._index.search(vector[None], count)[1][0], np.intp)
        return np.asarray(np.argpartition(-(self._rows @ vector), count - 1)[:count], np.intp)


def has_faiss() -> bool:
    """Say whether FAISS is installed."""
    return importlib.util.find_spec("faiss") is not None


def turn_for_search(template: Template, key: bytes) -> PosedTemplate:
    """Turn a template without its views: a search compares whole templates, and more need not be kept.

    Raises:
        UsageError: as `rotate_template`.
    """
    plain = Template(template.vector, template.spread, template.count, template.scores, template.encoder)
    return rotate_template(plain, key)


def search_limit(encoder: EncoderInfo, among: int, calibration: Calibration | None = None) -> float:
    """Say from which cosine on the likest of `among` strangers is taken for the person: wrongly in 1 % of searches.

    Each comparison may go wrong at the rate 0.01 / N. Where strangers were measured at that rate or a stricter one,
    it is that threshold. Beyond what was measured the score rises evenly with the log of the rate: cosines are
    bounded, so their tail is thinner than this exponential one, and the limit errs towards finding nobody. An encoder
    without a calibration is taken to have its threshold at `MATCHED_RATE`, and 0 as the middle of strangers.

    Args:
        encoder: what made the templates.
        among: N, how many it is compared with.
        calibration: of this encoder, if it was measured.

    Source: Bonferroni's inequality; J. Pickands, "Statistical inference using extreme order statistics", 1975, for
    tails of bounded scores.
    """
    rate = FALSE_ALARMS / max(1, among)
    known = [(t.rate, t.score) for t in calibration.thresholds] if calibration else []
    known = [(0.5, 0.0), *(known or [(MATCHED_RATE, encoder.threshold)])]
    for stated, score in known[1:]:
        if stated <= rate * (1 + 1e-9):
            return min(score, SAME_RECORDING)
    (loose, low), (strict, high) = known[-2:]
    slope = max(0.0, high - low) / math.log(loose / strict)
    return min(high + slope * math.log(strict / rate), SAME_RECORDING)


def pack_vector(template: PosedTemplate) -> bytes:
    """Write the vector of a turned template as little-endian float32."""
    return template.vector.astype("<f4").tobytes()


def unpack_vector(data: bytes, encoder: EncoderInfo) -> Float32:
    """Read what `pack_vector` wrote.

    Raises:
        NotVerified: it is no unit vector of this encoder's size.
    """
    if len(data) == 4 * encoder.dimension:
        vector = np.frombuffer(data, "<f4").astype(np.float32)
        if abs(float(np.linalg.norm(vector)) - 1) < 1e-3:
            return vector
    raise NotVerified("a vector of the gallery is damaged", "erase the double it is of, and enrol again", "spliced")


def _faiss_index(rows: Float32) -> Any:  # faiss has no types
    import faiss

    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index
