"""Get from a verified bundle to its content keys. Every door to a key is an `unlock_as_…` function here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cameo.crypto.box import commitment_holds, derive, unwrap_key
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified

if TYPE_CHECKING:
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.manifest import Manifest


class ContentKeys:
    """Hold the content keys of one double, for the modalities that were unlocked. Never shown in `repr`."""

    __slots__ = ("_keys", "bundle_id")

    def __init__(self, manifest: Manifest, keys: Mapping[str, bytes]) -> None:
        """Take keys for `manifest`'s double, refusing any that it did not commit to.

        Raises:
            NotVerified: a key is not the one the owner committed to.
        """
        for modality, key in keys.items():
            commitment = manifest.commitment(modality)
            if commitment is None or not commitment_holds(key, commitment, manifest.bundle_id, modality):
                raise NotVerified(
                    f"the {modality} key is not the one this double was sealed with", "do not use the file"
                )
        self.bundle_id = manifest.bundle_id
        self._keys = dict(keys)

    def __repr__(self) -> str:
        return f"ContentKeys({self.bundle_id}: {', '.join(self.modalities)})"

    @property
    def modalities(self) -> tuple[str, ...]:
        """What was unlocked."""
        return tuple(sorted(self._keys))

    def for_modality(self, bundle_id: str, modality: str) -> bytes:
        """Return the key of one modality of one double.

        Raises:
            NotPermitted: these keys do not reach it.
        """
        if bundle_id != self.bundle_id:
            raise NotPermitted("these keys are of another double", "unlock this one")
        key = self._keys.get(modality)
        if key is None:
            raise NotPermitted(f"the {modality} of this double was not unlocked", "ask its owner for a grant")
        return key


def unlock_as_owner(verified: VerifiedBundle, keys: KeyProvider) -> ContentKeys:
    """Unlock every modality with the owner's decryption key.

    Raises:
        NotPermitted: these are not the keys it was sealed to.
        NotVerified: the unwrapped keys are not those the manifest commits to.
    """
    manifest = verified.manifest
    if keys.public.fingerprint != manifest.owner:
        raise NotPermitted("this key does not own the double", "use the owner's key file")
    root = unwrap_key(verified.wrapped_key("owner"), keys, *wrap_context("owner", manifest.bundle_id))
    content: dict[str, bytes] = {
        entry.modality: modality_key(root, manifest.bundle_id, entry.modality) for entry in manifest.keys
    }
    return ContentKeys(manifest, content)


def modality_key(root: bytes, bundle_id: str, modality: str) -> bytes:
    """Derive the content key of one modality. It says nothing about the others, nor about `root`."""
    return derive(root, "modality", bundle_id, modality)


def part_context(bundle_id: str, name: str) -> tuple[str, ...]:
    """Name a part for the derivation of its key."""
    return ("part", bundle_id, name)


def wrap_context(role: str, bundle_id: str) -> tuple[str, ...]:
    """Name a wrapping: role and bundle, so that one cannot stand in for another."""
    return ("root", role, bundle_id)
