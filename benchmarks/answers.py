"""People made by code who answer challenges: rendered heads, espeak's voices, lips that follow the sound."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.ndimage import gaussian_filter1d

from benchmarks.training.digit_speech import DIGITS, Voice, draw_voices, say
from cameo.capture.challenge import Challenge, draw_challenge, prompts, write_challenge
from cameo.capture.clip import read_clip
from cameo.faces.track import track_faces
from cameo.media import write_mp4
from cameo.records import FaceTrack
from cameo.synthetic.answer import render_answer
from cameo.synthetic.voice import Spoken

if TYPE_CHECKING:
    from cameo.records import Clip, Float32

RATE_HZ, FPS, SIZE = 16_000, 15.0, 128
NOW = datetime.datetime(2026, 11, 26, 12, 0, tzinfo=datetime.UTC)
_FIRST_SEED = 700
_ROOM = 1e-3  # noise, against a voice's peak of 0.5
_PAUSE_S = 0.5  # after the last step


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold one person's answer: the challenge, who spoke, and the recording as decoded and tracked."""

    seed: int
    challenge: Challenge
    voice: Voice
    clip: Clip
    track: FaceTrack


def espeak_voices(count: int, seed: int) -> list[Voice]:
    """Voices that the digit model never heard, at an unhurried pace."""
    drawn = [voice for voice in draw_voices(2 * count + 4, seed, True) if voice.engine == "espeak"][:count]
    return [Voice("espeak", voice.name, 0.8 + 0.25 * (voice.tempo - 0.75), voice.pitch) for voice in drawn]


def speak_answer(challenge: Challenge, voice: Voice, seed: int, digits: tuple[int, ...] | None = None) -> Float32:
    """Say the digits of a challenge, or others, each 0.35 to 0.8 s after it is shown."""
    random = np.random.default_rng((seed, 11))
    sound = _ROOM * random.standard_normal(int((challenge.seconds + _PAUSE_S) * RATE_HZ))
    said = iter(digits if digits is not None else challenge.digits)
    for prompt in prompts(challenge):
        if prompt.step.isdigit():
            word = say(voice, DIGITS[next(said)])
            start = int((prompt.start_s + random.uniform(0.35, 0.8)) * RATE_HZ)
            sound[start : start + len(word)] += word[: len(sound) - start]
    return sound.clip(-1, 1).astype(np.float32)


def lips(sound: Float32, fps: float) -> Float32:
    """Opening of the lips, 0..1, that goes with a sound: its envelope over 80 ms, compressed."""
    step = RATE_HZ // 100
    level = np.sqrt(np.square(sound[: len(sound) // step * step]).reshape(-1, step).mean(1))
    level = gaussian_filter1d(level, 4.0)
    open_share = (level / (np.percentile(level, 98) + 1e-9)).clip(0, 1) ** 0.6
    open_share[level < 0.03 * level.max()] = 0
    times_s = np.arange(round(len(sound) / RATE_HZ * fps)) / fps
    return np.interp(times_s, (np.arange(len(level)) + 0.5) / 100, open_share).astype(np.float32)


def looks(challenge: Challenge, seed: int) -> list[tuple[float, float, float]]:
    """Turn by 20 to 32 degrees, 0.3 to 0.6 s after it is shown, and a little longer than it is."""
    random = np.random.default_rng((seed, 12))
    signs = {"left": 1.0, "right": -1.0, "centre": 0.0}
    turned = []
    for prompt in prompts(challenge):
        if prompt.step in signs:
            start_s, end_s = prompt.start_s + random.uniform(0.3, 0.6), prompt.end_s + random.uniform(0.1, 0.3)
            turned.append((start_s, end_s, signs[prompt.step] * random.uniform(20, 32)))
    return turned


def recorded(path: Path, challenge: Challenge, voice: Voice, seed: int, sound: Float32 | None = None) -> None:
    """Render an answer and write it as MP4, with `sound` in place of what the lips follow when given."""
    heard = speak_answer(challenge, voice, seed)
    made = render_answer(seed, Spoken(heard, lips(heard, FPS)), looks(challenge, seed), FPS, SIZE)
    write_mp4(path, made.frames, FPS, heard if sound is None else sound)


def bona_fide(folder: Path, count: int) -> list[Answer]:
    """Let `count` people answer a challenge each; what was rendered before into `folder` is used again."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = []
    for index, voice in enumerate(espeak_voices(count, 0)):
        seed = _FIRST_SEED + index
        path, asked = folder / f"answer_{seed}.mp4", folder / f"answer_{seed}.json"
        if not path.exists():
            challenge = draw_challenge(NOW)
            asked.write_bytes(write_challenge(challenge))
            recorded(path, challenge, voice, seed)
        challenge = msgspec.json.decode(asked.read_bytes(), type=Challenge)
        clip = read_clip(path)
        answers.append(Answer(seed, challenge, voice, clip, kept_track(path, clip)))
        print(f"answer {index + 1} of {count}", flush=True)
    return answers


def kept_track(path: Path, clip: Clip) -> FaceTrack:
    """Track the face of a clip, or read what was tracked before."""
    kept = path.with_suffix(".npz")
    if kept.exists():
        with np.load(kept) as arrays:
            return FaceTrack(**{name: arrays[name] for name in FaceTrack.__dataclass_fields__})
    track = track_faces(clip.frames)
    np.savez(kept, **{name: getattr(track, name) for name in FaceTrack.__dataclass_fields__})
    return track
