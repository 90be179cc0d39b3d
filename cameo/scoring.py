"""WORKFLOW: score how much generated clips resemble people, against their real clips and against other people.

Clips are read one at a time and frame by frame: of each, numbers are kept, and of each system a few pictures.
"""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo import __version__
from cameo.errors import ClipError, OutputError, UsageError
from cameo.fidelity.clips import Rules, score_clip, score_real
from cameo.fidelity.folders import list_clips, list_people, split_references
from cameo.fidelity.notes import notes_on
from cameo.fidelity.protocols import known_protocol
from cameo.fidelity.summary import Scored, compare_systems, summarise
from cameo.files import atomic_write, require_writable
from cameo.listening import load_listener
from cameo.looking import People, Person, Readers, look_at_clip
from cameo.report.fidelity_files import as_csv, as_json, as_markdown
from cameo.report.fidelity_page import render_fidelity
from cameo.scores import FIRST, VOICE, ClipScore, Fidelity, FrameShown, RealScore, Shown, Skipped

if TYPE_CHECKING:
    from cameo.embed.face_reader import FaceReading
    from cameo.fidelity.folders import ClipFile
    from cameo.listening import Listener
    from cameo.records import Float32, UInt8

StrPath = str | os.PathLike[str]
Progress = Callable[[str, float], None]
FILES = ("fidelity.json", "fidelity.csv", "fidelity.md", "fidelity.html")
SHOWN = 6  # worst and best frames of each system, at most one of a clip
_PRIVATE = 0o600  # the page shows people
_PORTRAIT = 4.5  # side of a shown frame in distances between the eyes: the head and some room
_SHOWN_PX = 176
_LIBRARIES = ("insightface", "numpy", "onnxruntime", "opencv-python", "av")


@dataclass(frozen=True, slots=True)
class FidelityOptions:
    """Choose how likeness is scored.

    Attributes:
        protocol: "opens2v" (32 frames of a clip) or "consisid" (16).
        as_published: look and count exactly as the protocol's published script does, slips included; needs a pack.
        face_model: the recogniser: "embedded", "insightface:NAME_OR_FOLDER", "onnx:FILE".
        second_model: one more, that took no part in making the clips; "" for none.
        curricularface: CurricularFace's weights as an ONNX file, for FaceSim-Cur.
        voice_model: the voice encoder, by which the speech of clips is compared where they have any: "embedded",
            "ecapa:NAME_OR_FOLDER"; "none" listens to nothing.
        real: a folder of real clips or photographs, named like the people; without it, the end of each person's own
            clip, or the last quarter of their photographs, is held out.
        out: a folder for `fidelity.json`, `fidelity.csv`, `fidelity.md` and `fidelity.html`.
    """

    protocol: str = "opens2v"
    as_published: bool = False
    face_model: str = "embedded"
    second_model: str = ""
    curricularface: StrPath | None = None
    voice_model: str = "embedded"
    real: StrPath | None = None
    out: StrPath | None = None


def score_fidelity(
    clips: StrPath | Mapping[str, StrPath],
    people: StrPath,
    *,
    options: FidelityOptions | None = None,
    progress: Progress | None = None,
) -> Fidelity:
    """Score generated clips against reference people.

    A file that cannot be scored is left out and listed in `Fidelity.skipped`.

    Args:
        clips: a folder, or a CSV file `clip,person[,film]`; or several by the name of the system that made them.
        people: a folder with `PERSON.jpg`, `PERSON.mp4`, or `PERSON/` with several; `PERSON.wav` is their voice.
        options: how.
        progress: called with a label and 0..1.

    Raises:
        UsageError: no such folder, protocol or recogniser; or no clips, or nobody, in a folder.
        ClipError: not a single clip could be scored.
        MissingWeights: weights are not there, or are of another kind.
        MissingExtra: CUDA is asked for and not to be had.
        OutputError: a result cannot be written.
    """
    chosen = options or FidelityOptions()
    rules = Rules(known_protocol(chosen.protocol), chosen.as_published)
    known = list_people(Path(people))
    apart = list_people(Path(chosen.real)) if chosen.real is not None else None
    systems = clips if isinstance(clips, Mapping) else {Path(clips).resolve().stem or "clips": clips}
    files, skipped = _find_clips(systems, known)
    skipped += [
        Skipped(f"{chosen.real}/{name}", "there is no reference of that name")
        for name in apart or ()
        if name not in known
    ]
    _require_folder(chosen.out)
    readers = Readers.load(chosen.face_model, chosen.second_model, chosen.curricularface, chosen.as_published)
    listener = load_listener(chosen.voice_model, apart is not None, files)
    met = People(readers, rules.protocol.frames, apart is not None, chosen.as_published)
    everybody: dict[str, Person] = {}
    for k, (name, person) in enumerate(known.items()):
        _tell(progress, f"meeting people: {name}", k / len(known))
        shares = split_references(person, apart)
        everybody[name] = met.meet(*shares)
        if listener is not None:
            listener.meet(*shares)
    bench = _Bench(rules, readers, met, everybody, progress, listener)
    scored = [bench.score(system, some) for system, some in files.items()]
    skipped += [*met.skipped, *bench.skipped, *_only_heard(met, listener)]
    _require_scored(scored, skipped)
    _tell(progress, "summing up", 1.0)
    made = _result(bench, chosen, scored, skipped)
    if chosen.out is not None:
        write_fidelity(made, chosen.out)
    return made


def write_fidelity(made: Fidelity, folder: StrPath) -> None:
    """Write a measurement as JSON, CSV (a line per clip), Markdown and a page, under the names in `FILES`.

    Raises:
        OutputError: one of them cannot be written.
    """
    texts = (as_json(made), as_csv(made), as_markdown(made), render_fidelity(made))
    for name, text in zip(FILES, texts, strict=True):
        mode = _PRIVATE if name.endswith(".html") else 0o644
        # A file name need not be text: what is not becomes a question mark.
        atomic_write(Path(folder) / name, text.encode("utf-8", "replace"), mode)


def _find_clips(
    systems: Mapping[str, StrPath], people: Collection[str]
) -> tuple[dict[str, list[ClipFile]], list[Skipped]]:
    """Find the clips of every system, and those of nobody known.

    Raises:
        UsageError: a system has no clips.
    """
    files: dict[str, list[ClipFile]] = {}
    skipped: list[Skipped] = []
    for system, place in systems.items():
        files[system], unknown = list_clips(system, Path(place), people)
        skipped += unknown
    return files, skipped


def _only_heard(met: People, listener: Listener | None) -> list[Skipped]:
    """Recordings that could not be heard, beside those that could not be looked at either."""
    seen = {one.file for one in met.skipped}
    return [one for one in listener.skipped if one.file not in seen] if listener is not None else []


class _Bench:
    """Score systems, one clip at a time."""

    def __init__(
        self,
        rules: Rules,
        readers: Readers,
        met: People,
        people: Mapping[str, Person],
        progress: Progress | None,
        listener: Listener | None,
    ) -> None:
        self.rules, self.readers, self.met, self.people = rules, readers, met, people
        self._progress, self.listener = progress, listener
        self.skipped: list[Skipped] = []
        self.damaged: list[str] = []
        self.shown: list[Shown] = []

    def score(self, system: str, files: Sequence[ClipFile]) -> Scored:
        """Score the clips of a system, and people's real frames at the size of their faces."""
        clips: list[ClipScore] = []
        directions: dict[tuple[str, str], Float32] = {}
        gallery = _Gallery(system)
        for k, file in enumerate(files):
            _tell(self._progress, f"scoring {system}: {file.name}", k / len(files))
            try:
                clip, direction = self._clip(file, gallery)
            except (ClipError, UsageError) as error:
                self.skipped.append(Skipped.told(str(file.path), error.message))
                continue
            clips.append(clip)
            if direction is not None:
                directions[clip.person, clip.clip] = direction
        self.shown.append(gallery.shown())
        return Scored(system, clips, directions, {real.person: real for real in self._real(system, clips)})

    def blind(self) -> list[str]:
        """Say which recognisers found no face in whose reference."""
        titles = {measure.key: measure.title for measure in self.readers.measures}
        return [
            f"{titles[key]}: {name}"
            for name, person in self.people.items()
            for key, vector in person.vectors.items()
            if vector is None
        ]

    def _clip(self, file: ClipFile, gallery: _Gallery) -> tuple[ClipScore, Float32 | None]:
        person = self.people[file.person]
        reference = person.vectors[FIRST]
        if reference is None:
            raise ClipError(f"there is no face in the reference of {file.person}")
        crops: list[UInt8] = []
        wall = gallery.begin()
        size = (0, 0)

        def seen(time_s: float, picture: UInt8, reading: FaceReading | None) -> None:
            nonlocal size
            size = size if any(size) else (picture.shape[1], picture.shape[0])
            if reading is not None:
                if person.copies is not None:
                    crops.append(reading.crop)
                likeness = float(reading.vector @ reference)
                wall(FrameShown(file.system, file.person, file.name, time_s, likeness, _portrait(picture, reading)))

        looks = look_at_clip(file, self.readers, self.rules.protocol.frames, seen)
        if len(looks) < self.rules.protocol.frames:
            self.damaged.append(f"{file.system}/{file.name}")
        copying = person.copies.share(np.stack(crops)) if person.copies is not None and crops else math.nan
        clip = score_clip(file, looks, person.vectors, self.rules, size, copying)
        gallery.end()
        if self.listener is not None:
            clip = replace(clip, voice=self.listener.hear(file))
        return clip, looks.direction(FIRST)

    def _real(self, system: str, clips: Sequence[ClipScore]) -> Iterator[RealScore]:
        """Score real frames of everybody against each person of the system, with faces of the size of theirs."""
        shown = sorted({clip.person for clip in clips})
        for k, name in enumerate(shown):
            _tell(self._progress, f"real frames at the size of {system}: {name}", k / len(shown))
            sizes = [clip.eyes_px for clip in clips if clip.person == name and math.isfinite(clip.eyes_px)]
            eyes = float(np.median(sizes)) if sizes else math.nan
            others = self.met.strangers_at([self.people[other] for other in self.people if other != name], eyes)
            own = self.met.real_at(self.people[name], eyes)
            yield score_real(system, own, others, self.people[name].vectors, self.rules)


class _Gallery:
    """Keep the worst and the best frames of a system: a few pictures, however many clips there are."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._worst: list[tuple[float, int, FrameShown]] = []
        self._best: list[tuple[float, int, FrameShown]] = []
        self._now: list[FrameShown] = []
        self._count = 0

    def begin(self) -> Callable[[FrameShown], None]:
        """Begin a clip; what is returned is shown each of its frames, and keeps two."""
        self._now = []

        def wall(frame: FrameShown) -> None:
            known = [*self._now, frame]
            self._now = [min(known, key=lambda one: one.likeness), max(known, key=lambda one: one.likeness)]

        return wall

    def end(self) -> None:
        """Take the clip's frames in; of a clip that was skipped they are forgotten."""
        if self._now:
            self._count += 1
            for heap, frame, sign in ((self._worst, self._now[0], -1), (self._best, self._now[1], 1)):
                heapq.heappush(heap, (sign * frame.likeness, self._count, frame))
                if len(heap) > SHOWN:
                    heapq.heappop(heap)

    def shown(self) -> Shown:
        """The worst first, and the best first."""
        worst = sorted((frame for *_, frame in self._worst), key=lambda one: one.likeness)
        best = sorted((frame for *_, frame in self._best), key=lambda one: -one.likeness)
        return Shown(self._system, tuple(worst), tuple(best))


def _result(bench: _Bench, chosen: FidelityOptions, scored: Sequence[Scored], skipped: Sequence[Skipped]) -> Fidelity:
    measures = bench.readers.measures
    keys = [measure.key for measure in measures]
    some = [one for one in scored if one.clips]
    basis = bench.listener.basis() if bench.listener is not None else None
    voices = basis.people if basis is not None else ()
    made = Fidelity(
        protocol=bench.rules.protocol.name,
        frames=bench.rules.protocol.frames,
        as_published=chosen.as_published,
        measures=measures,
        references=tuple(person.reference for person in bench.people.values()),
        systems=tuple(summarise(one, keys, voices) for one in some),
        differences=tuple(compare_systems(some, [*keys, VOICE] if voices else keys)),
        real=tuple(real for one in some for real in one.real.values()),
        clips=tuple(clip for one in some for clip in one.clips),
        skipped=tuple(skipped),
        voice=basis,
        notes=(),
        versions={"cameo": __version__, **{name: version(name) for name in _LIBRARIES}},
        shown=tuple(one for one in bench.shown if one.best),
    )
    return replace(made, notes=notes_on(made, bench.readers.assurance, bench.damaged, bench.blind()))


def _require_scored(scored: Sequence[Scored], skipped: Sequence[Skipped]) -> None:
    """Check that there is something to sum up.

    Raises:
        ClipError: there is not.
    """
    if not any(one.clips for one in scored):
        first = f"{skipped[0].file}: {skipped[0].reason}" if skipped else "name clips like the people"
        raise ClipError("not a single clip could be scored", first)


def _require_folder(out: StrPath | None) -> None:
    """Make the folder for results before the long work.

    Raises:
        OutputError: it cannot be made, or written to.
    """
    if out is None:
        return
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot make the folder {out}: {reason}", "choose another folder") from error
    for name in FILES:
        require_writable(Path(out) / name)


def _portrait(picture: UInt8, reading: FaceReading) -> UInt8:
    """Cut a square around the head out of a picture, moved inside it, as small as it is shown."""
    eyes = reading.points[:2]
    height, width = picture.shape[:2]
    side = int(np.clip(_PORTRAIT * float(np.linalg.norm(eyes[1] - eyes[0])), 2, min(height, width)))
    middle = reading.points[:5].mean(0)
    left, top = (int(np.clip(at - side / 2, 0, most - side)) for at, most in zip(middle, (width, height), strict=True))
    square = picture[top : top + side, left : left + side]
    if side <= _SHOWN_PX:
        return square.copy()
    return np.asarray(cv2.resize(square, (_SHOWN_PX, _SHOWN_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _tell(progress: Progress | None, label: str, share: float) -> None:
    if progress:
        progress(label, share)
