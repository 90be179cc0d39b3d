"""Get from a verified bundle to its content keys. Every door to a key is an `unlock_as_…` function here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cameo.crypto.box import commitment_holds, derive, unwrap_key, wrap_key
from cameo.crypto.encoding import decode_base64, encode_base64
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified, UsageError

if TYPE_CHECKING:
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.manifest import Manifest

LENT = frozenset({"face", "voice"})  # never the captures
WRAPPED_BYTES = 32 + 32 + 16  # encapsulated key, content key, tag


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
                message = f"the {modality} key is not the one this double was sealed with"
                raise NotVerified(message, "do not use the file", "spliced")
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
            raise NotPermitted("these keys are of another double", "unlock this one", "wrong_double")
        key = self._keys.get(modality)
        if key is None:
            message = f"the {modality} of this double was not unlocked"
            raise NotPermitted(message, "ask its owner for a grant", "out_of_scope")
        return key

    def wrap_for(self, host: PublicKeys, grant_id: str, modalities: Iterable[str]) -> dict[str, str]:
        """Encrypt content keys (HPKE, base64) to a host, for one grant; what comes out opens nowhere else.

        Args:
            host: where the double may be opened.
            grant_id: `jti` of the grant.
            modalities: of "face" and "voice".

        Raises:
            UsageError: none is named, or one that cannot be lent.
            NotPermitted: one was not unlocked.
        """
        names = sorted(set(modalities))
        if not names or not LENT.issuperset(names):
            raise UsageError(f"{', '.join(names) or 'nothing'} cannot be lent", "lend face, voice or both")
        return {
            name: encode_base64(
                wrap_key(self.for_modality(self.bundle_id, name), host, *_host_context(self.bundle_id, grant_id, name))
            )
            for name in names
        }


def unlock_as_owner(verified: VerifiedBundle, keys: KeyProvider) -> ContentKeys:
    """Unlock every modality with the owner's decryption key.

    Raises:
        NotPermitted: these are not the keys it was sealed to.
        NotVerified: the unwrapped keys are not those the manifest commits to.
    """
    manifest = verified.manifest
    if keys.public.fingerprint != manifest.owner:
        raise NotPermitted("this key does not own the double", "use the owner's key file", "wrong_key")
    root = unwrap_key(verified.wrapped_key("owner"), keys, *wrap_context("owner", manifest.bundle_id))
    content: dict[str, bytes] = {
        entry.modality: modality_key(root, manifest.bundle_id, entry.modality) for entry in manifest.keys
    }
    return ContentKeys(manifest, content)


def unlock_as_host(
    verified: VerifiedBundle, wrapped: Mapping[str, str], host: KeyProvider, grant_id: str
) -> ContentKeys:
    """Unlock the modalities whose keys a grant carries. Whether the grant holds is for `grants` to say, before.

    Args:
        verified: the double.
        wrapped: what `ContentKeys.wrap_for` made, by modality.
        host: the keys of this host.
        grant_id: `jti` of the grant.

    Raises:
        NotPermitted: the keys were wrapped for another host or grant, or there are none ("wrong_host").
        NotVerified: malformed, or not the keys this double was sealed with.
    """
    bundle_id = verified.manifest.bundle_id
    if not wrapped:
        raise NotPermitted("the grant carries no key", "ask its owner for another grant", "wrong_host")
    content: dict[str, bytes] = {}
    for modality, sealed in wrapped.items():
        if modality not in LENT:
            raise NotVerified("the grant carries the key of something that is never lent", "do not use it", "malformed")
        box = decode_base64(sealed, "the key in the grant", WRAPPED_BYTES)
        try:
            content[modality] = unwrap_key(box, host, *_host_context(bundle_id, grant_id, modality))
        except NotPermitted:
            message = f"the grant was not issued for this host, {host.public.fingerprint[:16]}…, and this double"
            raise NotPermitted(message, "ask its owner for a grant to this host", "wrong_host") from None
    return ContentKeys(verified.manifest, content)


def modality_key(root: bytes, bundle_id: str, modality: str) -> bytes:
    """Derive the content key of one modality. It says nothing about the others, nor about `root`."""
    return derive(root, "modality", bundle_id, modality)


def part_context(bundle_id: str, name: str) -> tuple[str, ...]:
    """Name a part for the derivation of its key."""
    return ("part", bundle_id, name)


def wrap_context(role: str, bundle_id: str) -> tuple[str, ...]:
    """Name a wrapping: role and bundle, so that one cannot stand in for another."""
    return ("root", role, bundle_id)


def _host_context(bundle_id: str, grant_id: str, modality: str) -> tuple[str, ...]:
    return ("content", "host", bundle_id, grant_id, modality)
