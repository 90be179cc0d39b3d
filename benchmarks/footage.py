"""Real clips or rendered people, brought to what a generator learns from, for the benchmarks of adapters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from cameo.capture.clip import ClipSettings, read_clip
from cameo.capture.quality import assess
from cameo.capture.speech import find_speech
from cameo.faces.track import track_faces
from cameo.synthetic.selfie import write_selfie

if TYPE_CHECKING:
    from cameo.generators.base import Footage, Generator

TEST_SHARE = 0.25  # at the end of each clip, never seen by tuning nor by its judge
TEST_GAP = 8  # frames between the two parts
LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Hold one person's footage: `train` for tuning, `test` from another part of the clip."""

    name: str
    train: Footage
    test: Footage


def subjects(generator: Generator, clips: list[Path]) -> Iterator[Subject]:
    """Read clips; each one is one person."""
    for path in clips:
        footage = whole_footage(generator, path)
        cut = int(len(footage) * (1 - TEST_SHARE))
        yield Subject(path.stem, footage.part(0, cut - TEST_GAP), footage.part(cut, len(footage)))


def whole_footage(generator: Generator, path: Path) -> Footage:
    """Read a clip as a generator sees it."""
    clip = read_clip(path, settings=ClipSettings(limit_s=LIMIT_S))
    track = track_faces(clip.frames)
    report = assess(clip, track, find_speech(clip.sound))
    usable = torch.from_numpy(np.array([not reason for reason in report.reasons]))
    return generator.footage(clip, track, usable)


def rendered_clips(folder: Path, people: int, seed: int = 500) -> list[Path]:
    """Render sample selfies into `folder`, unless they are there already."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"sample_{seed + k}.mp4" for k in range(people)]
    for k, path in enumerate(paths):
        if not path.exists():
            write_selfie(path, seed=seed + k, seconds=8)
    return paths
