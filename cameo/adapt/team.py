"""The processes that tune one adapter together: one, or those that `accelerate launch` has started.

Every process takes its share of each step's windows, and gradients are averaged: what DistributedDataParallel does,
without wrapping the denoiser, which belongs to the generator's pipeline and is called from there. The main process
alone judges, saves and decides; the others are told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

T = TypeVar("T")


class Team:
    """Know this process's place among those that tune together."""

    def __init__(self) -> None:
        self._state = PartialState()

    @property
    def leads(self) -> bool:
        """Whether this is the main process."""
        return bool(self._state.is_main_process)

    @property
    def size(self) -> int:
        """How many processes there are."""
        return int(self._state.num_processes)

    def seed(self, seed: int) -> None:
        """Seed noise and times, which must differ between processes; the windows are drawn by the book, alike."""
        torch.manual_seed(seed + 1_000_003 * int(self._state.process_index))

    def share(self, windows: Tensor) -> Tensor:
        """Take this process's part of the windows of a step; at least one."""
        part: Tensor = windows[int(self._state.process_index) :: self.size]
        return part if len(part) else windows[:1]

    def average(self, params: Sequence[nn.Parameter]) -> None:
        """Average the gradients over the processes."""
        if self.size == 1:
            return
        for p in params:
            if p.grad is None:  # every process must take part in every exchange
                p.grad = torch.zeros_like(p)
            torch.distributed.all_reduce(p.grad)
            p.grad /= self.size

    def decide(self, work: Callable[[], T]) -> T:
        """Let the main process work, and tell everybody what came out."""
        if self.size == 1:
            return work()
        told: list[Any] = [work() if self.leads else None]
        broadcast_object_list(told)
        decided: T = told[0]
        return decided
