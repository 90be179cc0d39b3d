"""What trust costs: a host's check of a request beside PyJWT and Biscuit, a long status list, the prompt guard.

    python -m benchmarks.trust [--rounds 9] [--no-starts] [--out FILE.json]

Everything runs on one core. The contestants take turns, and a ratio is taken within a turn, so that it holds on a busy
machine too. Printed are the medians, with the lowest and the highest. What never waits is measured in processor time,
what waits for the disk in wall time. A request is checked from the bytes of its `.grant` file: `parse_tokens`,
`verify_chain`, `check_request`, `standing`. "seen before" is one grant asked with again and again, as a friend does;
"new" is another grant of another friend each time, and nothing remembered. No two proofs are alike.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import json
import os
import random
import secrets
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.results import write_result
from benchmarks.rivals import Case, Step, bare_steps, biscuit_steps, pyjwt_steps
from cameo import lending
from cameo.crypto import jws
from cameo.crypto.encoding import encode_base64url
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted
from cameo.grants import grant as grants
from cameo.grants.check import Request, Target, check_request
from cameo.grants.guard import list_digest, require_prompt
from cameo.grants.ledger import Ledger, UseLimit
from cameo.grants.proof import sign_proof
from cameo.grants.publish import publish_files
from cameo.grants.receipt import Entry
from cameo.grants.status import read_status, sign_status, status_uri
from cameo.publishing import published, take_status
from cameo.recalling import revoke
from cameo.records import Use
from cameo.seal.bundle import Bundle, Part, seal_bundle
from cameo.seal.consent import agree
from cameo.seal.terms import parse_terms, resolve_terms
from cameo.unlocking import Borrowed, unlock

ROUNDS = 9
REQUESTS = 100
DURABLE_REQUESTS = 20
ENTRIES, REVOKED = 1_000_000, 100_000
CONSENT = '[[purposes]]\nid = "birthday"\ndelegable = true'
USE = Use("generate", "birthday", "wishing a happy birthday", "reference", ("video",), ("face",), 10.0, 512 * 512)
PROHIBITED = ("intimate", "political")
PROMPT = (
    "She stands in a sunny kitchen, lights the candles on a chocolate cake, laughs, and sings a happy birthday to her "
    "brother; warm light from the window, a shallow depth of field, balloons behind her."
)
# The rate over PyJWT's and over Biscuit's; milliseconds; times the bare import.
HALF, ON_A_PAR, STANDING_MS, VERIFY_RATIO = 0.5, 0.9, 2.0, 8.0

Found = dict[str, list[float]]


@dataclass(frozen=True)
class Asked:
    """Hold what reaches a host: the bytes of a `.grant` file and a proof."""

    grant: bytes
    proof: str


class Stage:
    """Hold an owner, their double lent many times, and the host that is asked."""

    def __init__(self, folder: Path) -> None:
        self.owner, self.host = Keys.generate(), Keys.generate()
        self.name = self.host.public.fingerprint
        self.double = folder / "ada.cameo"
        _seal(self.double, self.owner)
        verified = Bundle.open(self.double).verify(self.owner.public)
        manifest = verified.manifest
        self.target = Target(manifest.bundle_id, verified.sha256, manifest.consent_sha256)
        self.friends, self.tools = ([Keys.generate() for _ in range(REQUESTS)] for _ in "ab")
        self.paths, self.narrowed = [], []
        for number, (friend, tool) in enumerate(zip(self.friends, self.tools, strict=True)):
            path, narrowed = (folder / f"{number}.{name}.grant" for name in ("friend", "tool"))
            terms = lending.GrantTerms(("birthday",), max_seconds=60.0, max_pixels=1920 * 1080, delegable=True)
            lending.grant(self.double, keys=self.owner, to=friend.public, host=self.host.public, terms=terms, out=path)
            narrower = lending.Narrowing(max_seconds=20.0, expires_s=86_400)
            lending.delegate(path, keys=friend, to=tool.public, narrowed=narrower, out=narrowed)
            self.paths.append(path)
            self.narrowed.append(narrowed)
        self.now = time.time()
        chains = [grants.unverified_chain(grants.read_tokens(path)) for path in self.paths]
        self.case = Case([chain.grant for chain in chains], USE, self.target, self.now)
        self.indices = {claims.status.status_list.idx for claims in self.case.grants}
        # Not where `unlock` looks: it takes its list from the registry, another one.
        self.ledger = Ledger(self.host, f"sqlite:///{folder}/ledger.sqlite")
        self.ledger.absorb(read_status(self.status_list(1), self.owner.public))

    def status_list(self, seq: int) -> str:
        """Sign a list of a million entries, a tenth of them revoked at random, no grant of this stage among them."""
        revoked = set(random.Random(seq).sample(range(ENTRIES), REVOKED)) - self.indices
        return sign_status(self.owner, ENTRIES, revoked, seq, self.now)

    def ask(self, path: Path, holder: Keys, nonce: str = "") -> Asked:
        """Prove possession of a grant, as its holder does."""
        raw = path.read_bytes()
        chain = grants.unverified_chain(grants.parse_tokens(raw))
        nonce = nonce or encode_base64url(secrets.token_bytes(16))
        return Asked(raw, sign_proof(chain, USE, holder, self.name, nonce, self.now))

    def steps(self, delegated: bool, new: bool) -> list[Step]:
        """Check requests as a host does, each with a proof of its own."""
        paths, holders = (self.narrowed, self.tools) if delegated else (self.paths, self.friends)
        numbers = range(REQUESTS) if new else [0] * REQUESTS
        return [partial(self.check, self.ask(paths[i], holders[i])) for i in numbers]

    def check(self, asked: Asked) -> tuple[grants.Chain, str]:
        """Do all that a host does with a grant, but for what it writes down; returns the nonce to be spent."""
        chain = grants.verify_chain(grants.parse_tokens(asked.grant), self.owner.public)
        permit = check_request(chain, Request(USE, asked.proof), self.target, self.name, self.now)
        status = chain.grant.status.status_list
        self.ledger.standing(status.uri, status.idx, self.now, bundle_id=chain.grant.sub)
        return chain, permit.nonce

    def reserve(self, chain: grants.Chain, nonce: str) -> None:
        """Spend the nonce, count the use and sign the receipt, on the disk."""
        claims = chain.grant
        entry = Entry("allow", bundle_id=claims.sub, owner=claims.iss, grant=claims.jti, purpose=USE.purpose)
        self.ledger.reserve(nonce, [UseLimit(claims.iss, claims.jti, claims.scope.max_uses)], entry)


def _seal(path: Path, owner: Keys) -> None:
    """Seal a double of a few numbers: no check looks at its parts."""
    terms = resolve_terms(parse_terms(CONSENT), ["reference"], datetime.date.today(), list_digest())
    body = struct.pack("<40f", *[0.5] * 40)
    header = json.dumps({"x": {"dtype": "F32", "shape": [40], "data_offsets": [0, len(body)]}}).encode()
    tensors = len(header).to_bytes(8, "little") + header + body
    part = Part("adapter.reference.face", "face", tensors, "reference", "ab" * 32)
    seal_bundle(path, owner, agree(terms, "api"), [part])


def forget() -> None:
    """Empty every cache that a request fills."""
    for verified in (grants._verified_grant, grants._verified_delegation):
        verified.cache_clear()
    for loaded in (grants._confirmed, jws._header, jws._jose_key):
        loaded.cache_clear()


def host_check(stage: Stage, rounds: int) -> Found:
    """Processor time of one check in microseconds, a value for every round."""
    contestants = {
        "bare signature": bare_steps(stage.case),
        "PyJWT, as long": pyjwt_steps(stage.case, short=False),
        "PyJWT, short": pyjwt_steps(stage.case, short=True),
        "Biscuit, bearer": biscuit_steps(stage.case, held=False),
        "Biscuit, held": biscuit_steps(stage.case, held=True),
        "seen before": stage.steps(delegated=False, new=False),
        "new": stage.steps(delegated=False, new=True),
        "delegated, seen before": stage.steps(delegated=True, new=False),
        "delegated, new": stage.steps(delegated=True, new=True),
    }
    found: Found = {name: [] for name in contestants}
    # The first round does not count.
    for counts in (False, *[True] * rounds):
        for name, steps in contestants.items():
            if name.endswith("new"):
                forget()
            else:
                steps[0]()
            taken = _taken(steps, time.process_time) / len(steps) * 1e6
            if counts:
                found[name].append(taken)
    return found


def on_the_disk(stage: Stage, rounds: int) -> Found:
    """Wall time in milliseconds of what a host writes down, a value for every request."""
    found: Found = {"one fsync": [], "nonce": [], "check": [], "check and reserve": [], "unlock, everything": []}
    path, friend, clock = stage.paths[0], stage.friends[0], time.perf_counter
    with tempfile.TemporaryFile(dir=stage.double.parent) as scratch:

        def flush() -> None:
            os.pwrite(scratch.fileno(), secrets.token_bytes(4096), 0)
            os.fsync(scratch.fileno())

        for _ in range(rounds * DURABLE_REQUESTS):
            found["one fsync"].append(_taken([flush], clock) * 1e3)
            found["nonce"].append(_taken([stage.ledger.nonce], clock) * 1e3)
            asked = stage.ask(path, friend, stage.ledger.nonce())
            start = clock()
            chain, nonce = stage.check(asked)
            checked = clock()
            stage.reserve(chain, nonce)
            found["check"].append((checked - start) * 1e3)
            found["check and reserve"].append((clock() - start) * 1e3)
    borrowed = Borrowed(path, stage.host, stage.owner.public, friend)
    for _ in range(rounds):
        start = clock()
        with unlock(stage.double, USE, borrowed=borrowed):
            found["unlock, everything"].append((clock() - start) * 1e3)
    return found


def taken_back(stage: Stage, folder: Path) -> list[float]:
    """Wall time in milliseconds from taking a grant back to a host's refusal: signed, published, fetched, known."""
    found: list[float] = []
    where, uri = folder / "ada.status", status_uri(stage.owner.public.fingerprint)
    lent = zip(stage.paths[-DURABLE_REQUESTS:], stage.case.grants[-DURABLE_REQUESTS:], strict=True)
    with closing(Ledger(stage.host, f"sqlite:///{folder}/another.sqlite")) as ledger:
        for path, claims in lent:
            start = time.perf_counter()
            revoke(path, keys=stage.owner)
            publish_files(where, published(stage.owner).status_token, {})
            take_status(str(where), stage.owner.public, ledger)
            try:
                ledger.standing(uri, claims.status.status_list.idx, ledger.tick())
            except NotPermitted as refused:
                found.append((time.perf_counter() - start) * 1e3)
                if refused.code != "revoked":
                    raise
            else:
                raise SystemExit("a grant that was taken back still holds")
    return found


def long_list(stage: Stage, rounds: int) -> Found:
    """Processor time in milliseconds of what a host does with a status list, a value for every new list."""
    names = ("read and verify", "absorb", "first look after it", "every other look")
    found: Found = {name: [] for name in names}
    uri, clock = status_uri(stage.owner.public.fingerprint), time.process_time
    indices = random.Random(0).choices(sorted(stage.indices), k=1000)
    for seq in range(2, rounds + 2):
        token = stage.status_list(seq)
        start = clock()
        snapshot = read_status(token, stage.owner.public)
        read = clock()
        stage.ledger.absorb(snapshot)
        absorbed = clock()
        stage.ledger.standing(uri, indices[0], stage.now)
        looked = clock()
        for index in indices:
            stage.ledger.standing(uri, index, stage.now)
        parts = (read - start, absorbed - read, looked - absorbed, (clock() - looked) / len(indices))
        for name, taken in zip(names, parts, strict=True):
            found[name].append(taken * 1e3)
    return found


def prompt_guard(rounds: int) -> Found:
    """Processor time in milliseconds of judging a prompt of 200 characters, a value for every round."""
    foreign = PROMPT.replace("a", "á").replace("birthday", "день рождения")
    prompts = {"first prompt of a process": foreign, "plain English": PROMPT, "accents and Cyrillic": foreign}
    found: Found = {name: [] for name in prompts}
    for number in range(rounds + 1):
        for name, prompt in prompts.items():
            step = partial(require_prompt, prompt.ljust(200, ".")[:200], PROHIBITED, (), "birthday", list_digest())
            if (number == 0) == name.startswith("first"):
                times = 1 if number == 0 else 50
                found[name].append(_taken([step] * times, time.process_time) / times * 1e3)
    return found


def _taken(steps: Sequence[Step], clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    for step in steps:
        step()
    return clock() - start


def measure(rounds: int, starts: bool) -> dict[str, Any]:
    """Measure everything, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["CAMEO_HOME"] = str(folder / "home")
        # First of all, so that the list of words is not loaded yet.
        found: dict[str, Any] = {"prompt_ms": prompt_guard(rounds)}
        stage = Stage(folder)
        with closing(stage.ledger):
            found["check_us"] = host_check(stage, rounds)
            found["disk_ms"] = on_the_disk(stage, rounds)
            found["disk_ms"]["a grant taken back, until a host refuses it"] = taken_back(stage, folder)
            found["list_ms"] = long_list(stage, rounds)
        if starts:
            from benchmarks.speed import quick_starts

            owner = folder / "ada.pub"
            owner.write_bytes(stage.owner.public.to_bytes())
            found["starts"] = quick_starts(stage.double, owner)
        return found


@dataclass(frozen=True)
class Row:
    """Hold a line of the table: what was found, and the limit it must reach (`at_least`) or stay below."""

    label: str
    values: Sequence[float]
    unit: str
    limit: float | None = None
    at_least: bool = False

    def __str__(self) -> str:
        found = statistics.median(self.values)
        spread = f"{_shown(min(self.values))} to {_shown(max(self.values))}" if len(self.values) > 1 else ""
        limit, verdict = "", ""
        if self.limit is not None:
            limit = f"{'at least' if self.at_least else 'at most'} {self.limit:g} {self.unit}"
            holds = found >= self.limit if self.at_least else found <= self.limit
            verdict = "holds" if holds else "MISSED"
        return f"| {self.label} | {_shown(found)} {self.unit} | {spread} | {limit} | {verdict} |"


def rows(found: dict[str, Any]) -> list[Row]:
    """Set what was found beside what is claimed."""
    checks: Found = found["check_us"]
    table = [Row(f"one check: {name}", values, "µs") for name, values in checks.items()]
    for name in ("seen before", "new"):
        for rival, limit in (("PyJWT, as long", HALF), ("Biscuit, held", ON_A_PAR)):
            table.append(Row(f"{name}: rate over {rival}", _rates(checks, name, rival), "x", limit, True))
        for rival in ("PyJWT, short", "Biscuit, bearer"):
            table.append(Row(f"{name}: rate over {rival}", _rates(checks, name, rival), "x"))
    for name in ("delegated, seen before", "delegated, new"):
        table.append(Row(f"{name}: rate over PyJWT, as long", _rates(checks, name, "PyJWT, as long"), "x"))
    for name, values in found["list_ms"].items():
        table.append(Row(f"list of {ENTRIES:,}: {name}", values, "ms", STANDING_MS if "look" in name else None))
    table += [Row(f"on the disk: {name}", values, "ms") for name, values in found["disk_ms"].items()]
    table += [Row(f"prompt guard: {name}", values, "ms") for name, values in found["prompt_ms"].items()]
    if "starts" in found:
        table.append(Row("`verify`, over the bare import", [found["starts"]["verify"]["ratio"]], "x", VERIFY_RATIO))
    return table


def _rates(checks: Found, name: str, over: str) -> list[float]:
    return [other / own for other, own in zip(checks[over], checks[name], strict=True)]


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.3g}"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often everything takes its turn ({ROUNDS})")
    parser.add_argument("--no-starts", action="store_true", help="leave out how fast the command line starts")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    found = measure(args.rounds, not args.no_starts)
    print("| | found | lowest to highest | limit | |\n|---|---|---|---|---|")
    for row in rows(found):
        print(row)
    if args.out:
        write_result(args.out, found, {"turns": args.rounds, "requests a turn": REQUESTS, "entries": ENTRIES})


if __name__ == "__main__":
    main()
