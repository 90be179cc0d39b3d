"""Say what a key must be able to do, wherever it lives: a file, a key management service, a hardware module."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cameo.crypto.keys import PublicKeys


@runtime_checkable
class KeyProvider(Protocol):
    """Sign and decrypt without handing the private keys out.

    `crypto.keys.Keys` is the one that reads key files. One for a service implements the same three members; every
    function of cameo that takes keys takes it.
    """

    @property
    def public(self) -> PublicKeys:
        """The public halves."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign `message` (64 bytes, Ed25519, RFC 8032)."""
        ...

    def open_box(self, sealed: bytes, info: bytes) -> bytes:
        """Decrypt an HPKE box (RFC 9180, base mode; see `crypto.hpke` for the suite).

        Raises:
            NotPermitted: it was sealed to others, for another `info`, or was changed.
        """
        ...
