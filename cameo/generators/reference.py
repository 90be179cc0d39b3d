"""The reference generator: ships with the package, trained on rendered people only, runs on a CPU.

A tiny Wan transformer (`reference_net`) redraws a person's warped reference frames along a motion. A line is spoken in
the person's voice without it (`voice_conversion`); the lips follow the sound.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import torch
from diffusers.utils import logging
from safetensors.torch import load
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.base import RATE_HZ, Direction, Footage, Motion, Performance, Takes
from cameo.generators.framing import Frame, frame_face
from cameo.generators.latent import BLOCK
from cameo.generators.motion_track import speak, wander
from cameo.generators.reference_clip import Take, draw_clip, padded_motion
from cameo.generators.reference_net import FPS, SIZE, ReferenceNet, Told
from cameo.generators.reference_scene import draw_together, lay_squares, require_cells, width_cells
from cameo.generators.reference_training import TrainingChunks
from cameo.generators.references import GRID, ReferenceIdentity, as_chunks, neutral_identity, show_chunks
from cameo.generators.together import TokenLayers
from cameo.generators.voice_conversion import VoiceAdapter, convert_voice, learn_voice, require_voiced

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, Float32, UInt8

LORA_TARGETS = (
    r"(blocks\.\d+\.(attn1|attn2)\.(to_q|to_k|to_v|to_out\.0)|blocks\.\d+\.ffn\.net\.(0\.proj|2)"
    r"|proj_out|patch_embedding|condition_embedder\.time_proj)"
)
LENGTH = 100  # frames of a clip when nothing else is asked for
STEPS = 1  # more steps add noise that so small a network cannot remove


class ReferenceGenerator:
    """Implement `Generator` for the shipped weights."""

    id = "reference"
    fps = FPS
    modalities = ("face", "voice")
    speaks = False  # but for a line, see `LineSpeaker`

    def __init__(self, weights: bytes) -> None:
        self.base_digest = hashlib.sha256(weights).hexdigest()
        self.net = ReferenceNet()
        self.net.load_state_dict({name: t.float() for name, t in load(weights).items()})
        with _quiet_diffusers():  # which calls every choice of a backend experimental
            self.net.transformer.set_attention_backend("_native_math")  # faster than the fused kernel at 128 tokens
        self.net.eval().requires_grad_(False)

    @property
    def denoiser(self) -> Any:
        """The module a LoRA attaches to."""
        return self.net.transformer

    def lora_targets(self, modality: str) -> str:
        """Return the regular expression of the modules that a modality's LoRA adapts; "" for the voice."""
        if modality not in self.modalities:
            raise ValueError(f"the reference generator has no {modality} modality")
        return LORA_TARGETS if modality == "face" else ""

    def footage(self, clip: Clip, track: FaceTrack, usable: Tensor) -> Footage:
        """Cut a recording to 64 x 64 frames that follow the head, 25 a second."""
        return frame_face(clip, track, usable, Frame(SIZE, FPS))

    def fit_identity(self, footage: Footage) -> ReferenceIdentity:
        """Take references from footage; learned inputs start neutral."""
        return neutral_identity(self.net, footage)

    def load_identity(self, tensors: Mapping[str, Tensor]) -> ReferenceIdentity:
        """Rebuild an identity from sealed tensors, checking names and shapes."""
        return ReferenceIdentity.load(tensors)

    def fit_voice(self, speech: Float32) -> Mapping[str, Tensor]:
        """Learn a voice in closed form."""
        return learn_voice(speech).tensors()

    def give_voice(self, identity: ReferenceIdentity, tensors: Mapping[str, Tensor]) -> ReferenceIdentity:
        """Return the identity with the sealed voice."""
        return replace(identity, voice=VoiceAdapter.load(tensors))

    def lessons(
        self, footage: Footage, identity: ReferenceIdentity, drop_aids: float, face_weight: float = 1.0
    ) -> TrainingChunks:
        """Learn what has a closed form, and cache latents; `drop_aids` of the windows are shown without references."""
        return TrainingChunks(self.net, footage, identity, drop_aids, face_weight)

    def rehearse(
        self, identity: ReferenceIdentity, held: Footage, frames: Tensor, seed: int, aided: bool = True
    ) -> Takes:
        """Generate the frames `[N]` of held footage, with and without references."""
        return Takes(self.sample(identity, held.motion, seed, aided)[frames], held.points_px(frames))

    def settle(self, direction: Direction) -> Direction:
        """Fill in the one size there is.

        Raises:
            UsageError: another size or other steps are asked for, or the line has no voice in it.
        """
        if direction.size not in (None, (SIZE, SIZE)) or direction.steps not in (None, STEPS):
            hint = "leave size and steps out, or choose another generator"
            raise UsageError(f"the reference generator makes {SIZE} x {SIZE} pixels in one step", hint)
        if direction.line is not None:
            require_voiced(direction.line.numpy())
        return replace(direction, frames=direction.frames or LENGTH, size=(SIZE, SIZE), steps=STEPS)

    def perform(
        self, identity: ReferenceIdentity, direction: Direction, pulse: Callable[[float], None] | None = None
    ) -> Performance:
        """Generate a clip along a motion within the person's habits, from the seed; a line moves the lips.

        Raises:
            UsageError: there is a line, and the identity has no voice.
        """
        if direction.line is None:
            motion = wander(identity, direction.length, direction.seed)
            return Performance(self.sample(identity, motion, direction.seed, True, pulse))
        if identity.voice is None:
            raise UsageError("the person's voice is not at hand", "unlock the voice, too, or leave the line out")
        line: Float32 = direction.line.numpy()
        motion = speak(identity, line, RATE_HZ, direction.length, direction.seed)
        sound = convert_voice(identity.voice, line)
        return Performance(self.sample(identity, motion, direction.seed, True, pulse), sound[None], RATE_HZ)

    def wearing(self, identity: ReferenceIdentity, modalities: Sequence[str]) -> AbstractContextManager[None]:
        """Do nothing: the network is given the person with every call."""
        return nullcontext()

    # Several people.

    token_layers = TokenLayers(
        told=r"blocks\.\d+\.attn2\.(to_k|to_v)", asking=r"blocks\.\d+\.attn2", looking=r"blocks\.\d+\.attn1"
    )

    def settle_together(self, direction: Direction, people: int) -> Direction:
        """Fill in length and size: squares side by side.

        Raises:
            UsageError: a size of no whole cells, or with no room for them, or other steps.
        """
        size = direction.size or (width_cells(people) * BLOCK, SIZE)
        if any(side % BLOCK for side in size) or direction.steps not in (None, STEPS):
            hint = "leave size and steps out, or choose another generator"
            raise UsageError(f"the reference generator makes sides of a multiple of {BLOCK} pixels in one step", hint)
        require_cells(size[1] // BLOCK, size[0] // BLOCK, people)
        return replace(direction, frames=direction.frames or LENGTH, size=size, steps=STEPS)

    def cells(self, direction: Direction) -> tuple[int, int]:
        """Return how many cells high and wide the picture is."""
        width, height = direction.area
        return height // BLOCK, width // BLOCK

    def require_room(self, masks: Tensor) -> None:
        """Check that squares of its size can fill these regions, `[P, h, w]`.

        Raises:
            UsageError: a place of the picture is in nobody's square.
        """
        lay_squares(masks)

    def token_count(self, identity: ReferenceIdentity) -> int:
        """Return how many tokens a person has."""
        return len(identity.tokens)

    def wearing_together(
        self, identities: Sequence[ReferenceIdentity]
    ) -> AbstractContextManager[Callable[[int], bool]]:
        """Do nothing, as `wearing`: tokens are all that the network is ever told."""
        return nullcontext(lambda _length: True)

    def perform_together(
        self,
        identities: Sequence[ReferenceIdentity],
        masks: Tensor,
        direction: Direction,
        pulse: Callable[[float], None] | None = None,
    ) -> Performance:
        """Generate a clip in which everybody moves by their own habits, in the square that their region is in."""
        take = Take(direction.length, self.cells(direction), direction.seed, STEPS)
        return Performance(draw_together(self.net, identities, masks, take, pulse))

    @torch.no_grad()
    def sample(
        self,
        identity: ReferenceIdentity,
        motion: Motion,
        seed: int,
        show_references: bool = True,
        pulse: Callable[[float], None] | None = None,
    ) -> UInt8:
        """Generate `[T, 64, 64, 3]` frames along a motion of any length."""
        padded = padded_motion(motion)

        def told(starts: Tensor) -> Told:
            chunks = show_chunks(self.net, identity, as_chunks(padded, starts))
            return chunks.conditions(identity, show_references).told()

        return draw_clip(self.net, Take(len(motion), (GRID, GRID), seed, STEPS), told, pulse)


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


@cache
def load_reference() -> ReferenceGenerator:
    """Load the weights that ship with the package."""
    with as_file(files("cameo.generators") / "weights" / "reference.safetensors") as path:
        return ReferenceGenerator(path.read_bytes())
