"""The voice encoder that needs no download: cepstral statistics and a Gaussian mixture's view, two linear maps.

Fitted on openly licensed readings (LibriSpeech, CC BY 4.0; see NOTICE), disturbed by noise, bands, rooms and
microphones so that a channel weighs less than a speaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.embed.shipped import read_weights
from cameo.embed.voice_features import Mixture, cepstra, normalised, pitch, statistics
from cameo.embed.voice_windows import require_speech, windows

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from cameo.records import EncoderInfo, Float32, Float64


@dataclass(frozen=True, slots=True)
class VoiceSpace:
    """Hold what was fitted; K mixture components.

    Attributes:
        weight: `[K]`; mean, variance: `[K, 40]`, the mixture.
        statistics_mean: `[61]`; statistics_map: `[61, D1]`.
        pull_mean: `[40 K]`; pull_map: `[40 K, D2]`.
        share: `[2]` how much statistics and mixture count in the cosine.
    """

    weight: Float32
    mean: Float32
    variance: Float32
    statistics_mean: Float32
    statistics_map: Float32
    pull_mean: Float32
    pull_map: Float32
    share: Float32

    @property
    def mixture(self) -> Mixture:
        """The crowd's voice."""
        return Mixture(self.weight, self.mean, self.variance)

    def project(self, statistic: Float32, pull: Float32) -> Float32:
        """Map statistics `[N, 61]` and supervectors `[N, 40 K]` to unit rows `[N, D1 + D2]`."""
        first = _unit((statistic - self.statistics_mean) @ self.statistics_map)
        second = _unit((pull - self.pull_mean) @ self.pull_map)
        return _unit(np.concatenate([first * self.share[0], second * self.share[1]], 1))


@dataclass(frozen=True, slots=True)
class EmbeddedVoiceEncoder:
    """Encode with the weights in the package; implements `VoiceEncoder`."""

    info: EncoderInfo
    space: VoiceSpace

    @classmethod
    def load(cls, folder: Traversable | None = None) -> EmbeddedVoiceEncoder:
        """Load the weights that ship with the package, or those in `folder`.

        Raises:
            MissingWeights: they are not there, cannot be read, or differ from their digest.
        """
        space, info = read_weights("voice", VoiceSpace, folder)
        return cls(info, space)

    def embed(self, samples: Float32) -> Float32:
        """Encode the whole of `samples`; see `VoiceEncoder.embed`. It is the mean direction of its windows."""
        return _unit(self.embed_windows(samples).sum(0, keepdims=True))[0]

    def embed_windows(self, samples: Float32) -> Float32:
        """Encode windows of 3 s every 1.5 s; see `VoiceEncoder.embed_windows`.

        Raises:
            CaptureRejected: there is less than a second of it, or it is silent.
            UsageError: it is not a row of finite samples.
        """
        require_speech(samples)
        measured = [measure(samples[start:stop], self.space.mixture) for start, stop in windows(len(samples))]
        return self.space.project(np.stack([m[0] for m in measured]), np.stack([m[1] for m in measured]))


def measure(samples: Float32, mixture: Mixture) -> tuple[Float32, Float32]:
    """Measure one window: statistics `[61]` and the supervector `[40 K]`."""
    spoken = cepstra(samples)
    return statistics(spoken, *pitch(samples)), mixture.supervector(normalised(spoken))


def _unit(rows: Float32 | Float64) -> Float32:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)
