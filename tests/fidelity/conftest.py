"""Clips and references of people whom a pack of random weights takes for people: white squares in noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameo.media import write_mp4
from tests.embed.packs import square_frame, write_pack, write_recogniser

PLAIN, BARE = -1, -2  # seeds that draw no face, and a square on black


def frame(seed: int, column: int = 4, row: int = 4, side: int = 320) -> np.ndarray:
    """One frame: the noise around the square is who it is."""
    if seed == PLAIN:
        return np.zeros((side, side, 3), np.uint8)
    if seed == BARE:
        return np.where(square_frame(column, row, side) > 200, np.uint8(255), np.uint8(0))
    coarse = np.random.default_rng(seed).integers(0, 90, (10, 10, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    square = square_frame(column, row, side) > 200
    return np.where(square.all(-1, keepdims=True), np.uint8(255), picture)


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
    """A folder with a pack, CurricularFace made by chance, references of three people, and two systems."""

    folder: Path

    @property
    def pack(self) -> Path:
        return self.folder / "pack"

    @property
    def model(self) -> str:
        return f"insightface:{self.pack}"

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
    write_pack(made.pack)
    write_recogniser(made.curricular, seed=7)
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
