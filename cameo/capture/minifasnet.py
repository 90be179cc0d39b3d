"""Run MiniFASNet of Silent-Face-Anti-Spoofing: small networks that look at a face with what is around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.errors import MissingWeights
from cameo.onnx_files import OnnxNet

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.records import Float32, UInt8

LICENCE = "Apache-2.0, says the project they come from"
LARGEST = 64 << 20  # bytes; the known ones have 2 MB
_HINT = "give networks of Silent-Face-Anti-Spoofing as *.onnx: minifasnet:FOLDER, or onnx:FILE"
_SIDE = 80
# The classes: a print, a living face, a screen. Source: minivision-ai/Silent-Face-Anti-Spoofing, test.py, which takes
# the largest of the three; half of all is stricter.
_CLASSES, _LIVE, _HALF = 3, 1, 0.5
_SCALE = re.compile(r"^(\d+(?:\.\d+)?)_(?:\d+_)*80x80_", re.ASCII)  # 2.7_80x80_MiniFASNetV2, 4_0_0_80x80_MiniFASNetV1SE
_SCALES = {"MiniFASNetV1SE": 4.0, "MiniFASNetV2": 2.7}  # of exports that kept only the network's name
_BROW = 0.6  # a face's box begins so far above the eyes, of the way from eyes to chin: about the hairline; chosen


@dataclass(frozen=True, slots=True)
class MiniFasNet:
    """Average one or more networks that take `[N, 3, 80, 80]` BGR 0..255 and give three classes.

    `nets` are pairs of how many times the face's box each one looks at, and the network.
    """

    name: str
    licence: str
    nets: tuple[tuple[float, OnnxNet], ...]
    threshold: float = _HALF

    @classmethod
    def load(cls, paths: list[Path], licence: str) -> MiniFasNet:
        """Open the networks; how much each looks at is read from its file's name.

        Raises:
            MissingWeights: one of them is missing, of another shape, or of a name that does not tell.
        """
        nets = tuple((_scale_of(path), OnnxNet.open(path, _HINT, LARGEST)) for path in paths)
        for _, net in nets:
            free = not isinstance(net.shape[0], int) or net.shape[0] == 1
            if len(net.shape) != 4 or not free or net.shape[1:] != (3, _SIDE, _SIDE):
                raise MissingWeights(f"{net.name} takes {list(net.shape)}, not [N, 3, 80, 80] pictures", _HINT)
            _shares(net, np.zeros((1, 3, _SIDE, _SIDE), np.float32))
        return cls(" + ".join(net.called for _, net in nets), licence, nets)

    def live(self, frame: UInt8, points: Float32) -> float | None:
        """Mean over the networks of the share of the class of living faces."""
        box = face_box(points)
        return float(
            np.mean([_shares(net, _tensor(scaled_crop(frame, box, scale)))[_LIVE] for scale, net in self.nets])
        )


def face_box(points: Float32) -> tuple[float, float, float, float]:
    """Box of a face from its `[10, 2]` points, as detectors trained on WIDER FACE draw it: x, y, width, height.

    Between the sides of the jaw, from the hairline to the chin.
    """
    eyes, chin = points[:2].mean(0), points[7]
    height = float(np.linalg.norm(chin - eyes))
    x = np.concatenate([points[:2, 0], points[8:10, 0]])
    top, bottom = float(eyes[1]) - _BROW * height, float(chin[1])
    return float(x.min()), top, max(float(x.max() - x.min()), 2.0), max(bottom - top, 2.0)


def scaled_crop(frame: UInt8, box: tuple[float, float, float, float], scale: float) -> UInt8:
    """Cut `scale` times the box out of `[H, W, 3]`, moved inside and made smaller where the picture ends; 80 px square.

    Source: minivision-ai/Silent-Face-Anti-Spoofing, src/generate_patches.py.
    """
    height, width = frame.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    left, right = _inside(x + w / 2, w * scale, width)
    top, bottom = _inside(y + h / 2, h * scale, height)
    cut = np.ascontiguousarray(frame[top : bottom + 1, left : right + 1])
    return np.asarray(cv2.resize(cut, (_SIDE, _SIDE)), np.uint8)


def _inside(middle: float, length: float, limit: int) -> tuple[int, int]:
    """First and last pixel of a stretch, moved so that it lies in `limit` pixels."""
    first = min(max(middle - length / 2, 0.0), limit - 1 - length)
    return max(int(first), 0), min(int(first + length), limit - 1)


def _tensor(crop: UInt8) -> Float32:
    """BGR planes, 0..255, `[1, 3, 80, 80]`: that project's `to_tensor` does not divide by 255."""
    return np.ascontiguousarray(crop[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32)


def _shares(net: OnnxNet, batch: Float32) -> Float32:
    """Probabilities of the three classes; some exports end with the softmax, some before it."""
    rows = net.run(batch, _HINT)
    if rows.shape != (1, _CLASSES):
        raise MissingWeights(f"{net.name} gives {list(rows.shape)}, not [N, 3] classes", _HINT)
    if net.last_node == "Softmax":
        return np.asarray(rows[0])
    powers = np.exp(rows[0] - rows[0].max())
    return np.asarray(powers / powers.sum())


def _scale_of(path: Path) -> float:
    if named := _SCALE.match(path.name):
        return float(named[1])
    for name, scale in _SCALES.items():
        if name in path.name:
            return scale
    raise MissingWeights(
        f"the name of {path.name} does not tell how much around the face it looks at",
        "name it as it was published, such as 2.7_80x80_MiniFASNetV2.onnx",
    )
