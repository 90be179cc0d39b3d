"""Several people in one picture: each acts in their region only, and nothing is left of anybody afterwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cameo.adapt.export import identity_bytes, lora_bytes, lora_config
from cameo.condition.plug import plug
from cameo.condition.regions import MOST_PEOPLE, Region, masks_for, plug_together, side_by_side
from cameo.errors import UsageError
from cameo.generators.base import Direction
from cameo.generators.digest import weights_digest
from cameo.generators.lora import remove_lora
from cameo.generators.reference import ReferenceGenerator
from cameo.generators.references import ReferenceIdentity
from tests.generators.lora_parts import random_parts
from tests.generators.tiny_pipelines import tiny_wan_generator

WIDE = (4, 8)
GRID = (8, 14)


# Regions.


def test_strips_share_the_picture_out_and_fade_into_each_other() -> None:
    masks = masks_for(side_by_side(2), GRID)
    assert masks.shape == (2, *GRID)
    assert torch.allclose(masks.sum(0), torch.ones(GRID))
    assert torch.equal(masks[0], masks[1].flip(1))
    assert masks[0, 0, 0] == 1 and masks[0, 0, -1] == 0
    assert 0 < masks[0, 0, 7] < 0.5 < masks[0, 0, 6] < 1, "a soft edge"
    assert masks_for([Region((0, 0, 0.5, 1), 0.0), Region((0.5, 0, 1, 1), 0.0)], GRID).unique().tolist() == [0, 1]


def test_a_mask_of_any_size_is_laid_on_the_cells() -> None:
    left = np.zeros((80, 140), np.float32)
    left[:, :70] = 1
    masks = masks_for([Region(mask=left), Region(mask=1 - left)], GRID)
    assert torch.equal(masks[0], masks_for([Region((0, 0, 0.5, 1), 0.0)], GRID)[0])


BAD: dict[str, tuple[list[Region], str]] = {
    "nobody": ([], "0 people do not fit"),
    "many": (side_by_side(MOST_PEOPLE + 1), "9 people do not fit"),
    "narrow": ([Region((0, 0, 0.25, 1)), Region((0.25, 0, 1, 1))], "has 3 x 8 of the picture's 14 x 8 places"),
    "outside": ([Region((0, 0, 1.2, 1))], "no part of the picture"),
    "negative": ([Region((-0.1, 0, 1, 1))], "no part of the picture"),
    "empty": ([Region((0.5, 0, 0.5, 1))], "no part of the picture"),
    "turned round": ([Region((0.9, 0, 0.1, 1))], "no part of the picture"),
    "not a number": ([Region((0, 0, float("nan"), 1))], "no part of the picture"),
    "soft": ([Region(soft=-1)], "no part of the picture"),
    "overlap": ([Region((0, 0, 0.7, 1)), Region((0.3, 0, 1, 1))], "the regions of person 1 and person 2 overlap"),
    "the same": ([Region(), Region()], "overlap"),
    "no mask": ([Region(mask=np.full((4, 4), 2.0, np.float32))], "no picture of numbers from 0 to 1"),
    "nan mask": ([Region(mask=np.full((4, 4), np.nan, np.float32))], "no picture of numbers"),
    "empty mask": ([Region(mask=np.zeros((8, 8), np.float32))], "has 0 x 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_regions_that_are_none(name: str) -> None:
    regions, said = BAD[name]
    with pytest.raises(UsageError, match=said) as caught:
        masks_for(regions, GRID)
    assert caught.value.hint


# The reference generator.


@pytest.fixture(scope="module")
def pair(generator: ReferenceGenerator, identity: ReferenceIdentity) -> list[dict[str, bytes]]:
    """Two people: one identity and its mirror image, with LoRAs of random weights."""
    others = {name: value.clone() for name, value in identity.tensors("face").items()}
    others["frames"] = others["frames"].flip(2)
    facts, made = {"base_model_sha256": generator.base_digest}, []
    for seed, who in ((4, identity), (5, ReferenceIdentity.load(others))):
        torch.manual_seed(seed)
        config = lora_config(generator.lora_targets("face"), 2)
        generator.denoiser.add_adapter(config, adapter_name="made")
        with torch.no_grad():
            for name, parameter in generator.denoiser.named_parameters():
                if "lora_" in name:
                    parameter.copy_(torch.randn_like(parameter) * 0.1)
        adapter = lora_bytes(generator.denoiser, "made", config, facts)
        remove_lora(generator.denoiser)
        made.append({"adapter.reference.face": adapter, "identity.reference.face": identity_bytes(who, "face", facts)})
    return made


def drawn(generator: Any, people: list[dict[str, bytes]], masks: Tensor, direction: Direction) -> np.ndarray:
    with plug_together(generator, people, masks) as identities:
        return np.asarray(generator.perform_together(identities, masks, direction).frames, np.float32)


def test_everybody_is_drawn_as_if_alone_in_their_region(
    generator: ReferenceGenerator, pair: list[dict[str, bytes]]
) -> None:
    """Outside the seam, one pass over the wide picture gives what a pass for each gives, up to the noise."""
    direction = generator.settle_together(Direction(8, 3), 2)
    assert direction.area == (120, 64)
    masks = masks_for(side_by_side(2), generator.cells(direction))
    both = drawn(generator, pair, masks, direction)
    assert both.shape == (8, 64, 120, 3)
    other = drawn(generator, [pair[0], pair[0]], masks, direction)
    changed = np.abs(both - other).mean((0, 1, 3))
    assert changed[:48].max() < 0.5, "who stands beside matters at the seam only"
    assert changed[72:].mean() > 5


def test_afterwards_nothing_is_left(generator: ReferenceGenerator, pair: list[dict[str, bytes]]) -> None:
    denoiser = generator.denoiser
    digest, modules = weights_digest(denoiser), {name: id(m) for name, m in denoiser.named_modules()}
    direction = generator.settle_together(Direction(8, 3), 2)
    masks = masks_for(side_by_side(2), generator.cells(direction))
    with pytest.raises(ZeroDivisionError), plug_together(generator, pair, masks):
        assert sorted(denoiser.peft_config) == ["cameo-0-face", "cameo-1-face"]
        _ = 1 / 0
    with pytest.raises(UsageError, match="holds no identity"), plug_together(generator, [pair[0], {
        "adapter.reference.face": pair[1]["adapter.reference.face"]}], masks):  # fmt: skip
        pytest.fail("plugged in")
    assert weights_digest(denoiser) == digest
    assert {name: id(m) for name, m in denoiser.named_modules()} == modules
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in denoiser.modules())
    with plug(generator, pair[0]):
        pass


@pytest.mark.parametrize(
    ("people", "changes", "said"),
    [
        (2, {"size": (100, 64)}, "multiple of 8"),
        (2, {"size": (120, 32)}, "cannot draw 2 people"),
        (2, {"size": (1024, 64)}, "cannot draw 2 people"),
        (2, {"steps": 4}, "multiple of 8"),
    ],
)
def test_sizes_that_cannot_be_drawn(
    generator: ReferenceGenerator, people: int, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        generator.settle_together(replace(Direction(8, 0), **changes), people)


def test_a_place_of_nobody_cannot_be_drawn(generator: ReferenceGenerator) -> None:
    with pytest.raises(UsageError, match="nobody is at 64, 0"):
        generator.require_room(masks_for([Region((0, 0, 0.5, 1), 0.0), Region((0.7, 0, 1, 1), 0.0)], (8, 16)))


# A pipeline.


def test_in_a_pipeline_an_adapter_acts_in_its_region_only() -> None:
    """What one layer adds, looked at directly: a whole pipeline's attention carries everything everywhere."""
    generator: Any = tiny_wan_generator()
    parts = random_parts(generator)
    direction = generator.settle_together(Direction(5, 3, "a person dancing", (128, 64), 1), 2)
    assert generator.cells(direction) == WIDE
    masks = masks_for([Region((0, 0, 0.5, 1), 0.0), Region((0.5, 0, 1, 1), 0.0)], WIDE)
    seen: dict[str, list[Tensor]] = {"picture": [], "told": []}
    with plug_together(generator, [parts, parts], masks) as people:
        block = generator.denoiser.blocks[0]
        for kind, layer in (("picture", block.attn1.to_q), ("told", block.attn2.to_k)):
            layer.lora_B["cameo-0-face"].register_forward_hook(lambda _m, _a, out, kind=kind: seen[kind].append(out))
        generator.perform_together(people, masks, direction)
    added = seen["picture"][0][0].unflatten(0, (-1, *WIDE))
    assert torch.all(added[:, :, 4:] == 0) and torch.all(added[:, :, :4].abs().amax(-1) > 0)
    positive, negative = sorted(seen["told"], key=lambda out: -out.shape[1])
    assert positive.shape[1] == negative.shape[1] + 16, "eight tokens of each, in the positive branch only"
    assert torch.all(negative == 0) and torch.all(positive[0, :-16] == 0) and torch.all(positive[0, -8:] == 0)
    assert torch.all(positive[0, -16:-8].abs().amax(-1) > 0)


def test_in_a_pipeline_tokens_are_asked_from_their_region_only() -> None:
    generator: Any = tiny_wan_generator()
    masks = masks_for([Region((0, 0, 0.5, 1), 0.0), Region((0.5, 0, 1, 1), 0.0)], WIDE)
    given: list[Tensor | None] = []
    direction = generator.settle_together(Direction(5, 3, "a person dancing", (128, 64), 1), 2)
    with plug_together(generator, [random_parts(generator)] * 2, masks) as people:
        block = generator.denoiser.blocks[0].attn2
        block.register_forward_pre_hook(
            lambda _m, args, kwargs: given.append(kwargs.get("attention_mask", args[2] if len(args) > 2 else None)),
            with_kwargs=True,
        )
        generator.perform_together(people, masks, direction)
        block._forward_pre_hooks.clear()
    positive, negative = given
    assert negative is None and positive is not None
    left = positive.unflatten(0, (-1, *WIDE))[0, 0, 0]
    assert torch.all(left[:-8] == 0) and torch.all(left[-8:].isinf())
