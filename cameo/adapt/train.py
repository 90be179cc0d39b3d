"""The tuning loop: flow matching on a person's footage; a judge keeps the best checkpoint, step 0 included."""

from __future__ import annotations

import io
import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from diffusers.training_utils import cast_training_params
from torch import Tensor, nn

from cameo.adapt.export import identity_bytes, lora_bytes, lora_config
from cameo.adapt.judge import Embed, Judge, Verdict
from cameo.adapt.recipe import Recipe, usual_recipe
from cameo.errors import CameoError
from cameo.generators.lora import lora_removed, several_meant
from cameo.generators.memory import out_of_memory_said
from cameo.records import Adapter, TuningStep

if TYPE_CHECKING:
    from cameo.generators.base import Footage, Generator, Identity, Motion
    from cameo.records import Float32, UInt8

Progress = Callable[[str, float], None]
NAME = "tuning-"  # before the modality
GAP = 8  # frames between what is learned from and what the judge sees
DROPPED_SHARE = 0.25  # of the score: likeness without references, so that the adapter must know the person


class CheckpointStore(Protocol):
    """Keep an unfinished run; what is stored is biometric, so an implementation must encrypt it."""

    def load(self) -> bytes | None:
        """Return the last checkpoint, if any."""
        ...

    def save(self, data: bytes) -> None:
        """Replace the checkpoint."""
        ...


@dataclass
class _Run:
    """State of a run: what is tuned, its moving average, the best so far."""

    params: list[nn.Parameter]
    average: list[Tensor]
    best: list[Tensor]
    best_score: float
    best_step: int
    step: int
    curve: list[TuningStep]


def tune(
    generator: Generator, footage: Footage, embed: Embed, others: tuple[UInt8, Float32],
    recipe: Recipe | None = None, store: CheckpointStore | None = None, progress: Progress | None = None,
) -> Adapter:  # fmt: skip
    """Tune an adapter of a generator on footage: one LoRA for each modality that the footage holds.

    Args:
        generator: what is tuned for; its weights are left as they were.
        footage: the person, from `generator.footage`.
        embed: the judge's recogniser.
        others: frames and landmarks (pixels) of other people, whom the result must not resemble.
        recipe: settings; None takes those that are usual for the generator.
        store: where an interrupted run continues from; the caller clears it when the result is safe.
        progress: called with a label and 0..1.

    Raises:
        CameoError: the footage is too short, or the loss is not a number.
    """
    recipe = recipe or usual_recipe(generator.id)
    train, held = split(footage, recipe.held_out)
    torch.manual_seed(recipe.seed)
    identity = generator.fit_identity(train)
    denoiser = generator.denoiser
    taught = [m for m in generator.modalities if m == "face" or len(train.sound)]
    configs = {m: lora_config(generator.lora_targets(m), recipe.rank) for m in taught}
    judge = Judge(embed, _still(held, recipe.judged_frames), others)
    with lora_removed(denoiser):
        with several_meant():
            for modality, config in configs.items():
                denoiser.add_adapter(config, adapter_name=NAME + modality)
        denoiser.set_adapters([NAME + m for m in taught])
        cast_training_params(denoiser, torch.float32)  # steps this small are lost in bfloat16
        params = [p for p in denoiser.parameters() if p.requires_grad] + list(identity.trainable())
        run = _Run(params, _copy(params), _copy(params), -math.inf, 0, 0, [])
        before = _shots(generator, identity, held)
        with out_of_memory_said():
            _loop(generator, identity, train, held, judge, recipe, run, store, progress)
        _assign(run.params, run.best)
        after = _shots(generator, identity, held)
        facts = {"generator": generator.id, "base_model_sha256": generator.base_digest, "step": str(run.best_step)}
        parts = {}
        for modality, config in configs.items():
            parts[f"adapter.{generator.id}.{modality}"] = lora_bytes(denoiser, NAME + modality, config, facts)
            parts[f"identity.{generator.id}.{modality}"] = identity_bytes(identity, facts, modality)
    real = np.asarray(held.frames[_spread(held, 6)])
    return Adapter(
        generator=generator.id,
        base_digest=generator.base_digest,
        parts=parts,
        curve=tuple(run.curve),
        best_step=run.best_step,
        before=before,
        after=after,
        real=real,
        facts=asdict(recipe),
    )


def split(footage: Footage, share: float) -> tuple[Footage, Footage]:
    """Part footage into what is learned from and, after a gap, the last `share` that only the judge sees."""
    cut = int(len(footage) * (1 - share))
    train, held = footage.part(0, cut - GAP), footage.part(cut, len(footage))
    if len(train.windows(8, 2)) < 8 or len(held.windows(8, 8)) < 1:
        raise CameoError(
            "too few usable frames to tune an adapter", "record at least 5 s with your face in view the whole time"
        )
    return train, held


def _loop(
    generator: Generator, identity: Identity, train: Footage, held: Footage, judge: Judge,
    recipe: Recipe, run: _Run, store: CheckpointStore | None, progress: Progress | None,
) -> None:  # fmt: skip
    start, losses, stale = time.monotonic(), [], 0
    kept = _unpack(store.load() if store else None, run)
    if kept is None:
        _judge(generator, identity, held, judge, recipe, run, math.nan, 0.0)
    lessons = generator.lessons(train, identity, recipe.drop_aids)
    descended = [p for p in run.params if p.requires_grad]
    optimiser = torch.optim.AdamW(descended, lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    if kept is not None:
        _restore(kept, run, optimiser)
        # Counted as the loop counts: what was judged before it began does not tire it.
        stale = sum(step.step > max(run.best_step, 1) for step in run.curve)
    else:  # what has a closed form is learned in one step
        run.step, run.average = 1, _copy(run.params)
        _judge(generator, identity, held, judge, recipe, run, math.nan, time.monotonic() - start)
    while run.step < recipe.steps and stale < recipe.patience:
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(run.step, recipe)
        loss = lessons.loss(torch.randint(0, len(lessons), (recipe.batch,)))
        if not bool(loss.isfinite()):
            raise CameoError("the tuning loss is not a number", "run again with a lower Recipe.learning_rate")
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(descended, 1.0)
        optimiser.step()
        run.step += 1
        losses.append(float(loss.detach()))
        with torch.no_grad():
            share = max(1 - recipe.average, 4 / (run.step + 4))
            torch._foreach_lerp_(run.average, [p.detach() for p in run.params], share)
        if run.step % recipe.judge_every == 0 or run.step == recipe.steps:
            mean, losses = float(np.mean(losses)), []
            better = _judge(generator, identity, held, judge, recipe, run, mean, time.monotonic() - start)
            stale = 0 if better else stale + 1
            if store:
                store.save(_checkpoint(run, optimiser))
        if progress:
            last = losses[-1] if losses else run.curve[-1].loss
            progress(f"tuning: loss {last:.3f}, likeness {run.curve[-1].likeness:.3f}", run.step / recipe.steps)


def _judge(
    generator: Generator, identity: Identity, held: Footage, judge: Judge,
    recipe: Recipe, run: _Run, loss: float, seconds: float,
) -> bool:  # fmt: skip
    """Judge the averaged weights; keep them if they are the best. Returns whether they are."""
    live = _copy(run.params)
    _assign(run.params, run.average)
    verdict = judged(generator, identity, held, judge, recipe)
    without = judged(generator, identity, held, judge, recipe, aided=False)
    score = (1 - DROPPED_SHARE) * verdict.likeness + DROPPED_SHARE * without.likeness
    run.curve.append(TuningStep(run.step, loss, verdict.likeness, verdict.impostor, seconds))
    better = score > run.best_score
    if better:
        run.best, run.best_score, run.best_step = _copy(run.params), score, run.step
    _assign(run.params, live)
    return better


def judged(
    generator: Generator, identity: Identity, held: Footage, judge: Judge, recipe: Recipe, aided: bool = True
) -> Verdict:
    """Score frames generated along held-out motion."""
    takes = generator.rehearse(identity, held, _spread(held, recipe.judged_frames), recipe.seed, aided)
    return judge.score(takes.frames, takes.points)


def _still(held: Footage, count: int) -> tuple[UInt8, Float32]:
    index = _spread(held, count)
    return np.asarray(held.frames[index]), _pixels(held.motion, index, held.frames.shape[1])


def _spread(held: Footage, count: int) -> Tensor:
    usable = torch.nonzero(held.usable).flatten()
    return usable[torch.linspace(0, len(usable) - 1, min(count, len(usable))).round().long()]


def _pixels(motion: Motion, index: Tensor, size: int) -> Float32:
    return np.asarray((motion.points[index] + 1) * size / 2 - 0.5, np.float32)


def _shots(generator: Generator, identity: Identity, held: Footage) -> UInt8:
    return generator.rehearse(identity, held, _spread(held, 6), 0).frames


def _schedule(step: int, recipe: Recipe) -> float:
    fall = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return min(1.0, (step + 1) / recipe.warm_up) * max(0.05, fall)


def _copy(params: Sequence[Tensor]) -> list[Tensor]:
    return [p.detach().clone() for p in params]


@torch.no_grad()
def _assign(params: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    for p, v in zip(params, values, strict=True):
        p.copy_(v)


def _checkpoint(run: _Run, optimiser: torch.optim.Optimizer) -> bytes:
    buffer = io.BytesIO()
    state = {
        "params": _copy(run.params), "average": run.average, "best": run.best, "best_score": run.best_score,
        "best_step": run.best_step, "step": run.step, "curve": [asdict(s) for s in run.curve],
        "optimiser": optimiser.state_dict(), "rng": torch.get_rng_state(),
    }  # fmt: skip
    torch.save(state, buffer)
    return buffer.getvalue()


def _unpack(data: bytes | None, run: _Run) -> dict[str, Any] | None:
    """Read a checkpoint of a run like this one; None for any other, which then counts as not there."""
    if data is None:
        return None
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
        shapes = [p.shape for p in run.params]
        fits = all([t.shape for t in state[name]] == shapes for name in ("params", "average", "best"))
        fits = fits and {"best_score", "best_step", "step", "curve", "optimiser", "rng"} <= set(state)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, pickle.UnpicklingError):
        return None
    return state if fits else None


def _restore(state: dict[str, Any], run: _Run, optimiser: torch.optim.Optimizer) -> None:
    _assign(run.params, state["params"])
    run.average, run.best = state["average"], state["best"]
    run.best_score, run.best_step, run.step = state["best_score"], state["best_step"], state["step"]
    run.curve = [TuningStep(**s) for s in state["curve"]]
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["rng"])
