"""A double made step by step, so that each step can be bent. What is in it is two numbers, nobody's face."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.vectors.forge import (
    ADA,
    Claims,
    Entry,
    Person,
    b64,
    chance,
    compact,
    derive,
    envelope,
    hpke_seal,
    safetensors,
    seal_stream,
    sha256_hex,
    tensor,
    words,
    zipped,
)

MANIFEST_TYPE = "application/vnd.cameo.manifest.v1+json"
EVENT_TYPE = "application/vnd.cameo.consent-event.v1+json"
_CREATED = "2027-01-01T00:00:00Z"
_TEXT = ["For birthdays."]
_CATEGORIES = {"face": "dpv-pd:FacialPrint", "voice": "dpv-pd:VoiceBiometric"}

Change = Callable[[Any], None]


def _same(_: Any) -> None:
    """Change nothing."""


@dataclass
class Double:
    """Make a bundle step by step; each step can be bent before the next one signs or hashes it."""

    name: str = "one"
    owner: Person = ADA
    names: Sequence[str] = ("template.face",)

    def __post_init__(self) -> None:
        self.bundle_id = chance(self.name, "bundle", size=16).hex()
        root = chance(self.name, "root")
        modalities = [name.rpartition(".")[2] for name in self.names]
        self.content = {m: derive(root, "modality", self.bundle_id, m) for m in modalities}
        self.parts = {name: self.sealed_part(name) for name in self.names}
        info = words("wrap", "root", "owner", self.bundle_id)
        self.wrapped = hpke_seal(chance(self.name, "ephemeral"), self.owner.decrypt_bytes, info, root)

    def sealed_part(self, name: str, plain: bytes | None = None) -> bytes:
        """Encrypt a part."""
        if plain is None:
            plain = safetensors({"x": tensor("F32", [2], 0, 8)}, struct.pack("<2f", 0.25, len(self.name)))
        salt = chance(self.name, name, "salt", size=16)
        return seal_stream(self.content[name.rpartition(".")[2]], plain, salt, "part", self.bundle_id, name)

    def record(self) -> Claims:
        """The consent record."""
        return {
            "version": 1,
            "standard": "ISO/IEC TS 27560:2023",
            "record_id": chance(self.name, "record", size=16).hex(),
            "bundle_id": self.bundle_id,
            "lawful_basis": "dpv:ExplicitlyExpressedConsent",
            "collection": "recording-by-subject",
            "parties": [{"role": "subject-and-controller", "key": self.owner.fingerprint, "name": ""}],
            "items": [
                {"part": name, "category": _CATEGORIES[name.rpartition(".")[2]], "sha256": sha256_hex(data)}
                for name, data in self.parts.items()
            ],
            "terms": _terms(),
            "act": {
                "text": _TEXT,
                "text_sha256": sha256_hex("\n".join(_TEXT).encode()),
                "language": "en",
                "age_statement": "adult",
                "method": "api",
                "liveness": "not checked",
            },
            "rights": ["withdraw", "erase"],
        }

    def event(self, kind: str, record: bytes, before: bytes = b"", at: str = _CREATED) -> bytes:
        """The payload of an event."""
        previous = sha256_hex(before) if before else ""
        return compact({"kind": kind, "at": at, "record_sha256": sha256_hex(record), "previous_sha256": previous})

    def consent(self, bend: Change = _same, signer: Person | None = None) -> bytes:
        """The consent file, with the one event that it was given."""
        record = self.record()
        bend(record)
        raw = compact(record)
        return self.consent_file(raw, [envelope(EVENT_TYPE, self.event("given", raw), signer or self.owner)])

    @staticmethod
    def consent_file(record: bytes, events: Sequence[Claims]) -> bytes:
        return b'{"record":' + record + b',"events":' + compact(list(events)) + b"}"

    def manifest(self, consent: bytes) -> Claims:
        """The manifest, over whatever `parts` are now."""
        return {
            "version": 1,
            "suite": "ed25519+x25519-hkdf-sha256-chacha20poly1305/1",
            "bundle_id": self.bundle_id,
            "created": _CREATED,
            "owner": self.owner.fingerprint,
            "signers": [self.owner.fingerprint],
            "consent_sha256": sha256_hex(consent),
            "consent_size": len(consent),
            "parts": [
                {"name": n, "modality": n.rpartition(".")[2], "size": len(data), "sha256": sha256_hex(data)}
                for n, data in self.parts.items()
            ],
            "keys": [
                {"modality": m, "commitment": derive(key, "commit", self.bundle_id, m).hex()}
                for m, key in self.content.items()
            ],
            "wrapped": [{"role": "owner", "recipient": self.owner.fingerprint, "sealed": b64(self.wrapped)}],
            "encoders": [],
            "generators": [],
            "about": {},
        }

    def entries(self, bend: Change = _same, consent: bytes | None = None, signer: Person | None = None) -> list[Entry]:
        """The entries of the file; `bend` changes the manifest before it is signed."""
        consent = self.consent() if consent is None else consent
        manifest = self.manifest(consent)
        bend(manifest)
        signed = compact(envelope(MANIFEST_TYPE, compact(manifest), signer or self.owner))
        parts = [Entry(f"parts/{name}", data) for name, data in self.parts.items()]
        return [Entry("manifest.dsse.json", signed), Entry("consent.json", consent), *parts]

    def file(self, bend: Change = _same, consent: bytes | None = None, signer: Person | None = None) -> bytes:
        """The whole file."""
        return zipped(self.entries(bend, consent, signer))

    def sealed_for(self, host: Person, grant_id: str, modality: str) -> str:
        """Wrap a content key to a host, as a grant carries it."""
        info = words("wrap", "content", "host", self.bundle_id, grant_id, modality)
        ephemeral = chance(self.name, "ephemeral", modality)
        return b64(hpke_seal(ephemeral, host.decrypt_bytes, info, self.content[modality]))


def _terms() -> Claims:
    """Terms; what is not said has a default."""
    purpose = {
        "id": "birthday",
        "generators": ["reference"],
        "delegable": True,
        "valid_from": "2027-01-01",
        "valid_until": "2027-12-31",
    }
    return {"purposes": [purpose], "prohibited": ["minors", "financial-fraud", "identity-fraud"]}
