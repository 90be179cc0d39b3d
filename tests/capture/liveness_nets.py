"""Liveness networks made by code: they take blue pictures for living faces, and red ones for pictures of faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

V2, V1SE = "2.7_80x80_MiniFASNetV2.onnx", "4_0_0_80x80_MiniFASNetV1SE.onnx"
NATS = 0.05  # for each grey level that the mean blue is above the mean red


def write_minifasnet(
    path: Path, side: int = 80, classes: int = 3, softmax: bool = False, bias: float = 0.0, batch: int | str = "N"
) -> Path:
    """Write a net in MiniFASNet's layout: BGR 0..255 in, three classes out, of which the middle one is live."""
    weight = np.zeros((3, classes), np.float32)
    weight[0, 1], weight[2, 1] = NATS, -NATS
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(np.array([bias], np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum" if softmax else "output"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["sum"], ["output"], axis=1))
    return _save(path, nodes, constants, [batch, 3, side, side], [batch, classes])


def write_addon(path: Path, side: int = 80, gain: float = 10.0) -> Path:
    """Write a net in the layout of InsightFace's addon: RGB 0..1 in, one probability out."""
    weight = np.array([[-gain], [0], [gain]], np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["means"]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["product"]),
        helper.make_node("Sigmoid", ["product"], ["shares"]),
        helper.make_node("Reshape", ["shares", "one"], ["output"]),
    ]
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.array([-1]), "one")]
    return _save(path, nodes, constants, [1, 3, side, side], [1])


def _save(path: Path, nodes: list[Any], constants: list[Any], taken: list[Any], given: list[Any]) -> Path:
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("input", taken), ("output", given))
    ]
    graph = helper.make_graph(nodes, "liveness", infos[:1], infos[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path
