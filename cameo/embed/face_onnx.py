"""A face encoder from one ONNX file in the manner of ArcFace, aligned by the detector in the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cameo.downloads import sha256_of
from cameo.embed.brought import calibrated, split_device
from cameo.embed.crop import plain_crop
from cameo.embed.face_models import Recogniser, open_model
from cameo.errors import MissingWeights
from cameo.faces.landmarks import find_landmarks
from cameo.records import CONSISTENCY_ONLY, EncoderInfo

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, UInt8

_HINT = "give one recogniser as *.onnx that takes [N, 3, S, S] aligned faces and gives [N, D] vectors, as ArcFace does"
LICENCE = "not known to cameo: ask whoever made the weights"
# No one measured the file, so this is no error rate: recognisers of this kind were seen to need 0.2 to 0.45.
# Source: chosen on the strict side; benchmarks/verification.py measures it.
_THRESHOLD = 0.45
_THRESHOLD_SOURCE = "none: this model was not measured; see docs/how-to/use-your-own-recogniser.md"


@dataclass(frozen=True, slots=True)
class OnnxFaceEncoder:
    """Encode with any ArcFace-style recogniser; implements `FaceEncoder`.

    Nothing in such a file says how well it tells people apart, so it promises `consistency-only`, unless a calibration
    that was measured for its very digest lies beside it.
    """

    info: EncoderInfo
    _recogniser: Recogniser

    @property
    def size(self) -> int:
        """Side of a crop in pixels."""
        return self._recogniser.size

    @classmethod
    def named(cls, place: str) -> OnnxFaceEncoder:
        """Load a file; `@cuda` behind its name runs it there.

        Raises:
            MissingWeights: see `load`.
            MissingExtra: CUDA is asked for and not to be had.
        """
        file, device = split_device(place)
        return cls.load(Path(file), device)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> OnnxFaceEncoder:
        """Load the recogniser in `path`; its input size is read from the file.

        Whether pixels must be brought to -1..1 first is read from the first nodes of the graph, as InsightFace does.

        Raises:
            MissingWeights: there is no such file, or it is no such recogniser.
            MissingExtra: `device` is not to be had.
        """
        if path.suffix != ".onnx" or not path.is_file():
            raise MissingWeights(f"no recogniser at {path}", _HINT)
        digest = sha256_of(path)
        model = open_model(path, device, _HINT)
        if getattr(model, "taskname", None) != "recognition":
            raise MissingWeights(f"{path.name} is no recogniser", _HINT)
        recogniser = Recogniser.over(model, path, _HINT)
        info = EncoderInfo(
            id=f"onnx:{path.stem}",
            modality="face",
            digest=digest,
            dimension=recogniser.dimension,
            assurance=CONSISTENCY_ONLY,
            licence=LICENCE,
            threshold=_THRESHOLD,
            threshold_source=_THRESHOLD_SOURCE,
        )
        return cls(calibrated(info, path.parent), recogniser)

    def embed(self, frames: UInt8, points: Float32 | None = None) -> tuple[Float32, Bool]:
        """Encode the main face of every frame; see `FaceEncoder.embed`."""
        if points is None:
            points = find_landmarks(frames)
        found = np.asarray(np.isfinite(points[:, :5]).all((1, 2)))
        vectors = np.zeros((len(frames), self.info.dimension), np.float32)
        crops = [plain_crop(frames[i], points[i, :5], self._recogniser.size) for i in np.flatnonzero(found)]
        vectors[found] = self._recogniser.encode(crops)
        return vectors, found

    def encode(self, crops: list[UInt8]) -> Float32:
        """Encode faces that were cut out already, `[size, size, 3]` RGB, into `[N, D]` unit rows."""
        return self._recogniser.encode(crops)
