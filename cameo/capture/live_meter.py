"""Measure while somebody sits before the camera what the quality gate will ask of the clip, with its own formulas."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from cameo.capture import picture_limits as picture
from cameo.capture import sound_limits as sound
from cameo.capture.artefacts import smeared_share
from cameo.capture.clip import ClipSettings
from cameo.capture.picture_checks import FaceMeasures, measure_faces, picture_luminance
from cameo.capture.rule import CHOSEN, Rule
from cameo.capture.sources import SOUND_HZ
from cameo.capture.speech import find_speech
from cameo.capture.speech_checks import SILENT_DB, clipped_share, peak_level_db, speech_over_noise_db
from cameo.faces.track import track_faces

if TYPE_CHECKING:
    from cameo.capture.sources import Heard, Shot
    from cameo.records import Check, FaceTrack, Float32, UInt8

LOOK_EVERY_S = 0.2
_KEPT = 5  # looks that are judged together: one second
_LISTEN_EVERY_S, _HEARD_S = 1.0, 3.0
_SPOKEN_S = 0.5  # less speech says nothing of the noise in it
_WORK_SHARE = 1 / 3  # of one core that looking may take

CENTRED = Rule(
    name="centred",
    title="Distance of the face from the middle, as a share of the picture's side",
    unit="",
    sense="at most",
    fail=None,
    warn=0.22,
    source=f"{CHOSEN}: a head that turns stays in the picture",
    problem="the face is at the edge of the picture",
    advice="move to the middle of the picture",
)
# What counts before a recording begins, the most telling first.
FRAMING = (
    picture.LIGHT,
    picture.FACE,
    picture.ONE_FACE,
    picture.FACE_SIZE,
    CENTRED,
    picture.BRIGHTNESS,
    picture.BRIGHT,
    picture.OVER_EXPOSED,
    picture.UNDER_EXPOSED,
    picture.SHARPNESS,
)


@dataclass(frozen=True, slots=True)
class _Look:
    """Hold what one picture shows; `face` is None where there is none."""

    light: float
    faces: int
    face: FaceMeasures | None
    aside: float


class PictureMeter:
    """Look at a picture now and then, and judge the last second.

    Looking costs some 40 ms of a core; on a slow machine it is done more seldom.
    """

    def __init__(self) -> None:
        self.checks: tuple[Check, ...] = ()
        self.box: tuple[float, float, float, float] | None = None
        self._looks: deque[_Look] = deque(maxlen=_KEPT)
        self._next_s = float("-inf")

    def see(self, shot: Shot) -> bool:
        """Look at a picture if it is time to; returns whether it was, and `checks` are new.

        `box` is then the face's x, y, width and height as shares of the picture's sides, or None.
        """
        if shot.time_s < self._next_s:
            return False
        began_s = time.perf_counter()
        self._look(shot.image)
        spent_s = time.perf_counter() - began_s
        self._next_s = shot.time_s + max(LOOK_EVERY_S, spent_s / _WORK_SHARE)
        return True

    def _look(self, image: UInt8) -> None:
        small = _shrink(image)[None]
        track = track_faces(small)
        found = bool(track.found[0])
        height, width = small.shape[1:3]
        shares = track.boxes[0] / np.array([width, height, width, height]) if found else None
        self.box = None if shares is None else (float(shares[0]), float(shares[1]), float(shares[2]), float(shares[3]))
        face = measure_faces(small, track) if found else None
        self._looks.append(_Look(picture_luminance(small), int(track.faces[0]), face, _aside(track, width, height)))
        self.checks = tuple(self._judge())

    def _judge(self) -> list[Check]:
        """Run the gate's rules over the looks that are kept; without a face only those that need none."""
        looks = self._looks
        faces = [look.face for look in looks if look.face is not None]
        checks = [
            picture.LIGHT.judge(float(np.median([look.light for look in looks]))),
            picture.FACE.judge(100 * len(faces) / len(looks)),
            picture.ONE_FACE.judge(100 * float(np.mean([look.faces > 1 for look in looks]))),
        ]
        if not faces:
            return checks
        joined = {
            field.name: np.concatenate([getattr(face, field.name) for face in faces]) for field in fields(faces[0])
        }
        middle = {name: float(np.median(values)) for name, values in joined.items() if name != "detail"}
        return [
            *checks,
            picture.FACE_SIZE.judge(middle["eye_gap_px"]),
            CENTRED.judge(float(np.median([look.aside for look in looks if look.face is not None]))),
            picture.BRIGHTNESS.judge(middle["luminance"]),
            picture.BRIGHT.judge(middle["luminance"]),
            picture.OVER_EXPOSED.judge(100 * middle["white"]),
            picture.UNDER_EXPOSED.judge(100 * middle["black"]),
            picture.SHARPNESS.judge(middle["sharpness"]),
            picture.MOTION_BLUR.judge(100 * smeared_share(joined["detail"])),
        ]


class SoundMeter:
    """Listen to the sound, and judge the last seconds.

    Attributes:
        checks: of the last time.
        loudest_db: level of the loudest 25 ms since the beginning.
    """

    def __init__(self) -> None:
        self.checks: tuple[Check, ...] = ()
        self.loudest_db = SILENT_DB
        self._rate_hz = ClipSettings().rate_hz
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._rate_hz)
        self._window = np.zeros(0, np.float32)
        self._noise: tuple[Check, ...] = ()
        self._next_s = float("-inf")

    def hear(self, pieces: list[Heard]) -> None:
        """Take the newest pieces of sound."""
        for heard in pieces:
            self._window = np.concatenate([self._window, self._resampled(heard.samples)])
            self._window = self._window[-round(_HEARD_S * self._rate_hz) :]
        if not pieces:
            return
        newest = self._window[-round(2 * LOOK_EVERY_S * self._rate_hz) :]
        level = peak_level_db(newest)
        self.loudest_db = max(self.loudest_db, level)
        if pieces[-1].time_s >= self._next_s:
            self._next_s = pieces[-1].time_s + _LISTEN_EVERY_S
            self._noise = self._weigh_noise()
        self.checks = (sound.SOUND.judge(level), *self._noise)

    def _weigh_noise(self) -> tuple[Check, ...]:
        clipped = sound.CLIPPING.judge(100 * clipped_share(self._window))
        speech = find_speech(self._window)
        if speech.seconds < _SPOKEN_S:
            return (clipped,)
        return sound.NOISE.judge(speech_over_noise_db(speech.samples)), clipped

    def _resampled(self, samples: Float32) -> Float32:
        if not len(samples):
            return samples
        block = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        block.sample_rate, block.time_base = SOUND_HZ, Fraction(1, SOUND_HZ)
        return np.concatenate(
            [made.to_ndarray().reshape(-1) for made in self._resampler.resample(block)] or [samples[:0]]
        )


def _shrink(image: UInt8) -> UInt8:
    """Scale a picture down as far as `read_clip` does."""
    scale = min(1.0, ClipSettings().long_side / max(image.shape[:2]))
    if scale == 1:
        return np.ascontiguousarray(image)
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _aside(track: FaceTrack, width: int, height: int) -> float:
    """How far the middle of eyes and mouth is from the picture's, as a share of its side; NaN without a face."""
    x, y = track.points[0, :5].mean(0)
    return float(max(abs(x / width - 0.5), abs(y / height - 0.5)))
