"""What a face encoder is, and how one is chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.records import Bool, EncoderInfo, FaceSightings, Float32, UInt8

Progress = Callable[[str, float], None]


class FaceEncoder(Protocol):
    """Turn pictures of faces into unit vectors that lie close for one person."""

    @property
    def info(self) -> EncoderInfo:
        """Name, digest, size, assurance and threshold of this encoder."""

    def embed(self, frames: UInt8, points: Float32 | None = None) -> tuple[Float32, Bool]:
        """Encode the main face of every frame.

        Args:
            frames: `[N, H, W, 3]` uint8 RGB.
            points: `[N, 10, 2]` pixels in `records.LANDMARKS` order, NaN where there is no face; without them the
                encoder looks for the largest face itself.

        Returns:
            `[N, D]` float32 unit rows, zeros where no face was found, and `[N]` whether one was found.
        """


@runtime_checkable
class FaceFinder(Protocol):
    """Find faces with a detector of its own, which some encoders bring along."""

    def follow(self, frames: UInt8, *, progress: Progress | None = None) -> FaceSightings:
        """Find the main face in `[T, H, W, 3]` uint8 RGB frames of one clip, in the order of time."""


@runtime_checkable
class PointFinder(Protocol):
    """Find faces in single pictures with a detector of its own, which some encoders bring along."""

    def find_points(self, frames: UInt8) -> Float32:
        """Look for the largest face of each of `[N, H, W, 3]` uint8 RGB frames.

        Returns:
            `[N, 10, 2]` pixels in `records.LANDMARKS` order, NaN where there is no face or no such point.
        """


def see_faces(encoder: FaceEncoder, frames: UInt8, progress: Progress | None = None) -> FaceSightings | None:
    """Find the main face of a clip with the encoder's own detector; None for an encoder that has none.

    An encoder was trained on faces that were aligned by such points, and a detector that learned from photographs
    finds faces in light and poses in which the one in the package does not.
    """
    return encoder.follow(frames, progress=progress) if isinstance(encoder, FaceFinder) else None


def load_face_encoder(spec: str = "embedded") -> FaceEncoder:
    """Load the face encoder named by `spec`; nothing is downloaded.

    Args:
        spec: `embedded` (in the package); `insightface:NAME` for a known pack on this machine, or
            `insightface:FOLDER` for any that holds one detector and one recogniser as `*.onnx`; `onnx:FILE` for one
            recogniser in the manner of ArcFace. `@cuda` behind the last three runs them there.

    Raises:
        UsageError: `spec` names no encoder.
        MissingWeights: the weights are not there, are of another kind, or differ from their digest.
        MissingExtra: CUDA is asked for and not to be had.
    """
    kind, _, place = spec.partition(":")
    # Each implementation loads libraries the others do without.
    if spec == "embedded":
        from cameo.embed.face_embedded import EmbeddedFaceEncoder

        return EmbeddedFaceEncoder.load()
    if kind == "insightface" and place:
        from cameo import config
        from cameo.embed.face_insightface import InsightFaceEncoder

        return InsightFaceEncoder.named(place, config.home())
    if kind == "onnx" and place:
        from cameo.embed.face_onnx import OnnxFaceEncoder

        return OnnxFaceEncoder.named(place)
    raise UsageError(
        f"unknown face model {spec!r}",
        "use embedded, insightface:NAME_OR_FOLDER, or onnx:FILE (see: cameo models list)",
    )
