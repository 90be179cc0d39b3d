"""Load a double's verified bytes into a generator for the length of a `with` block.

Invariants: only the given bytes are loaded (no second read of a file); every tensor is consumed or nothing is loaded;
after the block, exceptions included, the generator's weights are bit for bit what they were. Nothing is ever fused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from peft.utils import get_peft_model_state_dict
from torch import Tensor

from cameo.condition.inside import kept_inside
from cameo.errors import NotVerified, UsageError
from cameo.generators.base import LineSpeaker, taught
from cameo.generators.digest import weights_digest
from cameo.generators.lora import lora_removed, several_meant
from cameo.generators.lora_file import PREFIX, lora_rank, read_facts, read_tensors

if TYPE_CHECKING:
    from cameo.generators.base import Generator, Identity

NAME = "cameo-"
STRONGEST = 2.0  # weight of a LoRA


@contextmanager
def plug(
    generator: Generator, parts: Mapping[str, bytes], weights: Mapping[str, float] | None = None
) -> Iterator[Identity]:
    """Yield the person's identity while their adapters are active in the generator.

    Args:
        generator: what to plug into; nothing else may be plugged into it.
        parts: decrypted parts by name; `adapter.<generator>.<modality>` and `identity.<generator>.<modality>` are used.
        weights: of a modality's LoRA, 0..2; 1 where nothing is said. At 0 the modality is left out altogether, its
            tokens included: with nothing else plugged in, a pipeline then generates exactly what its base does.

    Raises:
        UsageError: the double has no parts for this generator, a weight is not one of theirs, or something is plugged
            in already.
        NotVerified: the parts belong to other base weights, or do not fit them.
    """
    strengths = _strengths(_modalities(generator, parts), weights or {})
    with (
        loaded(generator, [parts], [strengths]) as [person],
        generator.wearing(person, tuple(m for m, strength in strengths.items() if strength)),
    ):
        yield person


@contextmanager
def loaded(
    generator: Generator, people: Sequence[Mapping[str, bytes]], strengths: Sequence[Mapping[str, float]] = ()
) -> Iterator[list[Identity]]:
    """Yield the identities of people while the adapters of all of them are active, under names of their own.

    Args:
        generator: what to plug into.
        people: decrypted parts of each.
        strengths: of each one's LoRAs by modality; 1 where nothing is said, 0 leaves one out.

    Raises:
        UsageError, NotVerified: as `plug`.
    """
    denoiser = generator.denoiser
    with lora_removed(denoiser):
        digest = generator.base_digest
        read = [_read_person(generator, parts, digest) for parts in people]
        before, names = weights_digest(denoiser), dict[str, float]()
        for k, (tensors, parts) in enumerate(zip(read, people, strict=True)):
            for modality in _modalities(generator, parts):
                strength = strengths[k].get(modality, 1.0) if strengths else 1.0
                if strength:
                    name = f"adapter.{generator.id}.{modality}"
                    names[adapter_name(k, modality)] = strength
                    _load_lora(generator, modality, tensors[name], read_facts(parts[name]), adapter_name(k, modality))
        if names:
            denoiser.set_adapters(list(names), list(names.values()))
        with kept_inside(denoiser, getattr(generator, "pipe", None)):
            yield [_identity(generator, tensors) for tensors in read]
    if weights_digest(denoiser) != before:
        raise NotVerified("the generator's weights changed while a double was plugged in", "load the generator afresh")


def adapter_name(person: int, modality: str) -> str:
    """Name the adapter of the person of that number."""
    return f"{NAME}{person}-{modality}"


def _modalities(generator: Generator, parts: Mapping[str, bytes]) -> list[str]:
    return [m for m in taught(generator) if f"adapter.{generator.id}.{m}" in parts] or ["face"]


def _read_person(generator: Generator, parts: Mapping[str, bytes], digest: str) -> dict[str, dict[str, Tensor]]:
    names = [f"{kind}.{generator.id}.{m}" for m in _modalities(generator, parts) for kind in ("adapter", "identity")]
    missing = [name for name in names if name not in parts]
    if missing:
        raise UsageError(f"this double holds no {missing[0]}", f"tune it for the {generator.id} generator first")
    voice = f"adapter.{generator.id}.voice"  # of a generator that says a line it is no LoRA, and has no identity part
    if isinstance(generator, LineSpeaker) and voice in parts:
        names.append(voice)
    return {name: _read(parts[name], name, digest) for name in names}


def _identity(generator: Generator, read: Mapping[str, dict[str, Tensor]]) -> Identity:
    sealed = [tensors for name, tensors in read.items() if name.startswith("identity.")]
    person = generator.load_identity({key: value for one in sealed for key, value in one.items()})
    voice = read.get(f"adapter.{generator.id}.voice")
    if isinstance(generator, LineSpeaker) and voice is not None:
        return generator.give_voice(person, voice)
    return person


def _strengths(modalities: Sequence[str], weights: Mapping[str, float]) -> dict[str, float]:
    stray = [m for m in weights if m not in modalities]
    if stray:
        hint = f"it holds: {', '.join(modalities)}"
        raise UsageError(f"this double holds no {stray[0]} for this generator, which a weight is given for", hint)
    wrong = [w for w in weights.values() if not 0 <= w <= STRONGEST]
    if wrong:
        raise UsageError(f"a weight is 0 to {STRONGEST:g}, not {wrong[0]}", "1 is as it was tuned")
    return {m: float(weights.get(m, 1.0)) for m in modalities}


def _read(data: bytes, name: str, base_digest: str) -> dict[str, Tensor]:
    tensors = read_tensors(data, name)
    if read_facts(data).get("base_model_sha256") != base_digest:
        raise NotVerified(f"{name} was tuned for other base weights than this generator's", "tune the double again")
    return tensors


def _load_lora(
    generator: Generator, modality: str, tensors: dict[str, Tensor], facts: dict[str, str], adapter: str
) -> None:
    """Load the LoRA of a modality and prove that every tensor arrived."""
    denoiser, prefix = generator.denoiser, PREFIX + "."
    wanted = re.compile(generator.lora_targets(modality))
    layers = [prefix + name for name, _ in denoiser.named_modules() if wanted.fullmatch(name)]
    amiss = set(tensors) ^ {f"{layer}.lora_{side}.weight" for layer in layers for side in "AB"}
    if amiss:
        named = min(amiss)
        what = "holds a tensor of another model" if named in tensors else "lacks a tensor"
        raise NotVerified(f"the adapter {what}: {named}", "tune the double again")
    state = {key: value.float() for key, value in tensors.items()}
    try:
        config = _lora_config(facts, generator.lora_targets(modality))
        with several_meant():
            denoiser.load_lora_adapter(dict(state), prefix=PREFIX, metadata=config, adapter_name=adapter)
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise NotVerified("the adapter does not fit this generator", "tune the double again") from error
    arrived = get_peft_model_state_dict(denoiser, adapter_name=adapter)
    expected = {key.removeprefix(prefix): value for key, value in state.items()}
    if set(arrived) != set(expected) or any(not torch.equal(arrived[k], expected[k].to(arrived[k])) for k in expected):
        raise NotVerified("not every tensor of the adapter was loaded", "tune the double again")


def _lora_config(facts: dict[str, str], targets: str) -> dict[str, Any]:
    """Take rank and strength from the file, and nothing else: which modules it may touch is the generator's to say."""
    rank = lora_rank(facts)
    return {
        f"{PREFIX}.{key}": value for key, value in {"r": rank, "lora_alpha": rank, "target_modules": targets}.items()
    }
