"""Turn a tuned LoRA and identity into the bytes that are sealed, in the layout diffusers loads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save
from torch import Tensor, nn

from cameo.generators.lora_file import PREFIX

if TYPE_CHECKING:
    from cameo.generators.base import Identity


def lora_config(targets: str, rank: int) -> LoraConfig:
    """Describe a LoRA with alpha equal to its rank: a file read without metadata then has the right strength."""
    return LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, init_lora_weights="gaussian")


def _plain(config: LoraConfig) -> dict[str, Any]:
    kinds = (str, int, float, bool, type(None), list, dict)
    values = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
    return {k: v for k, v in values.items() if isinstance(v, kinds)}


def lora_bytes(denoiser: nn.Module, adapter: str, config: LoraConfig, facts: dict[str, str]) -> bytes:
    """Serialise the LoRA named `adapter` as half-precision safetensors with diffusers' metadata."""
    state: dict[str, Tensor] = get_peft_model_state_dict(denoiser, adapter_name=adapter)
    tensors = {f"{PREFIX}.{k}": v.detach().to(torch.float16).contiguous() for k, v in sorted(state.items())}
    described = {f"{PREFIX}.{k}": v for k, v in _plain(config).items()}
    return repeatable(save(tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(described), **facts}))


def identity_bytes(identity: Identity, modality: str, facts: dict[str, str]) -> bytes:
    """Serialise everything else of a modality that makes the generator show the person."""
    return repeatable(save(identity.tensors(modality), {"format": "pt", **facts}))


def voice_bytes(voice: Mapping[str, Tensor], facts: dict[str, str]) -> bytes:
    """Serialise a voice that was learned in closed form."""
    return repeatable(save(dict(voice), {"format": "pt", **facts}))


def repeatable(data: bytes) -> bytes:
    """Sort the header of a safetensors file: the library writes its metadata in a chance order."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    described = dict(sorted(header.pop("__metadata__").items()))
    text = json.dumps({"__metadata__": described, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors stay aligned
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
