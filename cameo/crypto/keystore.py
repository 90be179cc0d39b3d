"""Remember a key file's passphrase in the operating system's keyring, where there is one.

Only the passphrase goes there: the key itself stays in its Argon2id-protected file, so that without a keyring (a
server, a container) nothing is ever stored in the clear.
"""

from __future__ import annotations

from cameo.errors import CameoError

_SERVICE = "cameo"


def recall_passphrase(fingerprint: str) -> str | None:
    """Look the passphrase up; None when there is no working keyring or it does not know this key."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, fingerprint)
    except (KeyringError, RuntimeError, OSError):
        # No backend, locked, or its service is not running: the caller asks the person instead.
        return None


def remember_passphrase(fingerprint: str, passphrase: str) -> None:
    """Store the passphrase.

    Raises:
        CameoError: there is no working keyring; nothing was stored anywhere.
    """
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, fingerprint, passphrase)
    except (KeyringError, RuntimeError, OSError):
        message = "this machine has no working keyring; the passphrase was not stored"
        raise CameoError(message, "the key file is made and good: keep its passphrase yourself") from None
