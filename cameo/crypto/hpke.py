"""Encrypt a short secret to a public key: HPKE (RFC 9180), base mode.

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, empty `aad`; what a box is for is bound through `info`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from cameo.errors import NotPermitted

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def hpke_seal(secret: bytes, recipient: X25519PublicKey, info: bytes) -> bytes:
    """Encrypt `secret`: 32 bytes of encapsulated key, the ciphertext, 16 bytes of tag."""
    return _SUITE.encrypt(secret, recipient, info=info)


def hpke_open(sealed: bytes, key: X25519PrivateKey, info: bytes) -> bytes:
    """Decrypt what `hpke_seal` made.

    Raises:
        NotPermitted: it was sealed to another key, for another `info`, or was changed.
    """
    try:
        return _SUITE.decrypt(sealed, key, info=info)
    except (InvalidTag, ValueError):
        raise NotPermitted("this key does not open the double", "use the key it was sealed to", "wrong_key") from None
