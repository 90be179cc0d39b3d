"""Name the tensors of a LoRA as ComfyUI does: after the layers of each model's first release, not after diffusers'.

ComfyUI takes `diffusion_model.<layer>.lora_A.weight` and `lora_B.weight` for every layer of a model (comfy/lora.py,
`model_lora_keys_unet`), and strength 1 where nothing is said. diffusers reads such files, too, and turns the names back
(loaders/lora_conversion_utils.py): the tests hold this against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cameo.errors import UsageError

Loras = dict[str, tuple[Tensor, Tensor]]  # layer -> A `[rank, in]` and B `[out, rank]`

_PREFIX = "diffusion_model."
# Source: comfy/ldm/wan/model.py, which keeps the names of Wan-Video/Wan2.1.
_WAN = (
    (r"\.attn1\.to_([qkv])$", r".self_attn.\1"),
    (r"\.attn2\.to_([qkv])$", r".cross_attn.\1"),
    (r"\.attn1\.to_out\.0$", r".self_attn.o"),
    (r"\.attn2\.to_out\.0$", r".cross_attn.o"),
    (r"\.ffn\.net\.0\.proj$", r".ffn.0"),
    (r"\.ffn\.net\.2$", r".ffn.2"),
)
# Rows of the layer of a single block that holds q, k, v and the feed-forward's first: as many times the model's width
# belong to the last. Source: mlp_ratio of HunyuanVideo, the same in all of its releases.
_HUNYUAN_FEED_FORWARD = 4


def require_comfy(family: str) -> None:
    """Check that ComfyUI's names for a family's layers are known.

    Raises:
        UsageError: they are not.
    """
    if family not in _FAMILIES:
        # CogVideoX: ComfyUI has layers of its own making for it, and no converter there is could check our names.
        hint = f"it can for: {', '.join(_FAMILIES)}; or choose --format diffusers"
        raise UsageError(f"a LoRA of {family} cannot be written for ComfyUI: its names there are not settled", hint)


def comfy_tensors(family: str, loras: Loras) -> dict[str, Tensor]:
    """Return the tensors of a LoRA under ComfyUI's names.

    Args:
        family: for which `require_comfy` holds.
        loras: by the names of layers in diffusers, without a prefix.

    Raises:
        KeyError: a layer is missing that another one stands in a row with.
    """
    return _FAMILIES[family](loras)


def _wan(loras: Loras) -> dict[str, Tensor]:
    named = {}
    for layer, pair in loras.items():
        for pattern, to in _WAN:
            layer = re.sub(pattern, to, layer)
        named[layer] = pair
    # Strength is alpha over rank, 1 here. Only for Wan: of the others, diffusers refuses files that say it.
    alphas = {f"{_PREFIX}{layer}.alpha": torch.tensor(float(len(a))) for layer, (a, _) in named.items()}
    return _written(named) | alphas


def _ltx2(loras: Loras) -> dict[str, Tensor]:
    return _written(loras)  # diffusers kept the names. Source: comfy/ldm/lightricks/av_model.py


def _hunyuan_video(loras: Loras) -> dict[str, Tensor]:
    """Put q, k and v into one layer, as they are in the first release. Source: comfy/ldm/hunyuan_video/model.py."""
    named: Loras = {}
    for block in sorted({layer.rpartition(".attn.")[0] for layer in loras}):
        kind, _, number = block.rpartition(".")
        of = f"{block}.attn."
        queries, keys, values = (loras[f"{of}to_{one}"] for one in "qkv")
        if kind == "single_transformer_blocks":
            more = _HUNYUAN_FEED_FORWARD * len(queries[1])
            named[f"single_blocks.{number}.linear1"] = _stacked([queries, keys, values], more)
            continue
        named[f"double_blocks.{number}.img_attn_qkv"] = _stacked([queries, keys, values])
        named[f"double_blocks.{number}.img_attn_proj"] = loras[f"{of}to_out.0"]
        named[f"double_blocks.{number}.txt_attn_qkv"] = _stacked([loras[f"{of}add_{one}_proj"] for one in "qkv"])
        named[f"double_blocks.{number}.txt_attn_proj"] = loras[f"{of}to_add_out"]
    return _written(named)


def _stacked(pairs: list[tuple[Tensor, Tensor]], more: int = 0) -> tuple[Tensor, Tensor]:
    """Make one LoRA of several that stand below each other, with `more` rows below that it leaves as they are.

    Its rank is the sum of theirs: [B1 A1; B2 A2] = [[B1, 0], [0, B2]] [A1; A2].
    """
    side = torch.block_diag(*(b for _, b in pairs))
    return torch.cat([a for a, _ in pairs]), torch.cat([side, side.new_zeros(more, side.shape[1])])


def _written(loras: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    sides = {f"{layer}.lora_{side}": t for layer, pair in loras.items() for side, t in zip("AB", pair, strict=True)}
    return {f"{_PREFIX}{name}.weight": tensor.contiguous() for name, tensor in sides.items()}


_FAMILIES: dict[str, Callable[[Loras], dict[str, Tensor]]] = {
    "wan": _wan,
    "ltx2": _ltx2,
    "hunyuanvideo": _hunyuan_video,
}
