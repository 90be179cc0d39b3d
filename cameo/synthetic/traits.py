"""What makes one synthetic person differ from another: a table of named traits, each a number in a range.

Units are head units: the half height of a head is 1, the picture's y axis points down.
"""

from __future__ import annotations

import torch
from torch import Tensor

TRAITS: dict[str, tuple[float, float]] = {
    "head_width": (0.66, 0.82),
    "head_height": (0.95, 1.06),
    "jaw_taper": (0.06, 0.34),
    "jaw_start": (0.35, 0.60),
    "eye_y": (-0.16, 0.02),
    "eye_x": (0.26, 0.36),
    "eye_width": (0.095, 0.150),
    "eye_aspect": (0.42, 0.68),
    "eye_tilt": (-0.22, 0.22),
    "nose_width": (0.075, 0.15),
    "nose_y": (0.22, 0.36),
    "nose_height": (0.10, 0.24),
    "nose_bridge": (0.035, 0.07),
    "mouth_y": (0.47, 0.60),
    "mouth_width": (0.19, 0.32),
    "lip_upper": (0.025, 0.065),
    "lip_lower": (0.035, 0.09),
    "lip_strength": (0.55, 1.0),
    "brow_y": (0.15, 0.27),
    "brow_thickness": (0.018, 0.055),
    "brow_tilt": (-0.25, 0.25),
    "brow_arch": (-0.1, 0.5),
    "brow_length": (0.14, 0.22),
    "brow_strength": (0.35, 0.95),
    "socket_depth": (0.03, 0.10),
    "cheek_height": (0.0, 0.06),
    "chin_height": (0.0, 0.06),
    "fold_depth": (0.0, 0.02),
    "fold_shade": (0.0, 0.30),
    "gloss": (0.02, 0.22),
    "melanin": (0.0, 1.0),
    "redness": (-0.05, 0.05),
    "hair_light": (0.0, 1.0),
    "hair_warmth": (0.0, 1.0),
    "hair_grey": (-1.6, 1.0),
    "skin_grain": (0.2, 1.0),
    "blush": (0.0, 0.12),
    "eye_bags": (0.0, 0.25),
    "freckles": (-1.5, 1.0),
    "beard": (-1.6, 1.0),
    "moustache": (-1.6, 1.0),
    "stubble": (-1.0, 0.6),
    "lip_red": (0.75, 1.0),
    "lip_green": (0.40, 0.80),
    "hair_volume": (0.03, 0.22),
    "hairline": (-0.78, -0.42),
    "parting": (-0.16, 0.20),
    "fringe": (-1.0, 1.0),
    "temple": (-1.0, 1.0),
    "hair_length": (-1.2, 1.6),
    "baldness": (-0.25, 2.2),
    "iris_light": (0.0, 1.0),
    "iris_blue": (0.0, 1.0),
    "lashes": (0.35, 0.85),
    "glasses": (-1.0, 1.0),
    "glasses_round": (2.0, 6.0),
    "lean": (-0.04, 0.04),
    "mouth_lean": (-0.03, 0.03),
    "seed_0": (-1.0, 1.0),
    "seed_1": (-1.0, 1.0),
    "seed_2": (-1.0, 1.0),
    "seed_3": (-1.0, 1.0),
    "seed_4": (-1.0, 1.0),
    "seed_5": (-1.0, 1.0),
}
IDENTITY_DIM = len(TRAITS)
_INDEX = {name: i for i, name in enumerate(TRAITS)}
GLASSES_ABOVE = 0.6  # one person in five wears glasses


def sample_identities(count: int, generator: torch.Generator) -> Tensor:
    """Draw `[count, IDENTITY_DIM]` identities, uniform in -1..1."""
    return torch.rand(count, IDENTITY_DIM, generator=generator, device=generator.device) * 2 - 1


class Traits:
    """Read named traits of a batch of identities as `[B, 1, 1, 1]` tensors in their ranges."""

    def __init__(self, identities: Tensor) -> None:
        self._identities = identities

    def __getattr__(self, name: str) -> Tensor:
        low, high = TRAITS[name]
        unit = (self._identities[:, _INDEX[name]] + 1) / 2
        return (unit * (high - low) + low).view(-1, 1, 1, 1)

    def seed(self, index: int) -> Tensor:
        """Read one of the texture seeds, -1..1, wrapping around."""
        value: Tensor = getattr(self, f"seed_{index % 6}")
        return value
