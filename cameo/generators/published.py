"""Load a pipeline of diffusers from this machine: safetensors only, code from nowhere, downloads never."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffusers
import torch
from diffusers.utils import logging
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from transformers.utils import logging as transformers_logging

from cameo.errors import MissingExtra, MissingWeights, UsageError
from cameo.generators.memory import out_of_memory_said

if TYPE_CHECKING:
    from cameo.generators.shelf import Choice

_INDEX = "model_index.json"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def load_pipeline(choice: Choice, classes: Sequence[str]) -> Any:
    """Load what a choice names, if it is a pipeline of one of these classes.

    It computes in bfloat16 on a card and in single precision elsewhere; a video's autoencoder stays in single
    precision, as Wan's and LTX-2's authors run it.

    Raises:
        UsageError: no such folder, no pipeline of these classes in it, or a device that is not there.
        MissingWeights: the repository, or a file of it, is not on this machine.
        MissingExtra: 8 bits were asked for, and bitsandbytes is not installed.
        CameoError: "no_memory".
    """
    device = _device(choice)
    folder = _folder(choice)
    name = _class_name(folder)
    if name not in classes:
        hint = f"{choice.family} takes: {', '.join(classes)}"
        raise UsageError(f"{choice.source} holds a {name}, which is no pipeline of {choice.family}", hint)
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    if device.startswith("cuda"):
        options["torch_dtype"] = {"default": torch.bfloat16, "vae": torch.float32}
    if choice.eight_bit:
        options["quantization_config"] = _eight_bit(device)
    with _quiet(), out_of_memory_said():
        try:
            pipe = getattr(diffusers, name).from_pretrained(folder, **options)
        except (OSError, ValueError) as error:
            raise _missing(choice, f"{choice.source} is not complete") from error
        pipe.to(device)
    pipe.set_progress_bar_config(disable=True)  # whoever asks for a clip shows how far it is
    return pipe


def _device(choice: Choice) -> str:
    if not choice.device:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if choice.device.startswith("cuda"):
        number = int(choice.device.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise UsageError(f"there is no {choice.device} on this machine", "leave @ out, or say @cpu")
    return choice.device


def _folder(choice: Choice) -> Path:
    folder = Path(choice.source).expanduser()
    if folder.is_dir():
        return folder
    if not _REPOSITORY.fullmatch(choice.source) or choice.source.startswith("."):
        raise UsageError(f"there is no folder {choice.source}", "check the path")
    try:
        return Path(snapshot_download(choice.source, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise _missing(choice, f"there is no folder {choice.source}, and no such weights in the hub's cache") from error


def _class_name(folder: Path) -> str:
    try:
        name = json.loads((folder / _INDEX).read_bytes())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = f"name the folder that holds {_INDEX}"
        raise UsageError(f"{folder} is no pipeline in diffusers' layout", hint) from error
    return str(name)


def _missing(choice: Choice, message: str) -> MissingWeights:
    if _REPOSITORY.fullmatch(choice.source) and not Path(choice.source).expanduser().is_dir():
        return MissingWeights(message, f"get them with: hf download {choice.source}")
    return MissingWeights(message, "all its parts must be there, as safetensors: get it again")


def _eight_bit(device: str) -> Any:
    if find_spec("bitsandbytes") is None:
        raise MissingExtra("8 bits need bitsandbytes, which is not installed", "pip install bitsandbytes")
    if not device.startswith("cuda"):
        raise UsageError("8 bits need a card", "leave 8bit out")
    return diffusers.PipelineQuantizationConfig(
        quant_backend="bitsandbytes_8bit",
        quant_kwargs={"load_in_8bit": True},
        components_to_quantize=["transformer"],
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the libraries load without bars of their own."""
    shown = [library for library in (logging, transformers_logging) if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()
