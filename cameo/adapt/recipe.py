"""The numbers of a tuning run, for each family of generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a tuning run; the defaults are those of the reference generator.

    Those of the descent and of the judge were chosen on persons a-d of `benchmarks/adapter_gain.py`; `replay`,
    `face_weight` and `prior_share` are guesses that `benchmarks/tuning_ablation.py` is there to judge. A LoRA's alpha
    equals its rank (see `export.lora_config`); the size of the frames is the generator's own (`Generator.footage`).

    Attributes:
        rank, steps, batch, learning_rate, warm_up: of the descent.
        drop_aids: share of the windows without references or tokens, so that the adapter itself knows the person.
        learn_inputs: whether tokens and the like are tuned along with the LoRA.
        face_weight: how many times as much as the background eyes and mouth count in the loss.
        prior_share: of the steps, spent on staying what the base is where nothing of the person is shown.
        held_out: share at the end of the footage that only the judge sees.
        judged: without, the last averaged weights are kept, whatever they show.
        judge_every: steps between judgements. judged_frames: how many are compared.
        patience: judgements without a rise (see `state.LEAST_RISE`) before stopping.
        copying_limit: from here on `TuningStep.copying` ends the run; see `copying`.
        replay: share of the windows that are drawn by the book of mistakes; 0 is no book.
        looked_at: windows whose takes are entered in the book at every judgement.
        average: of the weights over the steps; the judge sees the average, and it is what is sealed.
        save_every: steps between checkpoints of an unfinished run, besides one at every judgement.
        precision: of the training passes; the LoRA itself stays in single precision.
        checkpointing: compute activations anew in the backward pass, which takes longer and less memory.
        eight_bit: require a base that was loaded in eight bits; see `generators.quantised`.
    """

    rank: int = 32
    steps: int = 150
    batch: int = 8
    learning_rate: float = 1e-3
    warm_up: int = 20
    drop_aids: float = 0.35
    learn_inputs: bool = True
    face_weight: float = 2.0
    prior_share: float = 0.1
    held_out: float = 0.15
    judged: bool = True
    judge_every: int = 25
    judged_frames: int = 48
    patience: int = 2
    copying_limit: float = 0.95
    replay: float = 0.5
    looked_at: int = 8
    average: float = 0.97
    save_every: int = 25
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpointing: bool = False
    eight_bit: bool = False
    seed: int = 0

    @classmethod
    def for_generator(cls, generator: str) -> Recipe:
        """Take the recipe of the family that a generator's id begins with; the reference's for any other."""
        known = [family for family in _FAMILIES if generator.startswith(family)]
        return cls(**_FAMILIES[max(known, key=len)]) if known else cls()


# In a large model a step costs seconds and a take minutes: one window a step, few takes, judged seldom. None of these
# three was run here on full weights: there is no card for them. Rank 32 (alpha alike), bfloat16 and gradient
# checkpointing are what all the trainers below use.
_LARGE: dict[str, Any] = {
    "rank": 32,
    "batch": 1,
    "warm_up": 100,
    "drop_aids": 0.1,  # J. Ho and T. Salimans, "Classifier-free diffusion guidance" (2022): 0.1 to 0.2
    "judge_every": 250,
    "judged_frames": 16,
    "looked_at": 2,
    "average": 0.99,
    "save_every": 50,
    "precision": "bfloat16",
    "checkpointing": True,
}
_FAMILIES: dict[str, dict[str, Any]] = {
    # kohya-ss/musubi-tuner, docs/wan.md: network_dim 32, learning_rate 2e-4, bf16, gradient_checkpointing.
    "wan": _LARGE | {"steps": 1500, "learning_rate": 2e-4},
    # Lightricks/LTX-2, packages/ltx-trainer/configs/ltx2_av_lora.yaml: rank and alpha 32, 2000 steps, 1e-4, batch 1,
    # bf16, enable_gradient_checkpointing.
    "ltx": _LARGE | {"steps": 2000, "learning_rate": 1e-4},
}
