"""A host, and a ledger in either kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cameo.crypto.keys import Keys
from cameo.grants.ledger import Ledger
from tests.postgres import fresh_database

NOON = 1_800_000_000.0


def keys_of(number: int) -> Keys:
    """Make the same keys in every process."""
    secret = bytes([number]) * 32
    return Keys(Ed25519PrivateKey.from_private_bytes(secret), X25519PrivateKey.from_private_bytes(secret))


HOST = keys_of(1)


class Clock:
    """Tell the time that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address where no ledger is yet."""
    return f"sqlite:///{tmp_path}/ledger.sqlite" if request.param == "sqlite" else fresh_database()


@pytest.fixture
def open_ledger(ledger_url: str, clock: Clock) -> Iterator[Callable[..., Ledger]]:
    """Open the same ledger as often as a test wants; all are closed when it ends."""
    opened: list[Ledger] = []

    def open_one(host: Keys = HOST) -> Ledger:
        opened.append(Ledger(host, ledger_url, clock))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[..., Ledger]) -> Ledger:
    return open_ledger()
