"""Use a ledger until killed; the tests of races and crashes run this as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from cameo.errors import NotPermitted
from cameo.grants import ledger as module
from cameo.grants.ledger import Ledger, UseLimit
from cameo.grants.receipt import Entry
from cameo.grants.status import StatusSnapshot, pack_bits, status_uri
from tests.grants.conftest import HOST, NOON

ADA, GRANT, DOUBLE = "a" * 64, "1" * 32, "c" * 32
ALLOW = Entry("allow", bundle_id=DOUBLE, owner=ADA, grant=GRANT)
URI = status_uri(ADA)


def say(*words: object) -> None:
    print(*words, flush=True)


def use_until_killed(ledger: Ledger) -> None:
    while True:
        nonce = ledger.nonce()
        say("nonce", nonce)
        say("used", ledger.reserve(nonce, [UseLimit(ADA, GRANT, 10**6)], ALLOW).seq)


def use_while_there_are(ledger: Ledger, most: int) -> None:
    won = 0
    while True:
        try:
            ledger.reserve(ledger.nonce(), [UseLimit(ADA, GRANT, most)], ALLOW)
            won += 1
        except NotPermitted as error:
            ledger.record(Entry("deny", error.code, bundle_id=DOUBLE))
            say("won", won)
            return


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(ledger: Ledger, step: str) -> None:
    """Die before the named step of `reserve`, or right after all of them."""
    nonce = ledger.nonce()
    say("nonce", nonce)
    if step == "count":
        module._count = die  # type: ignore[assignment]
    elif step == "append":
        Ledger._append = die  # type: ignore[assignment, method-assign]
    elif step == "commit":
        whole = Ledger._append

        def append_and_die(self: Ledger, *words: Any) -> None:
            whole(self, *words)
            die()

        Ledger._append = append_and_die  # type: ignore[assignment, method-assign]
    ledger.reserve(nonce, [UseLimit(ADA, GRANT, 1)], ALLOW)
    die()


def revoke_and_die(ledger: Ledger) -> None:
    ledger.absorb(StatusSnapshot(URI, 1, int(NOON), int(NOON) + 600, 10, pack_bits(64, [7])))
    ledger.mark_revoked(URI, 8)
    die()


if __name__ == "__main__":
    url, task, *rest = sys.argv[1:]
    opened = Ledger(HOST, url, lambda: NOON)
    if task == "use":
        use_until_killed(opened)
    elif task == "race":
        use_while_there_are(opened, int(rest[0]))
    elif task == "die":
        die_at(opened, rest[0])
    else:
        revoke_and_die(opened)
