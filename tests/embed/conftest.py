"""People and voices made by code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from cameo.synthetic.renderer import render
from cameo.synthetic.traits import sample_identities

if TYPE_CHECKING:
    from cameo.records import Float32, Int64, UInt8

PEOPLE, SCENES, POSES, SIZE = 4, 2, 12, 112


@dataclass(frozen=True)
class Crowd:
    """Frames `[48 * 2, S, S, 3]`, points `[., 10, 2]`, and whose each is in which scene."""

    frames: UInt8
    points: Float32
    people: Int64
    scenes: Int64


@pytest.fixture(scope="session")
def crowd() -> Crowd:
    g = torch.Generator().manual_seed(77)
    identities = sample_identities(PEOPLE, g)
    drawn = [render(identities, POSES, 1, SIZE, g) for _ in range(SCENES)]
    frames = np.concatenate([(d.frames * 255).round().byte().flatten(0, 1).numpy() for d in drawn])
    points = np.concatenate([((d.points + 1) * SIZE / 2 - 0.5).flatten(0, 1).numpy() for d in drawn])
    people = np.tile(np.repeat(np.arange(PEOPLE), POSES), SCENES)
    return Crowd(frames, points.astype(np.float32), people, np.repeat(np.arange(SCENES), PEOPLE * POSES))
