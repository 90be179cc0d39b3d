"""Silence every LoRA of a denoiser, or take them out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer


def remove_lora(denoiser: Any) -> None:
    """Put the plain layers back, whatever state a load has left them in; the weights were never touched."""
    wrapped = [(name, m) for name, m in denoiser.named_modules() if isinstance(m, BaseTunerLayer)]
    for name, layer in wrapped:
        parent, _, child = name.rpartition(".")
        setattr(denoiser.get_submodule(parent), child, layer.get_base_layer())
    denoiser.__dict__.pop("peft_config", None)
    denoiser._hf_peft_config_loaded = False


@contextmanager
def without_lora(denoiser: Any) -> Iterator[None]:
    """Let the denoiser be the base inside the block; the LoRAs are active and trainable again afterwards."""
    layers = [m for m in denoiser.modules() if isinstance(m, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
