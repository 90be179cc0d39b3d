"""What a generator must answer so that a double can be tuned for it and cast in it.

One file per family implements `Generator`. The workflows know nothing else about a model.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cameo.records import Clip, FaceTrack, Float32, UInt8

RATE_HZ = 16_000  # of all sound that is handed to a generator


@dataclass(frozen=True)
class Motion:
    """Drive a head: points `[T, 10, 2]` in -1..1 of the picture (`records.LANDMARKS` order), eye openness `[T]`."""

    points: Tensor
    eye_open: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: slice | Tensor) -> Motion:
        return Motion(self.points[index], self.eye_open[index])


@dataclass(frozen=True)
class Footage:
    """Hold a person's recording as the generator sees it.

    Attributes:
        frames: `[T, H, W, 3]` uint8 RGB, at the generator's rate.
        motion: the face in them, of the same length.
        usable: `[T]` bool, frames good enough to learn from.
        fps: frames per second.
        sound: `[N]` float32 mono at 16 kHz, from the first frame on; empty where there is none, or none is used.
        speaker: `[D]` unit vector of the voice encoder, or None.
    """

    frames: Tensor
    motion: Motion
    usable: Tensor
    fps: float = 25.0
    sound: Tensor = field(default_factory=lambda: torch.zeros(0))
    speaker: Tensor | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, start: int, stop: int) -> Footage:
        """Take the frames start..stop, and their sound."""
        heard = slice(round(start / self.fps * RATE_HZ), round(stop / self.fps * RATE_HZ))
        return replace(
            self,
            frames=self.frames[start:stop],
            motion=self.motion[start:stop],
            usable=self.usable[start:stop],
            sound=self.sound[heard],
        )

    def windows(self, length: int, stride: int) -> Tensor:
        """First frames of all runs of `length` usable frames, every `stride` frames, `[n]`."""
        run = self.usable.float().unfold(0, length, 1).amin(1) if len(self) >= length else torch.zeros(0)
        starts = torch.arange(0, len(run), stride)
        return starts[run[starts] > 0]

    def spread(self, count: int) -> Tensor:
        """Pick up to `count` usable frames, evenly spread; indices, rising."""
        usable = torch.nonzero(self.usable).flatten()
        return usable[torch.linspace(0, len(usable) - 1, min(count, len(usable))).round().long()]

    def points_px(self, index: Tensor) -> Float32:
        """Landmarks of the frames `index` `[N]` in pixels, `[N, 10, 2]`."""
        height, width = self.frames.shape[1:3]
        points = (self.motion.points[index] + 1) * torch.tensor([width, height]) / 2 - 0.5
        return np.asarray(points, np.float32)


@dataclass(frozen=True)
class Direction:
    """Say what is to be generated.

    Attributes:
        frames: how many; None takes the generator's own.
        seed: of everything that is left to chance.
        prompt: the scene in words; a generator that takes none does not follow it.
        size: width and height in pixels; None takes the generator's own.
        steps: of sampling; None takes the generator's own.
        line: `[N]` float32 mono at 16 kHz: what is said, for a generator that takes sound; None for silence.
    """

    frames: int | None
    seed: int
    prompt: str = ""
    size: tuple[int, int] | None = None
    steps: int | None = None
    line: Tensor | None = None

    @property
    def length(self) -> int:
        """How many frames, once settled."""
        return self.frames or 0

    @property
    def area(self) -> tuple[int, int]:
        """Width and height in pixels, once settled."""
        return self.size or (0, 0)


@dataclass(frozen=True)
class Performance:
    """Hold what was generated: frames `[T, H, W, 3]` uint8 RGB, and sound `[C, N]` float32 at `rate_hz` or None."""

    frames: UInt8
    sound: Float32 | None = None
    rate_hz: int = 0


@dataclass(frozen=True)
class Takes:
    """Hold frames generated for the judge: `[N, H, W, 3]` uint8 RGB.

    points: `[N, 10, 2]` where their landmarks must be, in pixels; None where only looking can tell.
    sound: `[C, M]` float32 at `rate_hz` that came with them, or None.
    """

    frames: UInt8
    points: Float32 | None = None
    sound: Float32 | None = None
    rate_hz: int = 0


class Identity(Protocol):
    """Everything but the LoRA that makes the generator show one person: sealed and gated exactly like the LoRA."""

    def tensors(self, modality: str) -> dict[str, Tensor]:
        """Return what is sealed with a modality's LoRA, by name."""
        ...

    def trainable(self) -> Sequence[nn.Parameter]:
        """Return the learned inputs; those that need no gradient are set in closed form."""
        ...


class Lessons(Protocol):
    """Hold windows of a person's footage with everything about them that need not be computed twice."""

    def __len__(self) -> int:
        """Return how many windows there are."""
        ...

    @property
    def spans(self) -> Tensor:
        """First and one-past-last frame of each window in the footage, `[n, 2]`."""
        ...

    def loss(self, windows: Tensor) -> Tensor:
        """Return the mean training loss of the windows `[B]` at times and noise drawn anew."""
        ...

    def prior_loss(self, count: int) -> Tensor:
        """Return how far the adapted denoiser is from the base on `count` windows of other people.

        Nothing of the person is shown: no references, no tokens. Drawn from `other_people.rendered_footage`, at times
        and noise drawn anew; the gradient reaches the LoRA alone.
        """
        ...


class Generator(Protocol):
    """A video generator with a conditioning path for a person.

    An `identity` given to it is one that its own `fit_identity` or `load_identity` returned.
    """

    @property
    def id(self) -> str:
        """Its name in part names and on the command line."""
        ...

    @property
    def base_digest(self) -> str:
        """SHA-256 (hex) of the base weights."""
        ...

    @property
    def fps(self) -> float:
        """Frames per second of what it generates."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """What of a person it can take on: "face", "voice"."""
        ...

    @property
    def speaks(self) -> bool:
        """Whether its clips have sound of their own accord."""
        ...

    @property
    def denoiser(self) -> Any:
        """The module a LoRA attaches to: an `nn.Module` with diffusers' adapter methods."""
        ...

    def lora_targets(self, modality: str) -> str:
        """Return the regular expression of the modules that a modality's LoRA adapts; "" if it needs none."""
        ...

    def footage(self, clip: Clip, track: FaceTrack, usable: Tensor) -> Footage:
        """Crop and scale a recording to what the generator works on."""
        ...

    def fit_identity(self, footage: Footage) -> Identity:
        """Take references from footage; learned inputs start neutral."""
        ...

    def load_identity(self, tensors: Mapping[str, Tensor]) -> Identity:
        """Rebuild an identity from sealed tensors, checking names and shapes."""
        ...

    def lessons(self, footage: Footage, identity: Any, drop_aids: float, face_weight: float = 1.0) -> Lessons:
        """Set learned inputs that have a closed form, and cache what training needs.

        Args:
            footage: what is learned from.
            identity: whose learned inputs are trained along.
            drop_aids: share of the windows that are shown without what is not the adapter (references, tokens).
            face_weight: how many times as much as the background eyes and mouth count in the loss; see `region_weight`.
        """
        ...

    def rehearse(self, identity: Any, held: Footage, frames: Tensor, seed: int, aided: bool = True) -> Takes:
        """Generate takes for the judge, as far as the generator can like the given `frames` `[N]` of held footage.

        `aided` says whether it is given what is not the adapter.
        """
        ...

    def settle(self, direction: Direction) -> Direction:
        """Fill in what a direction leaves open: length, size and steps are given then.

        Raises:
            UsageError: such a clip cannot be made.
        """
        ...

    def perform(self, identity: Any, direction: Direction, pulse: Callable[[float], None] | None = None) -> Performance:
        """Generate a clip of the person, as a settled direction says.

        `pulse` is called now and then with the share that is done, 0..1; whatever it raises ends the work.
        """
        ...

    def wearing(self, identity: Any, modalities: Sequence[str]) -> AbstractContextManager[None]:
        """Let everything generated inside the block be conditioned on these modalities of the person.

        That holds for the wrapped pipeline too, whoever calls it.
        """
        ...


def taught(generator: Generator) -> tuple[str, ...]:
    """Which modalities of a generator a LoRA learns; the others have a closed form, see `LineSpeaker`."""
    return tuple(modality for modality in generator.modalities if generator.lora_targets(modality))


@runtime_checkable
class LineSpeaker(Protocol):
    """A generator that says a given line in a person's voice, and learns that voice in closed form, not by descent.

    Its `lora_targets("voice")` is "": the denoiser has no part in it.
    """

    def fit_voice(self, speech: Float32) -> Mapping[str, Tensor]:
        """Learn a voice from `[N]` mono at 16 kHz without pauses; what is sealed, by name.

        Raises:
            CaptureRejected: there is no voice in it.
        """
        ...

    def give_voice(self, identity: Any, tensors: Mapping[str, Tensor]) -> Identity:
        """Return the identity with the sealed voice, after checking its names, shapes and values.

        Raises:
            NotVerified: the tensors are no voice of this generator.
        """
        ...
