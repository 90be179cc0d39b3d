"""What a film is made of, and what is told of it when it is done. Importing this costs nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cameo.condition.regions import Region
    from cameo.crypto.provider import KeyProvider
    from cameo.unlocking import Borrowed

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class CastMember:
    """Say who is in a film, by which right, and where in the picture.

    Attributes:
        bundle: the `.cameo` file.
        keys, borrowed: the owner's keys, or a grant and what belongs to it; one of the two.
        purpose: as in `CastOptions`.
        region: where in the picture; None for all of them puts them side by side.
    """

    bundle: StrPath
    keys: KeyProvider | None = None
    borrowed: Borrowed | None = None
    purpose: str = ""
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """Say what one shot shows; the fields are those of `CastOptions`."""

    prompt: str = ""
    seed: int = 0
    frames: int | None = None


@dataclass(frozen=True, slots=True)
class FilmOptions:
    """Choose what holds for a whole film.

    Attributes:
        generator, size, steps, commercial: as in `CastOptions`.
        sheet: a PNG file to write, with some frames of every shot; None for none.
        face_model: the recogniser that scores the shots; it must be the one that those doubles were enrolled with
            whose owner's keys are given.
    """

    generator: str = "reference"
    size: tuple[int, int] | None = None
    steps: int | None = None
    commercial: bool = False
    sheet: StrPath | None = None
    face_model: str = "embedded"


@dataclass(frozen=True, slots=True)
class FilmedShot:
    """Describe a shot of a film: how long it is, and the seed it was made from."""

    frames: int
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True)
class FilmedPerson:
    """Describe how a double did in a film.

    Attributes:
        bundle_id, purpose, receipt: as in `CastClip`.
        likeness: per shot, mean cosine to the template, 0 without a face; empty where the double was borrowed.
        found: per shot, the share of frames with a face.
        consistency: cosine between every two shots, those of 0 and 1 first, then 0 and 2; None where there is no face.
    """

    bundle_id: str
    purpose: str
    receipt: str
    likeness: tuple[float, ...]
    found: tuple[float, ...]
    consistency: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Film:
    """Describe a film; `scorer` is the recogniser that scored the shots, `sheet` the contact sheet, "" for none."""

    path: str
    sheet: str
    fps: float
    seconds: float
    width: int
    height: int
    generator: str
    scorer: str
    shots: tuple[FilmedShot, ...]
    people: tuple[FilmedPerson, ...]
