"""Every limit of the quality gate: how a value is judged and printed, where the limit comes from, what helps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cameo.records import Check


@dataclass(frozen=True, slots=True)
class Rule:
    """Judge one measured value.

    Attributes:
        name: key in reports and `--json`.
        title: what is measured, for people.
        unit: printed after the value; "" for a bare number.
        sense: whether the value must be at least or at most the limits.
        fail: the limit of use, or None when this can only warn.
        warn: the limit of comfort.
        source: where the limits come from.
        problem: the one-line message when it fails, formatted with `value`.
        advice: what to do about it.
    """

    name: str
    title: str
    unit: str
    sense: Literal["at least", "at most"]
    fail: float | None
    warn: float
    source: str
    problem: str
    advice: str

    def judge(self, value: float) -> Check:
        """Compare `value` with the limits."""
        level = "ok"
        if self._is_beyond(value, self.warn):
            level = "warn"
        if self.fail is not None and self._is_beyond(value, self.fail):
            level = "fail"
        return Check(self.name, self.title, value, self.unit, self.limit, level, self.source, self.advice)

    @property
    def limit(self) -> str:
        """The limits in words."""
        unit = f" {self.unit}" if self.unit else ""
        if self.fail is None or self.fail == self.warn:
            return f"{self.sense} {self.warn:g}{unit}"
        return f"{self.sense} {self.fail:g}{unit}, better {self.warn:g}{unit}"

    def _is_beyond(self, value: float, limit: float) -> bool:
        return not (value >= limit if self.sense == "at least" else value <= limit)


OFIQ = "OFIQ 1.0, the reference implementation of ISO/IEC 29794-5"
CHOSEN = "chosen"

# The picture, the most telling first.

LENGTH = Rule(
    name="length",
    title="Length",
    unit="s",
    sense="at least",
    fail=3,
    warn=5,
    source=f"{CHOSEN}: the shortest clip that gives 12 frames apart and 3 s of speech",
    problem="the clip is too short: {value:.1f} s",
    advice="record 10 to 20 seconds",
)

LIGHT = Rule(
    name="light",
    title="Mean luminance of the picture",
    unit="",
    sense="at least",
    fail=0.03,
    warn=0.1,
    source=f"{CHOSEN}: a lit face in an otherwise black picture gives 0.05, a covered lens under 0.02",
    problem="the picture is black: luminance {value:.3f}",
    advice="take the cover off the lens, and face a window or lamp",
)

FACE = Rule(
    name="face",
    title="Frames with a face",
    unit="%",
    sense="at least",
    fail=50,
    warn=80,
    source=f"{CHOSEN}: half of a 3 s clip still gives a second to work with",
    problem="a face is found in only {value:.0f} % of the pictures",
    advice="film one face from the front, upright, with light from the front",
)

ONE_FACE = Rule(
    name="one_face",
    title="Frames with a second face",
    unit="%",
    sense="at most",
    fail=20,
    warn=5,
    source=f"{CHOSEN}: fewer frames than that are left out one by one",
    problem="two faces in {value:.0f} % of the pictures",
    advice="record alone, with nobody and no portrait in the background",
)

FACE_SIZE = Rule(
    name="face_size",
    title="Distance between the eyes, in a picture 640 px long",
    unit="px",
    sense="at least",
    fail=24,
    warn=60,
    source=f"{CHOSEN} (fail): what a 64 px generator resolves; {OFIQ}, inter-eye distance (better)",
    problem="the face is too small: {value:.0f} px between the eyes in a picture 640 px long",
    advice="come closer, so that the head fills at least a third of the picture's height",
)

SHARPNESS = Rule(
    name="sharpness",
    title="Sharpness of the face",
    unit="",
    sense="at least",
    fail=8,
    warn=25,
    source="measured: eight real clips 60 to 1500, blurred by 3 % of the face's width 2 to 7",
    problem="the face is blurred: sharpness {value:.1f}",
    advice="wipe the lens, hold the camera still and use more light",
)

OVER_EXPOSED = Rule(
    name="over_exposed",
    title="Over-exposed part of the face",
    unit="%",
    sense="at most",
    fail=20,
    warn=4,
    source=f"{OFIQ}, over-exposure prevention (better); {CHOSEN} (fail)",
    problem="the face is over-exposed: {value:.0f} % of it is white",
    advice="turn away from the sun or lamp that shines on the face",
)

UNDER_EXPOSED = Rule(
    name="under_exposed",
    title="Under-exposed part of the face",
    unit="%",
    sense="at most",
    fail=50,
    warn=25,
    source=f"{OFIQ}, under-exposure prevention (fail); {CHOSEN} (better)",
    problem="the face is too dark: {value:.0f} % of it is black",
    advice="face a window or lamp",
)

BRIGHTNESS = Rule(
    name="brightness",
    title="Mean luminance of the face",
    unit="",
    sense="at least",
    fail=0.1,
    warn=0.25,
    source=f"{OFIQ}, mean luminance .25 to .75 (better); {CHOSEN} (fail)",
    problem="the face is too dark: luminance {value:.2f}",
    advice="face a window or lamp",
)

DYNAMIC_RANGE = Rule(
    name="dynamic_range",
    title="Dynamic range of the face",
    unit="bit",
    sense="at least",
    fail=None,
    warn=5,
    source=f"{OFIQ}, dynamic range",
    problem="the picture is flat",
    advice="use light from one side of the camera, and no beauty filter",
)

POSE_SPREAD = Rule(
    name="pose_spread",
    title="Turn of the head",
    unit="deg",
    sense="at least",
    fail=None,
    warn=20,
    source="ISO/IEC 29794-5 frontal ±15; chosen: a turn is 20",
    problem="the head hardly turns",
    advice="turn the head slowly to the left and to the right while speaking",
)

MOVEMENT = Rule(
    name="movement",
    title="Frames in which the face moves",
    unit="%",
    sense="at least",
    fail=25,
    warn=60,
    source="measured: eight real clips 100, a photograph encoded as a clip 0 to 5",
    problem="the picture is frozen: the face moves in {value:.0f} % of the frames",
    advice="record a living person, not a photograph",
)

USABLE = Rule(
    name="usable_frames",
    title="Usable frames",
    unit="",
    sense="at least",
    fail=25,
    warn=75,
    source=f"{CHOSEN}: a second gives the 12 frames of a template, three seconds enough to tune on",
    problem="only {value:.0f} frames can be used",
    advice="record longer, closer and in better light",
)

# The sound, the most telling first.

SOUND = Rule(
    name="sound",
    title="Level of the loudest sound",
    unit="dBFS",
    sense="at least",
    fail=-50,
    warn=-30,
    source=f"{CHOSEN}: 16 bit sound has its last 46 dB below the failing limit",
    problem="the sound is too faint: {value:.0f} dBFS",
    advice="switch the microphone on, or give a recording of the voice with --voice",
)

SPEECH = Rule(
    name="speech",
    title="Speech",
    unit="s",
    sense="at least",
    fail=3,
    warn=8,
    source="measured: the error of speaker verification halves from 2 to 3 s of speech, and again to 5 s",
    problem="too little speech: {value:.1f} s",
    advice="speak for 10 to 20 seconds, or give a recording of the voice with --voice",
)

NOISE = Rule(
    name="speech_over_noise",
    title="Speech over noise",
    unit="dB",
    sense="at least",
    fail=5,
    warn=9,
    source="measured: benchmarks/noise_estimate.py, refuses 98 % at 0 dB and 3 % of clean readings",
    problem="the speech drowns in noise or music: {value:.0f} dB above it",
    advice="record in a quiet room with no music, close to the microphone",
)

CLIPPING = Rule(
    name="clipping",
    title="Clipped samples",
    unit="%",
    sense="at most",
    fail=0.1,
    warn=0.01,
    source=f"{CHOSEN}: eight real clips have at most 0.003",
    problem="the sound is clipped: {value:.2f} % of the samples",
    advice="lower the recording level or step back from the microphone",
)

BANDWIDTH = Rule(
    name="bandwidth",
    title="Highest frequency of the speech",
    unit="Hz",
    sense="at least",
    fail=None,
    warn=4000,
    source=f"{CHOSEN}: telephone speech ends at 3400",
    problem="the sound is as narrow as a telephone's",
    advice="record with the phone's own recorder, not through a call or a headset",
)

RULES = {
    rule.name: rule
    for rule in (
        LENGTH,
        LIGHT,
        FACE,
        ONE_FACE,
        MOVEMENT,
        FACE_SIZE,
        OVER_EXPOSED,
        UNDER_EXPOSED,
        BRIGHTNESS,
        SHARPNESS,
        DYNAMIC_RANGE,
        POSE_SPREAD,
        USABLE,
        SOUND,
        SPEECH,
        NOISE,
        CLIPPING,
        BANDWIDTH,
    )
}
