"""A host in a process of its own, for the tests that kill it: opens a double again and again, or takes revocations."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import closing
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted
from cameo.grants.ledger import Ledger
from cameo.publishing import take_status
from cameo.records import Use
from cameo.unlocking import Borrowed, Opened, unlock

USE = Use("generate", "birthday", "a cake with candles", "reference", ("video",), ("face",), 4.0, 65_536, 7)


def keys(secret: str) -> Keys:
    """Make keys of 128 hex digits."""
    raw = bytes.fromhex(secret)
    return Keys(Ed25519PrivateKey.from_private_bytes(raw[:32]), X25519PrivateKey.from_private_bytes(raw[32:]))


def say(*words: object) -> None:
    print(*words, flush=True)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def open_until_spent(double: str, by: Borrowed) -> None:
    """Open as long as the grant allows, saying so while the double is open."""
    while True:
        try:
            with unlock(double, USE, borrowed=by) as opened:
                say("open", len(opened.parts))
        except NotPermitted as error:
            say("refused", error.code)
            return


def die_at(step: str) -> None:
    """Arrange to die at a step of the next unlocking."""
    if step == "before-reserve":
        Ledger.reserve = die  # type: ignore[assignment, method-assign]
    elif step == "after-reserve":
        whole = Ledger.reserve

        def reserve_and_die(self: Ledger, *words: Any) -> None:
            whole(self, *words)
            die()

        Ledger.reserve = reserve_and_die  # type: ignore[assignment, method-assign]
    elif step == "before-release":
        Opened.release = die  # type: ignore[method-assign]


def take_until_killed(owner: Keys, host: Keys, statements: list[str]) -> None:
    """Take revocation statements in, one file after the other, saying so after each."""
    with closing(Ledger(host)) as ledger:
        for path in statements:
            take_status(path, owner.public, ledger)
            say("took", path)
    say("done")


if __name__ == "__main__":
    task, double, grant, *rest = sys.argv[1:]
    ada, bob, studio = (keys(secret) for secret in rest[:3])
    if task == "take":
        take_until_killed(ada, studio, rest[3:])
    else:
        die_at(task)
        open_until_spent(double, Borrowed(grant, studio, ada.public, bob))
