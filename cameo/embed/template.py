"""Pool embeddings into a template, compare templates, and write them as safetensors bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from cameo.errors import CaptureRejected, EncoderMismatch, NotVerified
from cameo.records import CONSISTENCY_ONLY, MATCHED, EncoderInfo, Template

if TYPE_CHECKING:
    from cameo.records import Bool, Float32

# Fewer frames make a template that follows one expression or one light. Source: issue 2, point 3.
MIN_FRAMES = 12

_FORMAT = "cameo-template/1"
_ENTRY = "cameo"
_MAX_BYTES = 1 << 20
_MAX_COUNT = 4096
_MAX_TEXT = 1024
_TEXTS = ("id", "modality", "digest", "assurance", "licence", "threshold_source")


def pool(vectors: Float32, weights: Float32 | None, encoder: EncoderInfo) -> Template:
    """Pool embeddings of one person into a template.

    The template is the weighted mean direction. Embeddings that do not belong are left out first: those whose cosine
    to the mean of the others lies more than 3 robust standard deviations (1.4826 × the median absolute deviation,
    at least 0.02) under the median, never more than a quarter of them, worst first, in one pass.

    Args:
        vectors: `[N, D]` rows; rows of zeros (no face found) are ignored.
        weights: `[N]` quality, 0 for an embedding that must not be used; None weighs all alike.
        encoder: what made the vectors.

    Raises:
        CaptureRejected: fewer than `MIN_FRAMES` usable face embeddings, or no usable voice embedding.
        EncoderMismatch: the vectors have another size than the encoder's.

    Source: the median rule is F. R. Hampel, "The influence curve and its role in robust estimation", 1974.
    """
    if vectors.ndim != 2 or vectors.shape[1] != encoder.dimension:
        raise EncoderMismatch(f"vectors of shape {vectors.shape} are not from encoder {encoder.id}")
    weight = np.ones(len(vectors)) if weights is None else np.asarray(weights, np.float64)
    length = np.linalg.norm(vectors, axis=1)
    usable = (length > 0) & np.isfinite(length) & np.isfinite(weight) & (weight > 0)
    _check_count(int(usable.sum()), encoder)
    rows = vectors[usable].astype(np.float64) / length[usable, None]
    weight = weight[usable]
    keep = _inliers(_leave_one_out(rows, weight), least=_least(encoder))
    rows, weight = rows[keep], weight[keep]
    vector = _unit(weight @ rows)
    return Template(
        vector=vector.astype(np.float32),
        spread=float(np.mean(1 - rows @ vector)),
        count=len(rows),
        scores=_leave_one_out(rows, weight).astype(np.float32),
        encoder=encoder,
    )


def compare(a: Template, b: Template) -> float:
    """Cosine of two templates, -1..1; above `encoder.threshold` they are taken for one person.

    Raises:
        EncoderMismatch: the templates come from different encoders.
    """
    if (a.encoder.id, a.encoder.digest) != (b.encoder.id, b.encoder.digest):
        raise EncoderMismatch(
            f"a template of {a.encoder.id} cannot be compared with one of {b.encoder.id}",
            "make both with the same encoder and the same weights",
        )
    return float(np.clip(a.vector @ b.vector, -1.0, 1.0))


def pack_template(template: Template) -> bytes:
    """Write a template as safetensors bytes; the encoder is in the metadata."""
    encoder = template.encoder
    facts = {name: getattr(encoder, name) for name in _TEXTS}
    facts |= {"format": _FORMAT, "threshold": encoder.threshold, "spread": template.spread}
    tensors = {"vector": template.vector.astype(np.float32), "scores": template.scores.astype(np.float32)}
    # One entry, because safetensors writes several in random order and equal templates shall be equal bytes.
    return save_tensors(tensors, metadata={_ENTRY: json.dumps(facts, sort_keys=True)})


def unpack_template(data: bytes) -> Template:
    """Read a template written by `pack_template`; the bytes need not be trusted.

    Raises:
        NotVerified: the bytes are not a template of this format.
    """
    try:
        return _read(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotVerified("this is not a template of cameo", "enrol again, or get the file anew") from error


def _read(data: bytes) -> Template:
    if len(data) > _MAX_BYTES:
        raise ValueError("too long")
    tensors = load_tensors(data)
    facts = _facts(data)
    if facts.get("format") != _FORMAT or set(tensors) != {"vector", "scores"}:
        raise ValueError("another format")
    texts = {name: facts[name] for name in _TEXTS}
    if not all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in texts.values()):
        raise ValueError("metadata is not text")
    vector, scores = tensors["vector"], tensors["scores"]
    encoder = EncoderInfo(dimension=len(vector), threshold=float(facts["threshold"]), **texts)
    template = Template(vector=vector, spread=float(facts["spread"]), count=len(scores), scores=scores, encoder=encoder)
    if not (_is_sound(template) and _is_known(encoder)):
        raise ValueError("values out of range")
    return template


def _is_sound(template: Template) -> bool:
    vector, scores = template.vector, template.scores
    return (
        vector.dtype == scores.dtype == np.float32
        and vector.ndim == scores.ndim == 1
        and 1 <= len(scores) <= _MAX_COUNT
        and bool((np.abs(vector) <= 1.001).all())  # false for NaN too, and keeps the next line from overflowing
        and abs(float(np.linalg.norm(vector)) - 1) < 1e-3
        and bool((np.abs(scores) <= 1.001).all())
        and 0 <= template.spread <= 2
    )


def _is_known(encoder: EncoderInfo) -> bool:
    return (
        -1 <= encoder.threshold <= 1
        and encoder.modality in ("face", "voice")
        and encoder.assurance in (CONSISTENCY_ONLY, MATCHED)
        and len(encoder.digest) == 64
    )


def _facts(data: bytes) -> dict[str, Any]:
    """Take our metadata out of a safetensors header (the library only reads it from files)."""
    size = int.from_bytes(data[:8], "little")
    facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_ENTRY])
    if not isinstance(facts, dict):
        raise ValueError("metadata is not a table")
    return facts


def _least(encoder: EncoderInfo) -> int:
    return MIN_FRAMES if encoder.modality == "face" else 1


def _check_count(count: int, encoder: EncoderInfo) -> None:
    least = _least(encoder)
    if count >= least:
        return
    if encoder.modality == "face":
        raise CaptureRejected(
            f"only {count} usable frames of the face, {least} are needed",
            "record at least 5 seconds with the whole face in the picture and in good light",
        )
    raise CaptureRejected("no usable speech for a voice template", "record 10 to 20 seconds of speech")


def _leave_one_out(rows: Float32, weight: Float32) -> Float32:
    """Cosine of every row to the weighted mean of the others; 1 for a single row."""
    if len(rows) == 1:
        return np.ones(1, np.float32)
    others = weight @ rows - weight[:, None] * rows
    cosine = np.einsum("nd,nd->n", rows, others) / (np.linalg.norm(others, axis=1) + 1e-12)
    return np.clip(cosine, -1.0, 1.0).astype(np.float32)


def _inliers(scores: Float32, least: int) -> Bool:
    middle = np.median(scores)
    deviation = max(1.4826 * float(np.median(np.abs(scores - middle))), 0.02)
    allowed = max(0, min(len(scores) // 4, len(scores) - least))
    outside = [i for i in np.argsort(scores)[:allowed] if scores[i] < middle - 3 * deviation]
    keep = np.ones(len(scores), bool)
    keep[outside] = False
    return keep


def _unit(vector: Float32) -> Float32:
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise CaptureRejected("the embeddings point everywhere: this is not one person", "record one person alone")
    return vector / length
