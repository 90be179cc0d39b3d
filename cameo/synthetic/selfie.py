"""Record people who do not exist: a rendered head that talks with a synthetic voice, as a phone would film it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo.errors import OutputError
from cameo.files import atomic_path
from cameo.media import write_mp4
from cameo.synthetic.motion import Motion
from cameo.synthetic.renderer import draw
from cameo.synthetic.traits import TRAITS, sample_identities
from cameo.synthetic.voice import speak

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.records import Float32, Float64, UInt8

Progress = Callable[[str, float], None]

FPS, SIZE = 25.0, 480  # SIZE is the height in pixels
_ASPECT, _VIEW = 3 / 4, 1.1  # upright, and wide enough for the shoulders
_BATCH = 5  # frames drawn at once: bounds memory, and more of them are no faster
_SCENES, _SCENE_SIZE = 16, 64  # tried, and how high
_LIT, _WARM = 0.5, 0.12  # luminance of a well lit face, and how far its red must be above its blue
# Parts of the traits' ranges, -1..1, that suit the detector: it looks for eyes in the shade of brows, and the
# renderer's lie bare. Source: measured on seeds 0 to 23, found in 99 % of frames; without, in 65 % of eight of them.
_CLEAR = {
    "melanin": (-1.0, 0.3),
    "redness": (0.0, 1.0),
    "gloss": (-1.0, 0.0),
    "socket_depth": (0.0, 1.0),
    "eye_aspect": (-1.0, 0.0),
    "lashes": (0.0, 1.0),
    "brow_y": (-1.0, 0.0),
    "brow_thickness": (0.0, 1.0),
    "brow_strength": (0.8, 1.0),
}
_ACTING, _SCENE = 1, 2  # what a seed is used for besides face and voice


@dataclass(frozen=True)
class Selfie:
    """Hold a recording: `frames` `[T, H, W, 3]` uint8 RGB and `sound` `[N]` float32 mono at 16 kHz in [-1, 1]."""

    frames: UInt8
    sound: Float32
    fps: float


def write_selfie(
    path: str | os.PathLike[str], seed: int = 0, seconds: float = 10.0, progress: Progress | None = None
) -> Selfie:
    """Render the person of `seed` and write them as MP4, in one step.

    Raises:
        OutputError: the file cannot be written; what stood there before is untouched.
    """
    # The place is taken first, so that nobody waits for a recording that cannot be written.
    with atomic_path(path) as temporary:
        selfie = render_selfie(seed, seconds, progress=progress)
        if progress:
            progress("writing the clip", 0.0)
        try:
            write_mp4(temporary, selfie.frames, selfie.fps, selfie.sound)
        except OutputError as error:
            raise OutputError(error.message.replace(str(temporary), str(path)), error.hint) from error
        if progress:
            progress("writing the clip", 1.0)
    return selfie


def render_selfie(
    seed: int, seconds: float, size: int = SIZE, fps: float = FPS, progress: Progress | None = None
) -> Selfie:
    """Let the person of `seed` talk into the camera; the same arguments give the same recording.

    Args:
        seed: who it is: face, voice, scene, and what is said and done; 0 or more.
        seconds: length of the recording.
        size: height in pixels; the width is three quarters of it.
        fps: pictures per second.
        progress: is told how far the rendering is.
    """
    spoken = speak(seed, seconds, fps)
    return Selfie(film(seed, act(seed, spoken.opening, fps), size, progress), spoken.sound, fps)


def act(seed: int, opening: Float32, fps: float = FPS) -> Motion:
    """Move a head for as long as it talks: it sways, turns from side to side, blinks, smiles, and looks at the camera.

    Args:
        seed: whose head it is; decides when.
        opening: `[T]` of the lips, 0..1.
        fps: pictures per second.
    """
    random = np.random.default_rng((seed, _ACTING))
    times_s = np.arange(len(opening)) / fps

    def sway(size: float, hz: float = 0.3) -> Float64:
        """Wander slowly around 0, within `size`."""
        speeds, phases = random.uniform(0.4 * hz, 1.6 * hz, (3, 1)), random.uniform(0, 2 * np.pi, (3, 1))
        return np.asarray(size * np.sin(2 * np.pi * speeds * times_s + phases).mean(0))

    yaw = _turns(times_s, random) + sway(0.08)
    tracks = {
        "yaw": yaw,
        "pitch": sway(0.12),
        "roll": 0.15 * yaw + sway(0.06),
        "mouth": 0.65 * opening,
        "pucker": sway(0.3, 1.5) * (opening > 0.05),
        "smile": 0.25 + sway(0.3, 0.2),
        "brow": 0.1 + sway(0.5, 0.5),
        "blink": _blinks(times_s, random),
        "dx": -0.1 * yaw + sway(0.04),
        "dy": 0.08 + sway(0.03),
        "scale": np.exp(sway(0.03)),
        "gaze": (2.5 * yaw).clip(-0.9, 0.9),
    }
    return Motion(**{name: torch.tensor(track, dtype=torch.float32)[None] for name, track in tracks.items()})


def film(seed: int, motion: Motion, size: int = SIZE, progress: Progress | None = None) -> UInt8:
    """Film the person of `seed`, in the light they chose, as they move; `[T, size, 3/4 size, 3]`.

    Args:
        seed: who it is.
        motion: `[1, T]`, such as `act` gives.
        size: height in pixels.
        progress: is told how far the rendering is.
    """
    who, scene = draw_person(seed), _light_scene(seed)
    frames = np.empty((motion.yaw.shape[1], size, round(size * _ASPECT), 3), np.uint8)
    for start in range(0, len(frames), _BATCH):
        batch = slice(start, start + _BATCH)
        frames[batch] = _draw(who, motion, batch, size, scene)
        if progress:
            progress("rendering a person", min(1.0, (start + _BATCH) / len(frames)))
    return frames


def draw_person(seed: int) -> Tensor:
    """Draw an identity `[1, IDENTITY_DIM]` whose colours go together: less light skin has darker hair and irises."""
    who = sample_identities(1, torch.Generator().manual_seed(seed))
    at = {name: index for index, name in enumerate(TRAITS)}
    fair = (1 - who[:, at["melanin"]]) / 2
    for name in ("hair_light", "iris_light", "iris_blue"):
        who[:, at[name]] = (who[:, at[name]] + 1) * fair - 1
    for name, (low, high) in _CLEAR.items():
        who[:, at[name]] = low + (who[:, at[name]] + 1) / 2 * (high - low)
    return who


def _draw(who: Tensor, motion: Motion, frames: slice, size: int, scene: int) -> UInt8:
    """Draw some frames; every call with one `scene` finds the same light, room and clothes."""
    part = Motion(*(getattr(motion, field.name)[:, frames] for field in fields(motion)))
    with torch.inference_mode():
        drawn = draw(who, part, size, torch.Generator().manual_seed(scene), _VIEW, _ASPECT)
    return np.asarray((drawn.frames[0] * 255).round().byte().numpy())


def _light_scene(seed: int) -> int:
    """Find a scene with good light on the face, as people do before they record themselves."""
    who, still = draw_person(seed), act(seed, np.zeros(1, np.float32), FPS)
    scenes = np.random.default_rng((seed, _SCENE)).integers(2**62, size=_SCENES).tolist()
    rows, columns = slice(_SCENE_SIZE // 3, _SCENE_SIZE // 2), slice(_SCENE_SIZE // 4, _SCENE_SIZE // 2)

    def fault(scene: int) -> float:
        """How far the face is from a luminance of 0.5, what is white in it, and what its colour lacks in warmth."""
        face = _draw(who, still, slice(0, 1), _SCENE_SIZE, scene)[0, rows, columns] / 255
        red, green, blue = face.mean((0, 1))
        cold = max(0.0, _WARM - (red - blue)) + max(0.0, green - red)
        return float(abs(face.mean() - _LIT) + (face > 0.9).mean() + cold)

    return int(min(scenes, key=fault))


def _turns(times_s: Float64, random: np.random.Generator) -> Float64:
    """Turn the head by 18 to 25 degrees about every 2.5 s, left and right in turn; `[T]` radians."""
    length_s = times_s[-1]
    count = max(2, round(length_s / 2.5))
    gap_s = max(length_s, 1.0) / count
    side = random.choice([-1.0, 1.0])
    yaw = np.zeros_like(times_s)
    for index in range(count):
        middle_s = (index + random.uniform(0.4, 0.6)) * gap_s
        yaw += side * random.uniform(0.32, 0.44) * np.exp(-(((times_s - middle_s) / (0.3 * gap_s)) ** 2))
        side = -side
    return yaw


def _blinks(times_s: Float64, random: np.random.Generator) -> Float64:
    """Close the eyes for about 150 ms every 2 to 4 s; `[T]`, 0 open .. 1 closed.

    Source: A. R. Bentivoglio et al., "Analysis of blink rate patterns in normal subjects", 1997: 17 a minute at rest,
    26 in conversation.
    """
    closed = np.zeros_like(times_s)
    middle_s = random.uniform(0.8, 2.0)
    while middle_s < times_s[-1]:
        closed += np.exp(-(((times_s - middle_s) / 0.08) ** 2))
        middle_s += random.uniform(2.0, 4.0)
    return closed.clip(0, 1)
