"""What a generator must answer beside `Generator` so that several people can be cast in one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from cameo.generators.base import Generator

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.generators.base import Direction, Performance


@dataclass(frozen=True, slots=True)
class TokenLayers:
    """Say which modules of a transformer handle what, as regular expressions of their whole names.

    Attributes:
        told: layers with a LoRA that see what is told, words and tokens of people; those that neither this nor `heard`
            names see the picture.
        asking: attentions in which the picture asks what is told; people's tokens stand last there, in their order.
        looking: attentions in which the picture asks itself, with people kept apart; "" where they may see each other.
        heard: layers with a LoRA that see the sound; "" where there is none.
        hearing: attentions in which the picture asks the sound; all layers of `heard` are in one of them.
    """

    told: str
    asking: str
    looking: str = ""
    heard: str = ""
    hearing: str = ""


@runtime_checkable
class SharedGenerator(Generator, Protocol):
    """A generator that several people can be plugged into, each in a region of the picture."""

    @property
    def token_layers(self) -> TokenLayers:
        """Which modules handle picture and tokens."""
        ...

    def settle_together(self, direction: Direction, people: int) -> Direction:
        """Fill in what a direction leaves open, as `settle` does for one person.

        Raises:
            UsageError: such a clip cannot be made.
        """
        ...

    def cells(self, direction: Direction) -> tuple[int, int]:
        """Return how many tokens high and wide the picture of a settled direction is."""
        ...

    def require_room(self, masks: Tensor) -> None:
        """Check that it can draw people in these regions, `[P, h, w]`.

        Raises:
            UsageError: it cannot.
        """
        ...

    def token_count(self, identity: Any) -> int:
        """Return how many tokens a person has."""
        ...

    def wearing_together(self, identities: Sequence[Any]) -> AbstractContextManager[Callable[[int], bool]]:
        """Let everything generated inside the block be conditioned on all of them, as `wearing` does for one.

        It yields what knows of the length of something told whether it ends with their tokens.

        Raises:
            UsageError: one of them brings what only one person can have in a clip.
        """
        ...

    def perform_together(
        self,
        identities: Sequence[Any],
        masks: Tensor,
        direction: Direction,
        pulse: Callable[[float], None] | None = None,
    ) -> Performance:
        """Generate a clip of all of them, as a settled direction says; see `perform`.

        `masks` `[P, h, w]`, 0..1 over the cells: where in the picture each of them is.
        """
        ...
