"""Frozen values that stages hand each other. Arrays are annotated only, so importing this costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
# What a passed challenge adds to it; see docs/explanation/liveness.md.
LIVE = "live"

_TOLD = {True: "ok", False: "against", None: "not told"}


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
class Check:
    """Record one check of the quality gate.

    `level` is "ok", "warn" or "fail"; `limit` is printed with its sense ("at least 60 px"); `source` names where
    the limit comes from; `advice` says what to do when it does not hold.
    """

    name: str
    title: str
    value: float
    unit: str
    limit: str
    level: str
    source: str
    advice: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Collect the gate's checks and a per-frame score.

    `frame_scores` is `[T]` in 0..1, 0 for a frame that must not be used; `reasons` gives, per frame, why it was
    rejected ("" when usable).
    """

    checks: tuple[Check, ...]
    frame_scores: Float32
    reasons: tuple[str, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks at level "fail"."""
        return tuple(c for c in self.checks if c.level == "fail")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Record one piece of evidence.

    Attributes:
        name: key in reports and `--json`.
        title: what was looked at, for people.
        score: how far it speaks for a living person, 0..1; 0.5 says nothing.
        weight: how much it counts in the verdict's score.
        passed: whether it holds; None where it could not be told.
        decides: whether the challenge is failed without it; passive evidence never decides.
        measured: the value behind the score, in words.
        meaning: what the result means, and what to do when it does not hold.
    """

    name: str
    title: str
    score: float
    weight: float
    passed: bool | None
    decides: bool
    measured: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Collect the evidence on one recording.

    Attributes:
        evidence: the pieces, those that decide first.
        nonce, digest: of the challenge that was answered, hex; "" when there was none.
    """

    evidence: tuple[Evidence, ...]
    nonce: str = ""
    digest: str = ""

    @property
    def challenged(self) -> bool:
        """Whether the recording was held against a challenge."""
        return bool(self.nonce)

    @property
    def live(self) -> bool:
        """Whether a challenge was passed: there is one, and every piece that decides holds."""
        deciding = [piece for piece in self.evidence if piece.decides]
        return self.challenged and bool(deciding) and all(piece.passed is True for piece in deciding)

    @property
    def assurance(self) -> str:
        """`LIVE` when a challenge was passed, else ""."""
        return LIVE if self.live else ""

    @property
    def score(self) -> float:
        """Weighted mean of the scores of what could be told, 0..1; for showing, not for deciding."""
        told = [piece for piece in self.evidence if piece.passed is not None]
        whole = sum(piece.weight for piece in told)
        return sum(piece.weight * piece.score for piece in told) / whole if whole else 0.5

    @property
    def warnings(self) -> tuple[Evidence, ...]:
        """The pieces that speak against a living person."""
        return tuple(piece for piece in self.evidence if piece.passed is False)

    def summary(self) -> str:
        """Put the verdict into one line, as the consent record keeps it."""
        if not self.challenged:
            against = ", ".join(piece.name for piece in self.warnings)
            return "not checked by a challenge" + (f"; against it: {against}" if against else "")
        outcome = "challenge passed" if self.live else "challenge failed"
        pieces = ", ".join(f"{piece.name} {_TOLD[piece.passed]}" for piece in self.evidence)
        return f"{outcome}; nonce {self.nonce}; challenge sha256 {self.digest}; {pieces}"


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
class TuningStep:
    """Record one line of the tuning curve. `likeness` and `impostor` are NaN between judgements."""

    step: int
    loss: float
    likeness: float
    impostor: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Adapter:
    """Hold a tuned adapter as the bytes that will be sealed.

    `parts` maps part name ("adapter.reference.face", "identity.reference.face") to safetensors bytes.
    """

    generator: str
    base_digest: str
    parts: Mapping[str, bytes]
    curve: tuple[TuningStep, ...]
    best_step: int
    before: UInt8
    after: UInt8
    real: UInt8
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """Describe a `.cameo` file as it was written; `parts` maps part name to bytes of ciphertext."""

    path: str
    sha256: str
    size: int
    bundle_id: str
    owner: str
    assurance: str
    parts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Collect what an enrolment found and made; the report shows it.

    Attributes:
        frame_likeness: `[T]` cosine of each frame of the clip to the face template; NaN where none was taken.
        frames_used: `[T]` whether a frame was offered to the face template.
        window_likeness: `[K]` cosine of each window of speech to the voice template.
        consent: what was agreed to, in plain words, a line each.
        seconds: wall time of each step, in the order they ran.
        versions: package name to version.
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
    adapter: Adapter
    sealed: SealedFile
    consent: tuple[str, ...]
    seconds: Mapping[str, float]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """Say what is asked of a double: one request, as the holder's proof binds it and the consent record judges it.

    Attributes:
        action: "generate".
        purpose: id of a purpose of the consent record.
        prompt: what the generator is told; "" when it takes no words.
        generator: its id.
        outputs: of "video", "image", "audio".
        modalities: of "face", "voice": which parts of the double are opened.
        seconds: length of the output.
        pixels: width times height of a frame.
        seed: of the generation.
        commercial: whether it is for a commercial end.
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
