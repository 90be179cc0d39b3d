"""People made by code, rendered once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cameo.records import Clip, ClipSource

if TYPE_CHECKING:
    from cameo.generators.base import Footage
    from cameo.generators.reference import ReferenceGenerator
    from cameo.generators.references import ReferenceIdentity
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


def chance_weights(seed: int = 0) -> bytes:
    """Make weights of a reference net nobody trained; its last layer is zero, so it returns the warped reference."""
    import torch
    from safetensors.torch import save

    from cameo.generators.latent import BlockDct
    from cameo.generators.reference_net import CHANNELS, DRIVER_CHANNELS, ReferenceNet

    torch.manual_seed(seed)
    net = ReferenceNet()
    video = torch.rand(2, 8, 64, 64, 3)
    for name, channels in (("latent", CHANNELS), ("driver", DRIVER_CHANNELS)):
        fitted = BlockDct(channels).fit(video)
        getattr(net, f"{name}_mean").copy_(fitted.mean)
        getattr(net, f"{name}_scale").copy_(fitted.scale)
    net.near_gain[1:] = 0.9
    net.prior_variance.fill_(0.05)
    return save({name: tensor.contiguous() for name, tensor in net.state_dict().items()})


@pytest.fixture(scope="session")
def generator() -> ReferenceGenerator:
    """A reference generator with weights drawn by chance: tests of the machinery do not wait for training."""
    from cameo.generators.reference import ReferenceGenerator

    return ReferenceGenerator(chance_weights())


@pytest.fixture(scope="session")
def footage(generator: ReferenceGenerator, person: RenderedPerson, person_track: FaceTrack) -> Footage:
    """The rendered person as the reference generator sees them."""
    import torch

    return generator.footage(person.clip, person_track, torch.ones(len(person.clip.frames), dtype=torch.bool))


@pytest.fixture(scope="session")
def identity(generator: ReferenceGenerator, footage: Footage) -> ReferenceIdentity:
    """The rendered person's references and statistics."""
    return generator.fit_identity(footage)
