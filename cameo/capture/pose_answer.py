"""Hold the turns of a head against those a challenge asked for: their direction, their order and their timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.challenge import Challenge, prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cameo.records import FaceTrack, Float64

# Degrees from the pose held in the digits' slots. A turn is half of what people make of "turn your head", 20 to 40;
# coarse pose is good to about 5. Source: benchmarks/liveness.py.
TURNED_DEG, STRAIGHT_DEG = 11.0, 11.0
SLACK = 1  # turns of four that may be missed by the tracker
CHANCE = 0.02  # share of other challenges that fit as well, at most
OTHERS = 999
_REACTION_S, _LINGER_S = 0.5, 0.3  # people turn late and stay a little longer
_DELAYS_S = np.arange(0, 0.9, 0.1)
_STILL_DEG = 3.0  # a track that moves less says nothing
_SIGNS = {"left": 1.0, "right": -1.0, "centre": 0.0}


@dataclass(frozen=True, slots=True)
class TurnsSeen:
    """Say how the turns were answered.

    Attributes:
        shown: of the turns asked for, how many were seen in their slots.
        asked: how many were asked for.
        chance: share of other challenges, drawn anew, whose turns fit the track as well.
        mirrored: whether the picture is mirrored, as front cameras do; left and right are then exchanged throughout.
    """

    shown: int
    asked: int
    chance: float
    mirrored: bool

    @property
    def passed(self) -> bool:
        """Whether order and timing are those of this challenge and not of another."""
        return self.shown >= self.asked - SLACK and self.chance <= CHANCE


def watch_turns(track: FaceTrack, times_s: Float64, challenge: Challenge) -> TurnsSeen:
    """Compare the track's yaw with what was asked.

    A picture may be mirrored, so both readings are tried, for this challenge and for the others alike. The chance is
    exact for a recording made without knowing the challenge, whatever is on it. Source: a randomisation test, E. S.
    Edgington, "Randomization tests", 1980.
    """
    asked = len(challenge.turns)
    yaw = _straightened(track, times_s, challenge)
    if yaw is None:
        return TurnsSeen(0, asked, 1.0, False)
    shown = {sign: _shown(sign * yaw, times_s, challenge) for sign in (1.0, -1.0)}
    mirrored = shown[-1.0] > shown[1.0]
    random = np.random.default_rng(int(challenge.nonce, 16))
    plans = [list(challenge.steps)] + [_other_steps(challenge, random) for _ in range(OTHERS)]
    fits = _fits(yaw, times_s, challenge, plans)
    chance = float((1 + (fits[1:] >= fits[0] - 1e-9).sum()) / (1 + OTHERS))
    return TurnsSeen(max(shown.values()), asked, chance, mirrored)


def _straightened(track: FaceTrack, times_s: Float64, challenge: Challenge) -> Float64 | None:
    """Yaw against the pose held while digits were said, gaps held at the last value; None when it tells nothing."""
    found = track.found & np.isfinite(track.yaw_deg)
    if found.sum() < 0.5 * len(found) or not found.any():
        return None
    last = np.maximum.accumulate(np.where(found, np.arange(len(found)), 0))
    last[: int(np.argmax(found))] = int(np.argmax(found))
    yaw = track.yaw_deg[last].astype(np.float64)
    speaking = np.zeros(len(yaw), bool)
    for prompt in prompts(challenge):
        if prompt.step.isdigit():  # the second half: people have turned back by then
            speaking |= (times_s >= (prompt.start_s + prompt.end_s) / 2) & (times_s < prompt.end_s)
    yaw -= float(np.median(yaw[speaking])) if speaking.any() else 0.0
    return yaw if yaw.std() >= _STILL_DEG else None


def _shown(yaw: Float64, times_s: Float64, challenge: Challenge) -> int:
    """How many turns are in their slots."""
    count = 0
    for prompt in prompts(challenge):
        if prompt.step.isdigit():
            continue
        inside = yaw[(times_s >= prompt.start_s + _REACTION_S) & (times_s < prompt.end_s + _LINGER_S)]
        if not len(inside):
            continue
        middle = float(np.median(inside))
        side = _SIGNS[prompt.step]
        count += abs(middle) <= STRAIGHT_DEG if side == 0 else side * middle >= TURNED_DEG
    return count


def _other_steps(challenge: Challenge, random: np.random.Generator) -> list[str]:
    """Draw another challenge of as many digits and turns, as `draw_challenge` does."""
    length, turns, looking = len(challenge.steps), len(challenge.turns), "centre"
    steps = ["0"] * length
    for place in sorted(random.permutation(length)[:turns].tolist()):
        looking = str(random.choice([side for side in _SIGNS if side != looking]))
        steps[place] = looking
    return steps


def _fits(yaw: Float64, times_s: Float64, challenge: Challenge, plans: Sequence[Sequence[str]]) -> Float64:
    """Correlation of the track with what each of `plans` asks for, the best over delays and both readings."""
    targets = np.array([[_SIGNS.get(step, 0.0) for step in plan] for plan in plans])
    best = np.zeros(len(plans))
    for delay_s in _DELAYS_S:
        slot = np.floor((times_s - delay_s - challenge.lead_s) / challenge.slot_s).astype(int)
        inside = (slot >= 0) & (slot < len(challenge.steps))
        asked = targets[:, slot[inside]]
        asked = asked - asked.mean(1, keepdims=True)
        seen = yaw[inside] - yaw[inside].mean()
        size = np.linalg.norm(asked, axis=1) * np.linalg.norm(seen) + 1e-9
        best = np.maximum(best, np.abs(asked @ seen) / size)
    return best
