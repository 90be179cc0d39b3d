"""People made by code, rendered once for all tests."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cameo.records import Clip, ClipSource

if TYPE_CHECKING:
    from pathlib import Path

    from cameo.adapt.recipe import Recipe
    from cameo.crypto.keys import Keys
    from cameo.generators.base import Footage
    from cameo.generators.reference import ReferenceGenerator
    from cameo.generators.references import ReferenceIdentity
    from cameo.records import Enrollment, FaceTrack
    from cameo.seal.bundle import Part
    from tests.lendable import Lendable, People

# Before torch is loaded: threads that wait shall sleep, or tests beside other work take twenty times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so every command they start.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

FPS = 25.0
SIZE = 128


@pytest.fixture(autouse=True, scope="module")
def no_lazy_modules() -> Iterator[None]:
    """Take out what speechbrain leaves in `sys.modules`: it raises when hypothesis looks at it, as at all modules."""
    yield
    for name, module in list(sys.modules.items()):
        if type(module).__module__.startswith("speechbrain"):
            del sys.modules[name]


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


@pytest.fixture(scope="session")
def selfie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample person's recording, small and short, that passes the quality gate."""
    from cameo.media import write_mp4
    from cameo.synthetic.selfie import render_selfie

    path = tmp_path_factory.mktemp("selfie") / "selfie.mp4"
    made = render_selfie(3, 5.0, size=256)
    write_mp4(path, made.frames, made.fps, made.sound)
    return path


@dataclass(frozen=True)
class Enrolled:
    """Hold a real enrolment, made with few tuning steps, and its owner's keys."""

    made: Enrollment
    keys: Keys
    double: Path
    report: Path
    home: Path


@pytest.fixture(scope="session")
def enrolled(selfie: Path, tmp_path_factory: pytest.TempPathFactory) -> Enrolled:
    """Enrol the sample person once for all tests that only look."""
    from cameo.crypto.keys import Keys
    from cameo.enrollment import EnrollOptions, enroll

    folder = tmp_path_factory.mktemp("enrolled")
    keys = Keys.generate()
    double, report, home = folder / "ada.cameo", folder / "ada.html", folder / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMEO_HOME", str(home))
        options = EnrollOptions(recipe=quick_recipe(), report=report)
        made = enroll(selfie, keys=keys, out=double, options=options)
    return Enrolled(made, keys, double, report, home)


def quick_recipe() -> Recipe:
    """A few steps of tuning: what matters here is that they are taken."""
    from cameo.adapt.recipe import Recipe

    return Recipe(rank=4, steps=4, batch=2, judge_every=2, judged_frames=6, warm_up=2)


@pytest.fixture(scope="session")
def people() -> People:
    """Owner, friend, tool, host and a stranger."""
    from tests.lendable import People

    return People.made()


@pytest.fixture(scope="session", autouse=True)
def _nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests keeps their registry to themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMEO_HOME", str(tmp_path_factory.mktemp("nobody")))
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty CAMEO_HOME of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CAMEO_HOME", str(folder))
    for name in ("CAMEO_REGISTRY", "CAMEO_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def lending(home: Path, people: People, tmp_path: Path) -> Lendable:
    """A small double that may be lent for birthdays and comedy; no generator takes it, everything else does."""
    from tests.lendable import seal_lendable
    from tests.seal.conftest import ENCODER, some_parts

    return seal_lendable(tmp_path, people, some_parts(), ENCODER)


@pytest.fixture(scope="session")
def enrolled_parts(enrolled: Enrolled) -> list[Part]:
    """The parts of the enrolled person, decrypted."""
    from cameo.seal.bundle import Bundle, Part
    from cameo.seal.manifest import part_generator
    from cameo.seal.unlock import unlock_as_owner

    verified = Bundle.open(enrolled.double).verify(enrolled.keys.public)
    content = unlock_as_owner(verified, enrolled.keys)
    bases = {"": ""} | {generator.id: generator.base_digest for generator in verified.manifest.generators}
    parts = []
    for part in verified.manifest.parts:
        generator = part_generator(part.name)
        data = verified.read_part(part.name, content)
        parts.append(Part(part.name, part.modality, data, generator, bases[generator]))
    return parts


@pytest.fixture
def lendable(home: Path, people: People, tmp_path: Path, enrolled_parts: list[Part]) -> Lendable:
    """The enrolled person as a double that may be lent for birthdays and comedy, and cast."""
    from tests.lendable import seal_lendable
    from tests.seal.conftest import ENCODER

    return seal_lendable(tmp_path, people, enrolled_parts, ENCODER)
