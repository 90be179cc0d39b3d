"""Doubles that may be exported: random LoRAs for tiny pipelines, sealed under terms that name the action."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from cameo.seal.bundle import Part
from tests.generators.lora_parts import random_parts
from tests.generators.tiny_pipelines import FAMILIES
from tests.lendable import Lendable, People, seal_lendable
from tests.seal.conftest import ENCODER

TERMS = """
[[purposes]]
id = "birthday"
actions = ["generate", "export"]
outputs = ["video", "audio"]
delegable = true

[[purposes]]
id = "comedy"
outputs = ["video", "audio"]
delegable = true
"""


@cache
def tiny(name: str) -> Any:
    """Return the generator of a tiny pipeline."""
    return FAMILIES[name]()


@cache
def parts_for(name: str) -> dict[str, bytes]:
    """Make adapters and tokens for it."""
    return random_parts(tiny(name))


def seal_exportable(folder: Path, name: str, people: People, toml: str = TERMS) -> Lendable:
    """Seal them as a double of Ada's."""
    digest = tiny(name).base_digest
    parts = [Part(part, part.rpartition(".")[2], data, tiny(name).id, digest) for part, data in parts_for(name).items()]
    return seal_lendable(folder, people, parts, ENCODER, toml)
