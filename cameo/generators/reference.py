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

import numpy as np
import torch
from diffusers.utils import logging
from safetensors.torch import load
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.base import RATE_HZ, Direction, Footage, Motion, Performance, Takes
from cameo.generators.framing import Frame, frame_face
from cameo.generators.motion_track import speak, wander
from cameo.generators.reference_net import CHANNELS, FPS, FRAMES, SIZE, ReferenceNet, sample_latent
from cameo.generators.reference_training import TrainingChunks
from cameo.generators.references import ReferenceIdentity, as_chunks, neutral_identity, show_chunks
from cameo.generators.voice_conversion import VoiceAdapter, convert_voice, learn_voice, require_voiced

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, Float32, UInt8

LORA_TARGETS = (
    r"(blocks\.\d+\.(attn1|attn2)\.(to_q|to_k|to_v|to_out\.0)|blocks\.\d+\.ffn\.net\.(0\.proj|2)"
    r"|proj_out|patch_embedding|condition_embedder\.time_proj)"
)
LENGTH = 100  # frames of a clip when nothing else is asked for
STEPS = 1  # more steps add noise that so small a network cannot remove
OVERLAP = 4  # frames shared by neighbouring chunks
BATCH = 8  # chunks drawn at once


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
        made = self.sample(identity, held.motion, seed, aided)
        points = (held.motion.points[frames] + 1) * SIZE / 2 - 0.5
        return Takes(made[frames], np.asarray(points, np.float32))

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

    @torch.no_grad()
    def sample(
        self,
        identity: ReferenceIdentity,
        motion: Motion,
        seed: int,
        show_references: bool = True,
        pulse: Callable[[float], None] | None = None,
    ) -> UInt8:
        """Generate `[T, 64, 64, 3]` frames along a motion of any length: overlapping chunks, blended."""
        length = len(motion)
        padded = _pad(motion)
        starts = torch.arange(0, len(padded) - FRAMES + 1, FRAMES - OVERLAP)
        g = torch.Generator().manual_seed(seed)
        cells = torch.randn(CHANNELS, len(padded) // 4, 8, 8, generator=g)
        noise = torch.stack([cells[:, s // 4 : s // 4 + 2] for s in starts.tolist()])
        ramp = torch.cat([torch.linspace(0.1, 1, OVERLAP), torch.linspace(1, 0.1, OVERLAP)]).view(-1, 1, 1, 1)
        total, weight = torch.zeros(len(padded), SIZE, SIZE, 3), torch.zeros(len(padded), 1, 1, 1)
        for k in range(0, len(starts), BATCH):  # a few chunks at once: memory does not grow with the clip
            if pulse is not None:
                pulse(k / len(starts))
            part = slice(k, k + BATCH)
            c = show_chunks(self.net, identity, as_chunks(padded, starts[part])).conditions(identity, show_references)
            clean = sample_latent(self.net, c, STEPS, noise[part])
            for s, frames in zip(starts[part].tolist(), self.net.latent.decode(clean).clamp(0, 1), strict=True):
                total[s : s + FRAMES] += frames * ramp
                weight[s : s + FRAMES] += ramp
        return np.asarray((total / weight * 255).round().byte()[:length])


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _pad(motion: Motion) -> Motion:
    """Repeat the last frame until chunks with overlap cover the motion."""
    length, step = max(len(motion), FRAMES), FRAMES - OVERLAP
    wanted = FRAMES + -(-(length - FRAMES) // step) * step
    index = torch.arange(wanted).clamp(max=len(motion) - 1)
    return motion[index]


@cache
def load_reference() -> ReferenceGenerator:
    """Load the weights that ship with the package."""
    with as_file(files("cameo.generators") / "weights" / "reference.safetensors") as path:
        return ReferenceGenerator(path.read_bytes())
