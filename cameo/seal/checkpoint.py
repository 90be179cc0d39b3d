"""Keep an unfinished tuning run on disk: it is as biometric as the double, so it is encrypted to the owner."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cameo import config
from cameo.crypto.box import fresh_key, open_stream, seal_stream, unwrap_key, wrap_key
from cameo.crypto.encoding import sha256_hex
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotPermitted, NotVerified, OutputError
from cameo.files import atomic_write, destroy

KEPT_S = 7 * 24 * 3600  # a run that nobody goes on with is forgotten after a week
_FOLDER, _SUFFIX = "unfinished", ".tuning"
_PURPOSE = "checkpoint"
_LENGTH_BYTES = 2


class SealedCheckpoint:
    """Store one run's state, for the owner's eyes only; implements `adapt.train.CheckpointStore`.

    What identifies the run (clip, generator, recipe, version) is bound to the ciphertext: another run's state does not
    open. What does not open is removed, `tell` is told so in one line, and the run starts anew.
    """

    def __init__(
        self, keys: KeyProvider, *run: str, folder: Path | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self._keys = keys
        self._tell = tell
        self._run = sha256_hex("\0".join((keys.public.fingerprint, *run)).encode())
        self._folder = folder or config.home() / _FOLDER
        self._path = self._folder / f"{_prefix(keys.public.fingerprint)}{self._run[:32]}{_SUFFIX}"

    def load(self) -> bytes | None:
        """Return the state that was saved last; None if there is none that opens."""
        try:
            sealed = self._path.read_bytes()
        except OSError:
            return None
        length = int.from_bytes(sealed[:_LENGTH_BYTES], "big")
        wrapped, body = sealed[_LENGTH_BYTES : _LENGTH_BYTES + length], sealed[_LENGTH_BYTES + length :]
        try:
            key = unwrap_key(wrapped, self._keys, _PURPOSE, self._run)
            return open_stream(key, body, "the unfinished run", _PURPOSE, self._run)
        except (NotPermitted, NotVerified):
            self.clear()
            if self._tell:
                self._tell("the unfinished run does not open, so tuning starts anew")
            return None

    def save(self, data: bytes) -> None:
        """Replace the state in one step.

        Raises:
            OutputError: it cannot be written.
        """
        key = fresh_key()
        wrapped = wrap_key(key, self._keys.public, _PURPOSE, self._run)
        sealed = seal_stream(key, data, _PURPOSE, self._run)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            hint = "set CAMEO_HOME to a folder you may write to"
            raise OutputError(f"cannot make {self._folder}: {reason}", hint) from None
        self._forget_old()
        atomic_write(self._path, len(wrapped).to_bytes(_LENGTH_BYTES, "big") + wrapped + sealed, mode=0o600)

    def clear(self) -> None:
        """Remove the state."""
        with suppress(OSError):
            self._path.unlink()

    def _forget_old(self) -> None:
        for path in self._folder.glob(f"*{_SUFFIX}"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > KEPT_S:
                    path.unlink()


def forget_unfinished(owner: str, folder: Path | None = None) -> int:
    """Destroy every unfinished run of the owner with this fingerprint, and return how many there were.

    Raises:
        OutputError: one cannot be destroyed.
    """
    found = sorted((folder or config.home() / _FOLDER).glob(f"{_prefix(owner)}*{_SUFFIX}"))
    for path in found:
        destroy(path)
    return len(found)


def _prefix(owner: str) -> str:
    return f"{owner[:32]}-"
