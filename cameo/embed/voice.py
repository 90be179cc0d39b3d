"""What a voice encoder is, and how one is chosen by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.records import EncoderInfo, Float32


class VoiceEncoder(Protocol):
    """Turn speech into unit vectors that lie close for one speaker."""

    @property
    def info(self) -> EncoderInfo:
        """Name, digest, size, assurance and threshold of this encoder."""

    def embed(self, samples: Float32) -> Float32:
        """Encode the whole of `samples`, `[N]` float32 mono at 16 kHz, into a `[D]` unit vector.

        Raises:
            CaptureRejected: there is less than a second of it.
        """

    def embed_windows(self, samples: Float32) -> Float32:
        """Encode overlapping windows of `samples` into `[K, D]` unit rows, K at least 1.

        Raises:
            CaptureRejected: there is less than a second of it.
        """


def load_voice_encoder(spec: str = "embedded") -> VoiceEncoder:
    """Load the voice encoder named by `spec`; nothing is downloaded.

    Args:
        spec: `embedded` (in the package); `ecapa:NAME` for a known pack on this machine, or `ecapa:FOLDER` for any
            ECAPA-TDNN of SpeechBrain. `@cuda` behind the last two runs them there.

    Raises:
        UsageError: `spec` names no encoder.
        MissingWeights: the weights are not there, are of another kind, or differ from their digest.
        MissingExtra: CUDA is asked for and not to be had.
    """
    kind, _, place = spec.partition(":")
    # Each implementation loads libraries the others do without.
    if spec == "embedded":
        from cameo.embed.voice_embedded import EmbeddedVoiceEncoder

        return EmbeddedVoiceEncoder.load()
    if kind == "ecapa" and place:
        from cameo import config
        from cameo.embed.voice_ecapa import EcapaVoiceEncoder

        return EcapaVoiceEncoder.named(place, config.home())
    raise UsageError(f"unknown voice model {spec!r}", "use embedded, or ecapa:NAME_OR_FOLDER (see: cameo models list)")
