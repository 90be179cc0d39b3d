"""The sub-verb that scores the likeness of generated clips."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.scores import Fidelity

_LISTED = 10  # files that were left out, on the terminal
_PEOPLE_LISTED = 24


def fidelity(words: Sequence[str]) -> None:
    """Run `cameo bench fidelity`."""
    options = _read(words)
    systems = read_systems(options.clips)
    # Only now: this loads everything that looks.
    from cameo.report.fidelity_files import document_of
    from cameo.scoring import FidelityOptions, score_fidelity
    from cameo.weights import licence_notice

    chosen = FidelityOptions(
        protocol=options.protocol,
        as_published=options.as_published,
        face_model=options.face_model,
        second_model=options.second_model,
        curricularface=options.curricularface,
        voice_model=options.voice_model,
        real=options.real,
        out=options.out,
    )
    with terminal.progress() as progress:
        made = score_fidelity(systems, options.people, options=chosen, progress=progress)
    licences = [(measure.encoder, measure.licence) for measure in made.measures]
    if made.voice is not None and made.voice.people:
        licences.append((made.voice.encoder, made.voice.licence))
    for encoder, licence in licences:
        if notice := licence_notice(encoder, licence):
            terminal.warn(notice)
    for one in made.skipped[:_LISTED]:
        terminal.warn(f"left out: {one.file}: {one.reason}")
    if len(made.skipped) > _LISTED:
        terminal.warn(f"left out: {len(made.skipped) - _LISTED} more files; --json and --out list them all")
    terminal.result(document_of(made) if options.json else {}, options.json, _told(made, options.out))


def read_systems(words: Sequence[str]) -> dict[str, Path]:
    """Read `FOLDER` or `NAME=FOLDER`, in their order; a folder alone gives its own name.

    Raises:
        UsageError: a name is empty or stands twice.
    """
    systems: dict[str, Path] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not equals or Path(word).exists():
            name, place = Path(word).resolve().stem, word
        if not name or name in systems:
            raise UsageError(f"what shall {word!r} be called?", "give each folder a name of its own: own=FOLDER")
        systems[name] = Path(place)
    return systems


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "bench fidelity",
        "Score how much generated clips look like people, between other people and their own real clips.\n\n"
        "CLIPS: a folder with PERSON/*.mp4 or PERSON-anything.mp4, or a CSV file clip,person[,film]. Several are\n"
        "compared: own=FOLDER base=FOLDER. PEOPLE: a folder with PERSON.jpg, PERSON.mp4, or PERSON/ with several;\n"
        "PERSON.wav is their voice, in place of the sound of their clips.",
    )
    parser.add_argument("clips", nargs="+", metavar="CLIPS", help="FOLDER, or NAME=FOLDER, or a CSV file")
    parser.add_argument("--people", type=Path, required=True, metavar="PEOPLE", help="the folder of references")
    parser.add_argument(
        "--real", type=Path, metavar="FOLDER", help="real clips for the ceiling (default: the end of PEOPLE's own)"
    )
    parser.add_argument(
        "--protocol", default="opens2v", metavar="NAME", help="opens2v (default; 32 frames) or consisid (16)"
    )
    parser.add_argument(
        "--as-published", action="store_true", help="keep the published script's slips; with an InsightFace pack"
    )
    parser.add_argument(
        "--face-model",
        default="embedded",
        metavar="MODEL",
        help="embedded (default; no FaceSim), insightface:NAME or FOLDER, onnx:FILE",
    )
    parser.add_argument(
        "--second-model", default="", metavar="MODEL", help="one more, that took no part in making the clips"
    )
    parser.add_argument("--curricularface", type=Path, metavar="FILE", help="its weights as ONNX, for FaceSim-Cur")
    parser.add_argument(
        "--voice-model",
        default="embedded",
        metavar="MODEL",
        help="for clips with sound: embedded (default), ecapa:NAME or FOLDER; none listens to nothing",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="write JSON, CSV, Markdown and a page there")
    parser.add_json()
    return parser.parse_args(words)


def _told(made: Fidelity, out: Path | None) -> list[str]:
    """Lay the result out for people."""
    from cameo.report.fidelity_tables import tables_of
    from cameo.report.fidelity_wording import conclude_fidelity
    from cameo.scoring import FILES

    lines = [*conclude_fidelity(made), ""]
    few = sum(len(system.people) for system in made.systems) <= _PEOPLE_LISTED
    for table in tables_of(made):
        if table.title != "People" or few:
            lines += [f"{table.title}:", *terminal.columns(table.head, table.rows), ""]
    lines += [f"note: {note}" for note in made.notes]
    if out is not None:
        lines += terminal.table(("written", str(out / name)) for name in FILES)
    return lines
