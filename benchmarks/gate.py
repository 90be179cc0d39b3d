"""What the quality gate says of recordings: every check of every clip, and how many stay quiet.

    python -m benchmarks.gate FOLDER [--voices] [--json OUT]

Reads the clips in FOLDER (`*.mp4`, `*.mov`, `*.webm`). With `--voices` the check for a second voice is run too, with
the embedded encoder. A check that a recording cannot tell is left blank.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from cameo.capture.clip import read_clip
from cameo.capture.limits import RULES
from cameo.capture.quality import add_voices, assess
from cameo.capture.speech import find_speech
from cameo.embed.voice import load_voice_encoder
from cameo.faces.track import track_faces

if TYPE_CHECKING:
    from cameo.embed.voice import VoiceEncoder
    from cameo.records import Check

KINDS = (".mp4", ".mov", ".webm")
MARK = {"ok": " ", "warn": "~", "fail": "!"}


def judge(path: Path, voices: VoiceEncoder | None) -> dict[str, Check]:
    """Run the gate on one clip."""
    clip = read_clip(path)
    speech = find_speech(clip.sound)
    report = assess(clip, track_faces(clip.frames), speech)
    if voices is not None and speech.seconds >= 1:
        report = add_voices(report, voices.embed_windows(speech.samples))
    return {check.name: check for check in report.checks}


def main() -> None:
    """Print a row for each check and a column for each clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voices", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    paths = sorted(path for path in args.folder.iterdir() if path.suffix in KINDS)
    if not paths:
        raise SystemExit(f"no clips in {args.folder}")
    encoder = load_voice_encoder() if args.voices else None
    found = {path.stem: judge(path, encoder) for path in paths}
    print(f"{'check':>18} " + " ".join(f"{name[-9:]:>10}" for name in found) + "   ok warn fail left out")
    for name in RULES:
        checks = [checks.get(name) for checks in found.values()]
        count = Counter("" if check is None else check.level for check in checks)
        cells = " ".join(f"{'':>10}" if c is None else f"{c.value:>9.4g}{MARK[c.level]}" for c in checks)
        print(f"{name:>18} {cells}  {count['ok']:>3} {count['warn']:>4} {count['fail']:>4} {count['']:>4}")
    if args.json:
        values = {
            clip: {n: {"value": c.value, "level": c.level} for n, c in checks.items()} for clip, checks in found.items()
        }
        args.json.write_text(json.dumps(values, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
