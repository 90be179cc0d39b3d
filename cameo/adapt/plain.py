"""Turn sealed LoRAs into one plain safetensors file that other programs load. Tokens have no place in such a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from safetensors.torch import save
from torch import Tensor

from cameo.adapt.export import repeatable
from cameo.errors import NotVerified
from cameo.generators.comfy_names import Loras, comfy_tensors
from cameo.generators.lora_file import PREFIX, lora_rank, read_facts, read_tensors

Layout = Literal["diffusers", "comfyui"]
BASE = "cameo.base_model_sha256"
_KEY = re.compile(rf"{PREFIX}\.(?P<layer>.+)\.lora_[AB]\.weight")
_HINT = "tune the double again"


def plain_lora(
    family: str,
    parts: Mapping[str, bytes],
    targets: Mapping[str, str],
    layout: Layout,
    facts: Mapping[str, str],
) -> bytes:
    """Write the LoRAs of some modalities into one file.

    Rank and strength need no words: the rank is in the shapes, and the strength of ours is always 1.

    Args:
        family: id of the generator that they were tuned for.
        parts: decrypted parts by name, `adapter.<family>.<modality>` among them.
        targets: by modality, the regular expression of the layers that its LoRA adapts; those given are written.
        layout: "diffusers" for `pipe.load_lora_weights`; "comfyui" for the names that ComfyUI uses.
        facts: for the header; the digest of the base weights is added.

    Raises:
        NotVerified: a part is no LoRA of this family.
    """
    loras: Loras = {}
    bases = set()
    for modality, wanted in targets.items():
        name = f"adapter.{family}.{modality}"
        loras |= _read_loras(parts[name], name, re.compile(wanted))
        bases.add(read_facts(parts[name]).get("base_model_sha256", ""))
    if len(bases) != 1:
        raise NotVerified("the adapters belong to different base weights", _HINT)
    tensors = _diffusers_tensors(loras) if layout == "diffusers" else _comfy_tensors(family, loras)
    return repeatable(save(tensors, {"format": "pt", **facts, BASE: bases.pop()}))


def _read_loras(data: bytes, name: str, wanted: re.Pattern[str]) -> Loras:
    """Read the LoRA of a modality, and see that it is one: two matrices of its rank in every layer, and no more."""
    tensors = read_tensors(data, name)
    try:
        rank = lora_rank(read_facts(data))
    except (KeyError, TypeError, ValueError) as error:
        raise NotVerified(f"{name} does not say its rank and strength as it must", _HINT) from error
    keys = [_KEY.fullmatch(key) for key in tensors]
    layers = {key["layer"] for key in keys if key and wanted.fullmatch(key["layer"])}
    amiss = set(tensors) ^ {f"{PREFIX}.{layer}.lora_{side}.weight" for layer in layers for side in "AB"}
    if amiss or not layers:
        raise NotVerified(f"{name} is no LoRA of this generator: {min(amiss, default='it is empty')}", _HINT)
    loras = {}
    for layer in sorted(layers):
        a, b = (tensors[f"{PREFIX}.{layer}.lora_{side}.weight"] for side in "AB")
        if a.ndim != 2 or b.ndim != 2 or len(a) != rank or b.shape[1] != rank:
            raise NotVerified(f"{name} holds matrices of another rank than it says: {layer}", _HINT)
        loras[layer] = (a, b)
    return loras


def _diffusers_tensors(loras: Loras) -> dict[str, Tensor]:
    pairs = [(layer, side, tensor) for layer, pair in loras.items() for side, tensor in zip("AB", pair, strict=True)]
    return {f"{PREFIX}.{layer}.lora_{side}.weight": tensor for layer, side, tensor in pairs}


def _comfy_tensors(family: str, loras: Loras) -> dict[str, Tensor]:
    try:
        return comfy_tensors(family, loras)
    except KeyError as error:
        raise NotVerified(f"the adapter lacks a layer: {error.args[0]}", _HINT) from error
