"""Hold one vector of the corpus, and write it the way `docs/reference/test-vectors.md` describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.vectors.forge import ADA, BOB, EVE, HOST, NOW, TOOL, Person

FOLDER = Path(__file__).parent
PEOPLE = FOLDER / "people.json"
KINDS = (
    "grant",
    "delegation",
    "proof",
    "status",
    "revocation",
    "group",
    "bundle",
    "consent",
    "safetensors",
    "key",
    "receipt",
)


@dataclass(frozen=True)
class Vector:
    """Say what is given and what must come of it.

    `keys` says who of `people.json` has which role.
    """

    kind: str
    name: str
    description: str
    expected: str
    input: Mapping[str, Any]
    keys: Mapping[str, Person] = field(default_factory=dict)
    now: int = NOW

    @property
    def id(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def path(self) -> Path:
        return FOLDER / self.kind / f"{self.name}.json"

    def to_text(self) -> str:
        document = {
            "id": self.id,
            "kind": self.kind,
            "description": self.description,
            "expected": self.expected,
            "now": self.now,
            "keys": {role: person.name for role, person in self.keys.items()},
            "input": self.input,
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def people_text() -> str:
    """Write everybody's keys, the private ones, too: nobody else has a use for them."""
    document = {
        person.name: {
            "fingerprint": person.fingerprint,
            "sign": person.sign_bytes.hex(),
            "decrypt": person.decrypt_bytes.hex(),
            "sign_secret": person.sign_seed.hex(),
            "decrypt_secret": person.decrypt_secret.hex(),
        }
        for person in (ADA, BOB, TOOL, HOST, EVE)
    }
    return json.dumps(document, indent=1) + "\n"
