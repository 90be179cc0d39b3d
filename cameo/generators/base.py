"""What a generator must answer so that a double can be tuned for it and cast in it.

One file per family implements `Generator`. The workflows know nothing else about a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cameo.records import Clip, FaceTrack, UInt8


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

    frames `[T, S, S, 3]` uint8, motion of the same length, usable `[T]` bool: frames good enough to learn from.
    """

    frames: Tensor
    motion: Motion
    usable: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, start: int, stop: int) -> Footage:
        """Take the frames start..stop."""
        return Footage(self.frames[start:stop], self.motion[start:stop], self.usable[start:stop])

    def windows(self, length: int, stride: int) -> Tensor:
        """First frames of all runs of `length` usable frames, every `stride` frames, `[n]`."""
        run = self.usable.float().unfold(0, length, 1).amin(1) if len(self) >= length else torch.zeros(0)
        starts = torch.arange(0, len(run), stride)
        return starts[run[starts] > 0]


class Identity(Protocol):
    """Everything but the LoRA that makes the generator show one person: sealed and gated exactly like the LoRA."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what is sealed, by name."""
        ...

    def trainable(self) -> Sequence[nn.Parameter]:
        """Return the learned inputs; those that need no gradient are set in closed form."""
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
    def side_px(self) -> int:
        """Width and height of the frames it generates."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """What of a person it can take on: "face", "voice"."""
        ...

    @property
    def denoiser(self) -> Any:
        """The module a LoRA attaches to: an `nn.Module` with diffusers' adapter methods."""
        ...

    def lora_targets(self, modality: str) -> str:
        """Return the regular expression of the modules that a modality's LoRA adapts."""
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

    def training_loss(self, footage: Footage, identity: Any, drop_references: float) -> Callable[[int], Tensor]:
        """Set learned inputs that have a closed form, cache latents; return a function from batch size to the loss."""
        ...

    def sample(
        self,
        identity: Any,
        motion: Motion,
        seed: int,
        show_references: bool = True,
        pulse: Callable[[float], None] | None = None,
    ) -> UInt8:
        """Generate `[T, S, S, 3]` uint8 frames of the person along a motion.

        `pulse` is called now and then with the share that is done, 0..1; whatever it raises ends the work.
        """
        ...

    def wander(self, identity: Any, frames: int, seed: int) -> Motion:
        """Make up a motion within the person's habits, from a seed."""
        ...
