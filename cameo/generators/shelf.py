"""The generators there are: the one that ships by its name, the others by family and weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.generators.base import Generator

# Generators that ship: name -> "module:function" that loads it.
_SHIPPED = {"reference": "cameo.generators.reference:load_reference"}
# Family -> class of the generator, and the pipelines it takes; only the one asked for is imported.
_FAMILIES = {
    "wan": ("cameo.generators.wan:WanGenerator", ("WanPipeline",)),
    "ltx2": ("cameo.generators.ltx2:LTX2Generator", ("LTX2Pipeline",)),
    "hunyuanvideo": ("cameo.generators.hunyuan_video:HunyuanVideoGenerator", ("HunyuanVideoPipeline",)),
    "cogvideox": ("cameo.generators.cogvideox:CogVideoXGenerator", ("CogVideoXPipeline",)),
}
_DEVICE = re.compile(r"(?P<device>cpu|cuda(?::\d+)?)?(?:,?(?P<bits>8bit))?")


@dataclass(frozen=True, slots=True)
class Choice:
    """Say which generator is meant.

    Attributes:
        family: its id, as parts, consent and grants name it.
        source: a folder in diffusers' layout or a repository of the hub; "" for the generator that ships.
        device: where it runs, "cpu", "cuda" or "cuda:1"; "" chooses.
        eight_bit: whether the transformer's weights are held in 8 bits.
    """

    family: str
    source: str = ""
    device: str = ""
    eight_bit: bool = False


def read_choice(name: str) -> Choice:
    """Read `reference`, or `FAMILY:FOLDER` and `FAMILY:ORG/REPO` with `@DEVICE`, `@DEVICE,8bit` or `@8bit` behind it.

    Raises:
        UsageError: there is no such generator, or the name does not say where its weights are.
    """
    family, _, rest = name.partition(":")
    if name in _SHIPPED:
        return Choice(name)
    if family not in _FAMILIES:
        known = ", ".join([*_SHIPPED, *(f"{one}:WEIGHTS" for one in _FAMILIES)])
        raise UsageError(f"there is no generator {name!r}", f"the generators are: {known}")
    source, at, tail = rest.rpartition("@")
    where = _DEVICE.fullmatch(tail) if at and tail else None
    if where is None:  # an "@" in the name of a folder
        source, device, bits = rest, "", None
    else:
        device, bits = where["device"] or "", where["bits"]
    if not source:
        hint = f"name a folder in diffusers' layout or a repository: {family}:FOLDER or {family}:ORG/REPO"
        raise UsageError(f"which weights of {family}?", hint)
    return Choice(family, source, device, bool(bits))


def generator_id(name: str) -> str:
    """Return the id under which consent, grants and parts know the generator of this name."""
    return read_choice(name).family


def family_targets(family: str) -> Mapping[str, str]:
    """Return, by modality, the regular expression of the layers that a LoRA of a published family adapts.

    Raises:
        UsageError: there is no such family, or it ships with cameo, and no other program knows it.
    """
    if family in _SHIPPED:
        hint = f"what was tuned for another one can be: {', '.join(_FAMILIES)}; see: cameo adapt --help"
        raise UsageError(f"no other program has the {family} generator, so nothing is exported for it", hint)
    if family not in _FAMILIES:
        hint = f"the families are: {', '.join(_FAMILIES)}; here they are named without weights"
        raise UsageError(f"there is no family of generators {family!r}", hint)
    targets: Mapping[str, str] = _named(_FAMILIES[family][0]).targets
    return targets


def load_generator(name: str) -> Generator:
    """Load a generator by its name; nothing is ever downloaded.

    Raises:
        UsageError: there is none of that name, or the weights are another family's.
        MissingWeights: its weights are not on this machine; the hint is the command that gets them.
        MissingExtra: 8 bits were asked for, and the package that does that is not installed.
        CameoError: "no_memory", the card is too small.
    """
    choice = read_choice(name)
    if choice.family in _SHIPPED:
        shipped: Generator = _named(_SHIPPED[choice.family])()
        return shipped
    place, classes = _FAMILIES[choice.family]
    pipe = import_module("cameo.generators.published").load_pipeline(choice, classes)
    made: Generator = _named(place)(pipe)
    return made


def generator_for(pipe: Any) -> Generator:
    """Wrap a pipeline of diffusers as the generator of its family; the object stays the caller's.

    Raises:
        UsageError: no family takes a pipeline of this class.
    """
    names = [base.__name__ for base in type(pipe).__mro__]
    for place, classes in _FAMILIES.values():
        if any(known in names for known in classes):
            made: Generator = _named(place)(pipe)
            return made
    known = ", ".join(one for _, classes in _FAMILIES.values() for one in classes)
    raise UsageError(f"no generator takes a {names[0]}", f"the pipelines are: {known}")


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(module), name)
