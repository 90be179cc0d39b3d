"""Plug several doubles into one generator, each acting in a region of the picture only, so that faces do not blend.

Every LoRA is an adapter of its own, and what it adds to a layer is scaled token by token: by its person's mask where
the layer sees the picture, and to its person's own tokens where it sees what is told. People's tokens are asked from
their regions only. Sound is nowhere in the picture: everybody's region hears it as its person's adapter changes it.
Nothing is fused; the scaling hangs on the adapters, and goes with them.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from peft.tuners.lora import LoraLayer
from torch import Tensor

from cameo.condition.plug import adapter_name, loaded
from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.generators.base import Identity
    from cameo.generators.together import SharedGenerator
    from cameo.records import Float32

SOFT = 0.1  # of the longer side of the picture: how wide an edge is
LEAST_CELLS = 4  # a face of fewer tokens a side is a smudge
MOST_PEOPLE = 8


@dataclass(frozen=True)
class Region:
    """Say where in the picture a person is: in a box, or where a mask says.

    Attributes:
        box: left, top, right, bottom, in 0..1 of the picture.
        soft: how wide the edge of the box is, in 0..1 of the longer side; half of it lies outside. The picture's own
            edges are sharp.
        mask: `[h, w]` in 0..1 over the whole picture, of any size, in place of the box.
    """

    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    soft: float = SOFT
    mask: Float32 | None = field(default=None, compare=False)


def side_by_side(people: int) -> list[Region]:
    """Share the picture out in strips of one width, from left to right."""
    return [Region((k / people, 0.0, (k + 1) / people, 1.0)) for k in range(people)]


def masks_for(regions: Sequence[Region], cells: tuple[int, int], names: Sequence[str] = ()) -> Tensor:
    """Lay regions on a grid of `cells` `(h, w)`: `[P, h, w]` in 0..1, how far a cell is everybody's.

    Args:
        regions: where each person is.
        cells: tokens high and wide.
        names: of the people, for messages.

    Raises:
        UsageError: a region is no region, outside the picture, empty or too small for a face, or two of them overlap by
            more than their soft edges; or there are more people than fit.
    """
    who = list(names) or [f"person {k + 1}" for k in range(len(regions))]
    if not 1 <= len(regions) <= MOST_PEOPLE:
        raise UsageError(f"{len(regions)} people do not fit into a picture", f"cast 1 to {MOST_PEOPLE} of them")
    masks = torch.stack([_mask(region, cells, name) for region, name in zip(regions, who, strict=True)])
    inside = masks > 0.5
    for k, (mask, name) in enumerate(zip(inside, who, strict=True)):
        sides = (int(mask.any(1).sum()), int(mask.any(0).sum()))
        if min(sides) < LEAST_CELLS:
            message = (
                f"the region of {name} has {sides[1]} x {sides[0]} of the picture's {cells[1]} x {cells[0]} places"
            )
            hint = f"a face needs {LEAST_CELLS} x {LEAST_CELLS}: a larger region, a larger picture, or fewer people"
            raise UsageError(message, hint)
        for other in range(k):
            if bool((mask & inside[other]).any()):
                raise UsageError(f"the regions of {who[other]} and {name} overlap", "let them touch; edges are soft")
    return masks / masks.sum(0).clamp_min(1)


def _mask(region: Region, cells: tuple[int, int], name: str) -> Tensor:
    if region.mask is not None:
        given = torch.from_numpy(np.asarray(region.mask, np.float32))
        if given.ndim != 2 or 0 in given.shape or not bool(((given >= 0) & (given <= 1)).all()):
            raise UsageError(f"the mask of {name} is no picture of numbers from 0 to 1", "give [h, w] in 0..1")
        return F.interpolate(given[None, None], cells, mode="area")[0, 0]
    left, top, right, bottom = region.box
    numbers = (*region.box, region.soft)
    if not (all(math.isfinite(v) and 0 <= v <= 1 for v in numbers) and left < right and top < bottom):
        hint = "a box is left, top, right, bottom, from 0 to 1 of the picture; so is the soft edge"
        raise UsageError(f"the region of {name} is no part of the picture: {region.box}", hint)
    (high, wide), longer = cells, max(cells)
    across = _ramp(left, right, wide, region.soft * longer)
    return _ramp(top, bottom, high, region.soft * longer)[:, None] * across[None]


def _ramp(low: float, high: float, count: int, soft: float) -> Tensor:
    """How far the middles of `count` cells lie in low..high of a side, `[count]`; `soft` is in cells."""
    at = torch.arange(count) + 0.5
    before = math.inf if low == 0 else at - low * count
    after = math.inf if high == 1 else high * count - at
    depth = torch.minimum(torch.as_tensor(before).expand(count), torch.as_tensor(after).expand(count))
    return (0.5 + depth / max(soft, 1e-6)).clamp(0, 1)


@contextmanager
def plug_together(
    generator: SharedGenerator, people: Sequence[Mapping[str, bytes]], masks: Tensor
) -> Iterator[list[Identity]]:
    """Yield the identities of people while the adapters of all of them are active, each where its mask says.

    Args:
        generator: what to plug into; nothing else may be plugged into it.
        people: decrypted parts of each, as for `plug`.
        masks: `[P, h, w]` from `masks_for`.

    Raises:
        UsageError, NotVerified: as `plug`.
    """
    with loaded(generator, people) as identities, generator.wearing_together(identities) as tells_people:
        fence = _Fence(masks, [generator.token_count(who) for who in identities], tells_people)
        with _fenced(generator, fence):
            yield identities


class _Fence:
    """Scale and mask by region. What is told ends with everybody's tokens, or with none, as `tells_people` knows."""

    def __init__(self, masks: Tensor, counts: Sequence[int], tells_people: Callable[[int], bool]) -> None:
        self.masks = masks
        self.people = torch.repeat_interleave(torch.arange(len(masks)), torch.tensor(counts))  # whose a token is
        self.tells_people = tells_people

    def picture(self, tokens: int) -> Tensor:
        """Everybody's share of every token of the picture, `[P, L]`; all times alike."""
        times, rest = divmod(tokens, self.masks[0].numel())
        if rest:
            raise UsageError("the generator draws another size than its regions were laid out for", "keep to the size")
        return self.masks.flatten(1).repeat(1, times)

    def shares(self, tokens: int) -> Tensor:
        """Everybody's share of every token of the picture, and what is left to nobody, `[P + 1, L]`."""
        shares = self.picture(tokens)
        return torch.cat([shares, (1 - shares.sum(0, keepdim=True)).clamp_min(0)])

    def scale_picture(self, person: int, added: Tensor) -> Tensor:
        """Scale what an adapter adds to a layer that sees the picture: `[B, L, C]`, or `[B, C, T, h, w]`."""
        if added.ndim == 5:
            return added * self.masks[person].to(added)
        return added * self.picture(added.shape[1])[person, :, None].to(added)

    def scale_told(self, person: int, added: Tensor) -> Tensor:
        """Scale what an adapter adds to a layer that sees what is told, `[B, K, C]`: to the person's own tokens."""
        own = torch.zeros(added.shape[1])
        if self.tells_people(added.shape[1]):
            own[-len(self.people) :] = (self.people == person).float()
        return added * own[:, None].to(added)

    def scale_heard(self, person: int, added: Tensor) -> Tensor:
        """Scale what an adapter adds to a layer that sees the sound's copies, `[B, (P + 1) S, C]`: to its person's."""
        own = torch.zeros(self.copies)
        own[person] = 1
        return added * own.repeat_interleave(added.shape[1] // self.copies)[:, None].to(added)

    @property
    def copies(self) -> int:
        """How many copies of the sound there are: everybody's, and one as the base hears it."""
        return len(self.masks) + 1

    def asking(self, seen: int, told: int) -> Tensor | None:
        """What is added to the attention of the picture's tokens to what is told, `[L, K]`; None for nothing.

        The weight of a person's token is multiplied by the share that the asking place is theirs.
        """
        if not self.tells_people(told):
            return None
        bias = torch.zeros(seen, told)
        bias[:, -len(self.people) :] = self.picture(seen)[self.people].T.log()
        return torch.where(bias.isinf().all(1, keepdim=True), 0.0, bias)  # with nothing to ask, all are alike

    def looking(self, seen: int, _told: int) -> Tensor:
        """What is added to the attention of the picture's tokens to each other, `[L, L]`; places of nobody see all."""
        shares = self.shares(seen)
        common = shares.T @ shares
        bias = common.log()
        return torch.where(bias.isinf().all(1, keepdim=True), 0.0, bias)

    def hearing(self, seen: int, sound: int) -> Tensor:
        """What is added to the attention of the picture's tokens to the sound's copies, `[L, (P + 1) S]`.

        Shares of a place are 1 together: where one person is alone, the place hears exactly what it would if they were
        alone in the picture.
        """
        return self.shares(seen).log().T.repeat_interleave(sound, 1)


@contextmanager
def _fenced(generator: SharedGenerator, fence: _Fence) -> Iterator[None]:
    layers, denoiser = generator.token_layers, generator.denoiser
    whose = {adapter_name(k, m): k for k in range(len(fence.masks)) for m in generator.modalities}
    with ExitStack() as hooks:
        for name, module in denoiser.named_modules():
            if isinstance(module, LoraLayer):
                scale = fence.scale_picture
                if re.fullmatch(layers.told, name):
                    scale = fence.scale_told
                elif re.fullmatch(layers.heard, name):
                    scale = fence.scale_heard
                for adapter, added in module.lora_B.items():
                    hooks.callback(added.register_forward_hook(_scaling(scale, whose[adapter])).remove)
            for pattern, bias in ((layers.asking, fence.asking), (layers.looking, fence.looking)):
                if pattern and re.fullmatch(pattern, name):
                    hooks.callback(module.register_forward_pre_hook(_biasing(bias), with_kwargs=True).remove)
            if layers.hearing and re.fullmatch(layers.hearing, name):
                hooks.callback(module.register_forward_pre_hook(_copying(fence), with_kwargs=True).remove)
        yield


def _scaling(scale: Callable[[int, Tensor], Tensor], person: int) -> Callable[[Any, Any, Tensor], Tensor]:
    return lambda _module, _given, added: scale(person, added)


def _biasing(bias: Callable[[int, int], Tensor | None]) -> Callable[[Any, Any, Any], Any]:
    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = inspect.signature(module.forward).bind(*args, **kwargs)
        asks = given.arguments["hidden_states"]
        told = given.arguments.get("encoder_hidden_states")
        more = bias(asks.shape[1], (asks if told is None else told).shape[1])
        if more is None:
            return None
        there = given.arguments.get("attention_mask")
        given.arguments["attention_mask"] = more.to(asks) if there is None else there + more.to(there)
        return given.args, given.kwargs

    return before


def _copying(fence: _Fence) -> Callable[[Any, Any, Any], Any]:
    """Let an attention ask a copy of the sound for everybody, each from where its person is."""

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        given = inspect.signature(module.forward).bind(*args, **kwargs)
        named, copies = given.arguments, fence.copies
        asks, sound = named["hidden_states"], named["encoder_hidden_states"]
        # For every clip of the batch: diffusers' LTX2Attention repeats the first of three axes for its heads.
        more = fence.hearing(asks.shape[1], sound.shape[1]).to(asks).expand(len(asks), -1, -1)
        there, turned = named.get("attention_mask"), named.get("key_rotary_emb")
        named["encoder_hidden_states"] = sound.repeat(1, copies, 1)
        named["attention_mask"] = more if there is None else torch.cat([there] * copies, -1) + more
        if turned is not None:  # the second but last axis is that of time, however it is turned
            named["key_rotary_emb"] = tuple(torch.cat([part] * copies, -2) for part in turned)
        return given.args, given.kwargs

    return before
