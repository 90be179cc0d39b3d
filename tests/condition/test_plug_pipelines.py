"""A double in a pipeline of diffusers: it shows while it is plugged in, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.training_utils import cast_training_params
from safetensors.torch import load, save
from torch import Tensor, nn

from cameo.adapt.export import lora_config
from cameo.condition.inside import REFUSED
from cameo.condition.plug import plug
from cameo.errors import CameoError, NotVerified, UsageError
from cameo.generators.base import Direction, Performance
from cameo.generators.lora import lora_removed, several_meant
from tests.condition.conftest import Family
from tests.condition.test_plug import rewrite
from tests.generators.tiny_pipelines import FAMILIES


def same(a: Performance, b: Performance) -> bool:
    """Whether two clips are the same, bit for bit."""
    sounds = (a.sound is None and b.sound is None) or (
        a.sound is not None and b.sound is not None and np.array_equal(a.sound, b.sound)
    )
    return np.array_equal(a.frames, b.frames) and sounds


def off(family: Family, *modalities: str) -> dict[str, float]:
    """Weights that leave modalities out."""
    return dict.fromkeys(modalities or family.generator.modalities, 0.0)


def state(generator: Any) -> dict[str, Any]:
    """Everything about a pipeline that plugging in could leave a trace on."""
    seen: dict[str, Any] = {"pipe": {k: id(v) for k, v in vars(generator.pipe).items() if k[0] != "_"}}
    for part, module in generator.pipe.components.items():
        if not isinstance(module, nn.Module):
            continue
        for name, inner in module.named_modules():
            own = {k for k in vars(inner) if k not in ("_parameters", "_buffers", "_modules")}
            hooks = [len(vars(inner)[k]) for k in sorted(own) if k.endswith("hooks")]
            seen[f"{part}.{name}"] = (id(inner), type(inner), sorted(own), hooks, inner.training)
        for name, parameter in module.named_parameters():
            seen[f"{part}.{name}="] = (id(parameter), parameter.requires_grad, parameter._version)
            seen[f"{part}.{name}=="] = parameter.detach().clone()
    return seen


def unchanged(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether two states are the same, weights bit for bit."""
    return list(before) == list(after) and all(
        torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name]
        for name, value in before.items()
    )


@contextmanager
def left_alone(family: Family) -> Iterator[None]:
    """Check that the pipeline is afterwards what it was."""
    before, clip = state(family.generator), family.clip()
    yield
    assert unchanged(before, state(family.generator))
    assert same(clip, family.clip())


def test_it_is_sealed_for_every_modality(family: Family) -> None:
    generator, parts = family.generator, family.adapter.parts
    assert set(parts) == {f"{k}.{generator.id}.{m}" for k in ("adapter", "identity") for m in generator.modalities}
    assert family.adapter.best_step == 3, "otherwise nothing below shows anything"
    for modality in generator.modalities:
        lora = load(parts[f"adapter.{generator.id}.{modality}"])
        assert all(name.startswith("transformer.") for name in lora)
        assert all(tensor.any() for name, tensor in lora.items() if "lora_B" in name)
        assert load(parts[f"identity.{generator.id}.{modality}"])[f"{modality}.tokens"].shape[0] == 8


def test_it_shows_while_plugged_in_and_leaves_no_trace(family: Family) -> None:
    with left_alone(family):
        base = family.clip()
        with plug(family.generator, family.adapter.parts):
            during = family.clip()
        assert not np.array_equal(base.frames, during.frames)
        if base.sound is not None and during.sound is not None:
            assert not np.array_equal(base.sound, during.sound)


def test_at_weight_nothing_it_is_exactly_the_base(family: Family) -> None:
    base = family.clip()
    with plug(family.generator, family.adapter.parts, off(family)) as person:
        assert same(base, family.clip())
        direction = family.generator.settle(Direction(None, 3, "a person dancing"))
        assert same(base, family.generator.perform(person, direction))


def test_the_face_alone_reaches_the_sound_only_through_what_the_picture_shows(family: Family) -> None:
    """Where the streams do not read each other, the sound is exactly the base's; where they do, it hears the face."""
    if family.name == "wan":
        pytest.skip("has no sound")
    face = {name: data for name, data in family.adapter.parts.items() if name.endswith(".face")}
    sounds = {}
    for isolate in (True, False):
        with isolated(family.generator.denoiser) if isolate else nullcontext():
            base = family.clip()
            with plug(family.generator, face):
                worn = family.clip()
        assert not np.array_equal(base.frames, worn.frames)
        assert base.sound is not None
        assert worn.sound is not None
        sounds[isolate] = np.array_equal(base.sound, worn.sound)
    assert sounds == {True: True, False: False}


@contextmanager
def isolated(denoiser: nn.Module) -> Iterator[None]:
    """Keep the streams from reading each other."""

    def keep_apart(_module: Any, given: Any, named: dict[str, Any]) -> Any:
        return given, named | {"isolate_modalities": True}

    hook = denoiser.register_forward_pre_hook(keep_apart, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def test_half_the_weight_is_something_between(family: Family) -> None:
    clips = {}
    for weight in (0.5, 1.0):
        with plug(family.generator, family.adapter.parts, {"face": weight}):
            clips[weight] = family.clip()
    assert not same(clips[0.5], clips[1.0])


@pytest.mark.parametrize("weights", [{"face": -0.1}, {"face": 2.1}, {"face": float("nan")}, {"soul": 1.0}])
def test_a_weight_that_is_none_is_refused(family: Family, weights: dict[str, float]) -> None:
    with left_alone(family), pytest.raises(UsageError), plug(family.generator, family.adapter.parts, weights):
        pytest.fail("plugged in")


def test_an_error_inside_leaves_no_trace(family: Family) -> None:
    with left_alone(family):
        for error in (ZeroDivisionError, KeyboardInterrupt):
            with pytest.raises(error), plug(family.generator, family.adapter.parts):
                raise error
        with pytest.raises(RuntimeError, match="midway"), plug(family.generator, family.adapter.parts) as person:
            family.generator.perform(person, family.generator.settle(Direction(None, 1)), pulse=_fail)


def _fail(_share: float) -> None:
    raise RuntimeError("midway")


def test_what_would_let_it_out_is_refused_and_given_back(family: Family, tmp_path: Path) -> None:
    pipe = family.generator.pipe
    with left_alone(family):
        with plug(family.generator, family.adapter.parts):
            for owner in (pipe, pipe.transformer):
                for name in REFUSED:
                    if hasattr(owner, name):
                        with pytest.raises(UsageError, match="while a double is plugged in"):
                            getattr(owner, name)(tmp_path)
        assert not list(tmp_path.iterdir())
        pipe.transformer.save_pretrained(tmp_path)
        assert list(tmp_path.iterdir())


def test_the_sealed_bytes_load_with_the_stock_loader(family: Family, tmp_path: Path) -> None:
    """Without the tokens, which are cameo's alone, both give the same clip."""
    generator, fresh = family.generator, FAMILIES[family.name]()
    names = []
    for modality in generator.modalities:
        data = family.adapter.parts[f"adapter.{generator.id}.{modality}"]
        (tmp_path / f"{modality}.safetensors").write_bytes(data)
        with several_meant():
            fresh.pipe.load_lora_weights(
                tmp_path, weight_name=f"{modality}.safetensors", adapter_name=modality, use_safetensors=True
            )
        names.append(modality)
    fresh.pipe.set_adapters(names, adapter_weights=[1.0] * len(names))
    stock = Family(family.name, fresh, family.footage, family.adapter).clip()
    with plug(generator, family.adapter.parts), without_tokens(generator):
        ours = family.clip()
    assert same(stock, ours)
    assert not same(stock, family.clip())


@contextmanager
def without_tokens(generator: Any) -> Iterator[None]:
    """Take the tokens out of a pipeline that is wearing a person."""
    pipe = generator.pipe
    own = vars(pipe).pop("encode_prompt", None)
    modules = [module for module in pipe.components.values() if isinstance(module, nn.Module)]
    hooks = [one for module in modules for one in (module._forward_hooks, module._forward_pre_hooks)]
    kept = [dict(one) for one in hooks]
    for one in hooks:
        one.clear()
    try:
        yield
    finally:
        if own is not None:
            vars(pipe)["encode_prompt"] = own
        for one, before in zip(hooks, kept, strict=True):
            one.update(before)


def test_a_pipeline_with_another_lora_is_refused_and_keeps_it(family: Family, tmp_path: Path) -> None:
    generator = FAMILIES[family.name]()
    data = family.adapter.parts[f"adapter.{generator.id}.face"]
    (tmp_path / "style.safetensors").write_bytes(data)
    generator.pipe.load_lora_weights(tmp_path, weight_name="style.safetensors", adapter_name="style")
    with pytest.raises(UsageError, match="another adapter"), plug(generator, family.adapter.parts):
        pytest.fail("plugged in")
    assert list(generator.denoiser.peft_config) == ["style"]


def test_weights_that_are_spread_are_refused(family: Family) -> None:
    generator = FAMILIES[family.name]()
    generator.denoiser.to("meta")
    with pytest.raises(UsageError, match="sequential offload"), plug(generator, family.adapter.parts):
        pytest.fail("plugged in")


def _without_prefix(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    for name in list(tensors):
        tensors[name.removeprefix("transformer.")] = tensors.pop(name)


def _other_block(tensors: dict[str, Tensor], _facts: dict[str, str]) -> None:
    for name in list(tensors):
        tensors[name.replace("blocks.1.", "blocks.9.")] = tensors.pop(name)


def _twice(_tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
    facts["lora_adapter_metadata"] = facts["lora_adapter_metadata"].replace(
        '"transformer.lora_alpha": 2', '"transformer.lora_alpha": 4'
    )


SPOILED = {
    "keys without the prefix": _without_prefix,
    "blocks that are not there": _other_block,
    "alpha is not the rank": _twice,
    "alpha is not said": lambda t, f: f.pop("lora_adapter_metadata"),
    "a module of the other modality": lambda t, f: t.update(
        {"transformer.transformer_blocks.0.norm.lora_A.weight": torch.zeros(2, 8)}
    ),
    "a key that nothing takes": lambda t, f: t.update({"transformer.x": torch.zeros(2)}),
    "another base": lambda t, f: f.update(base_model_sha256="0" * 64),
}


@pytest.mark.parametrize("name", SPOILED)
def test_an_adapter_that_does_not_fit_is_refused_and_leaves_no_trace(family: Family, name: str) -> None:
    part = f"adapter.{family.generator.id}.face"
    spoiled = {**family.adapter.parts, part: rewrite(family.adapter.parts[part], SPOILED[name])}
    before = state(family.generator)
    with pytest.raises(NotVerified), plug(family.generator, spoiled):
        pytest.fail("plugged in")
    assert unchanged(before, state(family.generator))


def test_another_model_of_the_same_shape_is_refused(family: Family) -> None:
    other = FAMILIES[family.name]()
    with torch.no_grad():
        next(other.denoiser.parameters()).add_(0.5)
    with pytest.raises(NotVerified, match="other base weights"), plug(other, family.adapter.parts):
        pytest.fail("plugged in")


def test_the_same_model_in_bfloat16_takes_it(family: Family) -> None:
    generator = FAMILIES[family.name]()
    generator.denoiser.to(torch.bfloat16)
    assert generator.base_digest == family.adapter.base_digest
    assert generator.plan.start, "the text encoder notes things at its first use"
    before = state(generator)
    with plug(generator, family.adapter.parts):
        pass
    assert unchanged(before, state(generator))


def test_in_bfloat16_it_is_taught_and_cast(family: Family) -> None:
    """As on a card: the pipeline in bfloat16, the autoencoder of the video and what is learned in single precision."""
    generator, footage = FAMILIES[family.name](), family.footage.part(0, 24)
    generator.pipe.to(torch.bfloat16)
    generator.pipe.vae.to(torch.float32)
    with lora_removed(generator.denoiser):
        generator.denoiser.add_adapter(lora_config(generator.lora_targets("face"), 2), adapter_name="taught")
        cast_training_params(generator.denoiser, torch.float32)
        generator.lessons(footage, generator.fit_identity(footage), 0.0).loss(torch.arange(2)).backward()
        taught = [p for p in generator.denoiser.parameters() if p.requires_grad]
        assert taught
        assert all(p.grad is not None and p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in taught)
    half = Family(family.name, generator, footage, family.adapter)
    before = half.clip()
    with plug(generator, half.adapter.parts):
        assert not same(before, half.clip())
    assert same(before, half.clip())


@pytest.mark.parametrize("change", ["shape", "name", "type"])
def test_tokens_that_do_not_fit_are_refused(family: Family, change: str) -> None:
    part = f"identity.{family.generator.id}.face"
    tokens = load(family.adapter.parts[part])["face.tokens"]
    wrong = {
        "shape": {"face.tokens": tokens[:, 1:].contiguous()},
        "name": {"face.tokens": tokens, "face.more": tokens.clone()},
        "type": {"face.tokens": tokens.half()},
    }[change]
    facts = {"base_model_sha256": family.adapter.base_digest}
    with (
        pytest.raises(NotVerified),
        plug(family.generator, {**family.adapter.parts, part: save(wrong, facts)}),
    ):
        pytest.fail("plugged in")
    assert not getattr(family.generator.denoiser, "peft_config", None)


def test_a_card_that_is_too_small_is_said(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_named: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with plug(family.generator, family.adapter.parts) as person:
        monkeypatch.setattr(type(family.generator.denoiser), "forward", full)
        with pytest.raises(CameoError, match="too little memory") as caught:
            family.generator.perform(person, family.generator.settle(Direction(None, 1)))
        monkeypatch.undo()
    assert caught.value.code == "no_memory"
    assert "fewer frames" in caught.value.hint
