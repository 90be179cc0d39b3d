"""Encrypt parts in chunks, derive their keys, wrap the root key to a recipient.

Every derivation names its purpose in `info`, so that no two purposes ever share a key.
"""

from __future__ import annotations

import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cameo.crypto.hpke import hpke_seal
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified

KEY_BYTES = 32
SALT_BYTES = 16
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16

_HINT = "the file was changed or is damaged: do not use it"


def fresh_key() -> bytes:
    """Draw a 32-byte key from the system's random source."""
    return os.urandom(KEY_BYTES)


def derive(key: bytes, *purpose: str, salt: bytes | None = None, size: int = KEY_BYTES) -> bytes:
    """Derive `size` bytes from `key` for one purpose (HKDF-SHA-256, RFC 5869).

    The words of `purpose` are joined by NUL after `cameo/v1`; none of them may contain NUL.
    """
    if any("\0" in word for word in purpose):
        raise ValueError("a purpose contains NUL")
    return hkdf_sha256(key, "\0".join(("cameo/v1", *purpose)).encode(), salt, size)


def hkdf_sha256(key: bytes, info: bytes, salt: bytes | None, size: int) -> bytes:
    """Extract and expand as RFC 5869 says; `size` at most 8160 bytes."""
    return HKDF(algorithm=hashes.SHA256(), length=size, salt=salt, info=info).derive(key)


def commit(key: bytes, *purpose: str) -> str:
    """Commit to `key` (hex): the cipher alone would let one ciphertext open under two keys."""
    return derive(key, "commit", *purpose).hex()


def commitment_holds(key: bytes, commitment: str, *purpose: str) -> bool:
    """Say whether `commitment` was made for `key`, in constant time."""
    return hmac.compare_digest(commit(key, *purpose), commitment)


def wrap_key(key: bytes, recipient: PublicKeys, *context: str) -> bytes:
    """Encrypt `key` to `recipient` (HPKE); it opens only with the same `context`."""
    return hpke_seal(key, recipient.decrypt_key, _wrap_info(context))


def unwrap_key(wrapped: bytes, keys: KeyProvider, *context: str) -> bytes:
    """Decrypt a wrapped key.

    Raises:
        NotPermitted: it was wrapped to someone else, for another context, or was changed.
    """
    key = keys.open_box(wrapped, _wrap_info(context))
    if len(key) != KEY_BYTES:
        raise NotPermitted("this key does not open the double", "use the key it was sealed to", "wrong_key")
    return key


def seal_stream(key: bytes, data: bytes, *context: str) -> bytes:
    """Encrypt `data` in 64 KiB chunks: 16 bytes of salt, then ciphertext and tag of every chunk.

    The salt makes the chunk key fresh for every call, so a counter is a safe nonce even when a part of the same
    name is sealed again under the same `key`. Source: Hoang, Reyhanitabar, Rogaway, Vizár, "Online
    authenticated-encryption and its nonce-reuse misuse-resistance" (2015), STREAM.
    """
    salt = os.urandom(SALT_BYTES)
    cipher = ChaCha20Poly1305(derive(key, "stream", *context, salt=salt))
    view = memoryview(data)
    count = max(1, -(-len(data) // CHUNK_BYTES))
    chunks = [
        cipher.encrypt(_nonce(i, count), view[i * CHUNK_BYTES : (i + 1) * CHUNK_BYTES], None) for i in range(count)
    ]
    return b"".join([salt, *chunks])


def open_stream(key: bytes, sealed: bytes | memoryview, what: str, *context: str) -> bytes:
    """Decrypt what `seal_stream` made, whole or not at all.

    Raises:
        NotVerified: truncated, reordered, changed, or sealed under another key or context.
    """
    view = memoryview(sealed)
    cipher = ChaCha20Poly1305(derive(key, "stream", *context, salt=bytes(view[:SALT_BYTES])))
    body = view[SALT_BYTES:]
    step = CHUNK_BYTES + TAG_BYTES
    count = max(1, -(-len(body) // step))
    try:
        chunks = [cipher.decrypt(_nonce(i, count), body[i * step : (i + 1) * step], None) for i in range(count)]
    except InvalidTag:
        raise NotVerified(f"{what} does not decrypt", _HINT, "spliced") from None
    if count > 1 and not chunks[-1]:
        raise NotVerified(f"{what} ends in an empty chunk", _HINT, "malformed")
    return b"".join(chunks)


def sealed_size(size: int) -> int:
    """Say how many bytes `seal_stream` makes of `size` bytes."""
    return SALT_BYTES + size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


def _nonce(index: int, count: int) -> bytes:
    """Number a chunk, and mark the last one: 7 zero bytes, 4 of counter, 1 of flag."""
    return struct.pack(">7xIB", index, index == count - 1)


def _wrap_info(context: tuple[str, ...]) -> bytes:
    if any("\0" in word for word in context):
        raise ValueError("a context contains NUL")
    return "\0".join(("cameo/v1", "wrap", *context)).encode()
