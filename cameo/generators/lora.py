"""Take every LoRA out of a denoiser."""

from __future__ import annotations

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
