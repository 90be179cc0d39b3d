"""The numbers of a tuning run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a tuning run; the defaults were chosen on persons a-d of `benchmarks/adapter_gain.py`.

    drop_references: share of the steps without reference frames, so that the adapter itself knows the person.
    held_out: share at the end of the footage that only the judge sees. patience: judgements without a better score
    before stopping.
    """

    rank: int = 32
    steps: int = 300
    batch: int = 8
    learning_rate: float = 2e-3
    warm_up: int = 20
    drop_references: float = 0.35
    held_out: float = 0.15
    judge_every: int = 75
    judged_frames: int = 48
    patience: int = 3
    average: float = 0.97
    seed: int = 0
