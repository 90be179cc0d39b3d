"""Parts as tuning would export them, with random weights: no step of training."""

from __future__ import annotations

from typing import Any

import torch

from cameo.adapt.export import identity_bytes, lora_bytes, lora_config
from cameo.generators.base import Footage, Motion
from cameo.generators.lora import remove_lora


def some_footage(side: int, length: int = 12) -> Footage:
    """Noise."""
    g = torch.Generator().manual_seed(7)
    frames = torch.randint(0, 256, (length, side, side, 3), generator=g, dtype=torch.uint8)
    motion = Motion(torch.rand(length, 10, 2, generator=g), torch.ones(length))
    sound = torch.randn(length * 640, generator=g) / 8
    return Footage(frames, motion, torch.ones(length, dtype=torch.bool), sound=sound)


def random_parts(generator: Any, rank: int = 2, strength: float = 0.3, seed: int = 5) -> dict[str, bytes]:
    """Make adapter and identity of every modality."""
    facts = {"base_model_sha256": generator.base_digest, "generator": generator.id}
    identity = generator.fit_identity(some_footage(generator.shape.side_px))
    parts = {}
    torch.manual_seed(seed)
    for modality in generator.modalities:
        config = lora_config(generator.lora_targets(modality), rank)
        generator.denoiser.add_adapter(config, adapter_name="made")
        with torch.no_grad():
            for name, parameter in generator.denoiser.named_parameters():
                if "lora_" in name:
                    parameter.copy_(torch.randn_like(parameter) * strength)
        parts[f"adapter.{generator.id}.{modality}"] = lora_bytes(generator.denoiser, "made", config, facts)
        remove_lora(generator.denoiser)
        parts[f"identity.{generator.id}.{modality}"] = identity_bytes(identity, modality, facts)
    return parts
