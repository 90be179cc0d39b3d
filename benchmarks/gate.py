"""What the gate and the liveness check say of good recordings, and of the same made to fail.

    python -m benchmarks.gate FOLDER [--json OUT]
    python -m benchmarks.gate --people 6 --seed 3000 [--keep FOLDER] [--json OUT]

Reads the clips in FOLDER (`*.mp4`, `*.mov`, `*.webm`), or renders sample people. For each check: how many clips it is
quiet on, warns of and fails, on how many it cannot be told, and how often it fires on a clip that was made to fail it
(`benchmarks/faults.py`). A check that cannot be told counts as silent.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.faults import ACTED, CUT_S, PICTURED, SOUNDED, Case, acted, cut
from benchmarks.footage import rendered_clips
from benchmarks.results import write_result
from cameo.capture.clip import read_clip
from cameo.capture.limits import RULES
from cameo.capture.liveness import passive_evidence
from cameo.capture.quality import add_voices, assess
from cameo.capture.speech import find_speech
from cameo.embed.voice import VoiceEncoder, load_voice_encoder
from cameo.faces.track import track_faces

if TYPE_CHECKING:
    from cameo.records import Clip

KINDS = (".mp4", ".mov", ".webm")
LIVENESS = ("frozen", "loop", "cut", "screen", "lips")
LONG = ("loop", "lips")  # need more than the beginning
QUIET, UNTOLD = "ok", "untold"


@dataclass(slots=True)
class Row:
    """Count what one check said: levels on good clips, with their values, and how often it fired on `tried` faults."""

    levels: dict[str, str] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    fired: int = 0
    tried: int = 0


def judged(case: Case, encoder: VoiceEncoder, only: str | None = None) -> dict[str, tuple[str, float]]:
    """Level and value of every check, or of those that are made with `only`.

    `ok`, `warn` or `fail` of the gate, `ok`, `warn` or `untold` of liveness.
    """
    found: dict[str, tuple[str, float]] = {}
    if only not in LIVENESS:
        report = assess(case.clip, case.track, case.speech)
        if case.speech.seconds >= 1 and only in (None, "one_voice"):
            report = add_voices(report, encoder.embed_windows(case.speech.samples))
        found |= {check.name: (check.level, check.value) for check in report.checks}
    if only is None or only in LIVENESS:
        for piece in passive_evidence(case.clip, case.track, case.speech):
            level = {True: QUIET, False: "warn", None: UNTOLD}[piece.passed]
            found[piece.name] = (level, piece.score)
    return found


def faulty(case: Case, seed: int | None) -> Iterator[tuple[str, Case]]:
    """The recording with every fault, one after the other; of the pictures its beginning, of the sound all."""
    short = cut(case.clip, CUT_S)
    short = replace(short, sound=case.clip.sound)
    seen = Case(short, track_faces(short.frames), case.speech, case.other)
    for name, spoil in PICTURED.items():
        yield name, spoil(case if name in LONG else seen)
    company = case.other is not None and bool(case.other.sound.any())
    for name, spoil in SOUNDED.items():
        if (len(case.speech.samples) or name in ("sound", "speech")) and (company or name != "one_voice"):
            yield name, spoil(case if name in LONG else seen)
    for name, (_, edit) in ACTED.items():
        if seed is None:
            yield name, replace(seen, track=edit(seen.track))
        else:
            clip, track = acted(seed, name, seen.clip)
            yield name, replace(seen, clip=clip, track=track)


def counted(clips: dict[str, Clip], seeds: dict[str, int], encoder: VoiceEncoder) -> dict[str, Row]:
    """Count over all clips; each one's neighbour is the other person where a fault takes two."""
    rows = {name: Row() for name in (*RULES, *LIVENESS)}
    names = list(clips)
    for index, name in enumerate(names):
        clip, other = clips[name], clips[names[(index + 1) % len(names)]]
        case = Case(clip, track_faces(clip.frames), find_speech(clip.sound), other)
        good = judged(case, encoder)
        print(f"{name}: quiet but for {', '.join(c for c, (level, _) in good.items() if level != QUIET) or 'nothing'}")
        for check, row in rows.items():
            level, value = good.get(check, (UNTOLD, float("nan")))
            row.levels[name] = level
            if level != UNTOLD:
                row.values.append(value)
        for check, spoiled in faulty(case, seeds.get(name)):
            level, value = judged(spoiled, encoder, check).get(check, (UNTOLD, float("nan")))
            rows[check].tried += 1
            rows[check].fired += level in ("warn", "fail")
            if level not in ("warn", "fail"):
                print(f"  {check} stays {level} ({value:.3g}) on {name} made to fail it", flush=True)
        print(f"{index + 1} of {len(names)} done", flush=True)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row of a Markdown table for each check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--keep", type=Path, help="keeps the rendered people, for the next run")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args(argv)
    seeds: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        if args.folder:
            paths = sorted(path for path in args.folder.iterdir() if path.suffix in KINDS)
        else:
            paths = rendered_clips(args.keep or Path(temporary), args.people, args.seed)
            seeds = {path.stem: args.seed + number for number, path in enumerate(paths)}
        if not paths:
            raise SystemExit(f"no clips in {args.folder}")
        clips = {path.stem: read_clip(path) for path in paths}
    rows = counted(clips, seeds, load_voice_encoder())
    print("| check | quiet | warns | fails | not told | values | fires when made to fail |\n" + "|---" * 7 + "|")
    for name, row in rows.items():
        count = Counter(row.levels.values())
        span = f"{min(row.values):.3g} to {max(row.values):.3g}" if row.values else ""
        cells = (count["ok"], count["warn"], count["fail"], count[UNTOLD], span, f"{row.fired} of {row.tried}")
        print(f"| `{name}` | " + " | ".join(str(cell) for cell in cells) + " |")
    if args.out:
        values = {
            name: {"levels": r.levels, "values": r.values, "fired": r.fired, "tried": r.tried}
            for name, r in rows.items()
        }
        write_result(args.out, {"checks": values}, {"clips": len(clips)})


if __name__ == "__main__":
    main()
