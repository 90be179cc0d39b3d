"""Watch a tuning run: judge what the generator makes now, and enter in the book what it tells badly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cameo.adapt.judge import Judge, Judges, Verdict
from cameo.adapt.state import Judgement
from cameo.adapt.voice_judge import VoiceJudge
from cameo.copying import CopyControl
from cameo.directions import mean_direction
from cameo.generators.base import taught
from cameo.records import Mistake, TuningStep

if TYPE_CHECKING:
    from cameo.adapt.mistakes import Book
    from cameo.adapt.recipe import Recipe
    from cameo.generators.base import Footage, Generator, Identity, Takes
    from cameo.records import Float32, UInt8

DROPPED_SHARE = 0.25  # of the score: likeness without references, so that the adapter must know the person
STILLS = 6
LOOKED_AT = 3  # frames of a window whose take is entered in the book


class Watch:
    """Judge one identity of one generator, on held-out footage, and on windows of the footage it learns from."""

    def __init__(
        self, generator: Generator, identity: Identity, footage: tuple[Footage, Footage], judges: Judges, recipe: Recipe
    ) -> None:
        self._generator, self._identity, self._recipe, self._embed = generator, identity, recipe, judges.face
        self._train, self._held = footage
        self._frames = self._held.spread(recipe.judged_frames)
        self._poses = self._held.points_px(self._frames)
        self._face = Judge(judges.face, (np.asarray(self._held.frames[self._frames]), self._poses), judges.others)
        self._copies = CopyControl(_usable(self._train), _usable(self._held))
        self._voice = None
        if "voice" in taught(generator) and judges.voice is not None and len(self._held.sound):
            self._voice = VoiceJudge(judges.voice, np.asarray(self._held.sound, np.float32), judges.speech)
        self._real: dict[int, Float32 | None] = {}

    def judge(self, step: int, loss: float, seconds: float) -> Judgement:
        """Judge takes of the held-out moments, with and without what is not the adapter."""
        aided, bare = (self._rehearse(self._held, self._frames, given) for given in (True, False))
        face, alone = (self._face.score(t.frames, t.points, self._poses) for t in (aided, bare))
        verdicts = [_together(face, alone)]
        voice = self._voice.score(aided.sound, aided.rate_hz) if self._voice else None
        verdicts += [voice] if voice else []
        blind = not any(v.found for v in verdicts)
        found = TuningStep(
            step, loss,
            face.likeness if face.found else math.nan,
            face.impostor if face.found else math.nan,
            seconds,
            # Only of what is not shown references: those are meant to be seen again.
            self._copies.share(bare.frames),
            voice.likeness if voice and voice.found else math.nan,
            self._held_loss() if blind else math.nan,
        )  # fmt: skip
        return Judgement(found, None if blind else float(np.mean([v.score for v in verdicts])))

    def look(self, book: Book, spans: Tensor) -> None:
        """Enter how well some windows of the footage are told now; they are told without references."""
        seen = [(window, self._told(window, spans)) for window in book.choose(self._recipe.looked_at)]
        entries = [(window, *told) for window, told in seen if told is not None]
        if entries:
            windows, likeness, takes = (list(column) for column in zip(*entries, strict=True))
            book.enter(windows, likeness, takes)

    def retell(self, book: Book, spans: Tensor) -> tuple[Mistake, ...]:
        """Tell again what was told worst at first."""
        mistakes = []
        for look in book.first:
            told = self._told(look.window, spans)
            if told is not None:
                start, stop = spans[look.window].tolist()
                real = np.asarray(self._train.frames[(start + stop) // 2])
                mistakes.append(Mistake(start / self._train.fps, look.likeness, told[0], real, look.take, told[1]))
        return tuple(mistakes)

    def shots(self) -> UInt8:
        """Generate some stills along held-out footage."""
        return self._generator.rehearse(self._identity, self._held, self._held.spread(STILLS), 0).frames

    @property
    def real(self) -> UInt8:
        """The frames that the stills are of."""
        return np.asarray(self._held.frames[self._held.spread(STILLS)])

    def _rehearse(self, footage: Footage, frames: Tensor, aided: bool) -> Takes:
        return self._generator.rehearse(self._identity, footage, frames, self._recipe.seed, aided)

    def _told(self, window: int, spans: Tensor) -> tuple[float, UInt8] | None:
        """Likeness of the take of a window to its real frames, and its middle frame; None without a face to compare."""
        part = self._train.part(*spans[window].tolist())
        frames = part.spread(LOOKED_AT)
        if window not in self._real:
            vectors, found = self._embed(np.asarray(part.frames[frames]), part.points_px(frames))
            self._real[window] = mean_direction(vectors[found]) if found.any() else None
        real = self._real[window]
        takes = self._rehearse(part, frames, aided=False)
        vectors, found = self._embed(takes.frames, takes.points)
        if real is None or not found.any():
            return None
        return float(np.where(found, vectors @ real, 0).mean()), np.asarray(takes.frames[len(takes.frames) // 2])

    def _held_loss(self) -> float:
        """Loss on held-out windows at the same times and noise each time; what lessons set is put back."""
        trainable = self._identity.trainable()
        before = [p.detach().clone() for p in trainable]
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(self._recipe.seed)
            lessons = self._generator.lessons(self._held, self._identity, 0.0)
            for p, value in zip(trainable, before, strict=True):
                p.copy_(value)
            parts = torch.arange(len(lessons)).split(self._recipe.batch)
            return float(sum(float(lessons.loss(part)) * len(part) for part in parts) / len(lessons))


def _together(face: Verdict, alone: Verdict) -> Verdict:
    """Weigh what is shown with references against what the adapter shows alone."""
    share = DROPPED_SHARE
    return Verdict(
        (1 - share) * face.likeness + share * alone.likeness,
        (1 - share) * face.impostor + share * alone.impostor,
        (1 - share) * face.excess + share * alone.excess,
        max(face.found, alone.found),
    )


def _usable(footage: Footage) -> UInt8:
    return np.asarray(footage.frames[footage.usable])
