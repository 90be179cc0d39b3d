"""Elicit from a tuned adapter what it remembers of its footage: pictures, and the loss of what it saw and did not see.

Only the face's adapter; the voice's is left out, and the footage is silent to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from cameo.adapt.judge import mean_direction
from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.state import assign, copies
from cameo.condition.plug import loaded
from cameo.embed.crop import aligned_crop
from cameo.errors import CameoError, UsageError
from cameo.faces.detect import to_grey
from cameo.faces.track import track_faces
from cameo.fidelity.leakage import Leakage, Losses, Way, infer_membership, likeness_of, mean_likeness
from cameo.fidelity.nearness import NearestFrames, Views
from cameo.generators.lora import without_lora

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.embed.face import FaceEncoder
    from cameo.generators.base import Footage, Generator, Identity, Lessons, Takes
    from cameo.records import Float32, UInt8

Progress = Callable[[str, float], None]
SIDE = 64  # pixels of the aligned faces that are compared
MOST_SEEDS = 16
_STEPS = {
    False: ("generating without references", "attacking the loss without references"),
    True: ("generating with references", "attacking the loss with references"),
}


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Say how thoroughly an adapter is probed.

    Attributes:
        seeds: how many; each gives other noise, to the pictures and to the loss.
        pictures: generated per seed and way, along moments that were held out.
        windows: of each kind that are attacked, at most; they do not overlap.
        draws: of noise and time per seed and window.
    """

    seeds: int = 3
    pictures: int = 48
    windows: int = 32
    draws: int = 4

    def require_possible(self) -> None:
        """Check the numbers.

        Raises:
            UsageError: one is out of range.
        """
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise UsageError(f"1 to {MOST_SEEDS} seeds are tried, not {self.seeds}", "three show the spread")
        if min(self.pictures, self.windows, self.draws) < 1:
            raise UsageError("pictures, windows and draws are counted from 1", "leave them out")


@dataclass(frozen=True)
class Exhibit:
    """Hold a person's whole footage: frames before `learned` were learned from, those from `held` on were not."""

    footage: Footage
    learned: int
    held: int

    @property
    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and one-past-last frame of both."""
        return (0, self.learned), (self.held, len(self.footage))

    @property
    def train(self) -> Footage:
        """What was learned from."""
        return self.footage.part(0, self.learned)

    @property
    def held_out(self) -> Footage:
        """What was not."""
        return self.footage.part(self.held, len(self.footage))


@dataclass(frozen=True)
class Probed:
    """Hold what was found, and frames `[N, H, W, 3]` to look at: learned from, held out, and made by way and seed."""

    leakage: Leakage
    train: UInt8
    held: UInt8
    made: tuple[tuple[UInt8, ...], tuple[UInt8, ...]]


def probe_adapter(
    generator: Generator, parts: Mapping[str, bytes], exhibit: Exhibit, encoder: FaceEncoder,
    settings: ProbeSettings | None = None, progress: Progress | None = None,
) -> Probed:  # fmt: skip
    """Probe the face's adapter among decrypted parts, or just tuned.

    Pictures are generated along moments that were held out, so that real pictures of the same moments are the measure:
    once by the adapter alone, once with references, tokens and whatever else a cast is given.

    Raises:
        UsageError: there are no parts for this generator, something is plugged into it already, or a setting is out of
            range.
        NotVerified: the parts do not fit it.
        CameoError: there is no window to attack, or no face is found.
    """
    chosen, report = settings or ProbeSettings(), progress or (lambda _label, _share: None)
    chosen.require_possible()
    exhibit = replace(exhibit, footage=replace(exhibit.footage, sound=torch.zeros(0)))
    report("measuring real frames", 0.0)
    (learned, train), (real, held) = (_real_views(encoder, part) for part in (exhibit.train, exhibit.held_out))
    centre, nearest = mean_direction(real.vectors), NearestFrames(learned, real)
    floor = mean_likeness(_views(encoder, *rendered_people()), centre)
    ways, made = [], []
    own = {name: parts[name] for kind in ("adapter", "identity") if (name := f"{kind}.{generator.id}.face") in parts}
    with loaded(generator, [own]) as [person]:
        for aided in (False, True):
            report(_STEPS[aided][0], 0.0)
            takes = _takes(generator, person, exhibit.held_out, aided, chosen)
            views = [_views(encoder, take.frames, take.points) for take in takes]
            report(_STEPS[aided][1], 0.0)
            losses = _losses(generator, person, exhibit, aided, chosen)
            found = float(np.mean([one.found for one in views]))
            likeness = likeness_of(views, centre)
            ways.append(Way(aided, likeness, found, nearest.compare(views), infer_membership(*losses)))
            made.append(tuple(take.frames for take in takes))
    leakage = Leakage(ways[0], ways[1], mean_likeness(learned, centre), floor, len(learned), len(real))
    report(_STEPS[True][1], 1.0)
    return Probed(leakage, train, held, (made[0], made[1]))


def _takes(generator: Generator, person: Identity, held: Footage, aided: bool, settings: ProbeSettings) -> list[Takes]:
    moments = held.spread(settings.pictures)
    return [generator.rehearse(person, held, moments, seed, aided) for seed in range(settings.seeds)]


def _real_views(encoder: FaceEncoder, footage: Footage) -> tuple[Views, UInt8]:
    """Look at the usable frames of footage that show a face; the pictures, and the frames."""
    at = torch.nonzero(footage.usable).flatten()
    frames = np.asarray(footage.frames[at])
    views = _views(encoder, frames, footage.points_px(at))
    if not views.found.any():
        raise CameoError("no face is found in the footage", "choose another encoder, or look at the recording")
    return views.seen, frames[views.found]


def _views(encoder: FaceEncoder, frames: UInt8, points: Float32 | None) -> Views:
    """Align and encode faces; without points they are looked for."""
    if points is None:
        points = track_faces(frames).points
    vectors, found = encoder.embed(frames, points)
    found = found & np.isfinite(points[:, :5]).all((1, 2))
    grey = np.zeros((len(frames), SIDE, SIDE), np.uint8)
    for k in np.flatnonzero(found):
        crop = aligned_crop(to_grey(frames[k]), points[k, :5])
        cv2.resize(crop, (SIDE, SIDE), dst=grey[k], interpolation=cv2.INTER_AREA)
    return Views(grey, vectors, found)


def _losses(
    generator: Generator, person: Identity, exhibit: Exhibit, aided: bool, settings: ProbeSettings
) -> tuple[Losses, Losses]:
    """Take the training loss of windows that were learned from, and of others, with the adapter and without.

    All windows are prepared together and alike, from the whole footage: what has a closed form favours neither kind.
    Without the adapter, its LoRA is silent, and learned inputs are as before the descent.
    """
    fresh = generator.fit_identity(exhibit.train)
    face_weight = Recipe.for_generator(generator.id).face_weight
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        with without_lora(generator.denoiser):
            lessons = generator.lessons(exhibit.footage, fresh, 0.0 if aided else 1.0, face_weight)
            kinds = [_windows_apart(lessons.spans, *ends, settings.windows) for ends in exhibit.ends]
            untuned = [_mean_losses(lessons, kind, settings) for kind in kinds]
        assign(fresh.trainable(), copies(person.trainable()))
        tuned = [_mean_losses(lessons, kind, settings) for kind in kinds]
    return Losses(tuned[0], untuned[0]), Losses(tuned[1], untuned[1])


def _windows_apart(spans: Tensor, first: int, stop: int, most: int) -> list[int]:
    """Pick windows within these frames that do not overlap, evenly spread if there are more than `most`."""
    picked: list[int] = []
    free = first
    for k, (start, end) in enumerate(spans.tolist()):
        if start >= free and end <= stop:
            picked.append(k)
            free = end
    if not picked:
        raise CameoError("no window of the footage is usable throughout", "give a longer recording")
    spread = np.linspace(0, len(picked) - 1, min(most, len(picked))).round().astype(int)
    return [picked[k] for k in spread]


def _mean_losses(lessons: Lessons, windows: list[int], settings: ProbeSettings) -> Float32:
    """Mean loss of each window `[seeds, n]` over draws of noise and time, the same for every window and every call."""
    losses = np.zeros((settings.seeds, len(windows)), np.float32)
    for seed in range(settings.seeds):
        for draw in range(settings.draws):
            for k, window in enumerate(windows):
                torch.manual_seed(seed * settings.draws + draw)
                losses[seed, k] += float(lessons.loss(torch.tensor([window]))) / settings.draws
    return losses
