"""The numbers of a tuning run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a tuning run; the defaults were chosen on persons a-d of `benchmarks/adapter_gain.py`.

    drop_aids: share of the windows without references or tokens, so that the adapter itself knows the person.
    held_out: share at the end of the footage that only the judge sees. patience: judgements without a better score
    before stopping.
    """

    rank: int = 32
    steps: int = 150
    batch: int = 8
    learning_rate: float = 1e-3
    warm_up: int = 20
    drop_aids: float = 0.35
    held_out: float = 0.15
    judge_every: int = 50
    judged_frames: int = 48
    patience: int = 2
    average: float = 0.97
    seed: int = 0


# Rank, rate and batch are those of Lightricks' trainer and of diffusers' LoRA scripts for video; the steps are fewer,
# for one person in one recording. None of it was tried on published weights. Source: ltx-trainer's configurations.
_PUBLISHED = Recipe(
    steps=1000, batch=1, learning_rate=1e-4, warm_up=50, judge_every=250, judged_frames=16, average=0.99
)


def usual_recipe(generator: str) -> Recipe:
    """Return the settings for a generator that nobody chose others for."""
    return Recipe() if generator == "reference" else _PUBLISHED
