"""Fit the embedded face encoder's means, bases and nuisance directions on rendered people.

    python -m benchmarks.training.fit_face --out cameo/embed/weights/face.safetensors

No real face is used. What was rendered, how long it took, the threshold and the error rates on held-out rendered
people are written beside the weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import asdict, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from benchmarks.encoders import rendered_faces
from benchmarks.error_rates import measured, share_above, threshold_at
from benchmarks.rendered_people import render_sessions
from cameo.embed.crop import SIZE, aligned_crop
from cameo.embed.face_embedded import EmbeddedFaceEncoder, FaceSpace
from cameo.embed.face_features import edges, patterns
from cameo.embed.shipped import LICENCE
from cameo.files import atomic_write
from cameo.records import CONSISTENCY_ONLY, EncoderInfo

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

RENDER_SIZE = 160
SCENES, POSES = 3, 4  # per person
POINT_ERROR = 0.035  # standard deviation of a landmark, in inter-eye distances: what the landmark net does
EDGE_BASIS, PATTERN_BASIS = 9, 8  # directions kept of each block's 36 edges and of each cell's 59 patterns
NUISANCES = 150
FALSE_MATCH = 0.01
HELD_OUT_SEED = 1_000_000  # plus the fit's own seed


def render_crops(people: int, seed: int) -> tuple[list[UInt8], Int64]:
    """Render people and cut out their faces, grey `[112, 112]`, as a camera and a landmark finder would."""
    rng = np.random.default_rng(seed)
    crops: list[UInt8] = []
    owners: list[Int64] = []
    for batch in render_sessions(people, SCENES, POSES, RENDER_SIZE, seed):
        crops += [disturbed_crop(f, p, rng) for f, p in zip(batch.frames, batch.points, strict=True)]
        owners.append(batch.people)
    return crops, np.concatenate(owners)


def disturbed_crop(frame: UInt8, points: Float32, rng: np.random.Generator) -> UInt8:
    """Cut a crop with shaky landmarks, then soften, add noise, compress and change its gamma, each at times."""
    eyes = float(np.linalg.norm(points[1] - points[0]))
    five = points[:5] + rng.standard_normal((5, 2)) * POINT_ERROR * eyes
    crop = aligned_crop(frame, five.astype(np.float32))
    if rng.random() < 0.45:
        side = int(rng.integers(36, 100))
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        crop = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        crop = np.clip(crop + rng.standard_normal(crop.shape) * rng.uniform(1, 8), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, packed = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])
        crop = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    if rng.random() < 0.5:
        crop = (255 * (crop / 255.0) ** np.exp(0.3 * rng.standard_normal())).astype(np.uint8)
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)


def fit_space(crops: list[UInt8], owners: Int64) -> FaceSpace:
    """Fit means, the strongest directions of every cell, and the strongest differences within one person.

    Mirror images count as much as crops, because the encoder adds both.
    """
    mirrored = [cv2.flip(crop, 1) for crop in crops]
    edge, edge_mirrored = (np.stack([edges(c) for c in some]) for some in (crops, mirrored))
    pattern, pattern_mirrored = (np.stack([patterns(c) for c in some]) for some in (crops, mirrored))
    edge_mean = (edge.mean(0) + edge_mirrored.mean(0)) / 2
    pattern_mean = (pattern.mean(0) + pattern_mirrored.mean(0)) / 2
    edge_basis = _strongest(_centred(edge, edge_mean).reshape(-1, edge.shape[-1]), EDGE_BASIS)
    centred = _centred(pattern, pattern_mean)
    radii = range(centred.shape[1])
    pattern_basis = np.stack([_strongest(centred[:, r].reshape(-1, centred.shape[-1]), PATTERN_BASIS) for r in radii])
    none = np.zeros((0, 0), np.float32)
    space = FaceSpace(edge_mean, edge_basis, pattern_mean, pattern_basis, none, none)
    both = space.reduce(edge, pattern) + space.reduce(edge_mirrored, pattern_mirrored)
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    nuisance, gain = _nuisance(both, owners)
    return FaceSpace(edge_mean, edge_basis, pattern_mean, pattern_basis, nuisance, gain)


def _centred(rows: Float32, mean: Float32) -> Float32:
    rows = rows - mean
    length = np.sqrt((rows**2).sum(tuple(range(1, rows.ndim)), keepdims=True))
    return rows / np.maximum(length, 1e-9)


def _strongest(rows: Float32, count: int) -> Float32:
    """Directions `[D, count]` along which rows `[N, D]` vary most."""
    _, vectors = np.linalg.eigh(rows.T @ rows)
    return np.ascontiguousarray(vectors[:, ::-1][:, :count])


def _nuisance(reduced: Float32, owners: Int64) -> tuple[Float32, Float32]:
    """The strongest directions within one person `[D, K]`, and what each keeps, `[K]`."""
    within = np.concatenate([reduced[owners == p] - reduced[owners == p].mean(0) for p in np.unique(owners)])
    variance, vectors = np.linalg.eigh(within.T @ within / len(within))
    variance, vectors = variance[::-1][:NUISANCES], vectors[:, ::-1][:, :NUISANCES]
    return np.ascontiguousarray(vectors), np.sqrt(variance[-1] / variance)


def main() -> None:
    """Render, fit, measure on people kept out, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", type=int, default=480)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    crops, owners = render_crops(args.people, args.seed)
    space = fit_space(crops, owners)
    # The projection is a few hundred thousand numbers; half precision does not move a cosine by 0.001.
    tensors = {field.name: getattr(space, field.name).astype(np.float16) for field in fields(FaceSpace)}
    atomic_write(args.out, save(tensors))
    seconds = time.process_time() - start
    space = FaceSpace(**{name: tensor.astype(np.float32) for name, tensor in tensors.items()})
    encoder = EncoderInfo(
        id="embedded-face-1",
        modality="face",
        digest=hashlib.sha256(args.out.read_bytes()).hexdigest(),
        dimension=len(space.nuisance),
        assurance=CONSISTENCY_ONLY,
        licence=LICENCE,
        threshold=0.0,
        threshold_source="",
    )
    held_out = rendered_faces(EmbeddedFaceEncoder(encoder, space), RENDER_SIZE, HELD_OUT_SEED + args.seed)
    threshold = threshold_at(held_out.templates, FALSE_MATCH)
    kept, _ = share_above(held_out.templates, threshold)
    facts = {
        "encoder": {"id": encoder.id, "dimension": encoder.dimension, "sha256": encoder.digest},
        "threshold": {
            "value": round(threshold, 3),
            "source": f"benchmarks/training/fit_face.py: rendered people kept out, 12 frames against 12; "
            f"1 % of pairs of two people match, {kept:.0%} of one",
        },
        "fit": {"data": "rendered people only", "people": args.people, "crops": len(crops), "seed": args.seed,
                "cpu_seconds": round(seconds)},
        "held_out": {"frames": asdict(measured(held_out.frames)), "templates": asdict(measured(held_out.templates))},
    }  # fmt: skip
    atomic_write(args.out.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode())
    print(json.dumps(facts["held_out"], indent=1))


if __name__ == "__main__":
    main()
