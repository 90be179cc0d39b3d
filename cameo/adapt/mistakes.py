"""The book of mistakes: how well the generator tells each window of the recording, and so which are drawn more often.

Source: drawing by how badly something is known, mixed with drawing alike, T. Schaul et al., "Prioritized experience
replay" (2016), where what is known badly is what is learned from most; here it is read by a recogniser instead of from
the loss, because the loss of a blurred face is low.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from cameo.records import UInt8

KEPT = 0.5  # of what was known of a window, when it is looked at again
MOST = 4.0  # times as often as the others on average, at most: one window that cannot be told is not all there is
SHOWN = 4  # moments that the report shows
GOLDEN = 0.6180339887  # steps of this share of a gap visit everything between two windows evenly


@dataclass(frozen=True)
class FirstLook:
    """Hold a window that was told badly when it was first looked at: likeness and take `[H, W, 3]` uint8."""

    window: int
    likeness: float
    take: UInt8


class Book:
    """Keep a running likeness of every window, in order of time, and draw windows by it.

    `replay` is the share that is drawn by mistakes; the rest is drawn alike, so that nothing is forgotten.
    """

    def __init__(self, windows: int, replay: float, seed: int) -> None:
        self.likeness = torch.full((windows,), torch.nan, dtype=torch.float64)
        self.first: tuple[FirstLook, ...] = ()
        self._replay, self._looks = replay, 0
        self._random = torch.Generator().manual_seed(seed)

    def choose(self, count: int) -> list[int]:
        """Choose windows to look at: spread evenly, and others each time."""
        count = min(count, len(self.likeness))
        start = (0.5 + GOLDEN * self._looks) % 1
        places = (np.arange(count) + start) * len(self.likeness) / max(count, 1)
        return [int(place) for place in places]

    def enter(self, windows: list[int], likeness: list[float], takes: list[UInt8]) -> None:
        """Enter what was seen of windows: likeness, and a middle frame of the take of each."""
        if not self._looks:
            worst = np.argsort(likeness, kind="stable")[:SHOWN]
            self.first = tuple(FirstLook(windows[i], likeness[i], takes[i]) for i in worst)
        for window, seen in zip(windows, likeness, strict=True):
            known = float(self.likeness[window])
            self.likeness[window] = seen if np.isnan(known) else KEPT * known + (1 - KEPT) * seen
        self._looks += 1

    def chances(self) -> Tensor:
        """Chance `[n]` of each window to be drawn; those not looked at are taken for what lies between those that were.

        Never less than (1 - replay) / n, and not more than `MOST` / n before what is cut off is dealt out again.
        """
        n = len(self.likeness)
        alike = torch.full((n,), 1 / n, dtype=torch.float64)
        known = ~self.likeness.isnan()
        if not self._replay or not bool(known.any()):
            return alike
        at = torch.nonzero(known).flatten().numpy()
        told = torch.from_numpy(np.interp(np.arange(n), at, self.likeness[known].numpy()))
        wrong = told.max() - told
        if float(wrong.max()) < 1e-6:
            return alike
        by_mistake = (wrong / wrong.sum()).clamp(max=MOST / n)
        return (1 - self._replay) * alike + self._replay * by_mistake / by_mistake.sum()

    def draw(self, count: int) -> Tensor:
        """Draw windows `[count]`."""
        return torch.multinomial(self.chances(), count, replacement=True, generator=self._random)

    def state(self) -> dict[str, Any]:
        """Return everything that a checkpoint must hold."""
        first = [(look.window, look.likeness, torch.from_numpy(look.take.copy())) for look in self.first]
        return {"likeness": self.likeness, "first": first, "looks": self._looks, "random": self._random.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.likeness, self._looks = state["likeness"], state["looks"]
        self.first = tuple(FirstLook(window, seen, take.numpy()) for window, seen, take in state["first"])
        self._random.set_state(state["random"])
