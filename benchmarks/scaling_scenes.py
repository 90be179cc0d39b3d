"""Points of `benchmarks.scaling` that draw with the reference generator: longer clips, and more people in one scene."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.scaling_points import Costs
from cameo.adapt.export import identity_bytes, lora_bytes, lora_config
from cameo.condition.regions import masks_for, plug_together, side_by_side
from cameo.generators.base import Direction, Footage, Motion
from cameo.generators.lora import remove_lora
from cameo.generators.reference import ReferenceGenerator, load_reference
from cameo.generators.reference_net import SIZE
from cameo.generators.references import ReferenceIdentity

SEED, RANK = 0, 8
SCENE_FRAMES = 16


def begin_generated_clip(size: int, _folder: Path) -> Callable[[], Costs]:
    """Draw a clip of so many frames of one person."""
    return _scene(1, size)


def begin_people(size: int, _folder: Path) -> Callable[[], Costs]:
    """Draw a clip of so many people side by side."""
    return _scene(size, SCENE_FRAMES)


def _scene(people: int, frames: int) -> Callable[[], Costs]:
    torch.set_num_threads(1)
    generator = load_reference()
    parts = [_chance_parts(generator)] * people
    direction = generator.settle_together(Direction(frames, SEED), people)
    masks = masks_for(side_by_side(people), generator.cells(direction))

    def draw() -> Costs:
        with plug_together(generator, parts, masks) as identities:
            began = time.process_time()
            generator.perform_together(identities, masks, direction)  # type: ignore[arg-type]
            return {"time": time.process_time() - began}

    return draw


def _chance_parts(generator: ReferenceGenerator) -> dict[str, bytes]:
    """Make an adapter of random weights and the identity of a picture of noise: what they show costs nothing."""
    random = torch.Generator().manual_seed(SEED)
    frames = torch.randint(0, 256, (24, SIZE, SIZE, 3), generator=random, dtype=torch.uint8)
    motion = Motion(torch.rand(24, 10, 2, generator=random), torch.ones(24))
    identity: ReferenceIdentity = generator.fit_identity(Footage(frames, motion, torch.ones(24, dtype=torch.bool)))
    facts: dict[str, Any] = {"base_model_sha256": generator.base_digest, "generator": generator.id}
    config = lora_config(generator.lora_targets("face"), RANK)
    generator.denoiser.add_adapter(config, adapter_name="made")
    adapter = lora_bytes(generator.denoiser, "made", config, facts)
    remove_lora(generator.denoiser)
    return {"adapter.reference.face": adapter, "identity.reference.face": identity_bytes(identity, "face", facts)}
