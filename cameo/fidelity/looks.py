"""Gather what was seen in the frames of one clip: when, how the head was turned, and the vector of each face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from cameo.directions import mean_direction
from cameo.faces.track import head_pose

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, Float64

POSES = ("frontal", "turned")
TURNED_DEG = 15.0  # a head is frontal within. Source: ISO/IEC 29794-5


class Looks:
    """Hold the frames of a clip that were looked at, in the order of time; one frame is a vector and ten points."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._points: list[Float32 | None] = []
        self._vectors: dict[str, list[Float32 | None]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def add(self, time_s: float, points: Float32 | None, vectors: Mapping[str, Float32 | None]) -> None:
        """Add one frame.

        Args:
            time_s: from the start of the clip.
            points: `[10, 2]` pixels of the face, None where the first recogniser found none.
            vectors: by measure, a unit vector, None where that recogniser found no face; the same measures every time.
        """
        self._times.append(time_s)
        self._points.append(points)
        for measure, vector in vectors.items():
            self._vectors.setdefault(measure, []).append(vector)

    @property
    def times_s(self) -> Float64:
        """`[N]` times."""
        return np.asarray(self._times, np.float64)

    @property
    def yaw_deg(self) -> Float64:
        """`[N]` how far each head is turned; NaN without a face."""
        return self._of_points(lambda points: float(head_pose(points[None])[0][0]))

    @property
    def eyes_px(self) -> Float64:
        """`[N]` distance between the eyes in pixels; NaN without a face."""
        return self._of_points(lambda points: float(np.linalg.norm(points[1] - points[0])))

    def found(self, measure: str) -> Bool:
        """`[N]` whether that recogniser found a face."""
        return np.array([vector is not None for vector in self._vectors.get(measure, [])], bool)

    def cosines(self, measure: str, reference: Float32 | None) -> Float64:
        """`[N]` cosine of each frame to a unit vector `[D]`; NaN without a face, or without a reference."""
        vectors = self._vectors.get(measure, [])
        pairs = ((v, reference) for v in vectors)
        return np.array([np.nan if v is None or r is None else float(v @ r) for v, r in pairs], np.float64)

    def direction(self, measure: str, part: slice = slice(None)) -> Float32 | None:
        """Mean direction `[D]` of the faces in a part of the frames; None without any."""
        some = [vector for vector in self._vectors.get(measure, [])[part] if vector is not None]
        return mean_direction(np.stack(some)) if some else None

    def poses(self, likeness: Float64) -> dict[str, float]:
        """Mean of likeness `[N]` over frontal and over turned frames; NaN for a pose that is not shown."""
        return {pose: _mean(likeness[turned]) for pose, turned in self.in_pose().items()}

    def in_pose(self) -> dict[str, Bool]:
        """By pose, `[N]` whether a frame shows it; a frame without a face shows none."""
        yaw = np.abs(self.yaw_deg)
        return dict(zip(POSES, (yaw < TURNED_DEG, yaw >= TURNED_DEG), strict=True))

    def _of_points(self, read: Callable[[Float32], float]) -> Float64:
        return np.array([np.nan if points is None else read(points) for points in self._points], np.float64)


def _mean(values: Float64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
