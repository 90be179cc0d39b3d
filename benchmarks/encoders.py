"""How well the encoders tell people apart: error rates with 95 % intervals.

    python -m benchmarks.encoders [--face-model embedded|insightface:FOLDER] [--faces FOLDER] [--speech FOLDER]
                                  [--people 40] [--seed N] [--out FILE.json]

Without folders, rendered people are compared. `--faces` is a folder of photographs with a `master.csv` of pairs
(file_x, file_y, Decision), such as deepface's test set; `--speech` a folder of `*.flac` per speaker: every fifth
speaker is used, whom `benchmarks/training/fit_voice.py` never saw. Nothing that ships is fitted to either.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.error_rates import Measured, Pairs, all_pairs, cross_pairs, measured, share_above
from benchmarks.rendered_people import joined, render_sessions
from benchmarks.results import write_result
from benchmarks.speakers import held_out, read_speakers
from benchmarks.training.voice_conditions import degrade
from cameo.embed.face import FaceEncoder, load_face_encoder
from cameo.embed.template import MIN_FRAMES, pool
from cameo.embed.voice import VoiceEncoder, load_voice_encoder
from cameo.records import EncoderInfo

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

SEED = 4242  # no fitting script uses it
PEOPLE = 40
SCENES = 2
FRAMES_COMPARED = 4  # of each scene: single frames make many more pairs than templates
LONG_SIDE = 640


@dataclass(frozen=True, slots=True)
class RenderedScores:
    """Pairs of single frames and of templates of twelve frames; pairs of one person are of two scenes."""

    frames: Pairs
    templates: Pairs


def rendered_faces(encoder: FaceEncoder, size: int, seed: int, people: int = PEOPLE) -> RenderedScores:
    """Compare rendered people, their pictures `size` pixels square, with exact landmarks."""
    drawn = joined(render_sessions(people, SCENES, MIN_FRAMES, size, seed))
    vectors, _ = encoder.embed(drawn.frames, drawn.points)
    within = np.concatenate([np.arange(MIN_FRAMES)] * (len(vectors) // MIN_FRAMES))
    some = within < FRAMES_COMPARED
    templates, owners, scenes = [], [], []
    for start in range(0, len(vectors), MIN_FRAMES):
        templates.append(pool(vectors[start : start + MIN_FRAMES], None, encoder.info).vector)
        owners.append(drawn.people[start])
        scenes.append(drawn.scenes[start])
    return RenderedScores(
        frames=all_pairs(vectors[some], drawn.people[some], drawn.scenes[some]),
        templates=all_pairs(np.stack(templates), np.asarray(owners), np.asarray(scenes)),
    )


def photographed_faces(encoder: FaceEncoder, folder: Path) -> tuple[Pairs, float]:
    """Compare the pairs in `master.csv`; returns them and the share of photographs with a face found.

    A pair without a face scores 0.
    """
    with (folder / "master.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    names = sorted({row[side] for row in listed for side in ("file_x", "file_y")})
    at = {name: k for k, name in enumerate(names)}
    rows, found = zip(*(encoder.embed(read_photograph(folder / name)[None]) for name in names), strict=True)
    vectors = np.concatenate(rows)
    left = np.asarray([at[row["file_x"]] for row in listed])
    right = np.asarray([at[row["file_y"]] for row in listed])
    same = np.asarray([row["Decision"] == "Yes" for row in listed])
    number = np.arange(len(listed))
    score = np.einsum("nd,nd->n", vectors[left], vectors[right])
    return Pairs(score, same, number, number), float(np.concatenate(found).mean())


def read_photograph(path: Path) -> UInt8:
    """Read a picture, `[H, W, 3]` RGB, its long side at most 640 px."""
    picture = cv2.imread(str(path))
    if picture is None:
        raise SystemExit(f"cannot read {path}")
    scale = LONG_SIDE / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def spoken_halves(encoder: VoiceEncoder, readings: list[Float32], disturbed: bool) -> Pairs:
    """Compare the first half of each reading with the second half of all, which may be disturbed."""
    rng = np.random.default_rng(SEED)
    first, second = [], []
    for reading in readings:
        middle = len(reading) // 2
        other = reading[middle:]
        first.append(encoder.embed(reading[:middle]))
        second.append(encoder.embed(degrade(other, rng) if disturbed else other))
    owners = np.arange(len(readings))
    return cross_pairs(np.stack(first), np.stack(second), owners, owners)


def measure_faces(encoder: FaceEncoder, folder: Path | None, people: int, seed: int) -> dict[str, Pairs]:
    """Every set of face pairs by its name."""
    sets: dict[str, Pairs] = {}
    for size in (160, 64):
        scores = rendered_faces(encoder, size, seed, people)
        sets[f"rendered people, {size} px, frame against frame"] = scores.frames
        sets[f"rendered people, {size} px, 12 frames against 12"] = scores.templates
    if folder:
        pairs, found = photographed_faces(encoder, folder)
        sets[f"photographs, one against one, faces found in {found:.1%}"] = pairs
    return sets


def measure_voices(encoder: VoiceEncoder, folder: Path) -> dict[str, Pairs]:
    """Every set of voice pairs by its name."""
    readings = held_out(read_speakers(folder))
    usable = [reading for reading in readings if len(reading) >= 4 * 16_000]
    if not usable:
        raise SystemExit(f"{folder} holds no readings of 4 s: give the folder with one folder of *.flac per speaker")
    seconds = np.median([len(reading) for reading in usable]) / 16_000 / 2
    return {
        f"{len(usable)} readers, {seconds:.0f} s against {seconds:.0f} s": spoken_halves(encoder, usable, False),
        "the same, one side disturbed": spoken_halves(encoder, usable, True),
    }


@dataclass(frozen=True, slots=True)
class Row:
    """Hold one line of the table."""

    pairs: str
    result: Measured
    accepted_same: float
    accepted_different: float


def _row(name: str, pairs: Pairs, info: EncoderInfo) -> Row:
    accepted_same, accepted_different = share_above(pairs, info.threshold)
    return Row(name, measured(pairs), accepted_same, accepted_different)


def _print(info: EncoderInfo, rows: list[Row]) -> None:
    print(f"\n{info.id}: {info.dimension} numbers, {info.assurance}, threshold {info.threshold:.3f}\n")
    print("| pairs | same / different | EER % (95 %) | AUC (95 %) | mean cosine | above the threshold |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        m = row.result
        eer = f"{100 * m.rates.eer:.1f} ({100 * m.eer_interval[0]:.1f}-{100 * m.eer_interval[1]:.1f})"
        auc = f"{m.rates.auc:.3f} ({m.auc_interval[0]:.3f}-{m.auc_interval[1]:.3f})"
        mean = f"{m.genuine_mean:.2f} / {m.impostor_mean:.2f}"
        above = f"{row.accepted_same:.1%} / {row.accepted_different:.1%}"
        print(f"| {row.pairs} | {m.genuine} / {m.impostor} | {eer} | {auc} | {mean} | {above} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face-model", default="embedded")
    parser.add_argument("--voice-model", default="embedded")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--people", type=int, default=PEOPLE, help="how many to render")
    parser.add_argument("--seed", type=int, default=0, help="other rendered people, whom no fit has seen either")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    torch.set_num_threads(1)
    face = load_face_encoder(args.face_model)
    results = [(face.info, measure_faces(face, args.faces, args.people, SEED + args.seed))]
    if args.speech:
        voice = load_voice_encoder(args.voice_model)
        results.append((voice.info, measure_voices(voice, args.speech)))
    tables = [(info, [_row(name, pairs, info) for name, pairs in sets.items()]) for info, sets in results]
    for info, rows in tables:
        _print(info, rows)
    if args.out:
        found = [{"encoder": asdict(info), "rows": [asdict(row) for row in rows]} for info, rows in tables]
        write_result(args.out, {"seed": SEED + args.seed, "encoders": found}, {"rendered people": args.people})


if __name__ == "__main__":
    main()
