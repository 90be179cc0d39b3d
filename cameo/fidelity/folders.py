"""Find out which clips there are, of whom, and what stands for each person."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cameo.errors import UsageError
from cameo.scores import Skipped

CLIP_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v")
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SOUND_SUFFIXES = (".wav", ".flac", ".m4a", ".ogg", ".mp3")
_COLUMNS, _MORE = ("clip", "person"), ("film",)
_MANIFEST_LIMIT = 64 << 20
_CLIPS_HINT = "name clips FOLDER/PERSON/*.mp4 or FOLDER/PERSON-anything.mp4, or give a CSV file: clip,person[,film]"
_PEOPLE_HINT = "name references FOLDER/PERSON.jpg, FOLDER/PERSON.mp4, or several of them FOLDER/PERSON/"


@dataclass(frozen=True, slots=True)
class ClipFile:
    """Name one generated clip.

    `name` is how it is called within its system; clips of one `film` are its shots, "" is none.
    """

    path: Path
    name: str
    system: str
    person: str
    film: str


@dataclass(frozen=True, slots=True)
class PersonFiles:
    """Name the photographs, clips and recordings of the voice of one person, in the order of their names."""

    person: str
    photos: tuple[Path, ...]
    clips: tuple[Path, ...]
    sounds: tuple[Path, ...] = ()

    @property
    def voices(self) -> tuple[Path, ...]:
        """What is listened to: recordings of the voice alone, where there are any, in place of clips."""
        return self.sounds or self.clips


def list_people(folder: Path) -> dict[str, PersonFiles]:
    """Find who is in a folder of references: `PERSON.jpg`, `PERSON.mp4`, or a folder `PERSON/` with several.

    `PERSON.wav` is their voice.

    Raises:
        UsageError: there is no such folder, or nobody in it.
    """
    _require_folder(folder, "people", _PEOPLE_HINT)
    found: dict[str, list[Path]] = {}
    for path in _entries(folder):
        if path.is_dir():
            found.setdefault(path.name, []).extend(file for file in _entries(path) if file.is_file())
        else:
            found.setdefault(path.stem, []).append(path)
    people = {name: _sorted_files(name, paths) for name, paths in sorted(found.items())}
    people = {name: person for name, person in people.items() if person.photos or person.voices}
    if not people:
        raise UsageError(f"there is nobody in {folder}", _PEOPLE_HINT)
    return people


def list_clips(system: str, place: Path, people: Collection[str]) -> tuple[list[ClipFile], list[Skipped]]:
    """Find the clips of one system, in a folder or in a manifest; those of nobody known are listed apart.

    Raises:
        UsageError: there is no such folder or manifest, or no clip in it.
    """
    if place.suffix == ".csv" and place.is_file():
        named = _read_manifest(system, place)
    else:
        _require_folder(place, "clips", _CLIPS_HINT)
        named = _walk(system, place, people)
    if not named:
        raise UsageError(f"there are no clips in {place}", _CLIPS_HINT)
    known = [file for file in named if file.person in people]
    return known, [Skipped(str(file.path), _of_nobody(file.person)) for file in named if file.person not in people]


def split_references(person: PersonFiles, apart: Mapping[str, PersonFiles] | None) -> tuple[PersonFiles, PersonFiles]:
    """Share files out into reference and real ones.

    Where everybody's real files are `apart`, all of the person's own are reference. Otherwise the last quarter of
    several photographs is held out; clips and sound are shared out by time, not here.
    """
    if apart is not None:
        return person, apart.get(person.person, PersonFiles(person.person, (), ()))
    held = max(1, len(person.photos) // 4) if len(person.photos) > 1 and not person.clips else 0
    cut = len(person.photos) - held
    return (
        replace(person, photos=person.photos[:cut]),
        replace(person, photos=person.photos[cut:]),
    )


def _of_nobody(person: str) -> str:
    return (
        f"there is no reference for {person!r}"
        if person
        else "its name begins with nobody's for whom there is a reference"
    )


def _walk(system: str, folder: Path, people: Collection[str]) -> list[ClipFile]:
    """Find `PERSON/*`, `PERSON.mp4` and `PERSON-anything.mp4`; the clips of one person are shots of one film."""
    files = []
    for path in _entries(folder):
        if path.is_dir():
            files += [(clip, path.name) for clip in _entries(path) if _is_clip(clip)]
        elif _is_clip(path):
            files.append((path, _whose(path.stem, people)))
    return [ClipFile(path, path.relative_to(folder).as_posix(), system, person, person) for path, person in files]


def _whose(stem: str, people: Collection[str]) -> str:
    """Find the person after whom a clip is named, the longest name first; "" for nobody."""
    fits = [person for person in people if stem == person or stem.startswith(f"{person}-")]
    return max(fits, key=len, default="")


def _read_manifest(system: str, path: Path) -> list[ClipFile]:
    """Read `clip,person[,film]`; clips are beside the file unless they are named in full.

    Raises:
        UsageError: it is no such list.
    """
    try:
        if path.stat().st_size > _MANIFEST_LIMIT:
            raise UsageError(f"{path} is too long for a list of clips", _CLIPS_HINT)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            head = reader.fieldnames or ()
            if not set(_COLUMNS) <= set(head) or not set(head) <= {*_COLUMNS, *_MORE}:
                raise UsageError(f"{path} has the columns {', '.join(map(str, head)) or 'none'}", _CLIPS_HINT)
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {path}: {error}", _CLIPS_HINT) from error
    return [_listed(system, path, number, line) for number, line in enumerate(lines, 2)]


def _listed(system: str, path: Path, number: int, line: Mapping[str | None, str | None]) -> ClipFile:
    clip, person = line.get("clip"), line.get("person")
    if not clip or not person or None in line or "\0" in clip:
        raise UsageError(f"{path}, line {number}: a clip and its person are needed, and nothing more", _CLIPS_HINT)
    film = line["film"] or "" if "film" in line else person
    return ClipFile(path.parent / clip, clip, system, person, film)


def _require_folder(folder: Path, what: str, hint: str) -> None:
    if not folder.is_dir():
        raise UsageError(f"there is no folder of {what} {folder}", hint)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {(error.strerror or str(error)).lower()}", "check who may") from error


def _is_clip(path: Path) -> bool:
    return path.suffix.lower() in CLIP_SUFFIXES and path.is_file()


def _sorted_files(person: str, paths: list[Path]) -> PersonFiles:
    kinds = (PHOTO_SUFFIXES, CLIP_SUFFIXES, SOUND_SUFFIXES)
    return PersonFiles(person, *(tuple(path for path in paths if path.suffix.lower() in kind) for kind in kinds))
