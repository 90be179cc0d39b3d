"""Fifty at once for the last use, and a host that is killed: through the front door. For the ledger: `tests/grants`."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

import cameo
from cameo.errors import CameoError, NotPermitted
from cameo.grants.grant import unverified_chain
from cameo.grants.ledger import Ledger
from cameo.unlocking import Borrowed, draw_nonce, prove
from tests.attacks.conftest import ADA, BOB, STUDIO, USE, Lab, secret

ROOT = Path(__file__).parents[2]


def race(lab: Lab, borrowed: list[Borrowed]) -> Counter:
    """Let everybody ask at the same moment; count how they ended."""
    ended, lock, ready = Counter[str](), threading.Lock(), threading.Barrier(len(borrowed))

    def ask(by: Borrowed) -> None:
        ready.wait()
        try:
            parts = lab.open(by)
            code = "opened" if parts else "empty"
        except CameoError as error:
            code = error.code
        with lock:
            ended[code] += 1

    threads = [threading.Thread(target=ask, args=(by,)) for by in borrowed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def used(lab: Lab, grant: Path) -> int:
    claims = unverified_chain((lab.token(grant),)).grant
    with closing(Ledger(STUDIO, clock=lab.clock)) as ledger:
        return ledger.used(claims.iss, claims.jti)


def test_fifty_threads_racing_for_the_last_use(lab: Lab) -> None:
    grant = lab.grant(max_uses=2)
    lab.open(lab.by(grant))
    assert race(lab, [lab.by(grant)] * 50) == {"opened": 1, "uses_exhausted": 49}
    assert used(lab, grant) == 2
    assert Counter(lab.decisions())["allow", ""] == 2


def test_fifty_threads_racing_with_one_proof(lab: Lab) -> None:
    grant = lab.grant()
    proof = prove(grant, USE, BOB, STUDIO.public.fingerprint, draw_nonce(STUDIO), lab.clock())
    assert race(lab, [lab.by(grant, None, proof=proof)] * 50) == {"opened": 1, "replayed": 49}
    assert used(lab, grant) == 1


# Killed.


def start(lab: Lab, task: str, grant: Path, *more: object) -> subprocess.Popen:
    """Run a host of its own; see `tests/attacks/worker.py`."""
    secrets = [secret(keys) for keys in (ADA, BOB, STUDIO)]
    words = [task, lab.double, grant, *secrets, *more]
    command = [sys.executable, "-m", "tests.attacks.worker", *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_killed_at_random_points_during_unlock(lab: Lab) -> None:
    """Whatever was handed out was counted before; nothing is handed out twice, and the chain of receipts holds."""
    grant, chance, opened = lab.grant(max_uses=30), random.Random(11), 0
    for number in range(3):
        host = start(lab, "open", grant)
        assert host.stdout
        said = [host.stdout.readline()]
        time.sleep(chance.uniform(0.0, 0.12))
        host.send_signal(signal.SIGKILL)
        said += host.communicate()[0].splitlines(keepends=True)
        opened += sum(line.startswith("open") for line in said)
        assert opened <= used(lab, grant) <= opened + number + 1
        assert Counter(lab.decisions())["allow", ""] == used(lab, grant)
    last = start(lab, "open", grant).communicate(timeout=60)[0].splitlines()
    assert last[-1] == "refused uses_exhausted"
    assert opened + len(last) - 1 <= used(lab, grant) == 30
    lab.refused("uses_exhausted", NotPermitted, lab.by(grant))


@pytest.mark.parametrize(
    ("step", "spent", "said"), [("before-reserve", 0, ""), ("after-reserve", 1, ""), ("before-release", 1, "open 3\n")]
)
def test_killed_at_a_step_of_unlock(lab: Lab, step: str, spent: int, said: str) -> None:
    """Before the use is counted nothing was open; after it, the use stays spent whatever came out."""
    grant = lab.grant(max_uses=1)
    host = start(lab, step, grant)
    assert (host.communicate(timeout=60)[0], host.returncode) == (said, -signal.SIGKILL)
    assert used(lab, grant) == spent
    assert lab.decisions() == [("allow", "")] * spent
    if spent:
        lab.refused("uses_exhausted", NotPermitted, lab.by(grant))
    else:
        assert lab.open(lab.by(grant))


def test_killed_while_revocations_come_in(lab: Lab) -> None:
    """What the host said it took in, it knows when it is started again."""
    grants = [lab.grant() for _ in range(20)]
    files = [lab.file("jwt", cameo.revoke(grant, keys=ADA).statements[0].encode()) for grant in grants]
    host = start(lab, "take", grants[0], *files)
    assert host.stdout
    said = [host.stdout.readline() for _ in range(5)]
    host.send_signal(signal.SIGKILL)
    said += host.communicate()[0].splitlines(keepends=True)
    taken = [line.split()[1] for line in said if line.startswith("took") and line.endswith("\n")]
    assert len(taken) >= 5
    uri = unverified_chain((lab.token(grants[0]),)).grant.status.status_list.uri
    with closing(Ledger(STUDIO, clock=lab.clock)) as ledger:
        for path in taken:
            index = unverified_chain((lab.token(grants[files.index(Path(path))]),)).grant.status.status_list.idx
            with pytest.raises(NotPermitted) as caught:
                ledger.standing(uri, index, lab.clock())
            assert caught.value.code == "revoked"


def test_owner_killed_in_the_middle_of_a_withdrawal(lab: Lab) -> None:
    """The grants end before the file is written anew; a kill in between leaves them so, and the call goes on."""
    grants = [lab.grant() for _ in range(3)]
    code = (
        "import os, signal, sys, cameo, cameo.recalling; from tests.attacks.worker import die, keys\n"
        "cameo.recalling.withdraw_bundle = die\n"
        "cameo.withdraw(sys.argv[1], keys=keys(sys.argv[2]))"
    )
    words = [sys.executable, "-c", code, str(lab.double), secret(ADA)]
    assert subprocess.run(words, cwd=ROOT, timeout=60).returncode == -signal.SIGKILL
    for grant in grants:
        lab.refused("withdrawn", NotPermitted, lab.by(grant))
    assert cameo.withdraw(lab.double, keys=ADA).withdrawn
    assert cameo.Bundle.open(lab.double).verify(ADA.public).consent.withdrawn
