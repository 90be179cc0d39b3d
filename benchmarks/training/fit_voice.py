"""Fit the embedded voice encoder on readings of many speakers.

    python -m benchmarks.training.fit_voice SPEECH_FOLDER --out cameo/embed/weights/voice.safetensors

SPEECH_FOLDER holds one folder of `*.flac` per speaker, such as an excerpt of LibriSpeech train-clean-100 (CC BY 4.0).
Every fifth speaker is kept out of the fit; error rates on them and the threshold are written beside the weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from scipy.linalg import eigh

from benchmarks.encoders import spoken_halves
from benchmarks.error_rates import measured, share_above, threshold_at
from benchmarks.speakers import fitted, held_out, read_speakers
from benchmarks.training.voice_conditions import degrade
from cameo.embed.shipped import LICENCE
from cameo.embed.voice_embedded import EmbeddedVoiceEncoder, VoiceSpace
from cameo.embed.voice_features import RATE_HZ, Mixture, cepstra, normalised, pitch, statistics
from cameo.files import atomic_write
from cameo.records import CONSISTENCY_ONLY, EncoderInfo

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

LENGTHS_S = (3.0, 3.0, 2.0, 5.0, 3.0)  # window of the clean reading and of each disturbed copy
COMPONENTS, ROUNDS, ROWS = 32, 12, 120_000
ROWS_PER_WINDOW = 60
PRINCIPAL = 300
STATISTICS_KEPT, PULLS_KEPT = 40, 150  # dimensions of the two discriminant maps
STATISTICS_SHRINKAGE, PULLS_SHRINKAGE = 0.1, 0.3
SHARES = (1.0, 1.0)
LEAST_VARIANCE = 0.05  # of a mixture component, in shares of the crowd's
FALSE_MATCH = 0.01
LEAST_S = 4.0  # a reader's half must be long enough to encode


@dataclass(frozen=True, slots=True)
class Windows:
    """Hold what was measured on N windows: cepstra `[T, 40]` each, statistics `[N, 61]`, speaker `[N]`."""

    cepstra: list[Float32]
    statistics: Float32
    speaker: Int64


def measure_windows(speakers: list[Float32], rng: np.random.Generator) -> Windows:
    """Cut each reading and its disturbed copies into windows and measure them."""
    spoken: list[Float32] = []
    rows: list[Float32] = []
    owners: list[int] = []
    for who, reading in enumerate(speakers):
        for copy, length_s in enumerate(LENGTHS_S):
            sound = reading if copy == 0 else degrade(reading, rng)
            size = min(int(length_s * RATE_HZ), len(sound))
            first = 0 if copy == 0 else int(rng.integers(0, min(RATE_HZ, len(sound) - size) + 1))
            for start in range(first, len(sound) - size + 1, size):
                window = sound[start : start + size]
                measured = cepstra(window)
                spoken.append(normalised(measured).astype(np.float32))
                rows.append(statistics(measured, *pitch(window)))
                owners.append(who)
    return Windows(spoken, np.stack(rows), np.asarray(owners))


def fit_mixture(windows: Windows, rng: np.random.Generator) -> Mixture:
    """Fit a Gaussian mixture with diagonal variances to a sample of all frames, by expectation-maximisation."""
    parts = [c[rng.integers(0, len(c), ROWS_PER_WINDOW)] for c in windows.cepstra]
    rows = rng.permutation(np.concatenate(parts))[:ROWS]
    spread = rows.var(0)
    mixture = Mixture(
        np.full(COMPONENTS, 1 / COMPONENTS, np.float32),
        rows[rng.choice(len(rows), COMPONENTS, replace=False)],
        np.tile(spread, (COMPONENTS, 1)),
    )
    for _ in range(ROUNDS):
        share = mixture.posterior(rows)
        count = share.sum(0)
        mean = share.T @ rows / count[:, None]
        variance = np.maximum(share.T @ rows**2 / count[:, None] - mean**2, LEAST_VARIANCE * spread)
        mixture = Mixture(count / count.sum(), mean, variance)
    return mixture


def discriminant(rows: Float64, speaker: Int64, count: int, shrinkage: float) -> Float64:
    """Directions `[D, count]` that tell speakers apart best.

    Source: R. A. Fisher's discriminant for many classes (C. R. Rao, 1948); the within-class covariance is shrunk
    towards a sphere.
    """
    _, place = np.unique(speaker, return_inverse=True)
    means = np.stack([rows[place == k].mean(0) for k in range(place.max() + 1)])
    off = rows - means[place]
    within = off.T @ off / len(rows)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / len(within) * np.eye(len(within))
    centred = means - rows.mean(0)
    _, directions = eigh(centred.T @ centred / len(means), within)
    return directions[:, ::-1][:, :count]


def fit_space(windows: Windows, rng: np.random.Generator) -> VoiceSpace:
    """Fit the mixture and the two linear maps."""
    mixture = fit_mixture(windows, rng)
    statistic = windows.statistics.astype(np.float64)
    statistic_mean, scale = statistic.mean(0), statistic.std(0)
    statistic_map = discriminant(
        (statistic - statistic_mean) / scale, windows.speaker, STATISTICS_KEPT, STATISTICS_SHRINKAGE
    )
    pull = np.stack([mixture.supervector(c) for c in windows.cepstra]).astype(np.float64)
    pull_mean = pull.mean(0)
    _, _, axes = np.linalg.svd(pull - pull_mean, full_matrices=False)
    axes = axes[:PRINCIPAL].T
    pull_map = axes @ discriminant((pull - pull_mean) @ axes, windows.speaker, PULLS_KEPT, PULLS_SHRINKAGE)
    return VoiceSpace(
        mixture.weight, mixture.mean, mixture.variance,
        statistic_mean, statistic_map / scale[:, None],
        # The same cosines, in numbers that half precision holds.
        pull_mean, pull_map / np.abs(pull_map).max(), np.asarray(SHARES),
    )  # fmt: skip


def packed(space: VoiceSpace) -> bytes:
    """Write a space as safetensors bytes.

    The format knows one order of numbers, and `save` writes a transposed array as it lies in memory: eigenvectors come
    out of LAPACK transposed, so all are copied first. Variances and pitch span more than half precision keeps; they
    are small, so they stay whole.
    """
    tensors = {f.name: np.ascontiguousarray(getattr(space, f.name), np.float32) for f in fields(VoiceSpace)}
    tensors["pull_map"] = tensors["pull_map"].astype(np.float16)
    return save(tensors)


def main() -> None:
    """Read, disturb, fit, measure on speakers kept out, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start, rng = time.process_time(), np.random.default_rng(args.seed)
    speakers = read_speakers(args.speech)
    measured_windows = measure_windows(fitted(speakers), rng)
    space = fit_space(measured_windows, rng)
    atomic_write(args.out, packed(space))
    seconds = time.process_time() - start
    # What is measured is what was written, read back.
    space = VoiceSpace(**{name: tensor.astype(np.float32) for name, tensor in load(args.out.read_bytes()).items()})
    digest, size = hashlib.sha256(args.out.read_bytes()).hexdigest(), STATISTICS_KEPT + PULLS_KEPT
    info = EncoderInfo("embedded-voice-1", "voice", digest, size, CONSISTENCY_ONLY, LICENCE, 0.0, "")
    others = [reading for reading in held_out(speakers) if len(reading) >= LEAST_S * RATE_HZ]
    encoder = EmbeddedVoiceEncoder(info, space)
    clean, disturbed = spoken_halves(encoder, others, False), spoken_halves(encoder, others, True)
    threshold = threshold_at(disturbed, FALSE_MATCH)
    kept, _ = share_above(disturbed, threshold)
    facts = {
        "encoder": {"id": info.id, "dimension": size, "sha256": digest},
        "threshold": {
            "value": round(threshold, 3),
            "source": f"benchmarks/training/fit_voice.py: halves of readings of {len(others)} LibriSpeech speakers "
            f"kept out, one half disturbed; 1 % of pairs of two speakers match, {kept:.0%} of one",
        },
        "fit": {"data": "LibriSpeech train-clean-100 excerpt, CC BY 4.0", "speakers": len(fitted(speakers)),
                "windows": len(measured_windows.cepstra), "seed": args.seed, "cpu_seconds": round(seconds)},
        "held_out": {"clean": asdict(measured(clean)), "disturbed": asdict(measured(disturbed))},
    }  # fmt: skip
    atomic_write(args.out.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode())
    print(json.dumps(facts["held_out"], indent=1))


if __name__ == "__main__":
    main()
