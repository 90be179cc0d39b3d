"""Several people in one picture of the reference generator: everybody in a square of their own, drawn in one pass.

What the network is told about a person is laid out on the 8 x 8 cells it was trained on, and the squares are laid on a
wider grid, fading into each other where they overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.latent import BLOCK, BlockDct
from cameo.generators.motion_track import wander
from cameo.generators.reference_clip import Take, draw_clip, padded_motion
from cameo.generators.reference_net import CHANNELS, FRAMES, ReferenceNet, Told
from cameo.generators.references import GRID, ReferenceIdentity, as_chunks, show_chunks

if TYPE_CHECKING:
    from cameo.records import UInt8

OVERLAP_CELLS = 1  # of neighbouring squares: more of it would cut heads, which nearly fill theirs
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
    layout = _Layout.of(*lay_squares(masks))
    motions = [padded_motion(wander(who, take.frames, take.seed + k)) for k, who in enumerate(people)]

    def told(starts: Tensor) -> Told:
        each = []
        for who, motion in zip(people, motions, strict=True):
            chunks = show_chunks(net, who, as_chunks(motion, starts))
            each.append(chunks.conditions(who).told())
        return _laid_out(net, each, layout)

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


@dataclass(frozen=True)
class _Layout:
    """Hold where squares lie: top left cells, and everybody's share of the cells `[P, h, w]` and of the pixels."""

    corners: list[tuple[int, int]]
    shares: Tensor
    ramps: Tensor

    @classmethod
    def of(cls, shares: Tensor, corners: list[tuple[int, int]]) -> _Layout:
        """Let shares fade over the pixels of the cells that two people have in common."""
        smooth = F.interpolate(shares[None], scale_factor=BLOCK, mode="bilinear")[0]
        steep = (2 * smooth - 0.5).clamp(0, 1)  # within the cell: a square holds no pixel beyond its edge
        own = torch.stack([_placed(torch.ones(1, GRID, GRID), at, shares.shape[1:])[0] for at in corners])
        steep = steep * own.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
        return cls(corners, shares, steep / steep.sum(0).clamp_min(1e-6))

    def laid(self, each: Sequence[Tensor]) -> Tensor:
        """Lay values `[B, C, T', 8, 8]` on the grid, cell by cell."""
        size = self.shares.shape[1:]
        placed = [
            _placed(value, at, size) * share for value, at, share in zip(each, self.corners, self.shares, strict=True)
        ]
        return torch.stack(placed).sum(0)

    def laid_pictures(self, each: Sequence[Tensor], latent: BlockDct) -> Tensor:
        """Lay latents of pictures on the grid, pixel by pixel: a share within a cell is no number of that cell's."""
        size = (self.ramps.shape[1], self.ramps.shape[2])
        corners = [(y * BLOCK, x * BLOCK) for y, x in self.corners]
        wide = torch.zeros(())
        for value, at, ramp in zip(each, corners, self.ramps, strict=True):
            planes = latent.decode(value).permute(0, 1, 4, 2, 3)
            wide = wide + _placed(planes, at, size) * ramp
        return latent.encode(wide.permute(0, 1, 3, 4, 2))


def _placed(value: Tensor, corner: tuple[int, int], size: Sequence[int]) -> Tensor:
    """Pad the last two dimensions to a size, with zeros around."""
    (y, x), (high, wide) = corner, value.shape[-2:]
    return F.pad(value, (x, size[1] - x - wide, y, size[0] - y - high))


def _laid_out(net: ReferenceNet, each: Sequence[Told], layout: _Layout) -> Told:
    """Lay what is told about everybody on one grid; tokens follow each other."""
    shape = (-1, -1, FRAMES // 4, GRID, GRID)
    pictures = [
        layout.laid_pictures([told.channels[:, k * CHANNELS : (k + 1) * CHANNELS] for told in each], net.latent)
        for k in range(2)  # reference and appearance
    ]
    rest = layout.laid([told.channels[:, 2 * CHANNELS :] for told in each])
    return Told(
        channels=torch.cat([*pictures, rest], 1),
        tokens=torch.cat([told.tokens for told in each], 1),
        mean=layout.laid_pictures([told.mean.expand(shape) for told in each], net.latent),
        variance=layout.laid([told.variance.expand(shape) for told in each]),
        trust=layout.laid([told.trust.expand(shape) for told in each]),
        each_cell=True,
    )
