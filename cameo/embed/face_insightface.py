"""A face encoder from a local InsightFace pack: one detector, one recogniser, and landmarks and pose if it has them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cameo.downloads import sha256_of
from cameo.embed.brought import calibrated, split_device
from cameo.embed.crop import plain_crop
from cameo.embed.face_detector import POINTS, Face, FaceDetector
from cameo.embed.face_models import Recogniser, open_model
from cameo.embed.face_pose import TASKS, PackLandmarks
from cameo.errors import MissingWeights
from cameo.records import MATCHED, EncoderInfo
from cameo.weights import PACKS, RESEARCH_ONLY, find_pack

if TYPE_CHECKING:
    from cameo.embed.face import Progress
    from cameo.records import Bool, FaceSightings, Float32, UInt8

_HINT = "give the folder of an unpacked InsightFace pack, with one detector and one recogniser as *.onnx"
LICENCE = RESEARCH_ONLY
DETECTION, RECOGNITION = "detection", "recognition"
POSE_EVERY = 5  # frames; a fifth of a second, in which a head turns by a few degrees

# Cosine at one false match in a thousand on the 6,000 pairs of LFW, measured for EdgeFace-XS behind SCRFD-2.5G.
# Other recognisers differ: `threshold_source` says so. Source: shared/models/README.md.
_THRESHOLD = 0.261
_THRESHOLD_SOURCE = "LFW 6,000 pairs, FAR 1e-3, EdgeFace-XS behind SCRFD-2.5G; other recognisers were not measured"


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of the pack as it was hashed and opened."""

    path: Path
    sha256: str
    model: Any


@dataclass(frozen=True, slots=True)
class InsightFaceEncoder:
    """Detect with the pack's detector, align, and encode with its recogniser; implements `FaceEncoder`.

    `files` maps the name of each file that is used for vectors to its SHA-256; `info.digest` is over those lines.
    """

    info: EncoderInfo
    files: dict[str, str]
    detector: FaceDetector
    landmarks: PackLandmarks
    _recogniser: Recogniser

    @classmethod
    def named(cls, place: str, home: Path) -> InsightFaceEncoder:
        """Load a known pack by its name, or any by its folder; `@cuda` behind either runs it there.

        Args:
            place: `buffalo_l`, `folder/of/a/pack`, `buffalo_l@cuda`. A known name is never taken for a folder.
            home: `config.home()`.

        Raises:
            MissingWeights: see `load`; or a file of a known pack differs from its digest.
            MissingExtra: CUDA is asked for and not to be had.
        """
        place, device = split_device(place)
        return cls.load(find_pack(place, home) if place in PACKS else Path(place), device)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> InsightFaceEncoder:
        """Load the pack in `folder`; nothing is ever downloaded.

        Raises:
            MissingWeights: the folder is missing or does not hold one detector and one recogniser.
            MissingExtra: `device` is not to be had.
        """
        found = _open_all(folder, device)
        detector, recogniser = found[DETECTION], found[RECOGNITION]
        encode = Recogniser.over(recogniser.model, recogniser.path, _HINT)
        files = {part.path.name: part.sha256 for part in (detector, recogniser)}
        info = EncoderInfo(
            id=f"insightface:{detector.path.stem}+{recogniser.path.stem}",
            modality="face",
            digest=hashlib.sha256("".join(f"{n} {d}\n" for n, d in sorted(files.items())).encode()).hexdigest(),
            dimension=encode.dimension,
            assurance=MATCHED,
            licence=LICENCE,
            threshold=_THRESHOLD,
            threshold_source=_THRESHOLD_SOURCE,
        )
        return cls(
            info=calibrated(info, folder),
            files=files,
            detector=FaceDetector.over(detector.model, detector.path, _HINT),
            landmarks=PackLandmarks({task: found[task].model for task in TASKS if task in found}),
            _recogniser=encode,
        )

    def embed(self, frames: UInt8, points: Float32 | None = None) -> tuple[Float32, Bool]:
        """Encode the main face of every frame; see `FaceEncoder.embed`.

        Given points align the face; where there are none the pack's own detector looks at every frame.
        """
        if points is None:
            points = self.find_points(frames)
        found = np.asarray(np.isfinite(points[:, :5]).all((1, 2)))
        vectors = np.zeros((len(frames), self.info.dimension), np.float32)
        crops = [plain_crop(frames[i], points[i, :5], self._recogniser.size) for i in np.flatnonzero(found)]
        vectors[found] = self._recogniser.encode(crops)
        return vectors, found

    def follow(self, frames: UInt8, *, progress: Progress | None = None) -> FaceSightings:
        """Find the main face in the frames of one clip, and its pose if the pack can tell; see `FaceDetector.follow`.

        Pose is read every `POSE_EVERY` frames and lies on straight lines between: it costs as much as a recognition.
        """
        seen = self.detector.follow(frames, progress=progress)
        found = np.flatnonzero(np.isfinite(seen.boxes).all(1))
        if not (self.landmarks.has_pose and len(found)):
            return seen
        some = found[::POSE_EVERY]
        corners = np.concatenate([seen.boxes[:, :2], seen.boxes[:, :2] + seen.boxes[:, 2:]], 1)
        read = [self.landmarks.pose(frames[i], Face(corners[i], seen.points[i, :5])) for i in some]
        angles = np.full((len(frames), 3), np.nan, np.float32)
        angles[found] = np.stack([np.interp(found, some, column) for column in np.stack(read, 1)], 1)
        return replace(seen, pose_deg=angles)

    def pose(self, frames: UInt8) -> Float32:
        """Read yaw, pitch and roll of the main face, `[N, 3]` degrees; NaN where there is no face or no pose model."""
        angles = np.full((len(frames), 3), np.nan, np.float32)
        if self.landmarks.has_pose:
            for i, frame in enumerate(frames):
                if face := self.detector.find(frame):
                    angles[i] = self.landmarks.pose(frame, face)
        return angles

    def find_points(self, frames: UInt8) -> Float32:
        """Look for the largest face of every frame; see `PointFinder.find_points`."""
        points = np.full((len(frames), POINTS, 2), np.nan, np.float32)
        for i, frame in enumerate(frames):
            if face := self.detector.find(frame):
                points[i, : len(face.points)] = face.points
        return points


def _open_all(folder: Path, device: str) -> dict[str, _Part]:
    """Hash and open the models of a pack by their task: the two that are required, and those that are of use."""
    paths = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
    if not paths:
        raise MissingWeights(f"no InsightFace pack at {folder}", _HINT)
    found: dict[str, _Part] = {}
    for path in paths:
        digest = sha256_of(path)
        model = open_model(path, device, _HINT)
        task = getattr(model, "taskname", None)
        if task not in (DETECTION, RECOGNITION, *TASKS):
            continue
        if task in found and task in TASKS:
            continue
        if task in found:
            raise MissingWeights(f"two models for {task}: {found[task].path.name} and {path.name}", _HINT)
        found[task] = _Part(path, digest, model)
    for task in (DETECTION, RECOGNITION):
        if task not in found:
            raise MissingWeights(f"no model for {task} in {folder}", _HINT)
    return found
