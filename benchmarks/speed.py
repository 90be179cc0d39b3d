"""Time and memory of a double's life on the command line, against the limits the project sets itself.

    python -m benchmarks.speed [--clip FILE] [--out FILE.json]

Everything is run as a user runs it, one process per command. Without --clip, a sample person is scaled to a 10 s 720p
recording. `verify` and `--help` are compared with the bare import of the signature code they cannot do without, run in
turns with them, so that the ratio holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.results import write_result

CAMEO = (sys.executable, "-m", "cameo")
BARE = (sys.executable, "-c", "import cryptography.hazmat.primitives.asymmetric.ed25519")
ROUNDS = 15
HEIGHT, SECONDS = 1280, 10.0
GIGABYTE = 1e9


@dataclass(frozen=True)
class Cost:
    """Hold wall time in seconds and peak memory in bytes of one command, and what it printed."""

    wall_s: float
    peak: int
    printed: str


def run(*words: str | Path) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it failed.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([str(w) for w in words], stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, words))} failed:\n{err.read().decode()}")
        scale = 1 if sys.platform == "darwin" else 1024
        return Cost(wall, usage.ru_maxrss * scale, out.read().decode())


def recording(folder: Path) -> Path:
    """A sample person, 10 s, enlarged to the 1280 rows of an upright 720p recording (and 960 columns)."""
    from cameo.media import write_mp4
    from cameo.synthetic.selfie import render_selfie

    selfie, path = render_selfie(0, SECONDS), folder / "selfie.mp4"
    width = round(HEIGHT * selfie.frames.shape[2] / selfie.frames.shape[1] / 2) * 2
    frames = np.stack([cv2.resize(f, (width, HEIGHT), interpolation=cv2.INTER_CUBIC) for f in selfie.frames])
    write_mp4(path, frames.astype(np.uint8), selfie.fps, selfie.sound)
    return path


def quick_starts(double: Path, owner: Path) -> dict[str, Any]:
    """Median wall time of the commands that must start at once, and their ratio to the bare import."""
    commands = {
        "bare import": BARE,
        "--help": (*CAMEO, "--help"),
        "verify": (*CAMEO, "verify", double, "--owner", owner),
    }
    walls: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, words in commands.items():
            walls[name].append(run(*words).wall_s)
    bare = float(np.median(walls["bare import"]))
    return {name: {"wall_s": float(np.median(w)), "ratio": float(np.median(w)) / bare} for name, w in walls.items()}


def measure(clip: Path | None) -> dict[str, Any]:
    """Enrol, cast, then verify and help many times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(CAMEO_PASSPHRASE="for measuring only", CAMEO_HOME=str(folder / "home"))
        clip = clip or recording(folder)
        key, double = folder / "ada.key", folder / "ada.cameo"
        run(*CAMEO, "keygen", "--out", key)
        enrolled = run(*CAMEO, "enroll", clip, "--key", key, "--out", double, "--yes", "--json")
        cast = run(*CAMEO, "cast", double, "--key", key, "--out", folder / "clip.mp4", "--json")
        told = json.loads(enrolled.printed)
        return {
            "clip_s": told["clip_seconds"],
            "enrol": {"wall_s": enrolled.wall_s, "peak_gb": enrolled.peak / GIGABYTE, "steps_s": told["seconds"]},
            "cast": {"wall_s": cast.wall_s, "peak_gb": cast.peak / GIGABYTE},
            "size": told["size"],
            **quick_starts(double, key.with_suffix(".pub")),
        }


def against_limits(found: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """What was found, the limit, and the unit, line by line."""
    steps = found["enrol"]["steps_s"]
    capture = sum(seconds for step, seconds in steps.items() if step not in ("tuning", "sealing", "report"))
    return [
        ("enrol, everything", found["enrol"]["wall_s"], 240, "s"),
        ("enrol, capture and embed", capture, found["clip_s"], "s"),
        ("enrol, peak memory", found["enrol"]["peak_gb"], 4, "GB"),
        ("cast", found["cast"]["wall_s"], 30, "s"),
        ("verify", found["verify"]["wall_s"], 0.35, "s"),
        ("verify, over the bare import", found["verify"]["ratio"], 8, "x"),
        ("--help", found["--help"]["wall_s"], 0.35, "s"),
        ("--help, over the bare import", found["--help"]["ratio"], 8, "x"),
    ]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a recording to enrol instead of a sample person")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    found = measure(args.clip)
    print("| | found | limit | |\n|---|---|---|---|")
    for label, value, limit, unit in against_limits(found):
        print(f"| {label} | {value:.2f} {unit} | {limit:g} {unit} | {'holds' if value <= limit else 'MISSED'} |")
    if args.out:
        write_result(args.out, found, {"enrolments": 1, "starts of each command": ROUNDS})


if __name__ == "__main__":
    main()
