"""The signed list of what a bundle holds. Byte-level description: `docs/reference/bundle-format.md`."""

from __future__ import annotations

import datetime
from typing import Annotated, Final, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_json
from cameo.errors import NotVerified
from cameo.seal.container import CONSENT, MANIFEST, PART_NAME, PART_PREFIX

PAYLOAD_TYPE = "application/vnd.cameo.manifest.v1+json"
SUITE: Final = "ed25519+x25519-hkdf-sha256-chacha20poly1305/1"
PAYLOAD_LIMIT = 256 * 1024
# Base64 makes 4/3 of it; names and signatures take the rest.
ENVELOPE_LIMIT = 512 * 1024

Hex256 = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
BundleId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Text = Annotated[str, msgspec.Meta(max_length=512)]
Modality = Literal["face", "voice", "captures"]
Time = Annotated[datetime.datetime, msgspec.Meta(tz=True)]

_HINT = "the file contradicts itself: do not use it, ask its owner for another"


class PartEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describe one encrypted part; `sha256` and `size` (bytes) are of the ciphertext."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    modality: Modality
    size: Size
    sha256: Hex256


class KeyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commit to the content key of one modality."""

    modality: Modality
    commitment: Hex256


class WrappedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold the root key, encrypted (HPKE, base64) to the owner's decryption key."""

    role: Literal["owner"]
    recipient: Hex256
    sealed: Annotated[str, msgspec.Meta(max_length=128)]


class EncoderEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name an encoder the templates were made with, and what its likeness scores can promise."""

    id: Text
    modality: Literal["face", "voice"]
    digest: Hex256
    dimension: Annotated[int, msgspec.Meta(ge=1, le=65536)]
    assurance: Literal["consistency-only", "matched"]
    licence: Text
    threshold: float
    threshold_source: Text


class GeneratorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name a generator the double was tuned for, and the digest of its base weights."""

    id: Annotated[str, msgspec.Meta(max_length=32)]
    base_digest: Hex256


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Say what a bundle holds, to whom it belongs, and by which keys it opens."""

    version: Literal[1]
    suite: Literal["ed25519+x25519-hkdf-sha256-chacha20poly1305/1"]
    bundle_id: BundleId
    created: Time
    owner: Hex256
    signers: Annotated[tuple[Hex256, ...], msgspec.Meta(min_length=1, max_length=8)]
    consent_sha256: Hex256
    consent_size: Size
    parts: Annotated[tuple[PartEntry, ...], msgspec.Meta(min_length=1, max_length=64)]
    keys: Annotated[tuple[KeyEntry, ...], msgspec.Meta(min_length=1, max_length=3)]
    wrapped: Annotated[tuple[WrappedKey, ...], msgspec.Meta(min_length=1, max_length=8)]
    encoders: Annotated[tuple[EncoderEntry, ...], msgspec.Meta(max_length=8)]
    generators: Annotated[tuple[GeneratorEntry, ...], msgspec.Meta(max_length=30)]
    about: Annotated[dict[Text, Text | bool | int | float], msgspec.Meta(max_length=64)]

    @property
    def assurance(self) -> str:
        """What the likeness scores of this double can promise: the least any of its encoders does."""
        levels = {encoder.assurance for encoder in self.encoders}
        if not levels:
            return "none"
        return "consistency-only" if "consistency-only" in levels else "matched"

    def part(self, name: str) -> PartEntry | None:
        """Look a part up by name."""
        return next((part for part in self.parts if part.name == name), None)

    def commitment(self, modality: str) -> str | None:
        """Look up the commitment to the content key of a modality."""
        return next((key.commitment for key in self.keys if key.modality == modality), None)

    def entry_names(self) -> list[str]:
        """List the container's entries, in their order in the file."""
        return [MANIFEST, CONSENT, *(PART_PREFIX + part.name for part in self.parts)]


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest and check that it does not contradict itself.

    Raises:
        NotVerified: malformed, of an unknown version or suite, or inconsistent.
    """
    manifest = decode_json(raw, Manifest, "the manifest", PAYLOAD_LIMIT)
    _distinct([part.name for part in manifest.parts], "parts", in_order=True)
    _distinct([key.modality for key in manifest.keys], "keys", in_order=True)
    _distinct([entry.id for entry in manifest.generators], "generators", in_order=True)
    _distinct(list(manifest.signers), "signers", in_order=True)
    _distinct([wrapped.role for wrapped in manifest.wrapped], "wrapped keys")
    _distinct([encoder.modality for encoder in manifest.encoders], "encoders")
    if manifest.owner not in manifest.signers:
        raise NotVerified("the manifest does not name its owner as a signer", _HINT, "malformed")
    if not has_sane_year(manifest.created):
        raise NotVerified("the manifest was made at an impossible time", _HINT, "malformed")
    _check_parts(manifest)
    return manifest


def has_sane_year(at: datetime.datetime) -> bool:
    """Say whether a time can be told in every time zone."""
    return datetime.MINYEAR < at.year < datetime.MAXYEAR


def part_modality(name: str) -> str | None:
    """Say which modality's key a part of this name is sealed with; None if there is no such part."""
    return name.rsplit(".", 1)[-1] if PART_NAME.match(name) else None


def part_generator(name: str) -> str:
    """Say which generator a part of this name belongs to; "" if to none."""
    found = PART_NAME.match(name)
    return (found["generator"] or "") if found else ""


def _check_parts(manifest: Manifest) -> None:
    for part in manifest.parts:
        if part_modality(part.name) != part.modality:
            raise NotVerified(f"the manifest gives part {part.name!r} a wrong name or modality", _HINT, "malformed")
    if {part.modality for part in manifest.parts} != {key.modality for key in manifest.keys}:
        raise NotVerified("the manifest's keys do not match its parts", _HINT, "malformed")
    named = {part_generator(part.name) for part in manifest.parts} - {""}
    if named != {entry.id for entry in manifest.generators}:
        raise NotVerified("the manifest's generators do not match its parts", _HINT, "malformed")


def _distinct(names: list[str], what: str, in_order: bool = False) -> None:
    if len(set(names)) != len(names) or (in_order and sorted(names) != names):
        raise NotVerified(f"the manifest's {what} are repeated or out of order", _HINT, "malformed")
