"""Turn stored templates by a secret rotation, so that two doubles of one person cannot be linked without their keys.

A rotation drawn evenly from all of them sends a template to a direction that is even over the sphere, whoever the
person is: without the key nothing of it is left, and with the key every comparison gives what it gave before. Views
of a template are turned by rotations of their own, because the angles between them survive a common one and would
tell two doubles from one recording. See docs/explanation/templates.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from cameo.crypto.box import KEY_BYTES, derive
from cameo.embed.template import PosedTemplate, View, views_of
from cameo.errors import EncoderMismatch, UsageError

if TYPE_CHECKING:
    from cameo.records import EncoderInfo, Float32, Float64, Template

# What stays beside a turned template is made coarse, or it would be the link that the vectors are not.
_SPREAD_STEP, _COUNT_STEP = 0.1, 12


def rotate_template(template: Template, key: bytes) -> PosedTemplate:
    """Turn a template and its views by the rotations of `key`; single scores are dropped, counts and spreads coarse.

    Args:
        template: as pooled.
        key: 32 secret bytes that belong to one double.

    Raises:
        UsageError: the key has another length, or the template is turned already.
    """
    if isinstance(template, PosedTemplate) and template.rotation:
        raise UsageError("this template is turned already", "turn a template once, with the key of its double")
    encoder = template.encoder
    views = tuple(
        View(view.name, rotate_vectors(view.vector[None], key, encoder, view.name)[0], _coarse(view.count),
             _coarse_spread(view.spread))
        for view in views_of(template)
    )  # fmt: skip
    return PosedTemplate(
        vector=rotate_vectors(template.vector[None], key, encoder)[0],
        spread=_coarse_spread(template.spread),
        count=_coarse(template.count),
        scores=np.zeros(0, np.float32),
        encoder=encoder,
        views=views,
        rotation=rotation_id(key, encoder),
    )


def rotate_vectors(rows: Float32, key: bytes, encoder: EncoderInfo, view: str = "") -> Float32:
    """Turn `[N, D]` rows of an encoder as `rotate_template` turns its vector, or its view of that name.

    The rotation is even over the orthogonal group: a chain of Householder reflections of growing size, each by a
    normal vector. The normals come from SHAKE-256 and the transform of Box and Muller, not from numpy's generator,
    whose stream may change between versions. It costs D²/2 normals, and no D × D matrix.

    Raises:
        UsageError: the key is not of 32 bytes.
        EncoderMismatch: the rows have another size than the encoder's.

    Source: G. W. Stewart, "The efficient generation of random orthogonal matrices", 1980; F. Mezzadri, "How to
    generate random matrices from the classical compact groups", 2007.
    """
    if rows.ndim != 2 or rows.shape[1] != encoder.dimension:
        raise EncoderMismatch(f"vectors of shape {rows.shape} are not from encoder {encoder.id}")
    seed = _derive(key, "template-rotation", encoder, view)
    turned = rows.astype(np.float64)
    size = encoder.dimension
    for part in range(1, size + 1):
        normal = _normals(seed, part)
        side = -1.0 if normal[0] < 0 else 1.0
        normal[0] += side * np.linalg.norm(normal)
        tail = turned[:, size - part :]
        tail -= np.outer(tail @ normal, normal * (2 / (normal @ normal)))
        tail *= -side
    return turned.astype(np.float32)


def rotation_id(key: bytes, encoder: EncoderInfo) -> str:
    """Name a rotation without telling it (16 hex digits): templates compare only under one and the same."""
    return _derive(key, "template-rotation-id", encoder, "").hex()[:16]


def _derive(key: bytes, purpose: str, encoder: EncoderInfo, view: str) -> bytes:
    if len(key) != KEY_BYTES:
        raise UsageError(f"a key of {len(key)} bytes", f"give the {KEY_BYTES} bytes of the double's key")
    return derive(key, purpose, encoder.digest, view)


def _normals(seed: bytes, count: int) -> Float64:
    """Draw `count` standard normals; `count` itself keeps the streams of one seed apart."""
    pairs = -(-count // 2)
    stream = hashlib.shake_256(seed + count.to_bytes(4, "big")).digest(8 * pairs)
    first, second = (np.frombuffer(stream, ">u4").astype(np.float64).reshape(2, pairs) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]


def _coarse(count: int) -> int:
    return max(1, count // _COUNT_STEP * _COUNT_STEP)


def _coarse_spread(spread: float) -> float:
    return round(round(spread / _SPREAD_STEP) * _SPREAD_STEP, 6)
