"""Packs made by code: a detector that takes bright squares for faces, other models of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SQUARE = 32  # pixels at the detector's input; a face lies two squares around its corner
EYES_APART = 24.0
# Eyes, nose and mouth corners around the corner of the bright square, in pixels at the detector's input.
FIVE = np.array([[-12, -8], [12, -8], [0, 4], [-9, 16], [9, 16]], np.float32)


def _constant(name: str, value: NDArray[Any]) -> Any:
    return numpy_helper.from_array(value, name)


def _save(path: Path, graph: Any) -> None:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))


def _input(shape: list[int | str]) -> Any:
    return helper.make_tensor_value_info("input.1", TensorProto.FLOAT, shape)


def write_detector(path: Path, side: int | None = None, landmarks: bool = True) -> None:
    """Write a detector in SCRFD's layout that finds white squares of 32 px on its own grid; `side` fixes its input."""
    nodes, constants = [], [_constant("third", np.full((1, 3, 1, 1), 1 / 3, np.float32))]
    constants += [_constant("rows1", np.array([-1, 1])), _constant("middle", np.array([0.5], np.float32))]
    nodes.append(helper.make_node("Conv", ["input.1", "third"], ["grey"]))
    groups: list[list[str]] = [[], [], []]
    for stride in (8, 16, 32):
        on = 40.0 if stride == SQUARE else 0.0
        constants.append(_constant(f"gain{stride}", np.array([on], np.float32)))
        constants.append(_constant(f"off{stride}", np.array([0.0 if on else -20.0], np.float32)))
        cell = f"cell{stride}"
        pool: dict[str, Any] = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes += [
            helper.make_node("AveragePool", ["grey"], [cell], **pool),
            helper.make_node("Sub", [cell, "middle"], [cell + "a"]),
            helper.make_node("Mul", [cell + "a", f"gain{stride}"], [cell + "b"]),
            helper.make_node("Add", [cell + "b", f"off{stride}"], [cell + "c"]),
            helper.make_node("Sigmoid", [cell + "c"], [cell + "d"]),
            helper.make_node("Transpose", [cell + "d"], [cell + "e"], perm=[0, 2, 3, 1]),
            helper.make_node("Concat", [cell + "e", cell + "e"], [cell + "f"], axis=3),  # two anchors
            helper.make_node("Reshape", [cell + "f", "rows1"], [f"score{stride}"]),
        ]
        groups[0].append(f"score{stride}")
        for k, (name, values) in enumerate((("box", np.full(4, 1.0)), ("points", FIVE.ravel() / SQUARE)), 1):
            constants.append(_constant(f"{name}zero{stride}", np.zeros((1, len(values)), np.float32)))
            constants.append(_constant(f"{name}set{stride}", values[None].astype(np.float32)))
            nodes += [
                helper.make_node("MatMul", [f"score{stride}", f"{name}zero{stride}"], [f"{name}flat{stride}"]),
                helper.make_node("Add", [f"{name}flat{stride}", f"{name}set{stride}"], [f"{name}{stride}"]),
            ]
            groups[k].append(f"{name}{stride}")
    names = groups[0] + groups[1] + (groups[2] if landmarks else [])
    widths = [1] * 3 + [4] * 3 + [10] * 3
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["K", width])
        for name, width in zip(names, widths, strict=False)
    ]
    shape: list[int | str] = [1, 3, side or "H", side or "W"]
    _save(path, helper.make_graph(nodes, "detector", [_input(shape)], outputs, constants))


def write_steady_detector(path: Path, points: NDArray[np.float32], side: int = 320) -> None:
    """Write a detector in SCRFD's layout that finds a face at `points` `[5, 2]` of its input, whatever it is shown."""
    nodes: list[Any] = []
    constants: list[Any] = []
    outputs: list[Any] = []
    low, high = points.min(0) - np.ptp(points, axis=0) / 2, points.max(0) + np.ptp(points, axis=0) / 2
    for stride in (8, 16, 32):
        cells = side // stride
        values = {"score": np.zeros((2 * cells**2, 1)), "box": np.zeros((2 * cells**2, 4))}
        values["points"] = np.zeros((2 * cells**2, 10))
        if stride == SQUARE:
            column, row = (points.mean(0) // stride).astype(int)
            anchor, corner = 2 * (row * cells + column), np.array([column, row]) * stride
            values["score"][anchor] = 0.9
            values["box"][anchor] = np.r_[corner - low, high - corner] / stride
            values["points"][anchor] = (points - corner).ravel() / stride
        for name, value in values.items():
            constants.append(_constant(f"{name}{stride}set", value.astype(np.float32)))
            nodes.append(helper.make_node("Identity", [f"{name}{stride}set"], [f"{name}{stride}"]))
            shape: list[int | str] = ["K", value.shape[1]]
            outputs.append(helper.make_tensor_value_info(f"{name}{stride}", TensorProto.FLOAT, shape))
    outputs.sort(key=lambda output: ("score", "box", "points").index(output.name.rstrip("0123456789")))
    _save(path, helper.make_graph(nodes, "detector", [_input([1, 3, side, side])], outputs, constants))


def write_recogniser(
    path: Path, seed: int = 0, size: int = 112, dimension: int = 64, batch: int | str = "N", rank: int = 2
) -> None:
    """Write a recogniser of random weights; another `rank` gives outputs that are no vectors."""
    shape: list[int | str] = [batch, 3, size, size]
    _save(path, _linear(shape, size // 14, 3 * 14 * 14, dimension, seed, rank))


def write_landmarks(path: Path, values: int, seed: int = 0) -> None:
    """Write a landmark model of random weights: 212 `values` for 106 points, 3309 for head pose."""
    _save(path, _linear(["N", 3, 192, 192], 16, 3 * 12 * 12, values, seed, 2))


def _linear(shape: list[int | str], pool: int, inputs: int, outputs: int, seed: int, rank: int) -> Any:
    weight = np.random.default_rng(seed).standard_normal((inputs, outputs)).astype(np.float32) / np.float32(
        np.sqrt(inputs)
    )
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["small"], kernel_shape=[pool, pool], strides=[pool, pool]),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["out" if rank == 2 else "two"]),
    ]
    constants = [_constant("weight", weight)]
    out: list[int | str] = [shape[0], outputs]
    if rank == 3:
        constants.append(_constant("axes", np.array([1])))
        nodes.append(helper.make_node("Unsqueeze", ["two", "axes"], ["out"]))
        out.insert(1, 1)
    given = helper.make_tensor_value_info("out", TensorProto.FLOAT, out)
    return helper.make_graph(nodes, "linear", [_input(shape)], [given], constants)


def write_pack(folder: Path, side: int | None = 320) -> Path:
    """Write a whole pack: detector, recogniser, both landmark models, and a model of no use here."""
    folder.mkdir(parents=True, exist_ok=True)
    write_detector(folder / "det_made.onnx", side)
    write_recogniser(folder / "rec_made.onnx")
    write_landmarks(folder / "1k3d68.onnx", 3309, 1)
    write_landmarks(folder / "2d106det.onnx", 212, 2)
    return folder


def square_frame(column: int, row: int, side: int = 320, seed: int = 0) -> NDArray[np.uint8]:
    """Draw `[side, side, 3]` dark noise with a white square at a cell of the detector's grid at this size."""
    frame = np.random.default_rng(seed).integers(0, 60, (side, side, 3)).astype(np.uint8)
    frame[row * SQUARE : (row + 1) * SQUARE, column * SQUARE : (column + 1) * SQUARE] = 255
    return frame
