"""WORKFLOW: look at clips and at people's references through recognisers, one picture at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.capture.stills import count_pictures, read_photo, read_pictures
from cameo.copying import CopyControl
from cameo.directions import mean_direction
from cameo.embed.face import load_face_encoder
from cameo.embed.face_insightface import InsightFaceEncoder
from cameo.embed.face_onnx import OnnxFaceEncoder
from cameo.embed.face_reader import FaceReader, FaceReading, PictureReader, PublishedReader
from cameo.errors import ClipError, UsageError
from cameo.fidelity.clips import RealLooks
from cameo.fidelity.folders import PHOTO_SUFFIXES
from cameo.fidelity.looks import Looks
from cameo.fidelity.protocols import frame_numbers
from cameo.scores import CURRICULAR, FIRST, SECOND, Measure, Reference, Skipped
from cameo.weights import PACKS

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.fidelity.folders import ClipFile, PersonFiles
    from cameo.records import Float32, UInt8

StrPath = str | os.PathLike[str]
Seen = Callable[[float, "UInt8", "FaceReading | None"], None]
# Of a clip that stands for a person, the first part is the reference and the last is held out as real; the gap keeps
# frames apart that are neighbours.
REFERENCE_PART, REAL_PART = (0.0, 0.6), (0.75, 1.0)
REFERENCE_FRAMES = 16  # of each such clip
LEAST_FOR_COPYING = 8  # reference frames and real frames each: below, a nearest one says nothing
# Faces of real frames are brought to the size of generated ones in steps of the square root of 2, so that people whose
# clips are of about one size share what was looked at.
_STEPS_PER_OCTAVE = 2
# Real frames of other people that are held against a person, all others together, and of each at least and at most.
_FLOOR_FRAMES, _OF_EACH = 96, (2, 8)
_LEAST_SIDE = 16


@dataclass(frozen=True, slots=True)
class Readers:
    """Read single pictures by every measure that was asked for; `assurance` is of the first recogniser."""

    measures: tuple[Measure, ...]
    assurance: str
    first: PictureReader
    second: PictureReader | None

    @classmethod
    def load(cls, face_model: str, second_model: str, curricularface: StrPath | None, as_published: bool) -> Readers:
        """Load recognisers by their names; see `embed.face.load_face_encoder`.

        Raises:
            UsageError: a name is none, the two are one, or a published protocol is asked for without a pack.
            MissingWeights, MissingExtra: weights or a device are not to be had.
        """
        encoder = load_face_encoder(face_model)
        curricular = None
        if curricularface is not None:
            curricular = OnnxFaceEncoder.named(os.fspath(curricularface))
        packed = isinstance(encoder, InsightFaceEncoder)
        title = "FaceSim-Arc" if packed else "likeness"
        measures = [_measure(FIRST, title, encoder, as_published and _is_published(encoder))]
        if curricular is not None:
            measures.append(_measure(CURRICULAR, "FaceSim-Cur", curricular, False))
        second = None
        if second_model:
            other = load_face_encoder(second_model)
            if other.info.digest == encoder.info.digest:
                raise UsageError("the second recogniser is the first one", "give another --second-model")
            measures.append(_measure(SECOND, "second recogniser", other, False))
            second = FaceReader(other)
        if not as_published:
            return cls(tuple(measures), encoder.info.assurance, FaceReader(encoder, curricular), second)
        if not isinstance(encoder, InsightFaceEncoder):
            hint = "add --face-model insightface:buffalo_l, which published numbers are by"
            raise UsageError("published scores are by an InsightFace pack", hint)
        return cls(tuple(measures), encoder.info.assurance, PublishedReader(encoder, curricular), second)

    def read(self, picture: UInt8) -> tuple[FaceReading | None, dict[str, Float32 | None]]:
        """Read `[H, W, 3]` RGB: what the first recogniser saw, and by measure the unit vector of the face."""
        seen = self.first.read(picture)
        vectors = {FIRST: seen.vector if seen else None}
        for measure in self.measures[1:]:
            if measure.key == CURRICULAR:
                vectors[CURRICULAR] = seen.curricular if seen else None
            elif self.second is not None:
                other = self.second.read(picture)
                vectors[SECOND] = other.vector if other else None
        return seen, vectors


@dataclass(slots=True)
class Person:
    """Hold what stands for a person.

    Attributes:
        reference: how many frames there are, and with how many faces.
        vectors: by measure, the unit vector `[D]` of the reference; None where that recogniser found no face in it.
        copies: compares with the reference frames; None where there are too few.
        real: the held-out real frames, by the size to which faces were shrunk and how many frames of a recording were
            looked at; 0 and 0 for all of them as they are.
    """

    files: PersonFiles
    reference: Reference
    vectors: Mapping[str, Float32 | None]
    copies: CopyControl | None
    real: dict[tuple[float, int], RealLooks] = field(default_factory=dict)


class People:
    """Look at references and real frames of people, and remember what was seen."""

    def __init__(self, readers: Readers, frames: int, apart: bool, one_picture: bool) -> None:
        """Prepare.

        Args:
            readers: by what to look.
            frames: looked at in a real recording.
            apart: whether real frames come from files of their own, so that references are used whole.
            one_picture: whether the first picture alone is the reference, as published.
        """
        self._readers, self._frames, self._apart, self._one = readers, frames, apart, one_picture
        self.skipped: list[Skipped] = []

    def meet(self, references: PersonFiles, real: PersonFiles) -> Person:
        """Look at a person's reference and held-out real frames as they are; files that cannot be read are noted."""
        rows: dict[str, list[Float32]] = {}
        crops: list[UInt8] = []
        frames = 0
        for picture in self._references(references):
            seen, vectors = self._readers.read(picture)
            frames += 1
            for measure, vector in vectors.items():
                if vector is not None:
                    rows.setdefault(measure, []).append(vector)
            if seen is not None:
                crops.append(seen.crop)
        held: list[UInt8] = []
        looks = self._recordings(real, 1.0, self._frames, held)
        enough = min(len(crops), len(held)) >= LEAST_FOR_COPYING
        copies = CopyControl(np.stack(crops), np.stack(held)) if enough else None
        reference = Reference(references.person, frames, len(rows.get(FIRST, ())), sum(map(len, looks)))
        keys = [measure.key for measure in self._readers.measures]
        means = {key: mean_direction(np.stack(rows[key])) if key in rows else None for key in keys}
        return Person(real, reference, means, copies, {(0.0, 0): RealLooks(references.person, 1.0, looks)})

    def strangers_at(self, people: Sequence[Person], eyes_px: float) -> list[RealLooks]:
        """Look at some real frames of every one of other people, with their faces about as large as given."""
        least, most = _OF_EACH
        frames = min(most, max(least, _FLOOR_FRAMES // max(1, len(people))))
        return [self.real_at(person, eyes_px, frames) for person in people]

    def real_at(self, person: Person, eyes_px: float, frames: int | None = None) -> RealLooks:
        """Look at a person's real frames with their faces about as large as given, never enlarged; NaN is as they are.

        Faces are compared by the median distance between the eyes. `frames` of every recording are looked at, as many
        as the protocol's without.
        """
        plain, count = person.real[0.0, 0], frames or self._frames
        own = np.concatenate([looks.eyes_px for looks in plain.recordings]) if plain.recordings else np.zeros(0)
        if not (np.isfinite(own).any() and np.isfinite(eyes_px) and eyes_px > 0):
            return plain
        size = float(2.0 ** (np.round(_STEPS_PER_OCTAVE * np.log2(eyes_px)) / _STEPS_PER_OCTAVE))
        scale = size / float(np.nanmedian(own))
        if scale > 2 ** (-0.5 / _STEPS_PER_OCTAVE):  # as large, within half a step
            return plain
        if (size, count) not in person.real:
            looks = self._recordings(person.files, scale, count, None)
            person.real[size, count] = RealLooks(plain.person, scale, looks)
        return person.real[size, count]

    def _references(self, files: PersonFiles) -> Iterator[UInt8]:
        """Read reference pictures; as published, the first one only."""
        part = (0.0, 1.0) if self._apart else REFERENCE_PART
        for path in (*files.photos, *files.clips):
            for _, picture in self._tried(path, REFERENCE_FRAMES, part):
                yield picture
                if self._one:
                    return

    def _recordings(self, files: PersonFiles, scale: float, count: int, crops: list[UInt8] | None) -> tuple[Looks, ...]:
        """Look at real recordings: all photographs are one, every clip is one; crops of faces are handed out."""
        part = (0.0, 1.0) if self._apart else REAL_PART
        photos = Looks()
        found = [photos]
        for path in files.photos:
            self._look(photos, self._tried(path, 1, part), scale, crops)
        for path in files.clips:
            found.append(Looks())
            self._look(found[-1], self._tried(path, count, part), scale, crops)
        return tuple(looks for looks in found if len(looks))

    def _look(
        self, looks: Looks, pictures: Iterator[tuple[float, UInt8]], scale: float, crops: list[UInt8] | None
    ) -> None:
        for time_s, picture in pictures:
            seen, vectors = self._readers.read(_shrunk(picture, scale))
            looks.add(time_s, seen.points if seen else None, vectors)
            if seen is not None and crops is not None:
                crops.append(seen.crop)

    def _tried(self, path: Path, count: int, part: tuple[float, float]) -> Iterator[tuple[float, UInt8]]:
        """Read a photograph, or pictures of a part of a clip; what cannot be read is noted once, and left out."""
        try:
            if path.suffix.lower() in PHOTO_SUFFIXES:
                yield 0.0, read_photo(path)
                return
            for _, time_s, picture in read_pictures(path, frame_numbers(count_pictures(path), count, *part)):
                yield time_s, picture
        except (ClipError, UsageError) as error:
            if str(path) not in {one.file for one in self.skipped}:
                self.skipped.append(Skipped.told(str(path), error.message))


def look_at_clip(file: ClipFile, readers: Readers, frames: int, seen: Seen) -> Looks:
    """Look at frames of a clip, evenly from the first to the last; `seen` is shown each of them.

    Raises:
        UsageError: there is no such file.
        ClipError: it cannot be read, or no frame of it.
    """
    looks = Looks()
    numbers = Counter(frame_numbers(count_pictures(file.path), frames))
    for number, time_s, picture in read_pictures(file.path, sorted(numbers)):
        reading, vectors = readers.read(picture)
        seen(time_s, picture, reading)
        for _ in range(numbers[number]):
            looks.add(time_s, reading.points if reading else None, vectors)
    return looks


def _shrunk(picture: UInt8, scale: float) -> UInt8:
    if scale >= 1:
        return picture
    height, width = (max(_LEAST_SIDE, round(side * scale)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _measure(key: str, title: str, encoder: FaceEncoder, published: bool) -> Measure:
    info = encoder.info
    return Measure(key, title, info.id, info.digest, info.licence, published)


def _is_published(encoder: FaceEncoder) -> bool:
    """Whether these are the weights that the published scripts load: they name no pack, which takes `buffalo_l`."""
    known = {file.sha256 for file in PACKS["buffalo_l"].files if file.required}
    return isinstance(encoder, InsightFaceEncoder) and set(encoder.files.values()) == known
