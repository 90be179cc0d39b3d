"""Frozen values of a measurement of likeness, from single clips to systems; arrays are annotated only.

A number that could not be measured is NaN, and null in JSON. A `measure` is the key of a recogniser, see
`Fidelity.measures`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Keys of measures: the recogniser that was asked for, CurricularFace beside it, and the second recogniser; and of the
# voice, where systems are compared by it.
FIRST, CURRICULAR, SECOND = "first", "curricularface", "second"
VOICE = "voice"


@dataclass(frozen=True, slots=True)
class Measure:
    """Name a recogniser by which likeness is measured.

    Attributes:
        key: of `FIRST`, `CURRICULAR`, `SECOND`.
        title: what people call its score.
        encoder, digest, licence: of its weights.
        published: whether published numbers are by these very weights, as far as the digest can tell.
    """

    key: str
    title: str
    encoder: str
    digest: str
    licence: str
    published: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """Hold a mean over people and its 95 % interval, NaN where there is too little to draw from."""

    value: float
    low: float = math.nan
    high: float = math.nan
    people: int = 0
    clips: int = 0


@dataclass(frozen=True, slots=True)
class Drift:
    """Say how identity changes over a clip.

    Attributes:
        slope_per_s: of likeness over time, by least squares.
        first, last: mean likeness in the first and the last quarter of the clip's frames.
        kept: cosine between the mean directions of the two quarters; free of the reference.
    """

    slope_per_s: float
    first: float
    last: float
    kept: float


@dataclass(frozen=True, slots=True)
class Lips:
    """Say how the mouth goes with the sound; see `faces.lips.LipSync`.

    Attributes:
        sync: correlation of the opening of the mouth with the level of the sound, -1..1.
        chance: share of wrong shifts of the sound that go as well with it, 0..1: of what does not belong together 0.5
            in the mean.
        lag_s: by how much the sound must be delayed (negative: brought forward) to go best with the mouth.
    """

    sync: float
    chance: float
    lag_s: float


@dataclass(frozen=True, slots=True)
class ClipVoice:
    """Hold what was measured on the speech of one clip.

    Attributes:
        speech_s: seconds of speech.
        likeness: mean cosine of its windows to the person's voice; NaN without speech of theirs to compare with.
        ceiling: the same of the person's own held-out speech, in pieces about as long; NaN without.
        floor: the same of other people's; NaN without.
        lips: None where it cannot be told, for lack of a face, of speech or of length.
    """

    speech_s: float
    likeness: float
    ceiling: float
    floor: float
    lips: Lips | None


@dataclass(frozen=True, slots=True)
class ClipScore:
    """Hold what was measured on one clip.

    Attributes:
        system, person, film, clip: whose it is; `clip` is its name in the folder of the system.
        width, height: of its pictures in pixels. duration_s: from the first picture to the last that was looked at.
        times_s: of the frames that were looked at.
        likeness: by measure, the cosine of each frame to the reference, NaN where there is no face.
        yaw_deg: of each frame, NaN where there is no face.
        eyes_px: median distance between the eyes.
        score: by measure, the number of the protocol.
        strict: by measure, the same with frames without a face counted as 0.
        found: by measure, the share of frames with a face.
        poses: mean likeness (first measure) of frontal and of turned frames.
        drift: None where fewer than eight frames show a face.
        copying: how often a frame singles out one reference frame more than real frames do; see `cameo.copying`.
        voice: None without a second of speech, and where no voice was asked for.
    """

    system: str
    person: str
    film: str
    clip: str
    width: int
    height: int
    duration_s: float
    times_s: tuple[float, ...]
    likeness: Mapping[str, tuple[float, ...]]
    yaw_deg: tuple[float, ...]
    eyes_px: float
    score: Mapping[str, float]
    strict: Mapping[str, float]
    found: Mapping[str, float]
    poses: Mapping[str, float]
    drift: Drift | None
    copying: float
    voice: ClipVoice | None = None


@dataclass(frozen=True, slots=True)
class RealScore:
    """Hold what a person's real frames score at the size of a system's faces.

    Attributes:
        person: whose reference it is. system: whose faces set the size.
        scale: by which real frames were shrunk, 1 where they were not.
        eyes_px: median distance between the eyes in the person's real frames, once shrunk.
        ceiling: by measure, the score of each of the person's own real recordings; () without any.
        floor: by measure, the score of each other person's real frames against this person's reference.
        found: share of the person's own real frames with a face (first measure).
        poses: as in `ClipScore`, of the person's own real frames.
        slopes_per_s: of the likeness over time in each of the person's own real clips.
        kept: cosine between the reference and the mean direction of the person's own real frames.
    """

    person: str
    system: str
    scale: float
    eyes_px: float
    ceiling: Mapping[str, tuple[float, ...]]
    floor: Mapping[str, tuple[float, ...]]
    found: float
    poses: Mapping[str, float]
    slopes_per_s: tuple[float, ...]
    kept: float


@dataclass(frozen=True, slots=True)
class Row:
    """Hold a system by one measure.

    `closed` is the share of the way from floor to ceiling that the system has come; `strict` counts frames without a
    face as 0; `found` is the share of frames with one.
    """

    measure: str
    likeness: Estimate
    ceiling: Estimate
    floor: Estimate
    closed: Estimate
    strict: Estimate
    found: Estimate


@dataclass(frozen=True, slots=True)
class PoseRow:
    """Hold a system in one pose (first measure): how many frames, how alike, and how alike real frames are in it."""

    pose: str
    frames: int
    likeness: Estimate
    real: Estimate


@dataclass(frozen=True, slots=True)
class PersonRow:
    """Hold one person in a system; values by measure where they are mappings, else by the first."""

    person: str
    clips: int
    likeness: Mapping[str, float]
    ceiling: Mapping[str, float]
    floor: Mapping[str, float]
    found: float
    slope_per_s: float
    consistency: float
    copying: float


@dataclass(frozen=True, slots=True)
class PersonVoice:
    """Hold the voice of one person in a system: means over their clips with speech, as in `ClipVoice` and `Lips`."""

    person: str
    clips: int
    speech_s: float
    likeness: float
    ceiling: float
    floor: float
    sync: float
    chance: float


@dataclass(frozen=True, slots=True)
class SystemVoice:
    """Hold the voices of a system.

    Attributes:
        people: of whom there is a clip with speech.
        clips: with at least a second of speech.
        likeness, ceiling, floor, closed: as in `Row`.
        sync, chance: as in `Lips`, of the clips of which it can be told.
        real_sync, real_chance: the same of the people's real clips.
    """

    people: tuple[PersonVoice, ...]
    clips: int
    likeness: Estimate
    ceiling: Estimate
    floor: Estimate
    closed: Estimate
    sync: Estimate
    chance: Estimate
    real_sync: Estimate
    real_chance: Estimate


@dataclass(frozen=True, slots=True)
class SystemScore:
    """Hold everything about one system.

    Attributes:
        faceless: clips without a face in any frame, by the first measure.
        rows: one per measure.
        slope_per_s, change: how likeness changes over a clip, per second and from its first to its last quarter.
        kept: cosine between first and last quarter of a clip.
        real_slope_per_s: the slope of real clips.
        consistency: cosine between the mean directions of every two clips of a film.
        real_consistency: cosine between the reference and a person's held-out real frames.
        copying: see `ClipScore`; around 0.5 nothing is copied.
        voice: None where no clip has speech, and where no voice was asked for.
    """

    system: str
    people: tuple[PersonRow, ...]
    clips: int
    faceless: int
    rows: tuple[Row, ...]
    poses: tuple[PoseRow, ...]
    slope_per_s: Estimate
    change: Estimate
    kept: Estimate
    real_slope_per_s: Estimate
    consistency: Estimate
    real_consistency: Estimate
    copying: Estimate
    voice: SystemVoice | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Hold by how much system `first` is more alike than system `second`, over the people that both show."""

    measure: str
    first: str
    second: str
    likeness: Estimate


@dataclass(frozen=True, slots=True)
class Reference:
    """Say what stands for a person: reference frames with a face, and real frames that were held out."""

    person: str
    frames: int
    faces: int
    real_frames: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Name a file that was not scored, and say why."""

    file: str
    reason: str

    @classmethod
    def told(cls, file: str, reason: str) -> Skipped:
        """Take a reason that may begin with the name of the file, which is said already."""
        return cls(file, reason.removeprefix(f"{file}: "))


@dataclass(frozen=True, slots=True)
class VoiceReference:
    """Say how many seconds of speech a person is known by, how many are held out, and how their real lips go."""

    person: str
    speech_s: float
    held_s: float
    lips: tuple[Lips, ...]


@dataclass(frozen=True, slots=True)
class VoiceBasis:
    """Say by what voices were compared.

    Attributes:
        encoder, digest, licence, assurance: of the voice encoder.
        people: everybody for whom there is a reference; empty where no clip has sound.
        unheard: clips whose voice was not measured, and why; empty where no clip has sound.
    """

    encoder: str
    digest: str
    licence: str
    assurance: str
    people: tuple[VoiceReference, ...]
    unheard: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class FrameShown:
    """Hold a frame for people to look at, `[H, W, 3]` uint8 RGB, and its likeness by the first measure."""

    system: str
    person: str
    clip: str
    time_s: float
    likeness: float
    picture: NDArray[np.uint8] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """Hold what is to be seen of a system: its worst and its best frames, by the first measure."""

    system: str
    worst: tuple[FrameShown, ...]
    best: tuple[FrameShown, ...]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Hold a whole measurement of likeness.

    Attributes:
        protocol, frames: its name, and how many frames of a clip are looked at.
        as_published: whether the quirks of the published scripts were kept.
        measures: by which likeness was measured; the first one is the one that was asked for.
        references: what stands for each person.
        systems, differences: the results.
        real: what real frames score, for every person and system.
        clips: every clip that was scored.
        skipped: every file that was not.
        voice: by what voices were compared; None where that was not asked for.
        notes: what a reader must know, in sentences.
        versions: of the software.
        shown: worst and best frames; for the page only.
    """

    protocol: str
    frames: int
    as_published: bool
    measures: tuple[Measure, ...]
    references: tuple[Reference, ...]
    systems: tuple[SystemScore, ...]
    differences: tuple[Difference, ...]
    real: tuple[RealScore, ...]
    clips: tuple[ClipScore, ...]
    skipped: tuple[Skipped, ...]
    voice: VoiceBasis | None
    notes: tuple[str, ...]
    versions: Mapping[str, str]
    shown: tuple[Shown, ...] = ()
