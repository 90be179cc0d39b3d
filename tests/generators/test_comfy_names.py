"""ComfyUI's names: held against diffusers' own converters, which turn such files back, and against ComfyUI's layers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from diffusers import HunyuanVideoPipeline, LTX2Pipeline, WanPipeline
from torch import Tensor

from cameo.errors import UsageError
from cameo.generators.comfy_names import Loras, comfy_tensors, require_comfy
from cameo.generators.shelf import family_targets
from tests.exportable import tiny

RANK = 2
WIDTH = 3072  # of HunyuanVideo, which diffusers' converter takes for granted


def random_loras(layers: dict[str, tuple[int, int]], rank: int = RANK) -> Loras:
    """Make a LoRA of half-precision noise; layers by their numbers of inputs and outputs."""
    g = torch.Generator().manual_seed(1)
    return {
        layer: (torch.randn(rank, of, generator=g).half(), torch.randn(to, rank, generator=g).half())
        for layer, (of, to) in layers.items()
    }


def layers_of(name: str) -> dict[str, tuple[int, int]]:
    """List the layers of a tiny pipeline that its LoRAs adapt."""
    generator = tiny(name)
    wanted = re.compile("|".join(f"({one})" for one in family_targets(generator.id).values()))
    found = {n: m for n, m in generator.denoiser.named_modules() if wanted.fullmatch(n)}
    return {n: (m.in_features, m.out_features) for n, m in found.items()}


def in_diffusers(loras: Loras) -> dict[str, Tensor]:
    """Name a LoRA as diffusers does."""
    return {f"transformer.{n}.lora_{s}.weight": t for n, pair in loras.items() for s, t in zip("AB", pair, strict=True)}


@pytest.mark.parametrize(
    ("name", "family", "pipeline"),
    [("wan", "wan", WanPipeline), ("ltx2.0", "ltx2", LTX2Pipeline), ("ltx2.3", "ltx2", LTX2Pipeline)],
)
def test_diffusers_turns_every_name_back(name: str, family: str, pipeline: Any) -> None:
    loras = random_loras(layers_of(name))
    back = pipeline.lora_state_dict(comfy_tensors(family, loras))
    wanted = in_diffusers(loras)
    assert set(back) == set(wanted)
    assert all(torch.equal(back[key], wanted[key]) for key in wanted)


def test_wans_layers_have_the_names_of_its_first_release() -> None:
    """Source: comfy/ldm/wan/model.py of ComfyUI: `WanAttentionBlock`, `WanSelfAttention`."""
    made = comfy_tensors("wan", random_loras(layers_of("wan")))
    layers = [f"{kind}.{one}" for kind in ("self_attn", "cross_attn") for one in "qkvo"] + ["ffn.0", "ffn.2"]
    endings = ("lora_A.weight", "lora_B.weight", "alpha")
    assert set(made) == {
        f"diffusion_model.blocks.{n}.{layer}.{end}" for n in (0, 1) for layer in layers for end in endings
    }
    assert {float(value) for key, value in made.items() if key.endswith("alpha")} == {float(RANK)}


def test_ltx2s_layers_keep_theirs() -> None:
    """Source: comfy/ldm/lightricks/av_model.py of ComfyUI: `BasicAVTransformerBlock`."""
    made = comfy_tensors("ltx2", random_loras(layers_of("ltx2.3")))
    attentions = {key.split(".")[3] for key in made}
    assert attentions == {"attn1", "attn2", "audio_to_video_attn", "audio_attn1", "audio_attn2", "video_to_audio_attn"}
    assert all(
        re.fullmatch(r"diffusion_model\.transformer_blocks\.\d+\.\w+\.to_(q|k|v|out\.0)\.lora_[AB]\.weight", key)
        for key in made
    )


def hunyuan_layers() -> dict[str, tuple[int, int]]:
    double = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
    names = [f"transformer_blocks.{n}.attn.{layer}" for n in (0, 1) for layer in double]
    names += [f"single_transformer_blocks.{n}.attn.{layer}" for n in (0, 1, 2) for layer in double[:3]]
    return dict.fromkeys(names, (WIDTH, WIDTH))


def test_hunyuans_layers_are_stacked_and_diffusers_parts_them_again() -> None:
    """What a LoRA adds to a layer is B A: the same for every layer, and nothing for the one that shares a row."""
    loras = random_loras(hunyuan_layers())
    made = comfy_tensors("hunyuanvideo", loras)
    shapes = {key: tuple(value.shape) for key, value in made.items()}
    assert shapes["diffusion_model.double_blocks.1.img_attn_qkv.lora_A.weight"] == (3 * RANK, WIDTH)
    assert shapes["diffusion_model.double_blocks.1.txt_attn_qkv.lora_B.weight"] == (3 * WIDTH, 3 * RANK)
    assert shapes["diffusion_model.single_blocks.2.linear1.lora_B.weight"] == (7 * WIDTH, 3 * RANK)
    back = HunyuanVideoPipeline.lora_state_dict(dict(made))
    rows = torch.arange(0, WIDTH, 97)  # enough of them; all would be a gigabyte
    for layer, (a, b) in loras.items():
        found_a, found_b = (back.pop(f"transformer.{layer}.lora_{side}.weight") for side in "AB")
        assert torch.allclose(found_b[rows].float() @ found_a.float(), b[rows].float() @ a.float(), atol=1e-5)
    assert {key.split(".", 3)[3].rpartition(".lora_")[0] for key in back} == {"proj_mlp"}
    assert not any(value.any() for key, value in back.items() if "lora_B" in key)


def test_hunyuans_layers_have_the_names_that_comfyui_takes() -> None:
    """Source: comfy/lora.py of ComfyUI, "diffusion-pipe lora format", and `SingleStreamBlock` of comfy/ldm/flux."""
    made = comfy_tensors("hunyuanvideo", random_loras(hunyuan_layers()))
    double = [f"{side}_attn_{layer}" for side in ("img", "txt") for layer in ("qkv", "proj")]
    layers = [f"double_blocks.{n}.{layer}" for n in (0, 1) for layer in double]
    layers += [f"single_blocks.{n}.linear1" for n in (0, 1, 2)]
    assert set(made) == {f"diffusion_model.{layer}.lora_{side}.weight" for layer in layers for side in "AB"}


def test_the_tiny_hunyuan_has_the_layers_that_are_named() -> None:
    layers = {re.sub(r"\d+", "0", layer) for layer in hunyuan_layers()}
    assert set(layers_of("hunyuanvideo")) == layers


@pytest.mark.parametrize("family", ["cogvideox", "reference", "sora"])
def test_names_that_are_not_known_are_refused(family: str) -> None:
    with pytest.raises(UsageError, match="cannot be written for ComfyUI") as caught:
        require_comfy(family)
    assert "wan, ltx2, hunyuanvideo" in caught.value.hint
