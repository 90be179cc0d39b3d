"""Open ONNX models of faces, and turn aligned crops into unit vectors."""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from cameo.errors import MissingExtra, MissingWeights
from cameo.onnx_files import CUDA, first_line, providers_on, require_whole, session_options

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Float32, UInt8

_BATCH = 16
_DIMENSIONS = range(32, 4097)
_SIZES = range(64, 513)


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Encode aligned crops.

    `size` is the side of a crop in pixels, `dimension` the length of a vector, `batch` how many crops go in at once.
    """

    size: int
    dimension: int
    batch: int
    _model: Any
    _name: str

    @classmethod
    def over(cls, model: Any, path: Path, hint: str) -> Recogniser:
        """Check that what InsightFace opened as a recogniser is one, by running it once.

        Raises:
            MissingWeights: input or output have another shape.
        """
        shape = list(model.input_shape)
        width, height = model.input_size
        square = isinstance(width, int) and width == height and width in _SIZES
        if len(shape) != 4 or shape[1] != 3 or not square:
            raise MissingWeights(f"{path.name} takes {shape}, not [N, 3, S, S] pictures", hint)
        if isinstance(shape[0], int) and shape[0] > 1:
            raise MissingWeights(f"{path.name} takes {shape[0]} faces at once and no other number", hint)
        made = cls(width, 0, 1 if shape[0] == 1 else _BATCH, model, path.name)
        rows = made._run([np.zeros((width, width, 3), np.uint8)], hint)
        if rows.ndim != 2 or len(rows) != 1 or rows.shape[1] not in _DIMENSIONS:
            raise MissingWeights(f"{path.name} gives {list(rows.shape)}, not [N, D] vectors", hint)
        return cls(width, rows.shape[1], made.batch, model, path.name)

    def encode(self, crops: list[UInt8]) -> Float32:
        """Encode `[S, S, 3]` RGB crops into `[N, dimension]` unit rows.

        Raises:
            MissingWeights: the model gives something that is no number.
        """
        rows = [self._run(crops[k : k + self.batch], "use another model") for k in range(0, len(crops), self.batch)]
        raw = np.concatenate(rows) if rows else np.zeros((0, self.dimension), np.float32)
        return np.asarray(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9), np.float32)

    def _run(self, crops: list[UInt8], hint: str) -> Float32:
        try:
            rows = self._model.get_feat([cv2.cvtColor(crop, cv2.COLOR_RGB2BGR) for crop in crops])
        except Exception as error:  # onnxruntime's classes derive from nothing else
            raise MissingWeights(f"cannot run {self._name}: {first_line(error)}", hint) from error
        rows = np.asarray(rows)
        if rows.dtype.kind != "f" or not np.isfinite(rows).all():
            raise MissingWeights(f"{self._name} gives something that is no number", hint)
        return rows.astype(np.float32)


def open_model(path: Path, device: str, hint: str) -> Any:
    """Load one ONNX file with InsightFace's own reader; None for a kind it does not know.

    Raises:
        MissingWeights: it cannot be read, is too large, or keeps weights in other files, which no digest covers.
        MissingExtra: the device is not to be had.
    """
    require_whole(path, hint)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries InsightFace imports, not of ours
        from insightface.model_zoo import get_model

    providers = providers_on(device)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the reader prints
            # Static sessions would be opened later, one per input size, with options of the library's.
            model = get_model(
                str(path), providers=providers, sess_options=session_options(), static_shape_sessions=False
            )
    # onnx and onnxruntime raise a dozen unrelated classes, some only derived from Exception.
    except Exception as error:
        raise MissingWeights(f"cannot read {path}: {first_line(error)}", hint) from error
    if model is not None and device == "cuda" and model.session.get_providers()[0] != CUDA:
        raise MissingExtra(
            "onnxruntime could not start CUDA", "check the NVIDIA driver and libraries, or leave @cuda out"
        )
    return model
