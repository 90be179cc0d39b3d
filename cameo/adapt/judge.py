"""Score how much generated frames look like a person, against held-out frames and against other people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.directions import mean_direction
from cameo.faces.track import head_pose

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, UInt8

# Frames [N, S, S, 3] and their landmarks in pixels [N, 10, 2], or None to look for them -> unit vectors [N, D], which
# rows are valid.
Embed = Callable[["UInt8", "Float32 | None"], "tuple[Float32, Bool]"]
# Speech [N] at 16 kHz -> unit vectors of its windows [K, D]; CaptureRejected when there is less than a second.
EmbedVoice = Callable[["Float32"], "Float32"]

TURNED_DEG = 15.0  # a head is frontal within; ISO/IEC 29794-5
LEAST_OF_A_POSE = 3  # frames; fewer are counted with the frontal ones


@dataclass(frozen=True)
class Judges:
    """Hold the recognisers that watch a tuning run, and other people whom the result must not resemble.

    Attributes:
        face: of the face.
        others: frames `[N, S, S, 3]` and landmarks in pixels `[N, 10, 2]`, one frame each.
        voice: of the voice, for generators that speak; without it no voice is judged.
        speech: `[N]` float32 mono at 16 kHz, one each of other people.
    """

    face: Embed
    others: tuple[UInt8, Float32]
    voice: EmbedVoice | None = None
    speech: Sequence[Float32] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Mean cosine of generated frames to the person's held-out frames and to the nearest of the other people.

    excess: how much nearer to another person they are than the person's own real frames are, 0 for not nearer.
    found: share of the frames with a face.
    """

    likeness: float
    impostor: float
    excess: float = 0.0
    found: float = 1.0

    @property
    def margin(self) -> float:
        """How much nearer to the person than to anybody else."""
        return self.likeness - self.impostor

    @property
    def score(self) -> float:
        """What checkpoints are compared by: likeness, less what is likeness to somebody else."""
        return self.likeness - self.excess


class Judge:
    """Compare with held-out frames of the person and with other people, through one recogniser."""

    def __init__(self, embed: Embed, real: tuple[UInt8, Float32 | None], others: tuple[UInt8, Float32 | None]) -> None:
        self._embed = embed
        own = self._valid(*real)
        self._centre = mean_direction(own) if len(own) else None
        self._others = self._valid(*others)
        self._usual = float(self._nearest(own).mean()) if len(own) else 0.0

    def _valid(self, frames: UInt8, points: Float32 | None) -> Float32:
        vectors, found = self._embed(frames, points)
        return vectors[found]

    def _nearest(self, vectors: Float32) -> Float32:
        return np.asarray((vectors @ self._others.T).max(1, initial=-1.0), np.float32)

    def score(self, frames: UInt8, points: Float32 | None, poses: Float32 | None = None) -> Verdict:
        """Score frames `[N, S, S, 3]` with landmarks in pixels `[N, 10, 2]` or None.

        Frames without a face count as 0. `poses` `[N, 10, 2]` are landmarks by which they are sorted into turned to the
        left, frontal, and turned to the right; each of these counts alike, however few frames it has.
        """
        if self._centre is None or not len(frames):
            return Verdict(0.0, 0.0, found=0.0)
        vectors, found = self._embed(frames, points)
        own = np.where(found, vectors @ self._centre, 0.0)
        other = np.where(found, self._nearest(vectors), 0.0)
        weights = _balanced(len(frames), poses)
        likeness, impostor = float(weights @ own), float(weights @ other)
        return Verdict(likeness, impostor, max(0.0, impostor - self._usual), float(found.mean()))


def _balanced(count: int, poses: Float32 | None) -> Float32:
    """Weights `[N]` that sum to 1 and give every pose the same share."""
    if poses is None or len(poses) != count:
        return np.full(count, 1 / count, np.float32)
    pose = np.digitize(head_pose(np.asarray(poses, np.float32))[0], (-TURNED_DEG, TURNED_DEG))
    for turned in (0, 2):
        if (pose == turned).sum() < LEAST_OF_A_POSE:
            pose[pose == turned] = 1
    kinds, of, sizes = np.unique(pose, return_inverse=True, return_counts=True)
    return np.asarray(1 / (len(kinds) * sizes[of]), np.float32)
