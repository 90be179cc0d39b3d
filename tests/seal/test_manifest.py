"""The manifest contradicts nothing and leaves nothing open."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cameo.crypto.encoding import encode_json
from cameo.errors import NotVerified
from cameo.seal.bundle import Bundle
from cameo.seal.manifest import parse_manifest, part_generator, part_modality

from .conftest import Sealed

Change = Callable[[dict[str, Any]], object]


def test_it_reads_what_it_wrote(sealed: Sealed) -> None:
    claims = Bundle(sealed.path, sealed.blob).claims
    assert parse_manifest(encode_json(claims)) == claims


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(version=2),
        lambda m: m.update(suite="ed25519+none/1"),
        lambda m: m.update(extra=True),
        lambda m: m.pop("owner"),
        lambda m: m.update(bundle_id="AB" * 16),
        lambda m: m.update(owner="0" * 64),
        lambda m: m.update(signers=[]),
        lambda m: m["signers"].append(m["signers"][0]),
        lambda m: m.update(parts=[]),
        lambda m: m["parts"].append(m["parts"][0]),
        lambda m: m["parts"].reverse(),
        lambda m: m["parts"][0].update(modality="voice"),
        lambda m: m["parts"][0].update(name="../../x.face"),
        lambda m: m["parts"][0].update(size=-1),
        lambda m: m["parts"][0].update(size=2**41),
        lambda m: m["parts"][0].update(sha256="ab"),
        lambda m: m["parts"][0].update(flags=1),
        lambda m: m.update(keys=m["keys"][:1]),
        lambda m: m["keys"].append(m["keys"][0]),
        lambda m: m.update(generators=[]),
        lambda m: m["generators"].append({"id": "wan", "base_digest": "ab" * 32}),
        lambda m: m["wrapped"].append(m["wrapped"][0]),
        lambda m: m["wrapped"][0].update(role="anyone"),
        lambda m: m["encoders"].append(m["encoders"][0]),
        lambda m: m["encoders"][0].update(assurance="certain"),
        lambda m: m.update(created="2026-01-31T10:00:00"),
        lambda m: m.update(created="9999-12-31T23:59:59-14:00"),
        lambda m: m.update(created="0001-01-01T00:00:00+14:00"),
        lambda m: m.update(about={"x": None}),
        lambda m: m.update(about={str(i): i for i in range(65)}),
    ],
)
def test_contradictions_are_refused(sealed: Sealed, change: Change) -> None:
    manifest = json.loads(encode_json(Bundle(sealed.path, sealed.blob).claims))
    parse_manifest(json.dumps(manifest).encode())
    change(manifest)
    with pytest.raises(NotVerified):
        parse_manifest(json.dumps(manifest).encode())


@pytest.mark.parametrize("old", [b'"version":1', b'"size":'])
def test_duplicate_members_are_refused(sealed: Sealed, old: bytes) -> None:
    raw = encode_json(Bundle(sealed.path, sealed.blob).claims)
    assert old in raw
    doubled = raw.replace(old, b'"version":1,' + old if old.startswith(b'"version') else b'"size":1,' + old, 1)
    with pytest.raises(NotVerified, match="duplicate"):
        parse_manifest(doubled)


def test_oversize_is_refused_before_it_is_read() -> None:
    with pytest.raises(NotVerified, match="more than"):
        parse_manifest(b" " * (256 * 1024 + 1))


@pytest.mark.parametrize(
    ("name", "modality", "generator"),
    [
        ("template.face", "face", ""),
        ("template.voice", "voice", ""),
        ("adapter.reference.face", "face", "reference"),
        ("identity.ltx-2.voice", "voice", "ltx-2"),
        ("captures", "captures", ""),
        ("adapter.face", None, ""),
        ("adapter..face", None, ""),
        ("adapter.Wan.face", None, ""),
        ("template.face.face", None, ""),
        ("captures\n", None, ""),
        ("", None, ""),
    ],
)
def test_part_names(name: str, modality: str | None, generator: str) -> None:
    assert part_modality(name) == modality
    assert part_generator(name) == generator
