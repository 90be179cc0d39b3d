"""One small sealed double, made once, and what it was made of."""

from __future__ import annotations

import datetime
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from cameo.crypto.keys import Keys
from cameo.grants.guard import list_digest
from cameo.records import CONSISTENCY_ONLY, EncoderInfo
from cameo.seal.bundle import Bundle, Part, seal_bundle
from cameo.seal.consent import Agreement, agree
from cameo.seal.terms import parse_terms, resolve_terms
from cameo.seal.unlock import unlock_as_owner


def tensor_bytes(*values: float) -> bytes:
    """Write a safetensors file with one F32 tensor."""
    body = struct.pack(f"<{len(values)}f", *values)
    header = {"x": {"dtype": "F32", "shape": [len(values)], "data_offsets": [0, len(body)]}}
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + body


def agreement(toml: str = '[[purposes]]\nid = "birthday"', liveness: str = "not checked") -> Agreement:
    """Agree to terms as a program does."""
    today = datetime.date(2026, 1, 31)
    return agree(resolve_terms(parse_terms(toml), ["reference"], today, list_digest()), "api", liveness)


# As `Verdict.summary` puts it.
PASSED = f"challenge passed; nonce {'5a' * 16}; challenge sha256 {'b6' * 32}; digits ok, turns ok"


def some_parts(shift: float = 0.0) -> list[Part]:
    """Make four small parts."""
    base = "ab" * 32
    return [
        Part("template.face", "face", tensor_bytes(0.1 + shift, 0.2)),
        Part("template.voice", "voice", tensor_bytes(0.3 + shift)),
        Part("adapter.reference.face", "face", tensor_bytes(*[0.5 + shift] * 40), "reference", base),
        Part("identity.reference.face", "face", tensor_bytes(0.7 + shift), "reference", base),
    ]


ENCODER = EncoderInfo("tiny", "face", "cd" * 32, 16, CONSISTENCY_ONLY, "Apache-2.0", 0.5, "tests")


@dataclass(frozen=True)
class Sealed:
    """Hold a sealed double with the keys that open it."""

    keys: Keys
    path: Path
    blob: bytes
    parts: dict[str, bytes]

    def open_all(self, blob: bytes) -> dict[str, bytes]:
        """Go through every door: parse, verify, unlock, decrypt all parts."""
        verified = Bundle(self.path, blob).verify(self.keys.public)
        content = unlock_as_owner(verified, self.keys)
        return {part.name: verified.read_part(part.name, content) for part in verified.manifest.parts}


def _seal(folder: Path, shift: float, keys: Keys) -> Sealed:
    parts = some_parts(shift)
    path = folder / "ada.cameo"
    seal_bundle(path, keys, agreement(), parts, [ENCODER], {"note": "made by a test", "steps": 3})
    return Sealed(keys, path, path.read_bytes(), {part.name: part.data for part in parts})


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return _seal(tmp_path_factory.mktemp("sealed"), 0.0, Keys.generate())


@pytest.fixture(scope="session")
def sibling(tmp_path_factory: pytest.TempPathFactory, sealed: Sealed) -> Sealed:
    """Another double of the same owner, to splice from."""
    return _seal(tmp_path_factory.mktemp("sibling"), 1.0, sealed.keys)
