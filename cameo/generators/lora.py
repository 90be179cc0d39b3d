"""Attach LoRAs to a denoiser, silence them, take them out: afterwards it is as its owner had it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer

from cameo.errors import UsageError


def add_loras(denoiser: Any, configs: Mapping[str, LoraConfig]) -> None:
    """Attach a LoRA for each name; all of them are active and trainable."""
    with several_meant():
        for name, config in configs.items():
            denoiser.add_adapter(config, adapter_name=name)
    denoiser.set_adapter(list(configs))


def remove_lora(denoiser: Any) -> None:
    """Put the plain layers back, whatever state a load has left them in; the weights were never touched."""
    wrapped = [(name, m) for name, m in denoiser.named_modules() if isinstance(m, BaseTunerLayer)]
    for name, layer in wrapped:
        parent, _, child = name.rpartition(".")
        setattr(denoiser.get_submodule(parent), child, layer.get_base_layer())
    for name in ("peft_config", "_hf_peft_config_loaded"):
        vars(denoiser).pop(name, None)


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


@contextmanager
def lora_removed(denoiser: Any) -> Iterator[None]:
    """Take out every LoRA that the block puts in; peft freezes the base, and that is undone too.

    Raises:
        UsageError: there is one already, or the weights are not there.
    """
    if getattr(denoiser, "peft_config", None):
        raise UsageError("another adapter is plugged into this generator", "unplug it, or load the generator afresh")
    if any(parameter.is_meta for parameter in denoiser.parameters()):
        hint = "use enable_model_cpu_offload, which moves it as a whole"
        raise UsageError("the generator's weights are spread (sequential offload): nothing can be plugged in", hint)
    wanted = [(parameter, parameter.requires_grad) for parameter in denoiser.parameters()]
    try:
        yield
    finally:
        remove_lora(denoiser)
        for parameter, learned in wanted:
            parameter.requires_grad_(learned)


@contextmanager
def several_meant() -> Iterator[None]:
    """Let one LoRA be put in beside another without peft's warning that there will be two."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`", UserWarning)
        yield
