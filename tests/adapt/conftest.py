"""What the tests of tuning share: a few steps, a recogniser made of pixels, checkpoints in memory."""

from __future__ import annotations

import numpy as np
import pytest

from cameo.adapt.judge import Judges
from cameo.adapt.recipe import Recipe
from cameo.generators.base import Footage

QUICK = Recipe(
    rank=2, steps=8, batch=2, judge_every=4, judged_frames=4, warm_up=2, looked_at=4, save_every=3, prior_share=0.2
)
POINTS = np.array(
    [[22, 26], [42, 26], [32, 36], [25, 46], [39, 46], [32, 44], [32, 49], [32, 60], [10, 34], [54, 34]], np.float32
)  # of a frontal face in 64 x 64 pixels


def by_pixels(frames: np.ndarray, _points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Stand in for a recogniser: a small grey picture as a unit vector."""
    small = frames.astype(np.float32).mean(-1).reshape(len(frames), 8, 8, 8, 8).mean((2, 4)).reshape(len(frames), -1)
    small -= small.mean(1, keepdims=True)
    vectors = small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)
    return vectors.astype(np.float32), np.ones(len(frames), bool)


class Kept:
    """Keep checkpoints in memory; `stop_at` breaks off after that many were saved."""

    def __init__(self, stop_at: int = 0) -> None:
        self.data: bytes | None = None
        self.saves = 0
        self.stop_at = stop_at

    def load(self) -> bytes | None:
        return self.data

    def save(self, data: bytes) -> None:
        self.data = data
        self.saves += 1
        if self.saves == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def footage(footage: Footage) -> Footage:
    """No more of the rendered person than tuning takes: what is solved first takes as long as there are frames."""
    return footage.part(0, 64)


@pytest.fixture(scope="session")
def others() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 255, (3, 64, 64, 3), np.uint8), np.zeros((3, 10, 2), np.float32)


@pytest.fixture(scope="session")
def judges(others: tuple[np.ndarray, np.ndarray]) -> Judges:
    return Judges(by_pixels, others)
