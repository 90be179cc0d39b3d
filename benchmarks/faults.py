"""Good recordings made to fail: for every check of the gate and of liveness, a change that it must notice.

Each fault is what goes wrong in life, done to pictures and sound. Pictures are tracked anew where the fault is about
finding a face; where it only changes light, sharpness or coding the good clip's track is kept, because a face that is
not found in the dark would keep the other checks from being asked. What people do with their heads cannot be done to a
picture: `ACTED` faults are rendered where the person is made by code, and done to the numbers of the track elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.presentations import as_on_screen
from cameo.capture.speech import find_speech
from cameo.faces.track import track_faces
from cameo.synthetic.selfie import act, film

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.records import Clip, FaceTrack, Float32, Float64, Speech, UInt8
    from cameo.synthetic.motion import Motion

RATE_HZ = 16_000
CUT_S = 3.2  # of the pictures are used: what goes wrong does so at once
ACTED_S, ACTED_FPS, ACTED_SIZE = 4.0, 12.5, 320


@dataclass(frozen=True, slots=True)
class Case:
    """Hold a recording with its track and speech, and another's, for what takes two."""

    clip: Clip
    track: FaceTrack
    speech: Speech
    other: Clip | None = None

    @property
    def gap_px(self) -> float:
        """Distance between the eyes."""
        eyes = self.track.points[self.track.found][:, :2]
        return float(np.median(np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)))

    @property
    def points(self) -> Float32:
        """Points of every frame; where there was no face those of the nearest frame that has one."""
        found = np.flatnonzero(self.track.found)
        nearest = np.abs(np.arange(len(self.track.found))[:, None] - found[None]).argmin(1)
        return np.asarray(self.track.points[found[nearest]], np.float32)


def cut(clip: Clip, seconds: float) -> Clip:
    """The first seconds of a recording."""
    count = int((clip.times_s < seconds).sum())
    sound = clip.sound[: int(seconds * RATE_HZ)]
    return replace(
        clip, frames=clip.frames[:count], times_s=clip.times_s[:count], sound=sound, used_s=min(seconds, clip.used_s)
    )


def refilmed(case: Case, frames: UInt8) -> Case:
    """Other pictures, tracked anew."""
    source = replace(case.clip.source, width=frames.shape[2], height=frames.shape[1])
    clip = replace(case.clip, frames=frames, times_s=case.clip.times_s[: len(frames)], source=source)
    return replace(case, clip=clip, track=track_faces(frames))


def repainted(case: Case, frames: UInt8) -> Case:
    """The same pictures in another light, focus or coding, in which the face is where it was."""
    source = replace(case.clip.source, width=frames.shape[2], height=frames.shape[1])
    return replace(case, clip=replace(case.clip, frames=frames, source=source))


def resounded(case: Case, sound: Float32 | Float64) -> Case:
    """Another sound, heard anew."""
    heard = np.asarray(sound, np.float32)
    return replace(case, clip=replace(case.clip, sound=heard), speech=find_speech(heard))


def each(change: Callable[[UInt8], UInt8]) -> Callable[[Case], Case]:
    """Do the same to every picture."""
    return lambda case: repainted(case, np.stack([change(frame) for frame in case.clip.frames]))


def scaled(factor: float) -> Callable[[Case], Case]:
    """More or less light."""
    return each(lambda frame: np.clip(frame * factor, 0, 255).astype(np.uint8))


def too_short(case: Case) -> Case:
    """Two seconds."""
    return refilmed(replace(case, clip=cut(case.clip, 2.0)), cut(case.clip, 2.0).frames)


def gone(case: Case) -> Case:
    """The camera is put down after a third of the time and films the ceiling: the picture's colours, without shape."""
    frames = case.clip.frames.copy()
    for frame in frames[len(frames) // 3 :]:
        frame[:] = cv2.GaussianBlur(frame, (0, 0), 0.2 * max(frame.shape[:2]))
    return refilmed(case, frames)


def crowd(case: Case) -> Case:
    """A second person beside the first."""
    return refilmed(case, np.concatenate([case.clip.frames, case.clip.frames[:, :, ::-1]], 2))


def photograph(case: Case) -> Case:
    """The first picture throughout."""
    return repainted(case, np.repeat(case.clip.frames[:1], len(case.clip.frames), 0))


def far_away(case: Case) -> Case:
    """The whole picture so small that the eyes are 40 px apart, on a plain ground."""
    height, width = case.clip.frames.shape[1:3]
    factor = 40 / case.gap_px
    frames = np.full_like(case.clip.frames, 110)
    for frame, seen in zip(frames, case.clip.frames, strict=True):
        small = cv2.resize(seen, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
        frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    return refilmed(case, frames)


def out_of_focus(case: Case) -> Case:
    """Blurred by an eighth of the distance between the eyes."""
    sigma = 0.12 * case.gap_px
    return each(lambda frame: np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8))(case)


def few_usable(case: Case) -> Case:
    """Out of focus but for the first half second."""
    frames = out_of_focus(case).clip.frames.copy()
    frames[:12] = case.clip.frames[:12]
    return repainted(case, frames)


def side_lit(case: Case) -> Case:
    """A third of the light on one side of the nose, with a soft border."""
    frames = case.clip.frames.copy()
    across = np.arange(frames.shape[2])
    for frame, points in zip(frames, case.points, strict=True):
        share = 0.3 + 0.7 / (1 + np.exp((across - float(points[2, 0])) / (0.08 * case.gap_px)))
        frame[:] = (frame * share[None, :, None]).astype(np.uint8)
    return repainted(case, frames)


def tilted(case: Case) -> Case:
    """The camera leans by 18 degrees, to the side to which the head leans already."""
    height, width = case.clip.frames.shape[1:3]
    leans = float(np.nanmedian(case.track.roll_deg))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -18 if leans > 0 else 18, 1.0)
    turned = [cv2.warpAffine(f, turn, (width, height), borderMode=cv2.BORDER_REPLICATE) for f in case.clip.frames]
    return refilmed(case, np.stack(turned).astype(np.uint8))


def sunglasses(case: Case) -> Case:
    """Black glasses over both eyes."""
    frames = case.clip.frames.copy()
    for frame, points in zip(frames, case.points, strict=True):
        left, right = ([int(v) for v in eye] for eye in points[:2])
        cv2.line(frame, left, right, (12, 12, 14), max(2, int(0.08 * case.gap_px)))
        for eye in (left, right):
            cv2.ellipse(frame, eye, (int(0.4 * case.gap_px), int(0.32 * case.gap_px)), 0, 0, 360, (12, 12, 14), -1)
    return refilmed(case, frames)


def mask(case: Case) -> Case:
    """A blue mask from below the eyes to under the chin."""
    frames = case.clip.frames.copy()
    for frame, points in zip(frames, case.points, strict=True):
        nose = (points[:2].mean(0) + points[2]) / 2
        below = points[7] + np.array([0, 0.2 * case.gap_px])
        hull = cv2.convexHull(np.array([points[8], nose, points[9], below], np.int32))
        cv2.fillConvexPoly(frame, hull, (120, 170, 215))
    return refilmed(case, frames)


def smeared(case: Case) -> Case:
    """Every second picture with the shutter open while the face moves by a seventh of the distance between the eyes."""
    length = max(5, int(0.15 * case.gap_px)) | 1
    line = np.full((1, length), 1 / length, np.float32)
    frames = case.clip.frames.copy()
    for index in range(0, len(frames), 2):
        frames[index] = cv2.filter2D(frames[index], -1, line)
    return repainted(case, frames)


def recoded(frame: UInt8, quality: int = 8) -> UInt8:
    """JPEG at a strong setting."""
    coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def little_said(case: Case) -> Case:
    """Silence after two seconds of speech."""
    spoken = case.speech.samples[: 2 * RATE_HZ]
    return resounded(case, np.pad(spoken, (RATE_HZ, len(case.clip.sound))))


def drowned(case: Case) -> Case:
    """White noise as loud as the speech, which is where it was."""
    level = float(np.sqrt(np.mean(np.square(case.speech.samples)))) if len(case.speech.samples) else 0.1
    noise = level * np.random.default_rng(1).standard_normal(len(case.clip.sound))
    sound = (case.clip.sound + noise).astype(np.float32)
    spans = (np.asarray(case.speech.segments_s) * RATE_HZ).round().astype(int)
    samples = np.concatenate([sound[low:high] for low, high in spans]) if len(spans) else sound[:0]
    return replace(case, clip=replace(case.clip, sound=sound), speech=replace(case.speech, samples=samples))


def narrow(case: Case) -> Case:
    """Through a telephone: nothing above 3.2 kHz."""
    spectrum = np.fft.rfft(case.clip.sound)
    spectrum[np.fft.rfftfreq(len(case.clip.sound), 1 / RATE_HZ) > 3200] = 0
    return resounded(case, np.fft.irfft(spectrum, len(case.clip.sound)))


def in_a_hall(case: Case) -> Case:
    """A room that takes 1.5 s to swallow 60 dB, twice as loud as the direct sound: the speaker stands away."""
    length = int(1.5 * RATE_HZ)
    tail = np.random.default_rng(5).standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    size = len(case.clip.sound) + length
    spectrum = np.fft.rfft(case.clip.sound, size) * np.fft.rfft(tail / np.linalg.norm(tail), size)
    room = np.fft.irfft(spectrum, size)[: len(case.clip.sound)]
    return resounded(case, 0.4 * (case.clip.sound + 2 * room))


def interrupted(case: Case) -> Case:
    """Somebody else takes over: as much of another's sound behind."""
    assert case.other is not None
    return resounded(case, np.concatenate([case.clip.sound, case.other.sound]))


def stopped(case: Case) -> Case:
    """The picture stands still for two seconds."""
    frames = case.clip.frames.copy()
    start, count = len(frames) // 3, int((case.clip.times_s < 2.0).sum())
    frames[start : start + count] = frames[start]
    return repainted(case, frames)


def looped(case: Case) -> Case:
    """Two seconds over and over, forwards and backwards."""
    part = case.clip.frames[: int((case.clip.times_s < 2.0).sum())]
    both = np.concatenate([part, part[::-1]])
    repeats = -(-len(case.clip.frames) // len(both))
    return repainted(case, np.tile(both, (repeats, 1, 1, 1))[: len(case.clip.frames)])


def joined(case: Case) -> Case:
    """Another person's recording from the middle on."""
    assert case.other is not None
    frames = case.clip.frames.copy()
    height, width = frames.shape[1:3]
    half = len(frames) // 2
    for index in range(half, len(frames)):
        other = case.other.frames[min(index, len(case.other.frames) - 1)]
        frames[index] = cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)
    return repainted(case, frames)


def dubbed(case: Case) -> Case:
    """Its own sound a second later, as where a sound is laid under a picture."""
    return resounded(case, np.roll(case.clip.sound, RATE_HZ))


PICTURED: dict[str, Callable[[Case], Case]] = {
    "length": too_short,
    "light": scaled(0.03),
    "face": gone,
    "one_face": crowd,
    "movement": photograph,
    "face_size": far_away,
    "over_exposed": scaled(3.0),
    "under_exposed": scaled(0.1),
    "brightness": scaled(0.14),
    "sharpness": out_of_focus,
    "dynamic_range": each(lambda frame: (frame // 8 + 100).astype(np.uint8)),
    "usable_frames": few_usable,
    "bright_face": each(lambda frame: (frame // 4 + 191).astype(np.uint8)),
    "even_light": side_lit,
    "roll": tilted,
    "eyes_visible": sunglasses,
    "mouth_visible": mask,
    "motion_blur": smeared,
    "compression": each(recoded),
    "frozen": stopped,
    "loop": looped,
    "cut": joined,
    "screen": each(as_on_screen),
}
SOUNDED: dict[str, Callable[[Case], Case]] = {
    "sound": lambda case: replace(case, clip=replace(case.clip, sound=case.clip.sound * np.float32(1e-4))),
    "speech": little_said,
    "speech_over_noise": drowned,
    "clipping": lambda case: replace(case, clip=replace(case.clip, sound=(40 * case.clip.sound).clip(-1, 1))),
    "bandwidth": narrow,
    "reverberation": in_a_hall,
    "one_voice": interrupted,
    "lips": dubbed,
}

# What is acted, as a change of the rendered motion and as one of the numbers of a track.
ACTED: dict[str, tuple[Callable[[Motion], Motion], Callable[[FaceTrack], FaceTrack]]] = {
    "pose_spread": (
        lambda m: replace(m, yaw=0.1 * m.yaw, dx=0.1 * m.dx),
        lambda t: replace(t, yaw_deg=0.1 * t.yaw_deg),
    ),
    "frontal": (
        lambda m: replace(m, yaw=0.3 * m.yaw + 0.5),
        lambda t: replace(t, yaw_deg=0.3 * t.yaw_deg + np.float32(28)),
    ),
    "pitch": (
        lambda m: replace(m, pitch=m.pitch + 0.6),
        lambda t: replace(t, pitch_deg=t.pitch_deg + np.float32(45)),
    ),
    "eyes_open": (
        lambda m: replace(m, blink=_three_of_four(m)),
        lambda t: replace(t, eye_open=t.eye_open * np.where(np.arange(len(t.found)) % 40 < 30, 0.1, 1)),
    ),
    "mouth_closed": (
        lambda m: replace(m, mouth=0 * m.mouth + 0.95, pucker=0 * m.pucker),
        lambda t: replace(t, mouth_open=t.mouth_open + np.float32(0.5)),
    ),
    "mouth_moves": (
        lambda m: replace(m, mouth=0 * m.mouth, pucker=0 * m.pucker, smile=0 * m.smile),
        lambda t: replace(t, mouth_open=0.02 * t.mouth_open),
    ),
}


def _three_of_four(motion: Motion) -> Tensor:
    """Eyes closed for three quarters of the time, in long stretches."""
    blink = motion.blink.clone()
    blink[:, np.arange(blink.shape[1]) % 40 < 30] = 1.0
    return blink


def acted(seed: int, name: str, clip: Clip) -> tuple[Clip, FaceTrack]:
    """Render the person of `seed` as they do what `name` is to notice; the sound is the clip's."""
    count = int(ACTED_S * ACTED_FPS)
    opening = np.abs(np.sin(np.arange(count) / 2.5)).astype(np.float32)
    frames = film(seed, ACTED[name][0](act(seed, opening, ACTED_FPS)), ACTED_SIZE)
    made = replace(clip, frames=frames, times_s=np.arange(count) / ACTED_FPS, used_s=ACTED_S)
    return made, track_faces(frames)
