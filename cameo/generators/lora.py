"""Attach LoRAs to a denoiser, silence them, or take them out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer


def add_loras(denoiser: Any, configs: Mapping[str, LoraConfig]) -> None:
    """Attach a LoRA for each name; all of them are active and trainable."""
    with warnings.catch_warnings():  # of a second one: that several are attached is meant
        warnings.filterwarnings("ignore", message="Already found a `peft_config`", category=UserWarning)
        for name, config in configs.items():
            denoiser.add_adapter(config, adapter_name=name)
    denoiser.set_adapter(list(configs))


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
