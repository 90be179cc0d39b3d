"""What each front tells of one clip."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Told:
    """Hold wall and processor time of each stage of a clip, the faces that were embedded, and the embeddings.

    `halves` are the face templates of the first and the second half of the clip; `voice` is None where no speech was
    found. Making the halves is not timed.
    """

    stages_s: dict[str, tuple[float, float]]
    faces: int
    face: Float32
    halves: tuple[Float32, Float32]
    voice: Float32 | None

    def plain(self) -> dict[str, Any]:
        """Turn it into what JSON can hold."""
        voice = None if self.voice is None else self.voice.tolist()
        both = [half.tolist() for half in self.halves]
        return {"stages_s": self.stages_s, "faces": self.faces, "face": self.face.tolist(), "halves": both,
                "voice": voice}  # fmt: skip


class Stopwatch:
    """Add up wall and processor time by stage; a stage may be entered again and again."""

    def __init__(self) -> None:
        self.stages_s: dict[str, tuple[float, float]] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done inside."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        before = self.stages_s.get(stage, (0.0, 0.0))
        spent = time.perf_counter() - wall, time.process_time() - processor
        self.stages_s[stage] = (before[0] + spent[0], before[1] + spent[1])


def halves(first: Float32, second: Float32) -> tuple[Float32, Float32]:
    """Mean direction of the unit rows of each half."""
    a, b = first.mean(0), second.mean(0)
    return a / np.linalg.norm(a), b / np.linalg.norm(b)


def memory_peak() -> int:
    """Largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
