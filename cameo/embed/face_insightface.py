"""A face encoder from a local folder of an InsightFace pack: one detector, one recogniser."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnxruntime

from cameo.embed.crop import aligned_crop
from cameo.errors import MissingWeights
from cameo.records import MATCHED, EncoderInfo

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, UInt8

_HINT = "give the folder of an unpacked InsightFace pack, with one detector and one recogniser as *.onnx"
LICENCE = "InsightFace weights: non-commercial research"

# SCRFD misses faces that fill the frame; half a frame more on each side finds them.
# Source: shared/sketches/README.md, 18 of 18 frames of a selfie-like clip instead of 1.
_MARGIN = 0.5
_DETECTOR_SIZE = (640, 640)  # used where the file does not fix its own
_BATCH = 16

# Cosine at one false match in a thousand on the 6,000 pairs of LFW, measured for EdgeFace-XS behind SCRFD-2.5G.
# Other recognisers differ: `threshold_source` says so. Source: shared/models/README.md.
_THRESHOLD = 0.261
_THRESHOLD_SOURCE = "LFW 6,000 pairs, FAR 1e-3, EdgeFace-XS behind SCRFD-2.5G; other recognisers were not measured"


@dataclass(frozen=True, slots=True)
class InsightFaceEncoder:
    """Detect with the pack's detector, align, and encode with its recogniser; implements `FaceEncoder`."""

    info: EncoderInfo
    files: dict[str, str]
    _detector: Any
    _recogniser: Any

    @classmethod
    def load(cls, folder: Path) -> InsightFaceEncoder:
        """Load the pack in `folder`; nothing is ever downloaded.

        `files` maps each file's name to its SHA-256; `info.digest` is the SHA-256 of those lines.

        Raises:
            MissingWeights: the folder is missing or does not hold one detector and one recogniser.
        """
        paths = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
        if not paths:
            raise MissingWeights(f"no InsightFace pack at {folder}", _HINT)
        found: dict[str, tuple[Path, Any]] = {}
        for path in paths:
            model = _open(path)
            task = getattr(model, "taskname", None)
            if task in ("detection", "recognition"):
                if task in found:
                    raise MissingWeights(f"two models for {task}: {found[task][0].name} and {path.name}", _HINT)
                found[task] = (path, model)
        for task in ("detection", "recognition"):
            if task not in found:
                raise MissingWeights(f"no model for {task} in {folder}", _HINT)
        detector, recogniser = found["detection"][1], found["recognition"][1]
        if not getattr(detector, "use_kps", False):
            raise MissingWeights(f"the detector {found['detection'][0].name} gives no landmarks", _HINT)
        detector.prepare(-1, input_size=_DETECTOR_SIZE)
        files = {path.name: _sha256(path) for path, _ in found.values()}
        name = found["recognition"][0].stem
        info = EncoderInfo(
            id=f"insightface:{found['detection'][0].stem}+{name}",
            modality="face",
            digest=hashlib.sha256("".join(f"{n} {d}\n" for n, d in sorted(files.items())).encode()).hexdigest(),
            dimension=_dimension(recogniser),
            assurance=MATCHED,
            licence=LICENCE,
            threshold=_THRESHOLD,
            threshold_source=_THRESHOLD_SOURCE,
        )
        return cls(info, files, detector, recogniser)

    def embed(self, frames: UInt8, points: Float32 | None = None) -> tuple[Float32, Bool]:
        """Encode the main face of every frame; see `FaceEncoder.embed`.

        Given points align the face; the pack's own detector is used where there are none.
        """
        vectors = np.zeros((len(frames), self.info.dimension), np.float32)
        found = np.zeros(len(frames), bool)
        crops = []
        for i, frame in enumerate(frames):
            five = self._five_points(frame) if points is None else points[i, :5]
            if five is None or not np.isfinite(five).all():
                continue
            found[i] = True
            crops.append(cv2.cvtColor(aligned_crop(frame, five), cv2.COLOR_RGB2BGR))
        rows = [self._recogniser.get_feat(crops[k : k + _BATCH]) for k in range(0, len(crops), _BATCH)]
        if rows:
            raw = np.concatenate(rows).astype(np.float32)
            vectors[found] = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)
        return vectors, found

    def _five_points(self, frame: UInt8) -> Float32 | None:
        """Find eyes, nose and mouth corners of the largest face, `[5, 2]` pixels, or None."""
        h, w = int(frame.shape[0] * _MARGIN), int(frame.shape[1] * _MARGIN)
        padded = cv2.copyMakeBorder(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), h, h, w, w, cv2.BORDER_CONSTANT)
        boxes, points = self._detector.detect(padded)
        if not len(boxes):
            return None
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return (points[int(np.argmax(area))] - [w, h]).astype(np.float32)


def _open(path: Path) -> Any:
    """Load one ONNX file with InsightFace's own reader; None for a kind it does not know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries InsightFace imports, not of ours
        from insightface.model_zoo import get_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the reader prints
            return get_model(str(path), providers=["CPUExecutionProvider"], sess_options=options)
    # onnx and onnxruntime raise a dozen unrelated classes, some only derived from Exception.
    except Exception as error:
        raise MissingWeights(f"cannot read {path}: {str(error).splitlines()[0][:120]}", _HINT) from error


def _dimension(recogniser: Any) -> int:
    """Length of the recogniser's output, measured because the file may leave it open."""
    width, height = recogniser.input_size
    blank = np.zeros((height, width, 3), np.uint8)
    return int(recogniser.get_feat(blank).shape[-1])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
