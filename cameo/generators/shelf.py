"""The generators there are, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cameo.errors import UsageError

if TYPE_CHECKING:
    from cameo.generators.base import Generator

# Name -> "module:function" that loads it; only the one asked for is imported.
_SHELF = {"reference": "cameo.generators.reference:load_reference"}

# Class of a pipeline -> "module:class" of its family.
_FAMILIES = {"WanPipeline": "cameo.generators.wan:WanGenerator"}


def generator_for(pipe: Any) -> Generator:
    """Wrap a pipeline object in the generator of its family.

    Raises:
        UsageError: it is of no known family.
    """
    place = _FAMILIES.get(type(pipe).__name__)
    if place is None:
        message = f"a double cannot be put into a {type(pipe).__name__}"
        raise UsageError(message, f"the pipelines are: {', '.join(sorted(_FAMILIES))}")
    module, name = place.split(":")
    generator: Generator = getattr(import_module(module), name)(pipe)
    return generator


def load_generator(name: str) -> Generator:
    """Load a generator by its name.

    Raises:
        UsageError: there is none of that name.
    """
    place = _SHELF.get(name)
    if place is None:
        raise UsageError(f"there is no generator {name!r}", f"the generators are: {', '.join(_SHELF)}")
    module, function = place.split(":")
    generator: Generator = getattr(import_module(module), function)()
    return generator
