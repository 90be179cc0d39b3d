"""Let something else stand in for a part of somebody's object, for the length of a `with` block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
