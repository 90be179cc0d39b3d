"""Doubles tuned for tiny pipelines, once for all tests of a family."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from cameo.generators.base import Footage, Performance
    from cameo.generators.pipeline import PipelineGenerator
    from cameo.records import Adapter


class Improving:
    """Stand in for a recogniser that finds every picture it is shown later more like the person than those before."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frames: np.ndarray, _points: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        angle = 0.0 if self.calls == 1 else 1.5 / self.calls
        vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
        return np.tile(vector, (len(frames), 1)), np.ones(len(frames), bool)


@dataclass(frozen=True)
class Family:
    """Hold a tiny pipeline's generator, footage of somebody, and what was tuned on it."""

    name: str
    generator: PipelineGenerator
    footage: Footage
    adapter: Adapter

    def clip(self, seed: int = 3) -> Performance:
        """Call the pipeline as anybody would."""
        from cameo.generators.base import Direction

        direction = self.generator.settle(Direction(None, seed, "a person dancing"))
        return self.generator.run(direction, lambda _done: None)


@cache
def tuned(name: str) -> Family:
    """Tune two steps for a tiny pipeline, with a rate so high that it shows; once for all tests."""
    from cameo.adapt.judge import Judges
    from cameo.adapt.recipe import Recipe
    from cameo.adapt.train import tune
    from tests.generators.tiny_pipelines import FAMILIES, tiny_footage

    generator = FAMILIES[name]()
    footage = tiny_footage(generator.shape.side_px)
    others = np.zeros((2, 16, 16, 3), np.uint8), np.zeros((2, 10, 2), np.float32)
    judges = Judges(Improving(), others)
    recipe = Recipe(rank=2, steps=3, batch=2, learning_rate=0.1, warm_up=1, judge_every=3, judged_frames=4)
    return Family(name, generator, footage, tune(generator, footage, judges, recipe))


@pytest.fixture(scope="module", params=["wan", "ltx2.0", "ltx2.3"])
def family(request: pytest.FixtureRequest) -> Family:
    return tuned(request.param)
