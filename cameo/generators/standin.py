"""Let something else stand in for a part of somebody's object, for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Let an object have another attribute for a while; afterwards it has its old one, or none of its own."""
    own = name in vars(owner)
    before = vars(owner).get(name)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if own:
            object.__setattr__(owner, name, before)
        else:
            object.__delattr__(owner, name)


@contextmanager
def told_more(denoiser: Any, more: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[None]:
    """Change what a transformer is given by name, in passes for what is wanted and not in those for what is not.

    Pipelines that run the two apart say which one it is by `cache_context`, "cond" or "uncond".
    """
    plain, passes = denoiser.cache_context, [""]

    @contextmanager
    def cache_context(name: str) -> Iterator[None]:
        passes.append(name)
        try:
            with plain(name):
                yield
        finally:
            passes.pop()

    def before(_module: Any, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return given, more(named) if passes[-1] == "cond" else named

    hook = denoiser.register_forward_pre_hook(before, with_kwargs=True)
    try:
        with replaced(denoiser, "cache_context", cache_context):
            yield
    finally:
        hook.remove()
