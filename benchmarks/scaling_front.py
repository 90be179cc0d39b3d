"""Points of `benchmarks.scaling` at the front of an enrolment: longer recordings, and larger pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.enroll_front import repeat
from benchmarks.peers.enroll_with_cameo import enroll
from benchmarks.scaling_points import Costs
from cameo.embed.face import load_face_encoder
from cameo.embed.voice import load_voice_encoder
from cameo.media import write_mp4
from cameo.synthetic.selfie import Selfie, render_selfie

SEED = 0
PIECE_S, PAUSE_S = 3.5, 0.5  # of a rendered person, repeated for longer ones
LENGTH_S = 3.0  # of the recordings of different sizes
_PROCESSOR = 1
_NOTHING_S = 1e-3


def prepare_clip_length(folder: Path, sizes: Sequence[int]) -> None:
    """Render a few seconds of a person and repeat them, the sound going on."""
    piece = folder / "piece.mp4"
    _write(piece, render_selfie(SEED, PIECE_S))
    for size in sizes:
        repeat(piece, max(1, round(size / (PIECE_S + PAUSE_S))), folder / f"{size}.mp4")


def prepare_resolution(folder: Path, sizes: Sequence[int]) -> None:
    """Render a person once and scale the pictures."""
    selfie = render_selfie(SEED, LENGTH_S)
    for size in sizes:
        width = round(size * selfie.frames.shape[2] / selfie.frames.shape[1] / 2) * 2
        scaled = [cv2.resize(frame, (width, size), interpolation=cv2.INTER_CUBIC) for frame in selfie.frames]
        _write(folder / f"{size}.mp4", Selfie(np.stack(scaled).astype(np.uint8), selfie.sound, selfie.fps))


def _write(path: Path, selfie: Selfie) -> None:
    write_mp4(path, selfie.frames, selfie.fps, selfie.sound)


def begin_clip_length(size: int, folder: Path) -> Callable[[], Costs]:
    """Take the front of an enrolment, with the encoders in the package, and each of its stages."""
    torch.set_num_threads(1)
    encoders = load_face_encoder(), load_voice_encoder()

    def front() -> Costs:
        told = enroll(*encoders, str(folder / f"{size}.mp4"))
        # The encoder in the package does not look for faces itself: that stage does nothing.
        stages = {stage: spent[_PROCESSOR] for stage, spent in told.stages_s.items() if spent[_PROCESSOR] > _NOTHING_S}
        return {"time": sum(stages.values()), **stages}

    return front


begin_resolution = begin_clip_length
