"""The verb that casts several doubles together, and in several shots, as a scene file says."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser, owner_beside
from cameo.errors import UsageError
from cameo.screenplay import CastMember, Film, FilmOptions, Shot

if TYPE_CHECKING:
    from cameo.crypto.keys import Keys

_Box = tuple[float, float, float, float]
_Side = Annotated[int, msgspec.Meta(ge=1, le=8192)]


class ScenePerson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"holder": "as"}):
    """Name a double and the right it is cast by, as `cameo cast` does; `box` and `soft` are of `cameo.Region`."""

    double: str
    key: str = ""
    grant: str = ""
    holder: str = ""
    host: str = ""
    owner: str = ""
    status: str = ""
    purpose: str = ""
    box: _Box | None = None
    soft: float | None = None


class SceneShot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describe a shot: its words, its seed and its length."""

    prompt: str = ""
    seed: int = 0
    frames: int | None = None


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold a scene file: who, what is shown, and what holds for all of it."""

    people: Annotated[tuple[ScenePerson, ...], msgspec.Meta(min_length=1)]
    shots: tuple[SceneShot, ...] = ()
    generator: str = "reference"
    size: tuple[_Side, _Side] | None = None
    steps: Annotated[int, msgspec.Meta(ge=1)] | None = None
    commercial: bool = False


def film(words: Sequence[str]) -> None:
    """Run `cameo film`."""
    options = _read(words)
    scene = read_scene(options.scene)
    members = _members(scene, options.scene.parent)
    chosen = FilmOptions(
        generator=scene.generator,
        size=scene.size,
        steps=scene.steps,
        commercial=scene.commercial,
        sheet=options.sheet,
        face_model=options.face_model,
    )
    shots = [Shot(shot.prompt, shot.seed, shot.frames) for shot in scene.shots]
    # Only now: this loads the generator's libraries.
    from cameo.filming import film as run

    with terminal.progress() as progress:
        made = run(members, shots, out=options.out, options=chosen, progress=progress)
    terminal.result(asdict(made), options.json, _told(made, [Path(person.double).stem for person in scene.people]))


def read_scene(path: Path) -> Scene:
    """Read a scene file.

    Raises:
        UsageError: it cannot be read, or is no scene.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}", "give a scene file; see: cameo film --help") from error
    hint = 'the smallest scene that works is [[people]] with double = "ada.cameo" and key = "ada.key"'
    try:
        return msgspec.convert(tomllib.loads(text), Scene)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {' '.join(str(error).split())[:200]}", hint) from None


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "film",
        "Cast one double or several together, shot by shot, into one clip, as the TOML file SCENE says. Everybody's\n"
        "right is looked at before anything runs; it is one use of each, and on record with each owner: cameo audit.",
    )
    parser.add_argument("scene", type=Path, metavar="SCENE", help="the scene file; names in it are beside it")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="MP4", help="the video to write")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="also write a picture with some frames of every shot")
    parser.add_argument(
        "--face-model", default="embedded", metavar="NAME", help="the recogniser that scores (default: embedded)"
    )
    parser.add_json()
    return parser.parse_args(words)


def _members(scene: Scene, folder: Path) -> list[CastMember]:
    """Load everybody's keys, each file once."""
    opened: dict[Path, Keys] = {}

    def keys(name: str) -> Keys:
        path = folder / name
        if path not in opened:
            opened[path] = terminal.load_keys(path)
        return opened[path]

    return [_member(person, folder, keys) for person in scene.people]


def _member(person: ScenePerson, folder: Path, keys: Callable[[str], Keys]) -> CastMember:
    from cameo.condition.regions import SOFT, Region
    from cameo.crypto.keys import PublicKeys
    from cameo.unlocking import Borrowed

    double = folder / person.double
    region = None
    if person.box is not None:
        region = Region(person.box, SOFT if person.soft is None else person.soft)
    elif person.soft is not None:
        raise UsageError(f"{person.double} has a soft edge and no box", "add box = [left, top, right, bottom]")
    lent = {"as": person.holder, "host": person.host, "owner": person.owner, "status": person.status}
    if bool(person.key) == bool(person.grant):
        raise UsageError(f"{person.double} is cast with a key or with a grant", "give one of the two: key, grant")
    if person.key:
        stray = [name for name, value in lent.items() if value]
        if stray:
            raise UsageError(f"{person.double}: {stray[0]} goes with a grant only", "leave it out, or give the grant")
        return CastMember(double, keys(person.key), None, person.purpose, region)
    needed = {"as": person.holder, "host": person.host, "purpose": person.purpose}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise UsageError(f"{person.double}: a grant is used with {' and '.join(missing)}", "add it to the scene file")
    borrowed = Borrowed(
        grant=folder / person.grant,
        host=keys(person.host),
        owner=PublicKeys.load(folder / person.owner if person.owner else owner_beside(double)),
        holder=keys(person.holder),
        status=person.status or None,
    )
    return CastMember(double, None, borrowed, person.purpose, region)


def _told(made: Film, names: Sequence[str]) -> list[str]:
    """Lay out the result for people."""
    rows = [
        (
            "video",
            f"{made.path}  {made.seconds:.1f} s, {made.width} x {made.height}, {_count(len(made.shots), 'shot')}",
        ),
        *([("sheet", made.sheet)] if made.sheet else []),
        ("made by", f"{made.generator}; a generated clip, not a recording"),
    ]
    for name, person in zip(names, made.people, strict=True):
        rows.append(("of", f"{name}, double {person.bundle_id}, for {person.purpose}; receipt {person.receipt[:16]}…"))
    pairs = list(combinations(range(len(made.shots)), 2))
    scores = []
    for name, person in zip(names, made.people, strict=True):
        for k in range(len(made.shots)):
            likeness = f"{person.likeness[k]:.2f}" if person.likeness else ""
            scores.append((name, f"{k + 1}", likeness, f"{person.found[k]:.0%}", _others(person.consistency, pairs, k)))
    head = ("person", "shot", "likeness", "face found", "to other shots")
    notes = [f"  scored by {made.scorer}; likeness to the template is for its owner, who casts with a key"]
    return [*terminal.table(rows), "", *terminal.columns(head, scores), *notes]


def _others(consistency: Sequence[float | None], pairs: Sequence[tuple[int, int]], shot: int) -> str:
    """Say how near a shot's face is to the same person's in the other shots, the farthest of them."""
    values = [value for value, pair in zip(consistency, pairs, strict=True) if shot in pair]
    if not values:
        return ""
    return "no face" if None in values else f"{min(v for v in values if v is not None):.2f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
