"""Spend less of a card's memory, and say what to do when it is too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.checkpoint import checkpoint

from cameo.errors import CameoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


@contextmanager
def out_of_memory_said() -> Iterator[None]:
    """Turn a card that is too small into an error that says what to do.

    Raises:
        CameoError: "no_memory".
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        free, whole = torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)
        message = f"the card has too little memory: {free / 1e9:.1f} of {whole / 1e9:.1f} GB are free"
        hint = "smaller or fewer frames, pipe.enable_model_cpu_offload(), or a smaller base model"
        raise CameoError(message, hint, "no_memory") from error


@contextmanager
def checkpointed(denoiser: nn.Module, through: Callable[..., Any]) -> Iterator[None]:
    """Keep the activations between blocks only, and compute the others again on the way back.

    `through` runs a block with its arguments, both times. It costs a third more time, and without it no card holds the
    backward pass of a published model. Source: T. Chen et al., "Training deep nets with sublinear memory cost" (2016).
    """
    modules = [module for module in denoiser.modules() if hasattr(module, "gradient_checkpointing")]
    before = [dict(vars(module)) for module in modules]
    for module in modules:
        vars(module)["gradient_checkpointing"] = True
        vars(module)["_gradient_checkpointing_func"] = lambda block, *given: checkpoint(
            through, block, *given, use_reentrant=False
        )
    try:
        yield
    finally:
        for module, kept in zip(modules, before, strict=True):
            for name in ("gradient_checkpointing", "_gradient_checkpointing_func"):
                if name in kept:
                    vars(module)[name] = kept[name]
                else:
                    vars(module).pop(name, None)
