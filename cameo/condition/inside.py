"""Keep a plugged-in double inside its generator: what would bake it into weights or write it to a file is refused.

This stops mistakes. It stops nobody who runs their own code in the same process: whoever has a double in memory has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from cameo.errors import UsageError
from cameo.generators.standin import replaced

# Of diffusers' pipelines and models; one that an object has not is passed over.
REFUSED = (
    "fuse_lora",
    "save_pretrained",
    "save_lora_weights",
    "save_lora_adapter",
    "load_lora_weights",
    "load_lora_adapter",
    "push_to_hub",
)


@contextmanager
def kept_inside(*owners: Any) -> Iterator[None]:
    """Refuse on these objects what `REFUSED` names, for the length of the block."""
    with ExitStack() as stack:
        for owner in owners:
            for name in REFUSED:
                if hasattr(owner, name):
                    stack.enter_context(replaced(owner, name, _refusal(name)))
        yield


def _refusal(name: str) -> Any:
    def refuse(*_given: object, **_named: object) -> NoReturn:
        raise UsageError(f"{name} is refused while a double is plugged in", "unplug it first: leave the with block")

    return refuse
