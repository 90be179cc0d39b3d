"""The tuning loop: descent on a person's footage; a judge keeps the best checkpoint, step 0 included."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.training_utils import cast_training_params

from cameo.adapt.export import identity_bytes, lora_bytes, lora_config
from cameo.adapt.mistakes import Book
from cameo.adapt.recipe import Recipe
from cameo.adapt.state import ALL_STEPS, BY_STEPS, CLOSED_FORM, CheckpointStore, Run, assign, copies
from cameo.adapt.team import Team
from cameo.adapt.watch import Watch
from cameo.errors import CameoError
from cameo.generators.base import taught
from cameo.generators.lora import add_loras, lora_removed
from cameo.generators.memory import out_of_memory_said
from cameo.generators.quantised import require_eight_bit
from cameo.records import Adapter, TuningStep

if TYPE_CHECKING:
    from torch import nn

    from cameo.adapt.judge import Judges
    from cameo.adapt.state import Judgement
    from cameo.generators.base import Footage, Generator, Identity, Lessons

Progress = Callable[[str, float], None]
GAP = 8  # frames between what is learned from and what the judge sees


def tune(
    generator: Generator, footage: Footage, judges: Judges,
    recipe: Recipe | None = None, store: CheckpointStore | None = None, progress: Progress | None = None,
) -> Adapter:  # fmt: skip
    """Tune an adapter of a generator on footage: one LoRA for each modality that generator and footage have.

    Started by `accelerate launch`, every process calls it alike and gets the same adapter.

    Args:
        generator: what is tuned for; its weights are left as they were.
        footage: the person, from `generator.footage`.
        judges: the recognisers, and other people whom the result must not resemble.
        recipe: settings; without, those of the generator's family.
        store: where an interrupted run continues from; the caller clears it when the result is safe.
        progress: called with a label and 0..1.

    Raises:
        CameoError: the footage is too short, or the loss is not a number.
        UsageError: the recipe asks for a base in eight bits, and it was loaded whole.
        MissingExtra: it asks for that, and bitsandbytes is not installed.
    """
    recipe = recipe or Recipe.for_generator(generator.id)
    if recipe.eight_bit:
        require_eight_bit(generator.denoiser)
    train, held = split(footage, recipe.held_out)
    torch.manual_seed(recipe.seed)
    identity = generator.fit_identity(train)
    denoiser = generator.denoiser
    targets = {m: generator.lora_targets(m) for m in taught(generator) if m != "voice" or len(train.sound)}
    configs = {modality: lora_config(regex, recipe.rank) for modality, regex in targets.items()}
    with lora_removed(denoiser), out_of_memory_said(), _checkpointed(denoiser, recipe):
        add_loras(denoiser, configs)
        cast_training_params(denoiser, torch.float32)
        watch = Watch(generator, identity, (train, held), judges, recipe)
        before = watch.shots()
        loop = _Loop(generator, identity, train, watch, recipe, store)
        loop.go(progress)
        run = loop.run
        assign(run.params, run.best)
        facts = {"generator": generator.id, "base_model_sha256": generator.base_digest, "step": str(run.best_step)}
        parts = {}
        for modality, config in configs.items():
            parts[f"adapter.{generator.id}.{modality}"] = lora_bytes(denoiser, modality, config, facts)
            parts[f"identity.{generator.id}.{modality}"] = identity_bytes(identity, modality, facts)
        return Adapter(
            generator=generator.id,
            base_digest=generator.base_digest,
            parts=parts,
            curve=tuple(run.curve),
            best_step=run.best_step,
            before=before,
            after=watch.shots(),
            real=watch.real,
            facts=asdict(recipe),
            chosen_by=run.chosen_by,
            stopped=run.stopped,
            mistakes=watch.retell(loop.book, loop.lessons.spans),
        )


@contextmanager
def _checkpointed(denoiser: Any, recipe: Recipe) -> Iterator[None]:
    """Keep the activations between blocks only, where the recipe says so."""
    if not recipe.checkpointing:
        yield
        return
    denoiser.enable_gradient_checkpointing()
    try:
        yield
    finally:
        denoiser.disable_gradient_checkpointing()


def split(footage: Footage, share: float) -> tuple[Footage, Footage]:
    """Part footage into what is learned from and, after a gap, the last `share` that only the judge sees."""
    cut = int(len(footage) * (1 - share))
    train, held = footage.part(0, cut - GAP), footage.part(cut, len(footage))
    if len(train.windows(8, 2)) < 8 or len(held.windows(8, 8)) < 1:
        raise CameoError(
            "too few usable frames to tune an adapter", "record at least 5 s with your face in view the whole time"
        )
    return train, held


class _Loop:
    """Descend, judge and save, from the start or from a checkpoint."""

    lessons: Lessons
    book: Book

    def __init__(
        self, generator: Generator, identity: Identity, train: Footage,
        watch: Watch, recipe: Recipe, store: CheckpointStore | None,
    ) -> None:  # fmt: skip
        self._generator, self._identity, self._train = generator, identity, train
        self._watch, self._recipe, self._store = watch, recipe, store
        self._team = Team()
        inputs = list(identity.trainable())
        lora = [p for p in generator.denoiser.parameters() if p.requires_grad]
        self.run = Run.of([*lora, *inputs])
        self._descended: list[nn.Parameter] = lora + [p for p in inputs if p.requires_grad and recipe.learn_inputs]
        self._optimiser = torch.optim.AdamW(
            self._descended, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
        )
        self._device = next(generator.denoiser.parameters()).device.type
        self._began = time.monotonic()

    def go(self, progress: Progress | None) -> None:
        """Run to the end."""
        run, recipe = self.run, self._recipe
        self._prepare()
        while run.step < recipe.steps and not run.stopped:
            loss = self._descend()
            if recipe.judged and (run.step % recipe.judge_every == 0 or run.step == recipe.steps):
                self._judge()
                self._save()
            elif run.step % recipe.save_every == 0:
                self._save()
            if progress:
                likeness = run.curve[-1].likeness if run.curve else math.nan
                judged = f", likeness {likeness:.3f}" if math.isfinite(likeness) else ""
                progress(f"tuning: loss {loss:.3f}{judged}", run.step / recipe.steps)
        run.stopped = run.stopped or ALL_STEPS
        if not recipe.judged:
            run.best, run.best_step, run.chosen_by = copies(run.average), run.step, BY_STEPS
            run.curve = [TuningStep(run.step, _mean(run.losses), math.nan, math.nan, self._seconds())]

    def _prepare(self) -> None:
        """Learn what has a closed form, as step 1, or go on where the run was broken off."""
        run, recipe = self.run, self._recipe
        replay = recipe.replay if recipe.judged else 0.0
        self.book = Book(0, replay, recipe.seed)
        kept = run.unpack(self._team.decide(self._load))
        if kept is not None and kept["step"] < CLOSED_FORM:
            self._restore(kept)
        elif kept is None and recipe.judged:
            self._judge()
            self._save()
        self.lessons = self._generator.lessons(self._train, self._identity, recipe.drop_aids, recipe.face_weight)
        self.book = Book(len(self.lessons), replay, recipe.seed)
        if kept is not None and kept["step"] >= CLOSED_FORM:
            self._restore(kept)
            return
        run.step, run.average = CLOSED_FORM, copies(run.params)
        if self._team.size > 1:
            self._team.seed(recipe.seed)
        if recipe.judged:
            self._judge()
        self._save()

    def _descend(self) -> float:
        """Take one step and return its loss."""
        run, recipe = self.run, self._recipe
        for group in self._optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(run.step, recipe)
        windows = self._team.share(self.book.draw(recipe.batch))
        of_others = _is_prior_step(run.step, recipe.prior_share)
        with torch.autocast(self._device, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss = self.lessons.prior_loss(len(windows)) if of_others else self.lessons.loss(windows)
        if not bool(loss.isfinite()):
            raise CameoError("the tuning loss is not a number", "run again with a lower Recipe.learning_rate")
        self._optimiser.zero_grad()
        loss.backward()
        self._team.average(self._descended)
        torch.nn.utils.clip_grad_norm_(self._descended, 1.0)
        self._optimiser.step()
        run.step += 1
        with torch.no_grad():
            share = max(1 - recipe.average, 4 / (run.step + 4))
            torch._foreach_lerp_(run.average, [p.detach() for p in run.params], share)
        if not of_others:
            run.losses.append(float(loss.detach()))
        return float(loss.detach())

    def _judge(self) -> None:
        """Judge the averaged weights, and enter in the book what they tell badly."""
        run = self.run

        def work() -> tuple[Judgement, dict[str, Any]]:
            live = copies(run.params)
            assign(run.params, run.average)
            judgement = self._watch.judge(run.step, _mean(run.losses), self._seconds())
            if run.step >= CLOSED_FORM and self._recipe.replay:
                self._watch.look(self.book, self.lessons.spans)
            assign(run.params, live)
            return judgement, self.book.state()

        judgement, book = self._team.decide(work)
        self.book.restore(book)
        run.consider(judgement, self._recipe)
        run.losses = []

    def _load(self) -> bytes | None:
        return self._store.load() if self._store else None

    def _save(self) -> None:
        if self._store and self._team.leads:
            self.run.seconds = self._seconds()
            self._store.save(self.run.checkpoint(self._optimiser, self.book))

    def _restore(self, kept: dict[str, Any]) -> None:
        self.run.restore(kept, self._optimiser, self.book)
        self._began = time.monotonic() - self.run.seconds
        if self._team.size > 1:  # the state of chance that was kept is the main process's
            self._team.seed(self._recipe.seed + self.run.step)

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _mean(losses: list[float]) -> float:
    return float(np.mean(losses)) if losses else math.nan


def _is_prior_step(step: int, share: float) -> bool:
    """Whether a step is one of the `share` that are spent on other people, spread evenly."""
    return int((step + 1) * share) > int(step * share)


def _schedule(step: int, recipe: Recipe) -> float:
    fall = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return min(1.0, (step + 1) / recipe.warm_up) * max(0.05, fall)
