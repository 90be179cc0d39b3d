"""People made by code, rendered once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cameo.records import Clip, ClipSource

if TYPE_CHECKING:
    from cameo.records import FaceTrack

FPS = 25.0
SIZE = 128


@dataclass(frozen=True)
class RenderedPerson:
    """Hold a rendered recording and what is true of it.

    points `[T, 10, 2]` in pixels; eye_open and mouth `[T]` 0..1, as the renderer was told.
    """

    clip: Clip
    points: np.ndarray
    eye_open: np.ndarray
    mouth: np.ndarray


def clip_of(frames: np.ndarray, sound: np.ndarray | None = None, fps: float = FPS) -> Clip:
    """Wrap frames `[T, H, W, 3]` and sound `[N]` as if they had been decoded."""
    seconds = len(frames) / fps
    heard = np.zeros(0, np.float32) if sound is None else sound.astype(np.float32)
    height, width = frames.shape[1:3]
    source = ClipSource("made.mp4", "0" * 64, "mp4", "h264", "aac", width, height, fps, 0, seconds, 16_000, 1)
    return Clip(frames, np.arange(len(frames)) / fps, heard, seconds, source)


def render_person(seed: int, frames: int, size: int = SIZE) -> RenderedPerson:
    """Render a person who talks and turns a little, about the same for every machine."""
    import torch

    from cameo.synthetic.motion import sample_motion
    from cameo.synthetic.renderer import draw
    from cameo.synthetic.traits import sample_identities

    generator = torch.Generator().manual_seed(seed)
    who = sample_identities(1, generator)
    motion = sample_motion(1, frames, generator, pose=0.7)
    drawn = draw(who, motion, size, generator)
    pictures = (drawn.frames[0] * 255).round().byte().numpy()
    points = (drawn.points[0].numpy() + 1) * size / 2 - 0.5
    return RenderedPerson(clip_of(pictures), points, drawn.eye_open[0].numpy(), motion.mouth[0].numpy())


@pytest.fixture(scope="session")
def person() -> RenderedPerson:
    """Four seconds of one person."""
    return render_person(2, 100)


@pytest.fixture(scope="session")
def person_track(person: RenderedPerson) -> FaceTrack:
    """Track the face of `person`."""
    from cameo.faces.track import track_faces

    return track_faces(person.clip.frames)
