"""Name base weights by what they hold, wherever they came from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

_LORA = "lora_"
_KNOWN: WeakKeyDictionary[nn.Module, tuple[tuple[tuple[int, int], ...], str]] = WeakKeyDictionary()


def weights_digest(module: nn.Module) -> str:
    """SHA-256 (hex) over names and values of all weights, bit for bit, adapters not counted."""
    digest = hashlib.sha256()
    for name, tensor in _base(module):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def base_model_digest(module: nn.Module) -> str:
    """SHA-256 (hex) over names, shapes and values of all weights, each rounded to bfloat16.

    So the same model has one digest whether it was loaded in single precision or in the bfloat16 it is cast in. Hashing
    takes about two seconds a gigabyte; it is remembered while the same tensors stay unchanged.
    """
    seen = tuple((tensor.data_ptr(), tensor._version) for _, tensor in _base(module))
    known = _KNOWN.get(module)
    if known and known[0] == seen:
        return known[1]
    digest = hashlib.sha256()
    for name, tensor in _base(module):
        rounded = tensor.detach().to(torch.bfloat16).cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
        digest.update(rounded.view(torch.uint8).numpy().tobytes())
    _KNOWN[module] = (seen, digest.hexdigest())
    return digest.hexdigest()


def _base(module: nn.Module) -> list[tuple[str, Tensor]]:
    named = [(k.replace(".base_layer", ""), v) for k, v in module.state_dict(keep_vars=True).items() if _LORA not in k]
    return sorted(named, key=lambda pair: pair[0])
