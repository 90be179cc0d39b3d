"""A diffusers pipeline as a generator: what all families share. One file per family says the rest.

The pipeline object stays the user's own: nothing in it is replaced but for the length of a `with` block.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from diffusers.training_utils import compute_density_for_timestep_sampling
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.base import Direction, Footage, Performance, Takes
from cameo.generators.captions import REHEARSED
from cameo.generators.digest import base_model_digest
from cameo.generators.framing import Frame, frame_face
from cameo.generators.identity_tokens import TokenIdentity, TokenPlan
from cameo.generators.memory import out_of_memory_said
from cameo.generators.pipeline_lessons import CachedWindows
from cameo.generators.standin import replaced

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, UInt8

Tensors = dict[str, Tensor]
CLASS = "a person"  # next to these words the tokens begin


@dataclass(frozen=True, slots=True)
class Shape:
    """Say what a family makes.

    Attributes:
        fps: frames per second.
        size: width and height in pixels when nothing else is asked for.
        frames, steps: of a clip, likewise.
        window: frames of a training window; `side_px` of its square.
        grain: width and height are multiples of it.
        stride: frames are 1 more than a multiple of it.
        guidance: classifier-free guidance scale.
    """

    fps: float
    size: tuple[int, int]
    frames: int
    steps: int
    window: int
    side_px: int
    grain: int
    stride: int
    guidance: float


class PipelineGenerator(ABC):
    """Implement `Generator` over a pipeline object of one family."""

    id: ClassVar[str]
    modalities: ClassVar[tuple[str, ...]] = ("face",)
    speaks: ClassVar[bool] = False
    pipelines: ClassVar[tuple[str, ...]]  # names of the classes it knows
    targets: ClassVar[Mapping[str, str]]  # modality -> regular expression of the modules that its LoRA adapts
    shape: Shape

    def __init__(self, pipe: Any, shape: Shape | None = None) -> None:
        known = [base.__name__ for base in type(pipe).__mro__]
        if not any(name in known for name in self.pipelines):
            hint = f"it takes {' or '.join(self.pipelines)}"
            raise UsageError(f"a {known[0]} is no pipeline of {self.id}", hint)
        self.pipe = pipe
        if shape is not None:
            self.shape = shape

    @property
    def fps(self) -> float:
        """Frames per second of what it generates."""
        return self.shape.fps

    @property
    def denoiser(self) -> Any:
        """The transformer."""
        return self.pipe.transformer

    @property
    def base_digest(self) -> str:
        """SHA-256 (hex) of the transformer's weights; see `digest.base_model_digest`."""
        return base_model_digest(self.denoiser)

    @property
    def device(self) -> torch.device:
        """Where it computes, also when its parts wait elsewhere (`enable_model_cpu_offload`)."""
        device: torch.device = self.pipe._execution_device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What the transformer computes in."""
        return self.denoiser.dtype

    def lora_targets(self, modality: str) -> str:
        """Return the regular expression of the modules that a modality's LoRA adapts."""
        if modality not in self.targets:
            raise ValueError(f"{self.id} has no {modality} modality")
        return self.targets[modality]

    # What a family says.

    @property
    @abstractmethod
    def limit(self) -> int:
        """How many words of a prompt, padding included, it is told."""

    @abstractmethod
    def encode(self, frames: Tensor, sound: Tensor) -> Tensors:
        """Return latents `[1, …]` of frames `[T, H, W, 3]` uint8 and sound `[N]`, as the transformer sees them."""

    @abstractmethod
    def describe(self, prompt: str) -> Tensors:
        """Return what the transformer is told by a prompt: embeddings, masks, `[1, …]`."""

    @abstractmethod
    def among(self, told: Tensors) -> dict[str, Tensor]:
        """Return per modality the embeddings `[L, D]` of the words that its tokens stand among."""

    @abstractmethod
    def add_tokens(self, told: Tensors, tokens: Mapping[str, Tensor]) -> Tensors:
        """Put tokens `[K, D]` per modality among what a prompt tells; none given changes nothing."""

    @abstractmethod
    def loss(self, latents: Tensors, told: Tensors, weight: Tensor) -> Tensor:
        """Return the family's training loss of a batch, times and noise drawn anew.

        `weight` `[B, 1, T', h', w']` stresses places of the latent, 1 in the mean.
        """

    @abstractmethod
    def attach(self, tokens: Mapping[str, Tensor]) -> AbstractContextManager[None]:
        """Give the tokens to whatever the pipeline generates inside the block, in the positive branch only."""

    # What a family may say.

    def run(self, direction: Direction, tell: Callable[[int], None]) -> Performance:
        """Call the pipeline for a settled direction; `tell` is called with the number of steps that are done."""
        return Performance(as_frames(self.pipe(**self.asked(direction, tell)).frames))

    def asked(self, direction: Direction, tell: Callable[[int], None]) -> dict[str, Any]:
        """Return the arguments that all pipelines have."""
        width, height = direction.area
        return {
            "prompt": direction.prompt,
            "width": width,
            "height": height,
            "num_frames": direction.length,
            "num_inference_steps": direction.steps,
            "max_sequence_length": self.limit,
            "guidance_scale": self.shape.guidance,
            "generator": torch.Generator().manual_seed(direction.seed),
            "callback_on_step_end": after_step(tell),
            "output_type": "np",
        }

    @contextmanager
    def told_otherwise(self, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Let the pipeline be told other words `[B, L, D]` in the positive branch than it encodes, whoever calls it."""
        plain = self.pipe.encode_prompt

        def encode_prompt(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
            words, negative = plain(*args, **kwargs)
            return change(words), negative

        with replaced(self.pipe, "encode_prompt", encode_prompt):
            yield

    @property
    def checkpointing(self) -> bool:
        """Whether only the activations between blocks are kept while training."""
        return bool(getattr(self.denoiser, "gradient_checkpointing", False))

    def through(self, block: Any, *given: Any) -> Any:
        """Run a block of the transformer while training."""
        return block(*given)

    # What follows from it.

    @cached_property
    def plan(self) -> TokenPlan:
        """Where the tokens of each modality begin."""
        with torch.no_grad():
            among = self.among(self.describe(CLASS))
        return TokenPlan({modality: words.float().mean(0).cpu() for modality, words in among.items()})

    def footage(self, clip: Clip, track: FaceTrack, usable: Tensor) -> Footage:
        """Cut a recording to squares that follow the head and shoulders, at the family's rate."""
        return frame_face(clip, track, usable, Frame(self.shape.side_px, self.shape.fps, zoom=0.55))

    def fit_identity(self, footage: Footage) -> TokenIdentity:
        """Start with tokens next to the words "a person"."""
        return TokenIdentity.begin(self.plan, footage).to(self.device)

    def load_identity(self, tensors: Mapping[str, Tensor]) -> TokenIdentity:
        """Rebuild tokens from sealed tensors, checking names and shapes."""
        return TokenIdentity.load(tensors, self.plan).to(self.device)

    def lessons(
        self, footage: Footage, identity: TokenIdentity, drop_aids: float, face_weight: float = 1.0
    ) -> CachedWindows:
        """Encode every window and every caption once; `drop_aids` of the windows are shown without tokens."""
        with out_of_memory_said():
            return CachedWindows(self, footage, identity, drop_aids, face_weight)

    def rehearse(self, identity: TokenIdentity, held: Footage, frames: Tensor, seed: int, aided: bool = True) -> Takes:
        """Generate one short clip per pose of the captions, and take as many frames of them as are asked for."""
        made, heard = [], []
        rate_hz = 0
        direction = self.settle(Direction(self.shape.window, seed, size=(self.shape.side_px,) * 2))
        with self.attach(identity.tokens() if aided else {}):
            for words in REHEARSED:
                take = self.run(replace(direction, prompt=words), lambda _done: None)
                made.append(take.frames)
                rate_hz = take.rate_hz
                if take.sound is not None:
                    heard.append(take.sound)
        every = np.concatenate(made)
        chosen = np.linspace(0, len(every) - 1, min(len(frames), len(every))).round().astype(int)
        return Takes(every[chosen], None, np.concatenate(heard, 1) if heard else None, rate_hz)

    def settle(self, direction: Direction) -> Direction:
        """Fill in length, size and steps.

        Raises:
            UsageError: the family cannot make such a length or size.
        """
        shape = self.shape
        settled = replace(
            direction,
            frames=direction.frames if direction.frames is not None else shape.frames,
            size=direction.size or shape.size,
            steps=direction.steps or shape.steps,
        )
        if settled.length % shape.stride != 1 % shape.stride or settled.length < 1:
            low = max(0, settled.length - 1) // shape.stride * shape.stride + 1
            hint = f"ask for {low} or {low + shape.stride}"
            raise UsageError(f"{self.id} makes clips of 1 + a multiple of {shape.stride} frames", hint)
        if any(side < shape.grain or side % shape.grain for side in settled.area):
            hint = f"such as {shape.size[0]} x {shape.size[1]}"
            raise UsageError(f"width and height of {self.id} are multiples of {shape.grain}", hint)
        return settled

    def perform(
        self, identity: object, direction: Direction, pulse: Callable[[float], None] | None = None
    ) -> Performance:
        """Generate a clip of whom the pipeline is wearing; of nobody, outside `wearing`."""
        steps = direction.steps or self.shape.steps

        def tell(done: int) -> None:
            if pulse is not None:
                pulse(done / steps)

        with out_of_memory_said():
            return self.run(direction, tell)

    # Of several people; a family that has `cells`, `token_layers` and `wearing_together` takes them.

    def settle_together(self, direction: Direction, people: int) -> Direction:
        """Fill in length, size and steps, as for one."""
        return self.settle(direction)

    def require_room(self, masks: Tensor) -> None:
        """Take any regions: what is nobody's is the scene."""
        return

    def token_count(self, identity: TokenIdentity) -> int:
        """Return how many tokens a person has."""
        return sum(len(tokens) for tokens in identity.tokens().values())

    def perform_together(
        self,
        identities: Sequence[TokenIdentity],
        masks: Tensor,
        direction: Direction,
        pulse: Callable[[float], None] | None = None,
    ) -> Performance:
        """Generate a clip of all of them: the pipeline draws, and what is plugged in keeps them to their regions."""
        return self.perform(identities[0], direction, pulse)

    def wearing(self, identity: TokenIdentity, modalities: Sequence[str]) -> AbstractContextManager[None]:
        """Let the pipeline itself be conditioned on the person inside the block."""
        return self.attach({m: tokens for m, tokens in identity.tokens().items() if m in modalities})


def shifted_times(count: int, shift: float) -> Tensor:
    """Draw `[count]` noise levels: logit-normal, shifted as the sampler's.

    Source: P. Esser et al., "Scaling rectified flow transformers" (2024), sections 3.1 and 5.3.2.
    """
    even = compute_density_for_timestep_sampling("logit_normal", count, logit_mean=0.0, logit_std=1.0)
    return shift * even / (1 + (shift - 1) * even)


def after_step(tell: Callable[[int], None]) -> Callable[..., dict[str, Any]]:
    """Make the callback of a pipeline that tells how many steps are done."""

    def after(_pipe: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        tell(step + 1)
        return values

    return after


def as_video(frames: Tensor) -> Tensor:
    """Turn frames `[T, H, W, 3]` uint8 into `[1, 3, T, H, W]` in -1..1."""
    return (frames.float() / 127.5 - 1).permute(3, 0, 1, 2)[None]


def as_frames(made: Any) -> UInt8:
    """Turn what a pipeline returns for one clip into frames `[T, H, W, 3]` uint8.

    Args:
        made: `[1, T, H, W, 3]` in 0..1 ("np"), `[1, T, 3, H, W]` in 0..1 ("pt"), or a list of one list of PIL pictures.

    Raises:
        UsageError: it is something else.
    """
    if isinstance(made, Tensor) and made.ndim == 5 and made.shape[:1] + made.shape[2:3] == (1, 3):
        made = made.detach().float().cpu().permute(0, 1, 3, 4, 2).numpy()
    elif isinstance(made, list) and len(made) == 1:
        made = np.stack([np.asarray(picture) for picture in made[0]])[None] / 255
    if not isinstance(made, np.ndarray) or made.ndim != 5 or len(made) != 1 or made.shape[-1] != 3:
        raise UsageError("these are not the frames of one clip", "give what the pipeline returned as .frames")
    return np.asarray((made[0] * 255).round().clip(0, 255), np.uint8)
