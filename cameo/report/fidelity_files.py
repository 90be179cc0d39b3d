"""Write a measurement of likeness for programs and for papers: JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from cameo.report.fidelity_tables import tables_of
from cameo.report.fidelity_wording import conclude_fidelity, describe_method

if TYPE_CHECKING:
    from cameo.report.fidelity_tables import Table
    from cameo.scores import ClipScore, ClipVoice, Fidelity

FORMAT = "cameo-fidelity-1"
_VOICE = ("speech_s", "voice", "voice_ceiling", "voice_floor", "lips_sync", "lips_chance", "lips_lag_s")


def document_of(made: Fidelity) -> dict[str, Any]:
    """Turn a measurement into what its JSON holds; pictures are left out, NaN becomes null."""
    plain = msgspec.json.decode(msgspec.json.encode(replace(made, shown=())))
    plain.pop("shown")
    return {"format": FORMAT, **plain}


def as_json(made: Fidelity) -> str:
    """Write everything but pictures."""
    return msgspec.json.format(msgspec.json.encode(document_of(made)), indent=1).decode() + "\n"


def as_csv(made: Fidelity) -> str:
    """Write a line for each clip."""
    keys = [measure.key for measure in made.measures]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    each = [f"{what}_{key}" for key in keys for what in ("score", "strict", "found")]
    drift = ["slope_per_s", "first_quarter", "last_quarter", "kept"]
    writer.writerow(
        ["system", "person", "film", "clip", "width", "height", "duration_s", "frames", "eyes_px", *each,
         "frontal", "turned", *drift, "copying", *_VOICE]
    )  # fmt: skip
    writer.writerows(_line(clip, keys) for clip in made.clips)
    return file.getvalue()


def as_markdown(made: Fidelity) -> str:
    """Write the tables, with what was found before them and how below."""
    parts = ["# Likeness of generated clips", "\n".join(f"- {_cell(line)}" for line in conclude_fidelity(made))]
    for table in tables_of(made):
        parts += [f"## {table.title}", _pipes(table), table.note]
    left_out = (("Left out", made.skipped), ("Not heard", made.voice.unheard if made.voice else ()))
    for title, files in left_out:
        if files:
            lines = "\n".join(f"- {_cell(one.file)}: {_cell(one.reason)}" for one in files)
            parts += [f"## {title}", lines]
    parts += ["## How it was measured", "\n".join(f"- {_cell(line)}" for line in describe_method(made))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _line(clip: ClipScore, keys: list[str]) -> list[str]:
    drift = clip.drift
    each = [values[key] for key in keys for values in (clip.score, clip.strict, clip.found)]
    drifted = [drift.slope_per_s, drift.first, drift.last, drift.kept] if drift else [math.nan] * 4
    words = [clip.system, clip.person, clip.film, clip.clip, str(clip.width), str(clip.height)]
    numbers = [clip.duration_s, len(clip.times_s), clip.eyes_px, *each, *clip.poses.values(), *drifted, clip.copying]
    numbers += _voiced(clip.voice)
    return [*words, *(f"{value:.6g}" if math.isfinite(value) else "" for value in numbers)]


def _voiced(voice: ClipVoice | None) -> list[float]:
    if voice is None:
        return [math.nan] * len(_VOICE)
    lips = (voice.lips.sync, voice.lips.chance, voice.lips.lag_s) if voice.lips else [math.nan] * 3
    return [voice.speech_s, voice.likeness, voice.ceiling, voice.floor, *lips]


def _pipes(table: Table) -> str:
    lines = [table.head, ["---"] * len(table.head), *table.rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Bring to one line, and escape what would end a cell or begin markup."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
