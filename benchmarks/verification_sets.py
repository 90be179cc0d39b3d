"""Sets of pairs to verify people on: a folder of persons, a list of pairs, or sample people made by code.

A folder holds one folder per person with one file per recording (pictures or clips; sound or clips). A person with
a single recording, also one that lies in the folder itself, is cut into two halves: light, room and microphone are
then shared, which flatters. Every recording is compared with every other, unless `pairs.txt` lists pairs, a line each:

    ada/one.jpg  ada/two.mp4  same
    ada/one.jpg  bob/one.jpg  different

`master.csv` (file_x, file_y, Decision), as deepface's test set has it, is understood too.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from benchmarks.encoders import SEED, read_photograph, rendered_faces
from benchmarks.error_rates import Pairs, all_pairs
from cameo.capture.clip import read_clip
from cameo.embed.voice_ecapa import at_16_khz
from cameo.errors import CameoError, CaptureRejected
from cameo.synthetic.voice import speak

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.embed.voice import VoiceEncoder
    from cameo.records import Float32

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
CLIPS = (".mp4", ".mov", ".webm", ".mkv", ".m4v")
SOUNDS = (".flac", ".wav", ".ogg", ".mp3")
FRAMES = 12  # of a clip, spread over its length
PEOPLE, TAKES, TAKE_S = 40, 3, 8.0

Embed = Callable[["Sample"], "Float32 | None"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Name a recording of a person, or a half of it: `part` of `parts`."""

    person: str
    path: Path
    part: int = 0
    parts: int = 1

    def cut(self, length: int) -> slice:
        """The share of `length` frames or samples that belongs to it."""
        return slice(length * self.part // self.parts, length * (self.part + 1) // self.parts)


@dataclass(frozen=True, slots=True)
class Compared:
    """Hold scored pairs, what they are, and how many recordings gave no vector (their pairs are left out)."""

    name: str
    pairs: Pairs
    recordings: int
    failed: int


def compare_folder(folder: Path, endings: tuple[str, ...], embed: Embed, every: int = 1) -> Compared:
    """Score the pairs that a folder lists, or all there are; of the people only every `every`-th, the last of each run.

    Raises:
        SystemExit: there is nothing to compare.
    """
    listed = _listed(folder)
    if listed is not None:
        return _compare_list(folder, listed, embed)
    samples = list_samples(folder, endings)
    chosen = set(sorted({sample.person for sample in samples})[every - 1 :: every])
    samples = [sample for sample in samples if sample.person in chosen]
    rows = [embed(sample) for sample in samples]
    kept = [(sample, row) for sample, row in zip(samples, rows, strict=True) if row is not None]
    people = {name: k for k, name in enumerate(sorted({sample.person for sample, _ in kept}))}
    if len(people) < 2:
        raise SystemExit(f"{folder} holds fewer than two people that could be encoded")
    owners = np.array([people[sample.person] for sample, _ in kept])
    halves = any(sample.parts > 1 for sample in samples)
    name = (
        f"{folder.name}: {len(people)} people"
        + (f", every {every}th" if every > 1 else "")
        + (", halves of one recording" if halves else "")
    )
    return Compared(name, all_pairs(np.stack([row for _, row in kept]), owners), len(samples), len(rows) - len(kept))


def list_samples(folder: Path, endings: tuple[str, ...]) -> list[Sample]:
    """List the recordings of a folder of persons, in the order of their names.

    Raises:
        SystemExit: there are none.
    """
    by_person: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in endings and path.is_file():
            inside = path.relative_to(folder).parts
            by_person.setdefault(inside[0] if len(inside) > 1 else path.stem, []).append(path)
    if not by_person:
        raise SystemExit(f"{folder} holds no {', '.join(endings)}")
    samples = []
    for person, paths in by_person.items():
        whole = len(paths) > 1 or paths[0].suffix.lower() in PICTURES
        samples += (
            [Sample(person, path) for path in paths] if whole else [Sample(person, paths[0], k, 2) for k in (0, 1)]
        )
    return samples


def embed_face(encoder: FaceEncoder) -> Embed:
    """Encode a picture, or the mean of some frames of a clip; None where no face was found."""

    def embed(sample: Sample) -> Float32 | None:
        if sample.path.suffix.lower() in PICTURES:
            frames = read_photograph(sample.path)[None]
        else:
            clip = read_clip(sample.path).frames
            clip = clip[sample.cut(len(clip))]
            frames = clip[np.linspace(0, len(clip) - 1, min(FRAMES, len(clip))).round().astype(int)]
        rows, found = encoder.embed(frames)
        return _unit(rows[found].sum(0)) if found.any() else None

    return embed


def embed_voice(encoder: VoiceEncoder) -> Embed:
    """Encode a sound; None where there is too little of it."""

    def embed(sample: Sample) -> Float32 | None:
        if sample.path.suffix.lower() in SOUNDS:
            sound = at_16_khz(*soundfile.read(sample.path, dtype="float32"))
        else:
            sound = read_clip(sample.path).sound
        try:
            return encoder.embed(sound[sample.cut(len(sound))])
        except CaptureRejected:
            return None

    return embed


def sample_faces(encoder: FaceEncoder) -> Compared:
    """Compare rendered people, twelve frames of a scene with twelve of another."""
    pairs = rendered_faces(encoder, 160, SEED, PEOPLE).templates
    return Compared(f"sample people: {PEOPLE} rendered, 12 frames against 12 of another scene", pairs, 2 * PEOPLE, 0)


def sample_voices(encoder: VoiceEncoder) -> Compared:
    """Compare voices made by code, which are easier than real ones."""
    rows = [encoder.embed(speak(SEED + who, TAKE_S, take=take).sound) for who in range(PEOPLE) for take in range(TAKES)]
    name = f"sample people: {PEOPLE} voices made by code, {TAKES} takes of {TAKE_S:.0f} s"
    return Compared(name, all_pairs(np.stack(rows), np.repeat(np.arange(PEOPLE), TAKES)), len(rows), 0)


def _listed(folder: Path) -> list[tuple[str, str, bool]] | None:
    if (folder / "pairs.txt").is_file():
        lines = (folder / "pairs.txt").read_text("utf-8").splitlines()
        return [_line(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if (folder / "master.csv").is_file():
        with (folder / "master.csv").open(newline="", encoding="utf-8") as file:
            return [(row["file_x"], row["file_y"], row["Decision"] == "Yes") for row in csv.DictReader(file)]
    return None


def _line(number: int, line: str) -> tuple[str, str, bool]:
    words = line.split()
    if len(words) != 3 or words[2] not in ("same", "different"):
        raise SystemExit(f"pairs.txt, line {number}: two files and same or different, not {line!r}")
    return words[0], words[1], words[2] == "same"


def _compare_list(folder: Path, listed: list[tuple[str, str, bool]], embed: Embed) -> Compared:
    names = sorted({name for pair in listed for name in pair[:2]})
    rows = {}
    for name in names:
        try:
            rows[name] = embed(Sample("", folder / name))
        except (CameoError, soundfile.LibsndfileError) as error:
            raise SystemExit(f"cannot read {folder / name}: {error}") from error
    kept = [(rows[x], rows[y], same) for x, y, same in listed if rows[x] is not None and rows[y] is not None]
    score = np.array([float(x @ y) for x, y, _ in kept if x is not None and y is not None], np.float32)
    number = np.arange(len(kept))  # owners are not known: every pair stands for itself
    pairs = Pairs(score, np.array([same for _, _, same in kept]), number, number)
    return Compared(f"{folder.name}: listed pairs", pairs, len(names), sum(row is None for row in rows.values()))


def _unit(vector: Float32) -> Float32:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
