"""The state of a tuning run: what is tuned, the best so far, and all of it as a checkpoint."""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from cameo.records import TuningStep

if TYPE_CHECKING:
    from cameo.adapt.mistakes import Book
    from cameo.adapt.recipe import Recipe

BY_LIKENESS, BY_LOSS, BY_STEPS = "likeness", "held-out loss", "the last step"
ALL_STEPS, COPYING = "all steps were taken", "copying began"
TIRED = {BY_LIKENESS: "the likeness stopped rising", BY_LOSS: "the held-out loss stopped falling"}
CLOSED_FORM = 1  # the step that learns what has a closed form
# Of likeness: what has risen by less since it last rose has not. On person a of benchmarks/adapter_gain.py it moves by
# up to 0.003 between judgements of which another recogniser sees no more than 0.001.
LEAST_RISE = 0.001
_NAMES = (
    "average", "best", "best_score", "best_step", "risen_to", "step", "stale", "losses", "seconds",
    "chosen_by", "stopped",
)  # fmt: skip


class CheckpointStore(Protocol):
    """Keep an unfinished run; what is stored is biometric, so an implementation must encrypt it."""

    def load(self) -> bytes | None:
        """Return the last checkpoint, if any."""
        ...

    def save(self, data: bytes) -> None:
        """Replace the checkpoint."""
        ...


@dataclass(frozen=True)
class Judgement:
    """Hold what the judge found at a step, and the score that checkpoints are compared by; None: nothing to judge."""

    found: TuningStep
    score: float | None


@dataclass
class Run:
    """Hold what is tuned, its moving average, the best so far, and why the run ended ("": it has not)."""

    params: list[nn.Parameter]
    average: list[Tensor]
    best: list[Tensor]
    best_score: float = -math.inf
    risen_to: float = -math.inf  # the score when it last rose
    best_step: int = 0
    step: int = 0
    stale: int = 0
    seconds: float = 0.0
    chosen_by: str = BY_LIKENESS
    stopped: str = ""
    losses: list[float] = field(default_factory=list)
    curve: list[TuningStep] = field(default_factory=list)

    @classmethod
    def of(cls, params: list[nn.Parameter]) -> Run:
        """Begin with parameters as they are."""
        return cls(params, copies(params), copies(params))

    def consider(self, judgement: Judgement, recipe: Recipe) -> None:
        """Keep the averaged weights if they are the best so far, and say why to stop, if there is a reason.

        Where no judgement has found anything to judge, the held-out loss decides; the first that finds something ends
        that. Weights that copy are not kept.
        """
        found, score = judgement.found, judgement.score
        self.curve.append(found)
        if score is None:
            if self.step == 0:
                self.chosen_by = BY_LOSS
            score = -found.held_loss if self.chosen_by == BY_LOSS else -math.inf
        elif self.chosen_by == BY_LOSS:
            self.chosen_by, self.best_score, self.risen_to = BY_LIKENESS, -math.inf, -math.inf
        copies_now = self.step > CLOSED_FORM and found.copying >= recipe.copying_limit
        if score > self.best_score and not copies_now:
            self.best, self.best_score, self.best_step = copies(self.average), score, self.step
        if score - (LEAST_RISE if self.chosen_by == BY_LIKENESS else 0.0) > self.risen_to and not copies_now:
            self.risen_to, self.stale = score, 0
        elif self.step > CLOSED_FORM:  # what was judged before the descent began does not tire it
            self.stale += 1
        if copies_now:
            self.stopped = COPYING
        elif self.stale >= recipe.patience:
            self.stopped = TIRED[self.chosen_by]

    def checkpoint(self, optimiser: torch.optim.Optimizer, book: Book) -> bytes:
        """Write everything that a run like this one needs to go on."""
        buffer = io.BytesIO()
        state = {name: getattr(self, name) for name in _NAMES} | {
            "params": copies(self.params),
            "curve": [asdict(step) for step in self.curve],
            "optimiser": optimiser.state_dict(),
            "book": book.state(),
            "rng": torch.get_rng_state(),
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def unpack(self, data: bytes | None) -> dict[str, Any] | None:
        """Read a checkpoint of a run like this one; None for any other, which then counts as not there."""
        if data is None:
            return None
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
            shapes = [p.shape for p in self.params]
            fits = all([t.shape for t in state[name]] == shapes for name in ("params", "average", "best"))
            fits = fits and {*_NAMES, "curve", "optimiser", "book", "rng"} <= set(state)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, EOFError, pickle.UnpicklingError):
            return None
        return state if fits else None

    def restore(self, state: dict[str, Any], optimiser: torch.optim.Optimizer, book: Book) -> None:
        """Go on from a checkpoint."""
        assign(self.params, state["params"])
        for name in _NAMES:
            setattr(self, name, state[name])
        self.curve = [TuningStep(**step) for step in state["curve"]]
        optimiser.load_state_dict(state["optimiser"])
        book.restore(state["book"])
        torch.set_rng_state(state["rng"])


def copies(params: Sequence[Tensor]) -> list[Tensor]:
    """Copy parameters."""
    return [p.detach().clone() for p in params]


@torch.no_grad()
def assign(params: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    """Set parameters."""
    for p, v in zip(params, values, strict=True):
        p.copy_(v)
