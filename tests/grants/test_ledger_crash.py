"""Fifty threads race for the last use, several processes for all of them, and some are killed: none is given twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from cameo.errors import NotPermitted
from cameo.grants.ledger import Ledger, UseLimit
from tests.grants.conftest import NOON
from tests.grants.ledger_worker import ADA, ALLOW, DOUBLE, GRANT, URI

ROOT = Path(__file__).parents[2]
Opener = Callable[..., Ledger]


def start(url: str, *words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.grants.ledger_worker", url, *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def race(count: int, attempt: Callable[[int], object]) -> Counter:
    """Run `attempt` in threads that all begin at once; count how they ended."""
    ready, ended = threading.Barrier(count), Counter[str]()
    lock = threading.Lock()

    def run(number: int) -> None:
        ready.wait()
        try:
            attempt(number)
            code = "won"
        except NotPermitted as error:
            code = error.code
        with lock:
            ended[code] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def test_fifty_threads_race_for_the_last_use(ledger: Ledger) -> None:
    limit = UseLimit(ADA, GRANT, 3)
    for _ in range(2):
        ledger.reserve(ledger.nonce(), [limit], ALLOW)
    nonces = [ledger.nonce() for _ in range(50)]
    ended = race(50, lambda number: ledger.reserve(nonces[number], [limit], ALLOW))
    assert ended == {"won": 1, "uses_exhausted": 49}
    assert ledger.used(ADA, GRANT) == 3
    assert ledger.verify_chain() == 3


def test_fifty_threads_race_with_one_proof(ledger: Ledger) -> None:
    nonce = ledger.nonce()
    ended = race(50, lambda _: ledger.reserve(nonce, [UseLimit(ADA, GRANT)], ALLOW))
    assert ended == {"won": 1, "replayed": 49}
    assert ledger.used(ADA, GRANT) == 1


def test_processes_race_for_all_uses(open_ledger: Opener, ledger_url: str) -> None:
    workers = [start(ledger_url, "race", "40") for _ in range(3)]
    won = [int(worker.communicate(timeout=60)[0].split()[1]) for worker in workers]
    assert sum(won) == 40
    ledger = open_ledger()
    assert ledger.used(ADA, GRANT) == 40
    assert ledger.verify_chain() == 43


def test_killed_at_any_moment(open_ledger: Opener, ledger_url: str) -> None:
    chance = random.Random(7)
    acknowledged, kills = 0, 5 if ledger_url.startswith("sqlite") else 3
    ledger = open_ledger()
    for number in range(kills):
        worker = start(ledger_url, "use")
        assert worker.stdout
        said = [worker.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.25))
        worker.send_signal(signal.SIGKILL)
        said += worker.communicate()[0].splitlines()
        # A line may have been cut short by the kill.
        nonces = [line.split()[1] for line in said if line.startswith("nonce ") and len(line.split()[1]) == 22]
        acknowledged += sum(line.startswith("used ") for line in said)
        used = ledger.used(ADA, GRANT)
        assert acknowledged <= used <= acknowledged + number + 1
        assert ledger.verify_chain() == used
        for nonce in nonces[:-1]:
            with pytest.raises(NotPermitted) as caught:
                ledger.reserve(nonce, [], ALLOW)
            assert caught.value.code == "replayed"
    assert acknowledged > 0
    assert len(ledger.export(DOUBLE)) == ledger.used(ADA, GRANT)


@pytest.mark.parametrize(("step", "spent"), [("count", 0), ("append", 0), ("commit", 0), ("after", 1)])
def test_killed_at_every_step(open_ledger: Opener, ledger_url: str, step: str, spent: int) -> None:
    worker = start(ledger_url, "die", step)
    said = worker.communicate(timeout=60)[0].split()
    assert worker.returncode == -signal.SIGKILL
    ledger = open_ledger()
    assert ledger.used(ADA, GRANT) == len(ledger.receipts()) == spent
    # Either the use was given and the proof is spent, or neither; never the one without the other.
    ended = race(2, lambda _: ledger.reserve(said[1], [UseLimit(ADA, GRANT, 1)], ALLOW))
    assert ended == ({"replayed": 2} if spent else {"won": 1, "replayed": 1})
    with pytest.raises(NotPermitted, match="the one use"):
        ledger.reserve(ledger.nonce(), [UseLimit(ADA, GRANT, 1)], ALLOW)
    assert ledger.verify_chain() == 1


def test_killed_right_after_a_revocation(open_ledger: Opener, ledger_url: str) -> None:
    worker = start(ledger_url, "revoke")
    worker.communicate(timeout=60)
    assert worker.returncode == -signal.SIGKILL
    ledger = open_ledger()
    for index in (7, 8):
        with pytest.raises(NotPermitted) as caught:
            ledger.standing(URI, index, NOON)
        assert caught.value.code == "revoked"
    ledger.standing(URI, 9, NOON)
