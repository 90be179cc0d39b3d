"""Score the shots of a film: whether a face stays one person from shot to shot, and how near it is to its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cameo.directions import mean_direction
from cameo.errors import EncoderMismatch

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.records import Float32, Template, UInt8

_LOOKED_AT = 12  # frames of a shot, spread over it


@dataclass(frozen=True, slots=True)
class ShotScores:
    """Hold how one face did in every shot.

    Attributes:
        likeness: per shot, mean over its frames of the cosine to the template, at least 0 and 0 without a face; empty
            when there was no template.
        found: per shot, the share of frames with a face.
        consistency: cosine between the mean directions of every two shots, -1..1, those of 0 and 1 first, then 0 and
            2; NaN where one of them shows no face.
    """

    likeness: tuple[float, ...]
    found: tuple[float, ...]
    consistency: tuple[float, ...]


def score_shots(encoder: FaceEncoder, shots: Sequence[UInt8], template: Template | None = None) -> ShotScores:
    """Embed some frames of every shot, each `[T, H, W, 3]` uint8 RGB with one face in it.

    Raises:
        EncoderMismatch: the template was made by another encoder.
    """
    if template is not None and (template.encoder.id, template.encoder.digest) != (
        encoder.info.id,
        encoder.info.digest,
    ):
        message = f"the template is of {template.encoder.id}, not of {encoder.info.id}"
        raise EncoderMismatch(message, "score with the recogniser that the double was enrolled with")
    likeness, shares, means = [], [], []
    for frames in shots:
        some = frames[np.linspace(0, len(frames) - 1, min(_LOOKED_AT, len(frames))).round().astype(int)]
        vectors, found = encoder.embed(some)
        shares.append(float(found.mean()))
        means.append(_direction(vectors[found]))
        if template is not None:
            likeness.append(float(np.where(found, np.maximum(vectors @ template.vector, 0), 0).mean()))
    pairs = tuple(float(a @ b) for a, b in combinations(means, 2))
    return ShotScores(tuple(likeness), tuple(shares), pairs)


def _direction(vectors: Float32) -> Float32:
    """Mean direction of `[N, D]` unit rows, NaN without any."""
    return mean_direction(vectors) if len(vectors) else np.full(vectors.shape[1], np.nan, np.float32)
