"""Plugging in changes what is generated, unplugging leaves no trace, and nothing else can be plugged in."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from cameo.adapt.export import identity_bytes, lora_bytes, lora_config, voice_bytes
from cameo.condition.plug import plug
from cameo.errors import NotVerified, UsageError
from cameo.generators.base import Footage
from cameo.generators.digest import weights_digest
from cameo.generators.lora import remove_lora
from cameo.generators.reference import ReferenceGenerator
from cameo.generators.references import ReferenceIdentity
from cameo.synthetic.voice import speak

ADAPTER, IDENTITY, VOICE = "adapter.reference.face", "identity.reference.face", "adapter.reference.voice"


@pytest.fixture(scope="module")
def parts(generator: ReferenceGenerator, identity: ReferenceIdentity) -> dict[str, bytes]:
    """A LoRA of random weights with the person's identity, as tuning would export them."""
    torch.manual_seed(4)
    denoiser, config = generator.denoiser, lora_config(generator.lora_targets("face"), 2)
    denoiser.add_adapter(config, adapter_name="made")
    with torch.no_grad():
        for name, parameter in denoiser.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    facts = {"base_model_sha256": generator.base_digest}
    made = {ADAPTER: lora_bytes(denoiser, "made", config, facts), IDENTITY: identity_bytes(identity, "face", facts)}
    remove_lora(denoiser)
    return made


def raw_weights(generator: ReferenceGenerator) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in generator.denoiser.state_dict().items()}


def test_plugged_in_it_generates_something_else_and_afterwards_the_same_as_before(
    generator: ReferenceGenerator, identity: ReferenceIdentity, footage: Footage, parts: dict[str, bytes]
) -> None:
    weights, digest = raw_weights(generator), weights_digest(generator.denoiser)
    motion = footage.motion[:8]
    before = generator.sample(identity, motion, 0)
    with plug(generator, parts) as person:
        assert torch.equal(person.tensors("face")["frames"], identity.frames)
        during = generator.sample(person, motion, 0)  # type: ignore[arg-type]
        assert weights_digest(generator.denoiser) == digest, "the base under the adapter is untouched"
    after = generator.sample(identity, motion, 0)
    assert not np.array_equal(before, during)
    assert np.array_equal(before, after)
    now = raw_weights(generator)
    assert set(now) == set(weights)
    assert all(torch.equal(now[name].view(torch.uint8), weights[name].view(torch.uint8)) for name in weights)
    assert weights_digest(generator.denoiser) == digest


def test_an_error_inside_unplugs_too(generator: ReferenceGenerator, parts: dict[str, bytes]) -> None:
    weights = raw_weights(generator)
    with pytest.raises(ZeroDivisionError), plug(generator, parts):
        _ = 1 / 0
    assert set(raw_weights(generator)) == set(weights)
    with plug(generator, parts):
        pass


def test_a_second_double_is_refused(generator: ReferenceGenerator, parts: dict[str, bytes]) -> None:
    with (
        plug(generator, parts),
        pytest.raises(UsageError, match="another adapter is plugged"),
        plug(generator, parts),
    ):
        pytest.fail("two doubles in one generator")


def test_weights_changed_while_plugged_in_are_noticed(generator: ReferenceGenerator, parts: dict[str, bytes]) -> None:
    bias = generator.denoiser.proj_out.bias
    kept = bias.detach().clone()
    try:
        with pytest.raises(NotVerified, match="weights changed"), plug(generator, parts), torch.no_grad():
            generator.denoiser.proj_out.bias.add_(1e-6)
    finally:
        with torch.no_grad():
            generator.denoiser.proj_out.bias.copy_(kept)


def test_the_digest_sees_a_single_bit(generator: ReferenceGenerator) -> None:
    changed = copy.deepcopy(generator.denoiser)
    assert weights_digest(changed) == weights_digest(generator.denoiser)
    with torch.no_grad():
        first = next(changed.parameters())
        first.view(-1)[0] = torch.nextafter(first.view(-1)[0], torch.tensor(9.0))
    assert weights_digest(changed) != weights_digest(generator.denoiser)


def rewrite(data: bytes, change: Callable[[dict[str, Tensor], dict[str, str]], object]) -> bytes:
    """Change the tensors and the metadata of a safetensors file."""
    tensors = load(data)
    size = int.from_bytes(data[:8], "little")
    facts = json.loads(data[8 : 8 + size])["__metadata__"]
    change(tensors, facts)
    return save(tensors, facts)


def first_of(tensors: dict[str, Tensor]) -> str:
    return sorted(tensors)[0]


SPOILED = {
    "stray": lambda t, f: t.update({"transformer.blocks.0.attn1.to_x.lora_A.weight": torch.zeros(2, 256)}),
    "other model": lambda t, f: t.update({"unet.x.lora_A.weight": torch.zeros(2, 256)}),
    "missing": lambda t, f: t.pop(first_of(t)),
    "empty": lambda t, f: t.clear(),
    "nan": lambda t, f: t[first_of(t)].view(-1)[0].fill_(torch.nan),
    "inf": lambda t, f: t[first_of(t)].view(-1)[0].fill_(torch.inf),
    "shape": lambda t, f: t.update({first_of(t): torch.zeros(3, 3, dtype=torch.float16)}),
    "base": lambda t, f: f.update(base_model_sha256="0" * 64),
    "no base": lambda t, f: f.pop("base_model_sha256"),
    "no description": lambda t, f: f.pop("lora_adapter_metadata"),
    "no json": lambda t, f: f.update(lora_adapter_metadata="{"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_an_adapter_that_does_not_fit_is_refused_and_leaves_no_trace(
    generator: ReferenceGenerator, parts: dict[str, bytes], name: str
) -> None:
    weights = raw_weights(generator)
    spoiled = {**parts, ADAPTER: rewrite(parts[ADAPTER], SPOILED[name])}
    with pytest.raises(NotVerified), plug(generator, spoiled):
        pytest.fail("plugged in")
    now = raw_weights(generator)
    assert set(now) == set(weights)
    assert all(torch.equal(now[key], weights[key]) for key in weights)
    with plug(generator, parts):
        pass


@pytest.mark.parametrize("name", ["nan", "base"])
def test_an_identity_that_does_not_fit_is_refused(
    generator: ReferenceGenerator, parts: dict[str, bytes], name: str
) -> None:
    def change(tensors: dict[str, Tensor], facts: dict[str, str]) -> None:
        if name == "nan":
            tensors["share"][0] = torch.nan
        else:
            facts["base_model_sha256"] = "0" * 64

    spoiled = {**parts, IDENTITY: rewrite(parts[IDENTITY], change)}
    with pytest.raises(NotVerified), plug(generator, spoiled):
        pytest.fail("plugged in")
    with plug(generator, parts):
        pass


@pytest.mark.parametrize("data", [b"", b"text", b"\x80\x04pickle", (2**60).to_bytes(8, "little")])
def test_what_is_not_safetensors_is_refused(
    generator: ReferenceGenerator, parts: dict[str, bytes], data: bytes
) -> None:
    for name in (ADAPTER, IDENTITY):
        with pytest.raises(NotVerified), plug(generator, {**parts, name: data}):
            pytest.fail("plugged in")


@pytest.mark.parametrize("name", [ADAPTER, IDENTITY])
def test_a_double_without_the_parts_says_which(
    generator: ReferenceGenerator, parts: dict[str, bytes], name: str
) -> None:
    left = {key: data for key, data in parts.items() if key != name}
    with pytest.raises(UsageError, match=name), plug(generator, left):
        pytest.fail("plugged in")


@pytest.fixture(scope="module")
def voice(generator: ReferenceGenerator) -> bytes:
    """A made-up person's voice, as enrolling would export it."""
    speech = np.asarray(speak(3, 3.0, 25.0).sound, np.float32)
    return voice_bytes(generator.fit_voice(speech), {"base_model_sha256": generator.base_digest})


def test_a_voice_is_plugged_in_when_it_was_unlocked(
    generator: ReferenceGenerator, parts: dict[str, bytes], voice: bytes
) -> None:
    with plug(generator, parts) as person:
        assert isinstance(person, ReferenceIdentity) and person.voice is None
    with plug(generator, {**parts, VOICE: voice}) as person:
        assert isinstance(person, ReferenceIdentity) and person.voice is not None
        assert torch.equal(person.voice.mean, load(voice)["mean"])


def test_the_bytes_of_a_voice_are_the_same_again(generator: ReferenceGenerator, voice: bytes) -> None:
    facts = {"base_model_sha256": generator.base_digest}
    assert voice_bytes(load(voice), facts) == voice
    assert len(voice) < 200_000


SPOILED_VOICE: dict[str, Callable[[dict[str, Tensor], dict[str, str]], object]] = {
    "nan": lambda t, f: t["mean"][0, 0].fill_(torch.nan),
    "stray": lambda t, f: t.update(more=torch.zeros(1)),
    "missing": lambda t, f: t.pop("pitch"),
    "shape": lambda t, f: t.update(covariance=torch.zeros(2, 3, 3)),
    "type": lambda t, f: t.update(mean=t["mean"].half()),
    "base": lambda t, f: f.update(base_model_sha256="0" * 64),
    "no base": lambda t, f: f.pop("base_model_sha256"),
}


@pytest.mark.parametrize("name", SPOILED_VOICE)
def test_a_voice_that_does_not_fit_is_refused_and_leaves_no_trace(
    generator: ReferenceGenerator, parts: dict[str, bytes], voice: bytes, name: str
) -> None:
    weights = raw_weights(generator)
    with (
        pytest.raises(NotVerified),
        plug(generator, {**parts, VOICE: rewrite(voice, SPOILED_VOICE[name])}),
    ):
        pytest.fail("plugged in")
    now = raw_weights(generator)
    assert set(now) == set(weights)
    with pytest.raises(NotVerified), plug(generator, {**parts, VOICE: b"no safetensors"}):
        pytest.fail("plugged in")
    with plug(generator, parts):
        pass
