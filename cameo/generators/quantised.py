"""Load a base model in eight bits, so that a large one fits a smaller card while its adapter is tuned."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from diffusers import BitsAndBytesConfig

from cameo.errors import MissingExtra, UsageError


def eight_bit_config() -> BitsAndBytesConfig:
    """Say to diffusers' `from_pretrained(quantization_config=…)` that weights are kept in eight bits.

    Source: T. Dettmers et al., "LLM.int8()" (2022).

    Raises:
        MissingExtra: bitsandbytes is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("eight-bit weights need bitsandbytes", "install it: pip install bitsandbytes")
    return BitsAndBytesConfig(load_in_8bit=True)


def require_eight_bit(denoiser: Any) -> None:
    """Check that a denoiser was loaded so.

    Raises:
        MissingExtra: bitsandbytes is not installed.
        UsageError: its weights are whole.
    """
    eight_bit_config()
    if not getattr(denoiser, "is_loaded_in_8bit", False):
        raise UsageError(
            "the recipe asks for a base in eight bits, and it was loaded whole", "set Recipe.eight_bit off"
        )
