"""Clips and references of people whom a pack of random weights takes for people: white squares in noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cameo.embed.crop import plain_crop
from cameo.media import write_mp4
from tests.embed.packs import FIVE, SQUARE, square_frame, write_detector, write_recogniser

PLAIN, BARE = -1, -2  # seeds that draw no face, and a square on black


def frame(seed: int, column: int = 4, row: int = 4, side: int = 320) -> np.ndarray:
    """One frame: the noise around the square is who it is, and moves with it."""
    if seed == PLAIN:
        return np.zeros((side, side, 3), np.uint8)
    if seed == BARE:
        return np.where(square_frame(column, row, side) > 200, np.uint8(255), np.uint8(0))
    coarse = np.random.default_rng(seed).integers(0, 90, (10, 10, 3)).astype(np.uint8)
    still = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    picture = np.roll(still, ((row - 4) * SQUARE, (column - 4) * SQUARE), (0, 1))
    square = square_frame(column, row, side) > 200
    return np.where(square.all(-1, keepdims=True), np.uint8(255), picture)


def write_seeing(path: Path, seed: int) -> Path:
    """Write a recogniser of random weights that sees only what is around the square: it tells people apart."""
    write_recogniser(path, seed)
    points = np.array([4 * SQUARE, 4 * SQUARE], np.float32) + FIVE
    shared = (plain_crop(frame(BARE), points).transpose(2, 0, 1) / 127.5 - 1).reshape(3, 14, 8, 14, 8).mean((2, 4))
    # Neither the square nor a colour of all of the crop changes the result.
    basis, _ = np.linalg.qr(np.concatenate([shared.reshape(1, -1), np.eye(3).repeat(14 * 14, 1)]).T)
    model = onnx.load(str(path))
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "weight")
    values = numpy_helper.to_array(weight)
    weight.CopyFrom(numpy_helper.from_array((values - basis @ (basis.T @ values)).astype(np.float32), "weight"))
    onnx.save(model, str(path))
    return path


def write_clip(path: Path, seeds: list[int], side: int = 320) -> Path:
    """Write a clip whose frames show these people, moving by a cell at times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [frame(seed, 3 + k % 3, 4, side) for k, seed in enumerate(seeds)]
    write_mp4(path, np.stack(frames), 8)
    return path


def write_photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), frame(seed)[..., ::-1])
    return path


@dataclass(frozen=True)
class Stage:
    """A folder with two packs, CurricularFace made by chance, references of three people, and two systems."""

    folder: Path

    @property
    def pack(self) -> Path:
        return self.folder / "pack"

    @property
    def model(self) -> str:
        return f"insightface:{self.pack}"

    @property
    def second(self) -> Path:
        return self.folder / "second"

    @property
    def curricular(self) -> Path:
        return self.folder / "curricular.onnx"

    @property
    def people(self) -> Path:
        return self.folder / "people"

    @property
    def own(self) -> Path:
        return self.folder / "own"

    @property
    def base(self) -> Path:
        return self.folder / "base"


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """`own` shows whom it should, `base` somebody else; Ada has a folder, Bob a clip, Eve a photograph."""
    made = Stage(tmp_path_factory.mktemp("fidelity"))
    for k, pack in enumerate((made.pack, made.second)):
        pack.mkdir()
        write_detector(pack / "det.onnx", 320)
        write_seeing(pack / "rec.onnx", seed=k)
    write_seeing(made.curricular, seed=7)
    write_photo(made.people / "ada" / "1.png", 1)
    write_photo(made.people / "ada" / "2.png", 1)
    write_clip(made.people / "bob.mp4", [2] * 24)
    write_photo(made.people / "eve.png", 3)
    for k in (1, 2):
        write_clip(made.own / "ada" / f"{k}.mp4", [1, 1, 1, PLAIN, 1, 1, 1, 1, 1, 1][k:] + [1] * k)
        write_clip(made.base / "ada" / f"{k}.mp4", [11 + k] * 10)
    write_clip(made.own / "bob-1.mp4", [2] * 10)
    write_clip(made.base / "bob-1.mp4", [13] * 10)
    return made
