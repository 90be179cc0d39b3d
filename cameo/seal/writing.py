"""Turn parts into ciphertext, and a manifest with its consent and ciphertext into the bytes of a bundle."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cameo.crypto.box import commit, fresh_key, seal_stream, wrap_key
from cameo.crypto.encoding import encode_base64, encode_json, sha256_hex
from cameo.crypto.envelope import sign_envelope
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified, OutputError, UsageError
from cameo.seal.container import CONSENT, MANIFEST, PART_PREFIX, pack_entries
from cameo.seal.manifest import (
    PAYLOAD_TYPE,
    KeyEntry,
    Manifest,
    PartEntry,
    WrappedKey,
    parse_manifest,
    part_modality,
)
from cameo.seal.unlock import modality_key, part_context, wrap_context


class SealedParts(msgspec.Struct, frozen=True):
    """Hold encrypted parts, and what a manifest says of them and of their keys.

    Attributes:
        data: ciphertext by name, in the manifest's order.
        entries, keys, wrapped: members `parts`, `keys` and `wrapped` of the manifest.
    """

    data: Mapping[str, bytes]
    entries: tuple[PartEntry, ...]
    keys: tuple[KeyEntry, ...]
    wrapped: tuple[WrappedKey, ...]

    @property
    def items(self) -> list[tuple[str, str, str]]:
        """Name, modality and digest of every part, as a consent record names them."""
        return [(entry.name, entry.modality, entry.sha256) for entry in self.entries]


def encrypt_parts(parts: Mapping[str, bytes], owner: PublicKeys, bundle_id: str) -> SealedParts:
    """Encrypt parts under a fresh root key that opens to `owner` alone; names must be those of parts."""
    modalities = {name: part_modality(name) or "" for name in sorted(parts)}
    root = fresh_key()
    content = {modality: modality_key(root, bundle_id, modality) for modality in sorted(set(modalities.values()))}
    data = {
        name: seal_stream(content[modality], parts[name], *part_context(bundle_id, name))
        for name, modality in modalities.items()
    }
    return SealedParts(
        data=data,
        entries=tuple(
            PartEntry(name, modalities[name], len(sealed), sha256_hex(sealed))  # type: ignore[arg-type]
            for name, sealed in data.items()
        ),
        keys=tuple(KeyEntry(m, commit(key, bundle_id, m)) for m, key in content.items()),  # type: ignore[arg-type]
        wrapped=(_wrap_for_owner(root, owner, bundle_id),),
    )


def pack_bundle(manifest: Manifest, keys: KeyProvider, record: bytes, parts: Mapping[str, bytes]) -> list[bytes]:
    """Sign the manifest and put everything together; the bytes of the file, in order.

    Args:
        manifest: what to sign.
        keys: the owner's.
        record: bytes of the consent record.
        parts: ciphertext by name, in the manifest's order.

    Raises:
        UsageError: the manifest contradicts itself.
        OutputError: the whole is larger than a bundle may be.
    """
    payload = encode_json(manifest)
    try:
        # What is written must be readable: catch a wrong digest or a name too long here, not at the next verify.
        parse_manifest(payload)
    except NotVerified as error:
        raise UsageError(f"cannot seal: {error.message}", "check the encoders, digests and facts given") from None
    envelope = encode_json(sign_envelope(PAYLOAD_TYPE, payload, [keys]))
    entries = {MANIFEST: envelope, CONSENT: record, **{PART_PREFIX + name: data for name, data in parts.items()}}
    try:
        return list(pack_entries(entries))
    except ValueError as error:
        raise OutputError(f"cannot write the double: {error}", "leave out the captures, or keep less of them") from None


def _wrap_for_owner(root: bytes, owner: PublicKeys, bundle_id: str) -> WrappedKey:
    sealed = wrap_key(root, owner, *wrap_context("owner", bundle_id))
    return WrappedKey("owner", owner.fingerprint, encode_base64(sealed))
