"""The record of a tuning run: the adapter, and what was seen on the way; `records` has these names too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cameo.records import UInt8


@dataclass(frozen=True, slots=True)
class TuningStep:
    """Record one judgement of a tuning run. What could not be told is NaN.

    Attributes:
        loss: mean training loss since the judgement before.
        likeness: mean cosine of generated frames to held-out ones, every pose counting alike.
        impostor: the same to the nearest of other people.
        seconds: since the run began.
        copying: how often a generated frame singles out a training frame more than real held-out frames do, 0..1;
            0.5 is as often.
        voice: mean cosine of generated to held-out speech.
        held_loss: loss on held-out footage; only where there is no face to be judged.
    """

    step: int
    loss: float
    likeness: float
    impostor: float
    seconds: float
    copying: float = math.nan
    voice: float = math.nan
    held_loss: float = math.nan


@dataclass(frozen=True, slots=True)
class Mistake:
    """Hold a moment of the recording that was told badly at first, `[H, W, 3]` uint8 RGB each.

    before, after: likeness of the generator's own take of it to the real frames, when first looked at and as sealed.
    """

    start_s: float
    before: float
    after: float
    real: UInt8
    first_take: UInt8
    last_take: UInt8


@dataclass(frozen=True, slots=True)
class Adapter:
    """Hold a tuned adapter as the bytes that will be sealed.

    Attributes:
        parts: part name ("adapter.reference.face", "identity.reference.face") to safetensors bytes.
        before, after, real: `[N, H, W, 3]` stills untuned, as sealed, and of the recording.
        facts: the recipe.
        chosen_by: what the sealed checkpoint was chosen by: "likeness", "held-out loss" or "the last step".
        stopped: why tuning ended.
        mistakes: the moments that were told worst at first.
    """

    generator: str
    base_digest: str
    parts: Mapping[str, bytes]
    curve: tuple[TuningStep, ...]
    best_step: int
    before: UInt8
    after: UInt8
    real: UInt8
    facts: Mapping[str, Any] = field(default_factory=dict)
    chosen_by: str = "likeness"
    stopped: str = ""
    mistakes: tuple[Mistake, ...] = ()
