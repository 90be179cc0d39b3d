"""Frozen values that stages hand each other. Arrays are annotated only, so importing this costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cameo.findings import LIVE as LIVE
from cameo.findings import Check as Check
from cameo.findings import Earlier as Earlier
from cameo.findings import Evidence as Evidence
from cameo.findings import Precedents as Precedents
from cameo.findings import QualityReport as QualityReport
from cameo.findings import Verdict as Verdict
from cameo.findings import assurance_of as assurance_of
from cameo.findings import says_live as says_live
from cameo.findings import split_assurance as split_assurance
from cameo.tuned import Adapter as Adapter
from cameo.tuned import Mistake as Mistake
from cameo.tuned import TuningStep as TuningStep

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Float32 = NDArray[np.float32]
    Float64 = NDArray[np.float64]
    UInt8 = NDArray[np.uint8]
    Bool = NDArray[np.bool_]
    Int64 = NDArray[np.int64]

# The ten points of a face, in the order of every `points` array. Left and right are the picture's.
LANDMARKS = (
    "eye_l",
    "eye_r",
    "nose_tip",
    "mouth_l",
    "mouth_r",
    "lip_top",
    "lip_bottom",
    "chin",
    "jaw_l",
    "jaw_r",
)

# What the embedded encoders can promise; see docs/explanation/assurance.md.
CONSISTENCY_ONLY = "consistency-only"
MATCHED = "matched"


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """Hold a recorded file in memory, byte for byte as it was on disk; `name` is its file name there."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClipSource:
    """Say where a clip came from and what the file declared.

    `sha256` is of the whole file; `width`, `height` are after rotation; `fps` is the measured mean rate of the
    picture track; `rate_hz`, `channels` are of the sound as stored (0 if there is none); `voice_name` is the file the
    sound came from, "" when it is the clip's own.
    """

    name: str
    sha256: str
    container: str
    video_codec: str
    audio_codec: str
    width: int
    height: int
    fps: float
    rotation_deg: int
    duration_s: float
    rate_hz: int
    channels: int
    voice_name: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """Hold the sampled picture and the whole sound of a recording.

    Attributes:
        frames: `[T, H, W, 3]` uint8 RGB, upright, long side at most 640 px, sampled at up to 25 per second.
        times_s: `[T]` presentation times, rising.
        sound: `[N]` float32 mono at 16 kHz, in [-1, 1]; empty when there is no sound. Starts at time 0.
        used_s: how much of the recording was read (bounded; see `capture.clip`).
    """

    frames: UInt8
    times_s: Float64
    sound: Float32
    used_s: float
    source: ClipSource
    rate_hz: int = 16_000


@dataclass(frozen=True, slots=True)
class FaceSightings:
    """Say where an encoder's own detector saw the main face of a clip.

    Attributes:
        boxes: `[T, 4]` x, y, width, height in pixels; NaN where no face was found.
        points: `[T, 10, 2]` x, y pixels in `LANDMARKS` order: eyes, nose tip and mouth corners; the rest is NaN, and so
            is everything where no face was found.
        faces: `[T]` how many faces were found in the frame.
        pose_deg: `[T, 3]` yaw, pitch and roll, signs as in `FaceTrack`; NaN where the encoder cannot tell.
    """

    boxes: Float32
    points: Float32
    faces: Int64
    pose_deg: Float32


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """Follow the main face through a clip.

    Attributes:
        boxes: `[T, 4]` x, y, width, height in pixels of `Clip.frames`; NaN where no face was found.
        points: `[T, 10, 2]` x, y pixels in `LANDMARKS` order; NaN where no face was found.
        eye_open: `[T]` 0 closed .. 1 open.
        mouth_open: `[T]` lip gap over inter-eye distance, 0 closed.
        yaw_deg, pitch_deg, roll_deg: `[T]` coarse head pose; positive yaw looks to the picture's right.
        faces: `[T]` how many faces were found in the frame.
        found: `[T]` whether the main face was found.
    """

    boxes: Float32
    points: Float32
    eye_open: Float32
    mouth_open: Float32
    yaw_deg: Float32
    pitch_deg: Float32
    roll_deg: Float32
    faces: Int64
    found: Bool


@dataclass(frozen=True, slots=True)
class Speech:
    """Hold what the voice activity detector kept.

    `samples` is `[N]` float32 mono at 16 kHz, the speech segments joined; `segments_s` is `[K, 2]` start and end.
    """

    samples: Float32
    segments_s: Float64
    rate_hz: int = 16_000

    @property
    def seconds(self) -> float:
        """Net seconds of speech."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Name an encoder so that embeddings of different encoders never compare.

    `digest` is the SHA-256 (hex) of its weights; `assurance` is `CONSISTENCY_ONLY` or `MATCHED`;
    `threshold` is the cosine above which two templates are taken for one person, and `threshold_source` says
    which measurement set it.
    """

    id: str
    modality: str
    digest: str
    dimension: int
    assurance: str
    licence: str
    threshold: float
    threshold_source: str


@dataclass(frozen=True, slots=True)
class Template:
    """Pool embeddings of one person and one encoder.

    Attributes:
        vector: `[D]` float32, unit length.
        spread: mean cosine distance of the pooled embeddings to `vector`, 0..2.
        count: how many embeddings were pooled.
        scores: `[count]` cosine of every pooled embedding to the leave-one-out mean of the others.
    """

    vector: Float32
    spread: float
    count: int
    scores: Float32
    encoder: EncoderInfo


@dataclass(frozen=True, slots=True)
class SealedFile:
    """Describe a `.cameo` file as it was written.

    `assurance` is what `assurance_of` makes of its encoders and its challenge; `parts` maps part name to bytes of
    ciphertext.
    """

    path: str
    sha256: str
    size: int
    bundle_id: str
    owner: str
    assurance: str
    parts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Observed:
    """Collect what a recording showed of a person.

    Attributes:
        frame_likeness: `[T]` cosine of each frame of the clip to the face template; NaN where none was taken.
        frames_used: `[T]` whether a frame was offered to the face template.
        window_likeness: `[K]` cosine of each window of speech to the voice template.
    """

    clip: Clip
    track: FaceTrack
    speech: Speech
    quality: QualityReport
    face: Template
    voice: Template
    frame_likeness: Float32
    frames_used: Bool
    window_likeness: Float32
    liveness: Verdict


@dataclass(frozen=True, slots=True)
class Enrollment(Observed):
    """Collect what an enrolment found and made; the report shows it.

    Attributes:
        precedents: whom among those enrolled before the person is like.
        consent: what was agreed to, in plain words, a line each.
        seconds: wall time of each step, in the order they ran.
        versions: package name to version.
    """

    precedents: Precedents
    adapter: Adapter
    sealed: SealedFile
    consent: tuple[str, ...]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """Say what is asked of a double: one request, as the holder's proof binds it and the consent record judges it.

    Attributes:
        action: "generate", or "export".
        purpose: id of a purpose of the consent record.
        prompt: what the generator is told; "" when it takes no words.
        generator: its id.
        outputs: of "video", "image", "audio".
        modalities: of "face", "voice": which parts of the double are opened.
        seconds: length of the output.
        pixels: width times height of a frame.
        seed: of the generation.
        commercial: whether it is for a commercial end.
        line_sha256: hex, of the file with the line that is spoken; "" when nothing is.
    """

    action: str
    purpose: str
    prompt: str
    generator: str
    outputs: tuple[str, ...]
    modalities: tuple[str, ...]
    seconds: float
    pixels: int
    seed: int = 0
    commercial: bool = False
    line_sha256: str = ""


@dataclass(frozen=True, slots=True)
class CastClip:
    """Describe a generated clip.

    `purpose` is the purpose of the consent record it was made for; `receipt` the SHA-256 (hex) of the receipt that
    allowed it.
    """

    path: str
    frames: int
    fps: float
    seconds: float
    width: int
    height: int
    seed: int
    generator: str
    bundle_id: str
    purpose: str
    receipt: str


@dataclass(frozen=True, slots=True)
class ExportedLora:
    """Describe a plain LoRA file that was written.

    `sha256` is of the file; `layout` "diffusers" or "comfyui"; `purpose` and `receipt` as in `CastClip`.
    """

    path: str
    size: int
    sha256: str
    layout: str
    generator: str
    modalities: tuple[str, ...]
    bundle_id: str
    purpose: str
    receipt: str
