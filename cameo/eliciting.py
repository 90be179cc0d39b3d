"""Elicit from a tuned adapter what it remembers of its footage: pictures, and the loss of what it saw and did not see.

Only the face's adapter; the voice's is left out, and the footage is silent to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from cameo.adapt.others import rendered_people
from cameo.adapt.recipe import Recipe
from cameo.adapt.state import assign, copies
from cameo.condition.plug import loaded
from cameo.directions import mean_direction
from cameo.embed.crop import aligned_crop
from cameo.errors import CameoError, UsageError
from cameo.faces.detect import to_grey
from cameo.faces.track import track_faces
from cameo.fidelity.leakage import (
    Leakage,
    Losses,
    Way,
    infer_membership,
    likeness_of,
    mean_likeness,
    real_likeness,
)
from cameo.fidelity.nearness import NearestFrames, Views
from cameo.generators.lora import without_lora

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.embed.face import FaceEncoder
    from cameo.generators.base import Footage, Generator, Identity, Lessons, Takes
    from cameo.records import Float32, UInt8

Progress = Callable[[str, float], None]
Tell = Callable[[float], None]
SIDE = 64  # pixels of the aligned faces that are compared
MOST_SEEDS = 16
_WAYS = {False: "the adapter alone", True: "with references"}


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Say how thoroughly an adapter is probed.

    Attributes:
        seeds: how many; each gives other noise, to the pictures and to the loss.
        pictures: generated per seed and way, along moments that were held out, and as many along those learned from.
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
class Made:
    """Hold frames `[seeds, N, H, W, 3]` made along moments that were held out, and along those learned from."""

    told: UInt8
    retold: UInt8


@dataclass(frozen=True)
class Probed:
    """Hold what was found, and what to look at: frames `[N, H, W, 3]` learned from and held out, and those made."""

    leakage: Leakage
    train: UInt8
    held: UInt8
    alone: Made
    aided: Made


def probe_adapter(
    generator: Generator, parts: Mapping[str, bytes], exhibit: Exhibit, encoder: FaceEncoder,
    settings: ProbeSettings | None = None, progress: Progress | None = None,
) -> Probed:  # fmt: skip
    """Probe the face's adapter among decrypted parts, or just tuned.

    Pictures are generated along moments that were held out, so that real pictures of the same moments are the measure,
    and along moments that were learned from: once by the adapter alone, once with references, tokens and the like.

    Raises:
        UsageError: there are no parts for this generator, something is plugged into it already, or a setting is out of
            range.
        NotVerified: the parts do not fit it.
        CameoError: there is no window to attack, or no face is found.
    """
    chosen, report = settings or ProbeSettings(), progress or (lambda _label, _share: None)
    chosen.require_possible()
    silent = replace(exhibit, footage=replace(exhibit.footage, sound=torch.zeros(0)))
    report("measuring real frames", 0.0)
    (learned, train), (real, held) = (_real_views(encoder, part) for part in (silent.train, silent.held_out))
    centre, nearest = mean_direction(real.vectors), NearestFrames(learned, real)
    floor = mean_likeness(_views(encoder, *rendered_people()), centre)
    own = {name: parts[name] for kind in ("adapter", "identity") if (name := f"{kind}.{generator.id}.face") in parts}
    ways, made = [], []
    with loaded(generator, [own]) as [person]:
        for aided, name in _WAYS.items():
            told, retold = _take_all(generator, person, silent, aided, chosen, partial(report, f"{name}: pictures"))
            seen, again = ([_views(encoder, take.frames, take.points) for take in takes] for takes in (told, retold))
            losses = _losses(generator, person, silent, aided, chosen, partial(report, f"{name}: loss"))
            ways.append(
                Way(
                    aided,
                    likeness_of(seen, centre),
                    float(np.mean([views.found for views in seen])),
                    nearest.compare(seen),
                    nearest.compare(again) if again else (),
                    infer_membership(*losses),
                )
            )
            made.append(Made(_stacked(told), _stacked(retold)))
    leakage = Leakage(ways[0], ways[1], real_likeness(real), floor, len(learned), len(real))
    return Probed(leakage, train, held, made[0], made[1])


def _take_all(
    generator: Generator, person: Identity, exhibit: Exhibit, aided: bool, settings: ProbeSettings, tell: Tell
) -> tuple[list[Takes], list[Takes]]:
    """Generate along held-out moments and, where a generator can be led along moments, along learned ones."""
    told: list[Takes] = []
    retold: list[Takes] = []
    for takes, part in ((told, exhibit.held_out), (retold, exhibit.train)):
        moments = part.spread(settings.pictures)
        for seed in range(settings.seeds):
            tell((len(told) + len(retold)) / (2 * settings.seeds))
            takes.append(generator.rehearse(person, part, moments, seed, aided))
        if takes[0].points is None:  # what it made is of no moment: the other part would give the same
            break
    tell(1.0)
    return told, retold


def _stacked(takes: list[Takes]) -> UInt8:
    return np.stack([take.frames for take in takes]) if takes else np.zeros((0, 0, 1, 1, 3), np.uint8)


def _real_views(encoder: FaceEncoder, footage: Footage) -> tuple[Views, UInt8]:
    """Look at the usable frames of footage that show a face; the pictures, and the frames."""
    at = torch.nonzero(footage.usable).flatten()
    frames = np.asarray(footage.frames[at])
    views = _views(encoder, frames, footage.points_px(at)) if len(at) else None
    if views is None or not views.found.any():
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
    generator: Generator, person: Identity, exhibit: Exhibit, aided: bool, settings: ProbeSettings, tell: Tell
) -> tuple[Losses, Losses]:
    """Take the training loss of windows that were learned from, and of others, with the LoRA and without.

    All windows are prepared together and alike, from the whole footage; learned inputs are the person's both times. So
    an adapter whose LoRA does nothing has no score at all, whatever differs between the two parts of the footage.
    """
    identity = generator.fit_identity(exhibit.train)
    face_weight = Recipe.for_generator(generator.id).face_weight
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        with without_lora(generator.denoiser):
            lessons = generator.lessons(exhibit.footage, identity, 0.0 if aided else 1.0, face_weight)
            assign(identity.trainable(), copies(person.trainable()))
            kinds = [_windows_apart(lessons.spans, *ends, settings.windows) for ends in exhibit.ends]
            windows = [window for kind in kinds for window in kind]
            untuned = _mean_losses(lessons, windows, settings, lambda share: tell(share / 2))
        tuned = _mean_losses(lessons, windows, settings, lambda share: tell((1 + share) / 2))
    tell(1.0)
    cut = len(kinds[0])
    return Losses(tuned[:, :cut], untuned[:, :cut]), Losses(tuned[:, cut:], untuned[:, cut:])


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


def _mean_losses(lessons: Lessons, windows: list[int], settings: ProbeSettings, tell: Tell) -> Float32:
    """Mean loss of each window `[seeds, n]` over draws of noise and time, the same for every window and every call."""
    losses = np.zeros((settings.seeds, settings.draws, len(windows)), np.float32)
    for seed in range(settings.seeds):
        tell(seed / settings.seeds)
        for draw in range(settings.draws):
            for k, window in enumerate(windows):
                torch.manual_seed(seed * settings.draws + draw)
                losses[seed, draw, k] = float(lessons.loss(torch.tensor([window])))
    return losses.mean(1)
