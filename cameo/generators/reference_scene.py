"""Several people in one picture of the reference generator: everybody in a square of their own, drawn in one pass.

What the network is told about a person is laid out on the 8 x 8 cells it was trained on, and the squares are laid on a
wider grid, fading into each other where they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.motion_track import wander
from cameo.generators.reference_clip import Take, draw_clip, padded_motion
from cameo.generators.reference_net import FRAMES, ReferenceNet, Told
from cameo.generators.references import GRID, ReferenceIdentity, as_chunks, show_chunks

if TYPE_CHECKING:
    from cameo.records import UInt8

OVERLAP_CELLS = 2  # of neighbouring squares: hair and shoulders, not faces
_LONGEST = 64  # cells a side: as far as the network's positions reach


def width_cells(people: int) -> int:
    """How wide a picture of so many people side by side is."""
    return GRID * people - OVERLAP_CELLS * (people - 1)


def require_cells(high: int, wide: int, people: int) -> None:
    """Check that everybody has room for a square.

    Raises:
        UsageError: there is too little, or more than the network can draw.
    """
    if high < GRID or wide < GRID or max(high, wide) > _LONGEST:
        message = f"the reference generator cannot draw {people} people on {wide * 8} x {high * 8} pixels"
        raise UsageError(message, f"leave the size out: {width_cells(people) * 8} x {GRID * 8} then")


@torch.no_grad()
def draw_together(
    net: ReferenceNet,
    people: Sequence[ReferenceIdentity],
    masks: Tensor,
    take: Take,
    pulse: Callable[[float], None] | None = None,
) -> UInt8:
    """Generate `[T, 8 h, 8 w, 3]` frames of people who move by their own habits.

    Args:
        net: the network.
        people: who.
        masks: `[P, h, w]`, where each of them is.
        take: what is drawn; everybody's motion comes from its seed, another one for each.
        pulse: called now and then with the share that is done.

    Raises:
        UsageError: a place of the picture is in nobody's square.
    """
    shares, corners = lay_squares(masks)
    motions = [padded_motion(wander(who, take.frames, take.seed + k)) for k, who in enumerate(people)]

    def told(starts: Tensor) -> Told:
        each = []
        for who, motion in zip(people, motions, strict=True):
            chunks = show_chunks(net, who, as_chunks(motion, starts))
            each.append(chunks.conditions(who).told())
        return _laid_out(each, shares, corners)

    return draw_clip(net, take, told, pulse)


def _corner(mask: Tensor) -> tuple[int, int]:
    """Top left cell of the square nearest to the middle of a region `[h, w]` that lies in the picture."""
    at = []
    for axis, side in enumerate(mask.shape):
        inside = torch.nonzero(mask.amax(1 - axis) >= 0.5).flatten()
        middle = float(inside[0] + inside[-1] + 1) / 2
        at.append(min(max(round(middle - GRID / 2), 0), side - GRID))
    return at[0], at[1]


def lay_squares(masks: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
    """Lay a square on every region, and share out every cell: `[P, h, w]`, and the squares' top left cells.

    Raises:
        UsageError: a cell is in nobody's square.
    """
    corners = [_corner(mask) for mask in masks]
    kept = torch.zeros_like(masks)
    for to, mask, (y, x) in zip(kept, masks, corners, strict=True):
        to[y : y + GRID, x : x + GRID] = mask[y : y + GRID, x : x + GRID]
    total = kept.sum(0)
    if float(total.min()) <= 0:
        y, x = (int(v) for v in torch.nonzero(total <= 0)[0])
        message = f"nobody is at {x * 8}, {y * 8} of the picture, and the reference generator draws nothing but people"
        hint = f"let the regions cover it, each at most {GRID * 8} pixels wide and high, or leave size and regions out"
        raise UsageError(message, hint)
    return kept / total, corners


def _laid_out(each: Sequence[Told], shares: Tensor, corners: Sequence[tuple[int, int]]) -> Told:
    """Lay what is told about everybody on one grid; tokens follow each other."""

    def laid(name: str) -> Tensor:
        wide = torch.zeros(())
        for told, share, (y, x) in zip(each, shares, corners, strict=True):
            value = getattr(told, name)
            frames = FRAMES // 4
            square = value.expand(-1, -1, frames, GRID, GRID)
            high, far = share.shape[0] - y - GRID, share.shape[1] - x - GRID
            wide = wide + F.pad(square, (x, far, y, high)) * share
        return wide

    tokens = torch.cat([told.tokens for told in each], 1)
    return Told(laid("channels"), tokens, laid("mean"), laid("variance"), laid("trust"), each_cell=True)
