"""Hold the turns of a head against those a challenge asked for: their direction, their order and their timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.challenge import Challenge, Prompt, prompts

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
# Where the challenge may begin: a camera apart is started by hand, before the first prompt or a little after it.
EARLIEST_S, LATEST_S = -1.0, 5.0
_STEP_S, _LONGEST_DELAY_S, _DELAY_S = 0.1, 0.8, 0.25  # of people: at most, and usual
_CLEARER = 0.05  # a correlation elsewhere must be higher by so much, or the challenge begins with the recording
_MISSING_S = 1.0  # of the challenge may lie outside the recording, at either end
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
        begins_s: when in the recording the challenge begins; 0 when no other time is clearly better, or it failed.
    """

    shown: int
    asked: int
    chance: float
    mirrored: bool
    begins_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether order and timing are those of this challenge and not of another."""
        return self.shown >= self.asked - SLACK and self.chance <= CHANCE


def watch_turns(track: FaceTrack, times_s: Float64, challenge: Challenge) -> TurnsSeen:
    """Compare the track's yaw with what was asked.

    A picture may be mirrored, and a recording may begin before the challenge does. So both readings and all times are
    tried, for this challenge and for the others alike: the search is part of what is tested, and the chance is exact
    for a recording made without knowing the challenge, whatever is on it. Source: a randomisation test, E. S.
    Edgington, "Randomization tests", 1980.
    """
    asked = len(challenge.turns)
    yaw = _filled(track)
    if yaw is None or not len(shifts_s := _shifts(times_s, challenge)):
        return TurnsSeen(0, asked, 1.0, False)
    random = np.random.default_rng(int(challenge.nonce, 16))
    plans = [list(challenge.steps)] + [_other_steps(challenge, random) for _ in range(OTHERS)]
    fits = _fits(yaw, times_s, challenge, plans, shifts_s)
    best = fits.max(1)
    chance = float((1 + (best[1:] >= best[0] - 1e-9).sum()) / (1 + OTHERS))
    seen = _looked_at(yaw, times_s, challenge, _begin(fits[0], shifts_s), chance)
    return seen if seen.passed else _looked_at(yaw, times_s, challenge, 0.0, chance)


def _filled(track: FaceTrack) -> Float64 | None:
    """Yaw with gaps held at the last value; None when it tells nothing."""
    found = track.found & np.isfinite(track.yaw_deg)
    if found.sum() < 0.5 * len(found) or not found.any():
        return None
    last = np.maximum.accumulate(np.where(found, np.arange(len(found)), 0))
    last[: int(np.argmax(found))] = int(np.argmax(found))
    yaw = track.yaw_deg[last].astype(np.float64)
    return yaw if yaw.std() >= _STILL_DEG else None


def _shifts(times_s: Float64, challenge: Challenge) -> Float64:
    """Times at which an answer may begin, delay of the person included, so that the recording holds it."""
    count = round((LATEST_S + _LONGEST_DELAY_S - EARLIEST_S) / _STEP_S) + 1
    shifts_s = EARLIEST_S + _STEP_S * np.arange(count)
    late = shifts_s > max(float(times_s[-1]) - challenge.seconds + _MISSING_S, _LONGEST_DELAY_S + 1e-6)
    return np.asarray(shifts_s[~late])


def _begin(fit: Float64, shifts_s: Float64) -> float:
    """When the challenge most likely begins, from how well it fits at each shift."""
    usual = (shifts_s > -1e-6) & (shifts_s < _LONGEST_DELAY_S + 1e-6)
    at = int(np.argmax(fit))
    return float(shifts_s[at]) - _DELAY_S if fit[at] > fit[usual].max() + _CLEARER else 0.0


def _looked_at(yaw: Float64, times_s: Float64, challenge: Challenge, begins_s: float, chance: float) -> TurnsSeen:
    """Count the turns in their slots, in the better of both readings, against the pose held while digits were said."""
    laid = prompts(challenge, begins_s)
    speaking = np.zeros(len(yaw), bool)
    for prompt in laid:
        if prompt.step.isdigit():  # the second half: people have turned back by then
            speaking |= (times_s >= (prompt.start_s + prompt.end_s) / 2) & (times_s < prompt.end_s)
    straight = yaw - (float(np.median(yaw[speaking])) if speaking.any() else 0.0)
    shown = {sign: _shown(sign * straight, times_s, laid) for sign in (1.0, -1.0)}
    return TurnsSeen(max(shown.values()), len(challenge.turns), chance, shown[-1.0] > shown[1.0], begins_s)


def _shown(yaw: Float64, times_s: Float64, laid: Sequence[Prompt]) -> int:
    """How many turns are in their slots."""
    count = 0
    for prompt in laid:
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


def _fits(
    yaw: Float64, times_s: Float64, challenge: Challenge, plans: Sequence[Sequence[str]], shifts_s: Float64
) -> Float64:
    """Correlate the track with what each of `plans` asks for at each shift, the better of both readings, `[P, K]`."""
    targets = np.array([[_SIGNS.get(step, 0.0) for step in plan] for plan in plans])
    found = np.zeros((len(plans), len(shifts_s)))
    for column, shift_s in enumerate(shifts_s):
        slot = np.floor((times_s - shift_s - challenge.lead_s) / challenge.slot_s).astype(int)
        inside = (slot >= 0) & (slot < len(challenge.steps))
        # A track is compared by its mean in each slot, weighted by the frames there: the same sums, much sooner.
        counts = np.bincount(slot[inside], minlength=len(challenge.steps)).astype(float)
        seen = yaw[inside] - yaw[inside].mean()
        sums = np.bincount(slot[inside], weights=seen, minlength=len(challenge.steps))
        level = (targets @ counts / counts.sum())[:, None]
        size = np.sqrt(np.square(targets - level) @ counts) * np.linalg.norm(seen) + 1e-9
        found[:, column] = np.abs((targets - level) @ sums) / size
    return found
