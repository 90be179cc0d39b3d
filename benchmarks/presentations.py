"""Attacks on the liveness check, made from answers of rendered people; each yields recordings and what was asked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from benchmarks.answers import FPS, NOW, Answer, speak_answer
from cameo.capture.challenge import Challenge, draw_challenge
from cameo.faces.track import track_faces
from cameo.generators.motion_track import borrow, wander
from cameo.generators.reference import load_reference
from cameo.records import FaceTrack

if TYPE_CHECKING:
    from benchmarks.training.digit_speech import Voice
    from cameo.records import Clip, Float32, UInt8

RATE_HZ = 16_000
SOUNDS = 4  # trials per person where only the sound differs
STARTS = 3  # moments at which a camera is started, per person, beside one that is too late
NEW_CHALLENGES = 15
SHIFTS_S = (0.4, 0.8, 1.2, 2.0)
GENERATED = 3  # people for the attacks that run the generator


@dataclass(frozen=True, slots=True)
class Presentation:
    """Hold one recording that is presented for a challenge; `voice` is whose voice the owner's is."""

    clip: Clip
    track: FaceTrack
    challenge: Challenge
    voice: Voice


Presenting = Callable[[list[Answer]], Iterator[Presentation]]


def _with(answer: Answer, sound: Float32 | None = None, frames: UInt8 | None = None) -> Presentation:
    """The answer with another sound, or other frames, which are tracked anew."""
    clip, track = answer.clip, answer.track
    if sound is not None:
        clip = replace(clip, sound=sound)
    if frames is not None:
        clip = replace(clip, frames=frames, times_s=np.arange(len(frames)) / FPS)
        track = track_faces(frames)
    return Presentation(clip, track, answer.challenge, answer.voice)


def answers_themselves(answers: list[Answer]) -> Iterator[Presentation]:
    """Bona fide."""
    for answer in answers:
        yield _with(answer)


def begun_apart(answers: list[Answer]) -> Iterator[Presentation]:
    """Bona fide, by a camera that is started by hand: 0.8 s after the first prompt's clock to 5 s before it."""
    for answer in answers:
        random = np.random.default_rng((answer.seed, 13))
        for before_s in (-random.uniform(0.2, 0.8), *random.uniform(0.2, 5.0, STARTS)):
            yield _begun(answer, float(before_s))


def _begun(answer: Answer, before_s: float) -> Presentation:
    """The answer with `before_s` more in front, in which the person waits, or with its beginning cut off."""
    clip, count = answer.clip, round(abs(before_s) * FPS)
    here = np.arange(len(clip.frames))
    waits = np.abs(np.arange(count) % 20 - 10)  # there and back within the first frames, before anything is asked
    index = np.concatenate([waits, here]) if before_s > 0 else here[count:]
    samples = round(count / FPS * RATE_HZ)
    room = 1e-3 * np.random.default_rng(answer.seed).standard_normal(samples).astype(np.float32)
    sound = np.concatenate([room, clip.sound]) if before_s > 0 else clip.sound[samples:]
    moved = replace(clip, frames=clip.frames[index], times_s=np.arange(len(index)) / FPS, sound=sound)
    rows = {name: getattr(answer.track, name)[index] for name in FaceTrack.__dataclass_fields__}
    return Presentation(moved, FaceTrack(**rows), answer.challenge, answer.voice)


def still_photo(answers: list[Answer]) -> Iterator[Presentation]:
    """A photograph, moved by hand in front of the camera, while somebody says the right digits."""
    for answer in answers:
        random = np.random.default_rng(answer.seed)
        count, (height, width) = len(answer.clip.frames), answer.clip.frames.shape[1:3]
        way = np.cumsum(random.normal(0, 0.35, (count, 2)), 0).clip(-8, 8)
        angles = np.cumsum(random.normal(0, 0.3, count)).clip(-10, 10)
        photo = answer.clip.frames[2]
        frames = np.empty_like(answer.clip.frames)
        for k, (dx, dy) in enumerate(way):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(angles[k]), 1.05)
            turn[:, 2] += (dx, dy)
            frames[k] = cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        yield _with(answer, frames=frames)


def frozen_photo(answers: list[Answer]) -> Iterator[Presentation]:
    """A photograph fed in place of the camera, while somebody says the right digits."""
    for answer in answers:
        yield _with(answer, frames=np.repeat(answer.clip.frames[2:3], len(answer.clip.frames), 0))


def replayed(answers: list[Answer]) -> Iterator[Presentation]:
    """A recording of the person answering another challenge."""
    for answer, asked in itertools.permutations(answers, 2):
        yield replace(_with(answer), challenge=asked.challenge)


def replayed_on_new(answers: list[Answer]) -> Iterator[Presentation]:
    """The same against challenges drawn anew, some for each person."""
    for answer in answers:
        for _ in range(NEW_CHALLENGES):
            yield replace(_with(answer), challenge=draw_challenge(NOW))


def screen_relay(answers: list[Answer]) -> Iterator[Presentation]:
    """The right answer, filmed from a screen: only passive evidence could tell, a relay passes any challenge."""
    for answer in answers:
        frames = np.stack([as_on_screen(frame) for frame in answer.clip.frames])
        yield _with(answer, frames=frames)


def as_on_screen(frame: UInt8) -> UInt8:
    """Show a frame on a screen with a black border, and film its grid of pixels a little askew."""
    height, width = frame.shape[:2]
    inner = cv2.resize(frame, (int(width * 0.84), int(height * 0.84)), interpolation=cv2.INTER_AREA)
    shown = np.full((height, width, 3), 14, np.uint8)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    shown[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    y, x = np.mgrid[:height, :width]
    # The grid's alias: a period of 3.3 pixels, turned by 4 degrees.
    wave = np.sin(2 * np.pi * (x * 0.998 + y * 0.07) / 3.3) * np.sin(2 * np.pi * (y * 0.998 - x * 0.07) / 3.3)
    moire = shown * (1 + 0.08 * wave[..., None])
    blurred = cv2.GaussianBlur(moire.clip(0, 255).astype(np.uint8), (0, 0), 0.5)
    kept, packed = cv2.imencode(".jpg", blurred, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8) if kept else blurred


def swapped_sound(answers: list[Answer]) -> Iterator[Presentation]:
    """The right picture with the sound of another person's answer to another challenge."""
    for answer, other in itertools.permutations(answers, 2):
        yield _with(answer, sound=_fitted(other.clip.sound, len(answer.clip.sound)))


def shifted_sound(answers: list[Answer]) -> Iterator[Presentation]:
    """The right picture with its own sound later than it was."""
    for answer in answers:
        for shift_s in SHIFTS_S:
            yield _with(answer, sound=np.roll(answer.clip.sound, int(shift_s * RATE_HZ)))


def spliced(answers: list[Answer]) -> Iterator[Presentation]:
    """One person in the first half and another in the second, with the right digits throughout."""
    for answer, other in itertools.permutations(answers, 2):
        half, length = len(answer.clip.frames) // 2, min(len(answer.clip.frames), len(other.clip.frames))
        frames = np.concatenate([answer.clip.frames[:half], other.clip.frames[half:length]])
        rows = {
            name: np.concatenate([getattr(answer.track, name)[:half], getattr(other.track, name)[half:length]])
            for name in FaceTrack.__dataclass_fields__
        }
        clip = replace(answer.clip, frames=frames, times_s=answer.clip.times_s[:length])
        yield Presentation(clip, FaceTrack(**rows), answer.challenge, answer.voice)


def looped(answers: list[Answer]) -> Iterator[Presentation]:
    """Two seconds of the person, shown forwards and backwards, with the right digits."""
    for answer in answers:
        part = answer.clip.frames[: int(2 * FPS)]
        there_and_back = np.concatenate([part, part[::-1]])
        repeats = -(-len(answer.clip.frames) // len(there_and_back))
        yield _with(answer, frames=np.tile(there_and_back, (repeats, 1, 1, 1))[: len(answer.clip.frames)])


def wrong_digits(answers: list[Answer]) -> Iterator[Presentation]:
    """The right turns and the right voice, but other digits: a random string that shares none to three with it."""
    for answer in answers:
        random = np.random.default_rng(answer.seed)
        for trial in range(SOUNDS):
            said = tuple(int(digit) for digit in random.integers(0, 10, len(answer.challenge.digits)))
            sound = speak_answer(answer.challenge, answer.voice, answer.seed + 97 * trial, said)
            yield _with(answer, sound=_fitted(sound, len(answer.clip.sound)))


def other_voice(answers: list[Answer]) -> Iterator[Presentation]:
    """The right picture, and the right digits said by somebody else, in time with the prompts but not with the lips."""
    for answer, other in itertools.permutations(answers, 2):
        sound = speak_answer(answer.challenge, other.voice, other.seed + 31)
        yield _with(answer, sound=_fitted(sound, len(answer.clip.sound)))


def generated(answers: list[Answer]) -> Iterator[Presentation]:
    """A clip of the reference generator, moving as it likes, with the right digits."""
    generator = load_reference()
    for answer in answers[:GENERATED]:
        footage = generator.footage(answer.clip, answer.track, torch.from_numpy(answer.track.found))
        identity = generator.fit_identity(footage)
        count = round(len(answer.clip.frames) / FPS * generator.fps)
        frames = generator.sample(identity, wander(identity, count, answer.seed), answer.seed)
        yield _with(answer, frames=_at_rate(frames, generator.fps, len(answer.clip.frames)))


def driven(answers: list[Answer]) -> Iterator[Presentation]:
    """The reference generator's double of one person, driven by another one who answers: a live puppet."""
    generator = load_reference()
    for answer, other in list(zip(answers, answers[1:], strict=False))[:GENERATED]:
        puppet = generator.footage(other.clip, other.track, torch.from_numpy(other.track.found))
        actor = generator.footage(answer.clip, answer.track, torch.from_numpy(answer.track.found))
        identity = generator.fit_identity(puppet)
        frames = generator.sample(identity, borrow(identity, actor.motion), answer.seed)
        yield _with(
            answer, frames=_at_rate(frames, len(frames) / len(answer.clip.frames) * FPS, len(answer.clip.frames))
        )


def _at_rate(frames: UInt8, fps: float, count: int) -> UInt8:
    """Take `count` frames at the answers' rate, enlarged to 128 pixels."""
    chosen = (np.arange(count) / FPS * fps).astype(int).clip(0, len(frames) - 1)
    return np.stack([cv2.resize(frames[k], (128, 128), interpolation=cv2.INTER_CUBIC) for k in chosen])


def _fitted(sound: Float32, length: int) -> Float32:
    return np.pad(sound[:length], (0, max(0, length - len(sound))))


BONA_FIDE: dict[str, Presenting] = {"bona fide": answers_themselves, "bona fide, begun apart": begun_apart}
ATTACKS: dict[str, Presenting] = {
    "photo moved by hand": still_photo,
    "photo as camera": frozen_photo,
    "loop": looped,
    "replayed answer": replayed,
    "replayed answer, new challenges": replayed_on_new,
    "relay through a screen": screen_relay,
    "swapped sound": swapped_sound,
    "shifted sound": shifted_sound,
    "two people spliced": spliced,
    "wrong digits": wrong_digits,
    "digits by another voice": other_voice,
    "reference generator": generated,
    "reference generator, driven": driven,
}
