"""Open ONNX files that somebody brings: whole, bounded, hashed as they are read, with few threads and no output."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from cameo.errors import MissingExtra, MissingWeights

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Float32

CUDA = "CUDAExecutionProvider"
LARGEST = 1 << 30  # of a model file, bytes; the largest known recogniser has a quarter of it


@dataclass(frozen=True, slots=True)
class OnnxNet:
    """Hold one network with one input and one output, opened from the very bytes that were hashed.

    `sha256` is of the file; `shape` what it takes, with names or None where any number is taken; `last_node` the
    operation that gives the output.
    """

    name: str
    sha256: str
    shape: tuple[int | str | None, ...]
    last_node: str
    session: Any

    @classmethod
    def open(cls, path: Path, hint: str, largest: int = LARGEST) -> OnnxNet:
        """Open the file at `path` on the CPU.

        Raises:
            MissingWeights: it cannot be read, is larger than `largest` bytes, keeps weights in other files, which no
                digest covers, or has more than one input or output.
        """
        try:
            with path.open("rb") as file:
                data = file.read(largest + 1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MissingWeights(f"cannot read {path}: {reason}", hint) from error
        if len(data) > largest:
            raise MissingWeights(f"{path} is larger than any known model", hint)
        try:
            graph = _whole(onnx.load_model_from_string(data), path, hint).graph
            session = onnxruntime.InferenceSession(data, session_options(), providers=providers_on("cpu"))
        except MissingWeights:
            raise
        except Exception as error:  # onnx and onnxruntime raise classes that derive from nothing else
            raise MissingWeights(f"cannot read {path}: {first_line(error)}", hint) from error
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or not graph.node:
            raise MissingWeights(f"{path.name} has {len(inputs)} inputs and {len(outputs)} outputs, not one each", hint)
        last = next(node.op_type for node in reversed(graph.node) if outputs[0].name in node.output)
        return cls(path.name, hashlib.sha256(data).hexdigest(), tuple(inputs[0].shape), last, session)

    @property
    def called(self) -> str:
        """The file's name and the beginning of its digest."""
        return f"{self.name.removesuffix('.onnx')} ({self.sha256[:12]})"

    def run(self, batch: Float32, hint: str) -> Float32:
        """Run the network once.

        Raises:
            MissingWeights: it cannot take `batch`, or gives something that is no number.
        """
        try:
            out = np.asarray(self.session.run(None, {self.session.get_inputs()[0].name: batch})[0])
        except Exception as error:  # onnxruntime's classes derive from nothing else
            raise MissingWeights(f"cannot run {self.name}: {first_line(error)}", hint) from error
        if out.dtype.kind != "f" or not np.isfinite(out).all():
            raise MissingWeights(f"{self.name} gives something that is no number", hint)
        return out.astype(np.float32)


def require_whole(path: Path, hint: str) -> None:
    """Refuse an ONNX file that others are to open.

    Raises:
        MissingWeights: it cannot be read, is too large, or keeps weights in other files, which no digest covers.
    """
    if path.stat().st_size > LARGEST:
        raise MissingWeights(f"{path} is larger than any known model", hint)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError derives from nothing else
        raise MissingWeights(f"cannot read {path}: {first_line(error)}", hint) from error
    _whole(model, path, hint)


def _whole(model: onnx.ModelProto, path: Path, hint: str) -> onnx.ModelProto:
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise MissingWeights(f"{path} keeps its weights in other files", hint)
    return model


def session_options() -> Any:
    """Few threads, nothing printed: enrolments share their machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    return options


def providers_on(device: str) -> list[str]:
    """Name what runs a network on "cpu" or "cuda".

    Raises:
        MissingExtra: the device is not to be had.
    """
    if device == "cpu":
        return ["CPUExecutionProvider"]
    if CUDA not in onnxruntime.get_available_providers():
        raise MissingExtra("this onnxruntime has no CUDA", "pip install onnxruntime-gpu, or leave @cuda out")
    return [CUDA, "CPUExecutionProvider"]


def first_line(error: Exception) -> str:
    """Take what fits into a message of one line from another library's error."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]
