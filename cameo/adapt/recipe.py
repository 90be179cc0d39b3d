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
