"""Pool embeddings into a template, compare templates, and write them as safetensors bytes.

A face template may keep views: the mean direction of its frontal frames and of those turned to either side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from cameo.errors import CaptureRejected, EncoderMismatch, NotVerified
from cameo.records import CONSISTENCY_ONLY, MATCHED, EncoderInfo, Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cameo.records import Bool, Float32, Float64

# Fewer frames make a template that follows one expression or one light. Source: issue 2, point 3.
MIN_FRAMES = 12

# Where a head stops being frontal. Source: ISO/IEC 39794-5, frontal within 15 degrees; chosen: a view needs 3 frames.
FRONTAL_DEG = 15.0
VIEWS = ("frontal", "left", "right")  # left and right are the picture's
MIN_VIEW_FRAMES = 3

_FORMAT = "cameo-template/1"
_FORMAT_VIEWS = "cameo-template/2"  # with views, or turned
_ENTRY = "cameo"
_MAX_BYTES = 1 << 20
_MAX_COUNT = 4096
_MAX_TEXT = 1024
_TEXTS = ("id", "modality", "digest", "assurance", "licence", "threshold_source")


@dataclass(frozen=True, slots=True)
class View:
    """Pool the frames in which a head is turned to one side: `[D]` unit `vector`, how many, mean cosine distance."""

    name: str
    vector: Float32
    count: int
    spread: float


@dataclass(frozen=True, slots=True)
class PosedTemplate(Template):
    """Hold a face template with its views, or a template of any kind that a key has turned.

    `rotation` names the rotation, "" for none; turned templates keep no `scores` of single embeddings.
    """

    views: tuple[View, ...] = ()
    rotation: str = ""


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
    return _template(*_belonging(vectors, weights, encoder)[:2], encoder)


def pool_views(vectors: Float32, weights: Float32 | None, yaw_deg: Float32, encoder: EncoderInfo) -> PosedTemplate:
    """Pool a face as `pool` does, and what belongs once more by the side to which the head is turned.

    Args:
        vectors: as for `pool`.
        weights: as for `pool`.
        yaw_deg: `[N]`, positive to the picture's right; NaN where it is not known.
        encoder: as for `pool`.

    Raises:
        CaptureRejected, EncoderMismatch: as `pool`.
    """
    rows, weight, kept = _belonging(vectors, weights, encoder)
    whole = _template(rows, weight, encoder)
    yaw = np.asarray(yaw_deg, np.float64)[kept]
    views = []
    for name, seen in zip(VIEWS, (np.abs(yaw) <= FRONTAL_DEG, yaw < -FRONTAL_DEG, yaw > FRONTAL_DEG), strict=True):
        if seen.sum() >= MIN_VIEW_FRAMES:
            vector = _unit(weight[seen] @ rows[seen])
            spread = float(np.mean(1 - rows[seen] @ vector))
            views.append(View(name, vector.astype(np.float32), int(seen.sum()), spread))
    return PosedTemplate(whole.vector, whole.spread, whole.count, whole.scores, encoder, tuple(views))


def compare(a: Template, b: Template) -> float:
    """Cosine of two templates, -1..1; above `encoder.threshold` they are taken for one person.

    Raises:
        EncoderMismatch: the templates come from different encoders, or are turned by different keys.
    """
    _check_comparable(a, b)
    return float(np.clip(a.vector @ b.vector, -1.0, 1.0))


def compare_views(a: Template, b: Template) -> dict[str, float]:
    """Cosine of every view that both templates have, by name.

    Raises:
        EncoderMismatch: as `compare`.
    """
    _check_comparable(a, b)
    other = {view.name: view for view in views_of(b)}
    pairs = [(view, other[view.name]) for view in views_of(a) if view.name in other]
    return {view.name: float(np.clip(view.vector @ same.vector, -1.0, 1.0)) for view, same in pairs}


def views_of(template: Template) -> tuple[View, ...]:
    """The views of a template, none for one that keeps none."""
    return template.views if isinstance(template, PosedTemplate) else ()


def _check_comparable(a: Template, b: Template) -> None:
    if (a.encoder.id, a.encoder.digest) != (b.encoder.id, b.encoder.digest):
        raise EncoderMismatch(
            f"a template of {a.encoder.id} cannot be compared with one of {b.encoder.id}",
            "make both with the same encoder and the same weights",
        )
    if _rotation(a) != _rotation(b):
        raise EncoderMismatch(
            "these templates are turned by the keys of different doubles and cannot be compared",
            "turn both with one key, or compare them as they were pooled",
        )


def _rotation(template: Template) -> str:
    return template.rotation if isinstance(template, PosedTemplate) else ""


def pack_template(template: Template) -> bytes:
    """Write a template as safetensors bytes; the encoder is in the metadata."""
    encoder, views = template.encoder, views_of(template)
    facts: dict[str, Any] = {name: getattr(encoder, name) for name in _TEXTS}
    facts |= {"format": _FORMAT, "threshold": encoder.threshold, "spread": template.spread}
    tensors = {"vector": template.vector.astype(np.float32), "scores": template.scores.astype(np.float32)}
    if views or _rotation(template):
        facts |= {"format": _FORMAT_VIEWS, "count": template.count, "rotation": _rotation(template)}
        facts["views"] = {view.name: {"count": view.count, "spread": view.spread} for view in views}
        tensors |= {f"view.{view.name}": view.vector.astype(np.float32) for view in views}
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
    plain = facts.get("format") == _FORMAT
    views = {} if plain else facts["views"]
    if not (plain or facts.get("format") == _FORMAT_VIEWS):
        raise ValueError("another format")
    if set(tensors) != {"vector", "scores", *(f"view.{name}" for name in views)}:
        raise ValueError("other tensors")
    texts = {name: facts[name] for name in _TEXTS}
    if not all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in texts.values()):
        raise ValueError("metadata is not text")
    vector, scores = tensors["vector"], tensors["scores"]
    encoder = EncoderInfo(dimension=len(vector), threshold=float(facts["threshold"]), **texts)
    template = Template(vector=vector, spread=float(facts["spread"]), count=len(scores), scores=scores, encoder=encoder)
    if not plain:
        template = _posed(template, facts, tensors)
    if not (_is_sound(template) and _is_known(encoder)):
        raise ValueError("values out of range")
    return template


def _posed(plain: Template, facts: dict[str, Any], tensors: dict[str, Float32]) -> PosedTemplate:
    """Add what the second format says; what it says is checked by `_is_sound`."""
    views = tuple(
        View(name, tensors[f"view.{name}"], _whole(said["count"]), float(said["spread"]))
        for name, said in sorted(facts["views"].items())
    )
    rotation = facts["rotation"]
    if not (isinstance(rotation, str) and (rotation == "" or len(bytes.fromhex(rotation)) == 8)):
        raise ValueError("no name of a rotation")
    count = _whole(facts["count"])
    return PosedTemplate(plain.vector, plain.spread, count, plain.scores, plain.encoder, views, rotation)


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value


def _is_sound(template: Template) -> bool:
    scores = template.scores
    return (
        scores.dtype == np.float32
        and scores.ndim == 1
        and 1 <= template.count <= _MAX_COUNT
        and len(scores) == (0 if _rotation(template) else template.count)
        and bool((np.abs(scores) <= 1.001).all())
        and 0 <= template.spread <= 2
        and _is_unit(template.vector)
        and all(_is_sound_view(view, len(template.vector)) for view in views_of(template))
    )


def _is_sound_view(view: View, dimension: int) -> bool:
    return (
        view.name in VIEWS
        and 1 <= view.count <= _MAX_COUNT
        and 0 <= view.spread <= 2
        and _is_unit(view.vector)
        and len(view.vector) == dimension
    )


def _is_unit(vector: Float32) -> bool:
    return (
        vector.dtype == np.float32
        and vector.ndim == 1
        and bool((np.abs(vector) <= 1.001).all())  # false for NaN too, and keeps the next line from overflowing
        and abs(float(np.linalg.norm(vector)) - 1) < 1e-3
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


def _belonging(
    vectors: Float32, weights: Float32 | None, encoder: EncoderInfo
) -> tuple[Float64, Float64, NDArray[np.intp]]:
    """Unit rows of the embeddings that belong, their weights, and which they were; see `pool`."""
    if vectors.ndim != 2 or vectors.shape[1] != encoder.dimension:
        raise EncoderMismatch(f"vectors of shape {vectors.shape} are not from encoder {encoder.id}")
    weight = np.ones(len(vectors)) if weights is None else np.asarray(weights, np.float64)
    length = np.linalg.norm(vectors, axis=1)
    usable = np.flatnonzero((length > 0) & np.isfinite(length) & np.isfinite(weight) & (weight > 0))
    _check_count(len(usable), encoder)
    rows = vectors[usable].astype(np.float64) / length[usable, None]
    keep = _inliers(_leave_one_out(rows, weight[usable]), least=_least(encoder))
    return rows[keep], weight[usable][keep], usable[keep]


def _template(rows: Float64, weight: Float64, encoder: EncoderInfo) -> Template:
    vector = _unit(weight @ rows)
    return Template(
        vector=vector.astype(np.float32),
        spread=float(np.mean(1 - rows @ vector)),
        count=len(rows),
        scores=_leave_one_out(rows, weight).astype(np.float32),
        encoder=encoder,
    )


def _leave_one_out(rows: Float64, weight: Float64) -> Float32:
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


def _unit(vector: Float64) -> Float64:
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise CaptureRejected("the embeddings point everywhere: this is not one person", "record one person alone")
    return vector / length
