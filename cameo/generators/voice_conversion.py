"""Bring a spoken line towards a person's voice: pitch, spectral envelope and breath, in closed form.

What is known of a voice are a few Gaussians: of its pitch, and of its spectral envelope with and without voicing. A
line is moved from its own Gaussians to those of the person; what is said, its timing and its melody stay the line's.
Source: the pitch by log-Gaussian normalisation, K. Liu, J. Zhang and Y. Yan, "High quality voice conversion through
phoneme-based linear mapping functions with STRAIGHT for Mandarin", 2007; the map between two Gaussians that moves the
least, G. Peyré and M. Cuturi, "Computational optimal transport", 2019, remark 2.31.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from cameo.errors import CaptureRejected, NotVerified, UsageError
from cameo.generators.vocoder import CEPSTRA, PITCH_HZ, VocoderFrames, put_together, take_apart

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, Float64

SHAPES = CEPSTRA - 1  # the first is the level, which stays the line's
LAYOUT = {"pitch": (2,), "breath": (1,), "mean": (2, SHAPES), "covariance": (2, SHAPES, SHAPES)}
LEAST_VOICED = 100  # frames of 5 ms: half a second
# Measured on readers that the benchmark does not report on, and on made-up voices.
SHRINKAGE, SHRINKAGE_FRAMES = 0.3, 100
UNVOICED_FRAMES = 100  # with so many, unvoiced sounds count half by themselves, half as all sounds do
STRETCH = 1.5  # most that a direction is drawn out or pressed together; with more, rare and quiet frames go wrong
MELODY = (0.7, 1.4)  # factors on how far the pitch moves; more sounds sung or dead
_BLEND_FRAMES = 2.0  # voicing fades in and out over about 10 ms
_LEAST_VARIANCE = 1e-3  # of the largest, so that no direction is blown up
_PEAK = 0.98


@dataclass(frozen=True, slots=True)
class VoiceAdapter:
    """Hold what is known of a person's voice.

    Attributes:
        pitch: `[2]` median and standard deviation of the natural logarithm of the pitch in Hz.
        breath: `[1]` mean share of noise in voiced sound, dB.
        mean: `[2, 31]` of the cepstra but the first, with voicing and without.
        covariance: `[2, 31, 31]` around it.
    """

    pitch: Tensor
    breath: Tensor
    mean: Tensor
    covariance: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return what is sealed, by name."""
        return {name: getattr(self, name).contiguous() for name in LAYOUT}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor]) -> VoiceAdapter:
        """Check names, shapes, types and values, then rebuild.

        Raises:
            NotVerified: the tensors are not what is known of a voice.
        """
        if set(tensors) != set(LAYOUT):
            raise NotVerified("the sealed voice holds other tensors than this generator's", "enrol again")
        for name, shape in LAYOUT.items():
            t = tensors[name]
            if tuple(t.shape) != shape or t.dtype != torch.float32 or not bool(t.isfinite().all()):
                raise NotVerified(f"the sealed voice's '{name}' has a wrong shape, type or value", "enrol again")
        voice = cls(**{field.name: tensors[field.name] for field in fields(cls)})
        low, high = float(np.log(PITCH_HZ[0])), float(np.log(PITCH_HZ[1]))
        covariance = voice.covariance.double()
        straight = (covariance - covariance.mT).abs().max() <= 1e-4 * covariance.abs().max()
        # Positive but for rounding: what it is multiplied into stays finite.
        positive = bool(straight) and bool((torch.linalg.eigvalsh(covariance) > -1e-4 * covariance.abs().max()).all())
        if not (low <= voice.pitch[0] <= high and voice.pitch[1] >= 0 and positive):
            raise NotVerified("the sealed voice holds numbers that no voice has", "enrol again")
        return voice


def learn_voice(speech: Float32) -> VoiceAdapter:
    """Measure a voice in closed form; the same speech gives the same adapter.

    Args:
        speech: `[N]` float32 mono at 16 kHz, without pauses.

    Raises:
        CaptureRejected: it is whispered, or far too short.
    """
    measured = _measure(take_apart(speech))
    if measured is None:
        raise CaptureRejected(
            "the voice has no pitch that can be followed", "speak aloud, or give a recording with --voice"
        )
    return measured


def require_voiced(line: Float32) -> None:
    """Check that a line can be converted.

    Raises:
        UsageError: it is whispered, or no speech.
    """
    if _measure(take_apart(line)) is None:
        raise UsageError("the line has no voice in it", "give a recording of somebody who speaks aloud")


def convert_voice(voice: VoiceAdapter, line: Float32) -> Float32:
    """Say the line in the person's voice: `[N]` float32 mono at 16 kHz, as long and as loud as `line`.

    Raises:
        UsageError: see `require_voiced`.
    """
    frames = take_apart(line)
    own = _measure(frames)
    if own is None:
        raise UsageError("the line has no voice in it", "give a recording of somebody who speaks aloud")
    breath = frames.breath + np.where(frames.voiced, float(voice.breath - own.breath), 0.0)[:, None]
    moved = replace(
        frames,
        pitch_hz=_move_pitch(frames.pitch_hz, own, voice),
        cepstra=_move_cepstra(frames, own, voice),
        breath=np.minimum(breath, 0.0),
    )
    made = put_together(moved.as_loud_as(frames), len(line))
    wanted, got = (float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (line, made))
    made = made * (wanted / max(got, 1e-9))
    return np.asarray(made * min(1.0, _PEAK / max(float(np.abs(made).max()), 1e-9)), np.float32)


def _measure(frames: VocoderFrames) -> VoiceAdapter | None:
    """Measure what is known of a voice; None when too little of it is voiced."""
    loud, voiced = frames.loud, frames.voiced
    if (loud & voiced).sum() < LEAST_VOICED:
        return None
    pitch = np.log(frames.pitch_hz[voiced])
    with_voice, without, all_of_it = (frames.cepstra[of, 1:] for of in (loud & voiced, loud & ~voiced, loud))
    means, covariances = zip(_gaussian(with_voice), _backed(without, _gaussian(all_of_it)), strict=True)
    values = {
        "pitch": np.array([np.median(pitch), pitch.std()]),
        "breath": frames.breath[loud & voiced].mean(0)[:1],
        "mean": np.stack(means),
        "covariance": np.stack(covariances),
    }
    return VoiceAdapter(**{name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()})


def _gaussian(rows: Float64) -> tuple[Float64, Float64]:
    """Mean and covariance of rows `[n, 31]`, the latter drawn towards its diagonal: the more, the fewer rows."""
    covariance = np.cov(rows.T)
    share = (SHRINKAGE * len(rows) + SHRINKAGE_FRAMES) / (len(rows) + SHRINKAGE_FRAMES)
    return rows.mean(0), (1 - share) * covariance + share * np.diag(np.diag(covariance))


def _backed(rows: Float64, whole: tuple[Float64, Float64]) -> tuple[Float64, Float64]:
    """Mean and covariance of rows `[n, 31]`, filled up from those of the whole where there are few."""
    if len(rows) < 2:
        return whole
    share = len(rows) / (len(rows) + UNVOICED_FRAMES)
    mean, covariance = (share * own + (1 - share) * other for own, other in zip(_gaussian(rows), whole, strict=True))
    return mean, covariance


def _move_pitch(pitch_hz: Float64, own: VoiceAdapter, voice: VoiceAdapter) -> Float64:
    (middle, spread), (wanted, reach) = own.pitch.tolist(), voice.pitch.tolist()
    factor = float(np.clip(reach / max(spread, 1e-3), *MELODY))
    voiced: Bool = pitch_hz > 0
    moved = np.zeros_like(pitch_hz)
    moved[voiced] = np.exp(wanted + factor * (np.log(pitch_hz[voiced]) - middle))
    return np.asarray(moved)


def _move_cepstra(frames: VocoderFrames, own: VoiceAdapter, voice: VoiceAdapter) -> Float64:
    """Move what is voiced and what is not by maps of their own, with a short blend between."""
    share = gaussian_filter1d(frames.voiced.astype(np.float64), _BLEND_FRAMES)[:, None]
    moved = frames.cepstra.copy()
    moved[:, 1:] = 0
    for k, weight in enumerate((share, 1 - share)):
        here, there = (np.asarray(v.mean[k], np.float64) for v in (own, voice))
        carry = _transport(*(np.asarray(v.covariance[k], np.float64) for v in (own, voice)))
        moved[:, 1:] += weight * ((frames.cepstra[:, 1:] - here) @ carry + there)
    return moved


def _transport(here: Float64, there: Float64) -> Float64:
    """The symmetric matrix that carries one covariance into the other and moves the least, within `STRETCH`."""
    root, back = _power(here, 0.5), _power(here, -0.5)
    values, vectors = np.linalg.eigh(back @ _power(root @ there @ root, 0.5) @ back)
    return np.asarray((vectors * np.clip(values, 1 / STRETCH, STRETCH)) @ vectors.T)


def _power(matrix: Float64, exponent: float) -> Float64:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.maximum(values, _LEAST_VARIANCE * values.max()) ** exponent) @ vectors.T)
