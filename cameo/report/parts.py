"""List what is sealed in a double: every part in plain words, its size, and the limit for the tuned ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cameo.records import SealedFile

# Bytes of adapter and identity together, so that a double can be sent like a photograph. Chosen.
TUNED_LIMIT = 4_000_000

_TUNED = ("adapter", "identity")
_WORDS = {
    "template": "the {modality} as numbers, to compare with",
    "adapter": "what the generator {generator} learned about the {modality}",
    "identity": "what the generator {generator} starts from to show the {modality}",
    "captures": "the recording itself, kept for later tuning",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Hold one sealed part: `words` say what it is ("" when its name is unknown), `size` is in bytes of ciphertext."""

    name: str
    words: str
    size: int
    tuned: bool


def list_parts(sealed: SealedFile) -> list[Part]:
    """Describe the parts of a sealed file, the largest first."""
    parts = [Part(name, _describe(name), size, name.split(".")[0] in _TUNED) for name, size in sealed.parts.items()]
    return sorted(parts, key=lambda part: -part.size)


def tuned_size(sealed: SealedFile) -> int:
    """Add up the bytes of adapter and identity of the generator that has most, to hold against `TUNED_LIMIT`."""
    sizes: dict[str, int] = {}
    for part in list_parts(sealed):
        if part.tuned:
            generator = part.name.split(".")[1]
            sizes[generator] = sizes.get(generator, 0) + part.size
    return max(sizes.values(), default=0)


def _describe(name: str) -> str:
    """Say what a part is; names are `template.face`, `adapter.<generator>.face`, `captures` and the like."""
    kind, *rest = name.split(".")
    modality, generator = (rest[-1], rest[0]) if rest else ("", "")
    return _WORDS.get(kind, "").format(modality=modality, generator=generator)
