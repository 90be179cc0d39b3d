"""Plain LoRA files: what is in them, and what is no LoRA and never becomes one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor

from cameo.adapt.plain import plain_lora
from cameo.errors import NotVerified
from cameo.generators.shelf import family_targets
from tests.exportable import parts_for, tiny

FACE = "adapter.wan.face"
Change = Callable[[dict[str, Tensor], dict[str, str]], None]


def test_both_modalities_stand_in_one_file_and_no_token_does() -> None:
    parts = parts_for("ltx2.0")
    tensors = load(plain_lora("ltx2", parts, family_targets("ltx2"), "diffusers", {}))
    sealed = [load(parts[f"adapter.ltx2.{modality}"]) for modality in ("face", "voice")]
    wanted = sealed[0] | sealed[1]
    assert set(tensors) == set(wanted)
    assert all(torch.equal(tensors[key], wanted[key]) and tensors[key].dtype == torch.float16 for key in wanted)


def test_one_modality_stands_alone() -> None:
    targets = {"voice": family_targets("ltx2")["voice"]}
    tensors = load(plain_lora("ltx2", parts_for("ltx2.0"), targets, "comfyui", {}))
    assert tensors
    assert all(".audio_attn" in key or ".video_to_audio_attn" in key for key in tensors)


def test_the_header_says_what_it_is_given_and_which_weights_it_belongs_to(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(plain_lora("wan", parts_for("wan"), family_targets("wan"), "comfyui", {"cameo.double": "ab"}))
    with safe_open(path, "pt") as file:
        said = file.metadata()
    assert said == {"format": "pt", "cameo.double": "ab", "cameo.base_model_sha256": tiny("wan").base_digest}


def test_the_same_parts_give_the_same_bytes() -> None:
    made = [plain_lora("wan", parts_for("wan"), family_targets("wan"), "diffusers", {"b": "1", "a": "2"}) for _ in "12"]
    assert made[0] == made[1]


def _extra(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    tensors["transformer.proj_out.lora_A.weight"] = torch.zeros(2, 4)


def _half(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    tensors.pop(min(tensors))


def _infinite(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    tensors[min(tensors)][0, 0] = float("inf")


def _taller(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    key = next(key for key in tensors if "lora_A" in key)
    tensors[key] = torch.zeros(3, tensors[key].shape[1])


def _flat(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    key = next(key for key in tensors if "lora_B" in key)
    tensors[key] = tensors[key].flatten()


def _stronger(_tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    said = json.loads(facts["lora_adapter_metadata"])
    facts["lora_adapter_metadata"] = json.dumps(said | {"transformer.lora_alpha": 64})


def _silent(_tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    del facts["lora_adapter_metadata"]


SPOILED: dict[str, Change] = {
    "a layer of another kind": _extra,
    "half of a layer": _half,
    "a value that is not finite": _infinite,
    "another rank in one layer": _taller,
    "no matrix": _flat,
    "another strength": _stronger,
    "no strength": _silent,
    "a strength in no JSON": lambda _t, facts: facts.update(lora_adapter_metadata="{"),
    "nothing at all": lambda tensors, _f: tensors.clear(),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_is_no_lora_of_the_family_is_refused(name: str) -> None:
    data = parts_for("wan")[FACE]
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors, facts = {key: value.clone() for key, value in load(data).items()}, dict(header["__metadata__"])
    SPOILED[name](tensors, facts)
    with pytest.raises(NotVerified) as caught:
        plain_lora("wan", {FACE: save(tensors, facts)}, family_targets("wan"), "diffusers", {})
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"PK", b"\xff" * 64])
def test_bytes_that_are_no_safetensors_are_refused(data: bytes) -> None:
    with pytest.raises(NotVerified, match="not a safetensors file"):
        plain_lora("wan", {FACE: data}, family_targets("wan"), "diffusers", {})


def test_adapters_of_different_weights_are_not_mixed() -> None:
    parts = dict(parts_for("ltx2.0"))
    parts["adapter.ltx2.voice"] = parts["adapter.ltx2.voice"].replace(tiny("ltx2.0").base_digest.encode(), b"0" * 64)
    with pytest.raises(NotVerified, match="different base weights"):
        plain_lora("ltx2", parts, family_targets("ltx2"), "diffusers", {})


def test_a_block_that_lacks_a_layer_cannot_be_stacked() -> None:
    """HunyuanVideo keeps q, k and v in one layer in its first release."""
    parts = parts_for("hunyuanvideo")
    data = parts["adapter.hunyuanvideo.face"]
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    less = {key: value for key, value in load(data).items() if ".add_k_proj." not in key}
    with pytest.raises(NotVerified, match="lacks a layer: transformer_blocks.0.attn.add_k_proj"):
        plain_lora(
            "hunyuanvideo",
            {"adapter.hunyuanvideo.face": save(less, header["__metadata__"])},
            family_targets("hunyuanvideo"),
            "comfyui",
            {},
        )
