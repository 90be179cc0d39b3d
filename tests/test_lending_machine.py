"""Lend, narrow, revoke, withdraw, publish, roll back, turn clocks and use, in any order, beside a simple model.

What opens is exactly what the model says may open, and every refusal has the code of the model's first reason.
"""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cameo import lending, publishing, recalling, unlocking
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.grants.guard import list_digest
from cameo.grants.ledger import Ledger
from cameo.grants.scope import Scope, require_covered, require_narrower
from cameo.lending import GrantTerms, Narrowing
from cameo.records import Use
from cameo.registry.store import Double, Registry
from cameo.seal.bundle import seal_bundle
from cameo.seal.consent import agree
from cameo.seal.terms import parse_terms, resolve_terms
from tests.grants.conftest import keys_of
from tests.seal.conftest import ENCODER, some_parts
from tests.strategies import PURPOSES, scopes, uses

START = 1_800_000_000
GRACE_S, TOLERANCE_S, SKEW_S, LIST_SKEW_S = 300, 60, 60, 30
ADA, BOB, TOOL, HOST, EVE = (keys_of(number) for number in range(11, 16))
TERMS = "".join(f'[[purposes]]\nid = "{name}"\ndelegable = true\n' for name in PURPOSES)


@dataclass
class Link:
    """Hold what the model knows of a grant, or of a delegation of `parent`."""

    path: Path
    purposes: tuple[str, ...]
    max_uses: int | None
    nbf: int
    exp: int
    holder: Keys
    delegable: bool = False
    published: bool = False
    place: int = -1
    used: int = 0
    revoked: bool = False
    parent: Link | None = None

    @property
    def root(self) -> Link:
        return self.parent or self

    @property
    def all_links(self) -> list[Link]:
        return [self.root, self] if self.parent else [self]


@dataclass(frozen=True)
class List:
    """Hold what a status list says."""

    seq: int
    iat: int
    revoked: frozenset[int]


@dataclass
class Model:
    """Hold what should be so."""

    now: int = START
    highest: int = 0
    withdrawn: bool = False
    seq: int = 1
    grants: list[Link] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    # What hosts can fetch, what this one has seen, and what it was told by statements.
    standing_there: List | None = None
    seen: List | None = None
    told: set[int] = field(default_factory=set)

    @property
    def now_revoked(self) -> frozenset[int]:
        return frozenset(grant.place for grant in self.grants if grant.revoked)

    def clock_is_back(self) -> bool:
        """Whether the host notices that its clock was set back; it remembers the time if not."""
        self.highest = max(self.highest, self.now)
        return self.highest - self.now > TOLERANCE_S

    def take(self, found: List | None) -> str:
        """Let the host see a list; the code if it refuses that."""
        if found is None:
            return ""
        if self.seen is None:
            self.seen = found
            return ""
        if found.seq < self.seen.seq:
            return "status_rollback"
        kept = self.seen.iat if found.iat < self.seen.iat <= self.now + LIST_SKEW_S else found.iat
        self.seen = List(found.seq, kept, self.seen.revoked | found.revoked)
        return ""

    def refusal(self, link: Link, purpose: str, holder: Keys, old_file: bool) -> str:
        """Why a use is refused; "" if it is not, and then it is counted."""
        if self.clock_is_back():
            return "clock_set_back"
        if self.withdrawn and not old_file:
            return "withdrawn"
        if self.now < max(each.nbf for each in link.all_links) - SKEW_S:
            return "not_yet"
        if self.now >= min(each.exp for each in link.all_links):
            return "expired"
        if holder is not link.holder:
            return "wrong_holder"
        if not all(purpose in each.purposes for each in link.all_links):
            return "wrong_purpose"
        return self._not_standing(link.root) or self._count(link)

    def _not_standing(self, grant: Link) -> str:
        if self.withdrawn:
            return "withdrawn"
        local = List(self.seq, self.now, self.now_revoked)
        refused = self.take(self.standing_there if grant.published else local)
        if refused:
            return refused
        if grant.place in self.told:
            return "revoked"
        if self.seen is None:
            return "status_unknown"
        if grant.place in self.seen.revoked:
            return "revoked"
        fresh = self.now - GRACE_S <= self.seen.iat <= self.now + LIST_SKEW_S
        return "" if fresh else "status_stale"

    @staticmethod
    def _count(link: Link) -> str:
        if any(each.max_uses is not None and each.used >= each.max_uses for each in link.all_links):
            return "uses_exhausted"
        for each in link.all_links:
            each.used += 1
        return ""


@contextmanager
def home_of(folder: Path) -> Iterator[None]:
    """Let cameo keep everything in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMEO_HOME", str(folder))
        for name in ("CAMEO_REGISTRY", "CAMEO_LEDGER"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed double and a home with empty databases, once: making those is what takes time."""
    folder = tmp_path_factory.mktemp("machine")
    today = datetime.datetime.fromtimestamp(START, datetime.UTC).date()
    agreed = agree(resolve_terms(parse_terms(TERMS), ["reference"], today, list_digest()), "api")
    seal_bundle(folder / "sealed", ADA, agreed, some_parts(), [ENCODER])
    with home_of(folder / "home"), closing(Registry()), closing(Ledger(HOST)), closing(Ledger(ADA)):
        pass
    return folder


class Lending(RuleBasedStateMachine):
    """Do what owners, friends, hosts and thieves do."""

    template: Path
    links = Bundle("links")

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.folder = Path(tempfile.mkdtemp(prefix="cameo-machine-"))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.double, self.old_copy = self.folder / "ada.double", self.folder / "sealed"
        shutil.copy(self.old_copy, self.double)
        self.list_file = self.folder / "status.jwt"
        self.lists: list[tuple[bytes, List]] = []
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("CAMEO_HOME", str(self.folder / "home"))
        clock = SimpleNamespace(time=lambda: float(self.model.now))
        self.patch.setattr(lending, "time", clock)
        self.patch.setattr(publishing, "time", clock)
        self.patch.setattr(unlocking, "Ledger", self._ledger)
        self.patch.setattr(unlocking, "datetime", SimpleNamespace(date=SimpleNamespace(today=self._today)))

    def teardown(self) -> None:
        with closing(self._ledger(HOST)) as ledger:
            ledger.verify_chain()
            allowed = sum(receipt.decision == "allow" for receipt in ledger.receipts())
            assert allowed == sum(grant.used for grant in self.model.grants)
        self.patch.undo()
        shutil.rmtree(self.folder)

    def _ledger(self, keys: Keys) -> Ledger:
        return Ledger(keys, clock=lambda: float(self.model.now))

    def _today(self) -> datetime.date:
        return datetime.datetime.fromtimestamp(self.model.now, datetime.UTC).date()

    @initialize(enrolled_here=st.booleans())
    def enrol(self, enrolled_here: bool) -> None:
        """Have the double registered on this machine, or only brought to it."""
        if enrolled_here:
            claims = unlocking.Bundle.open(self.double).claims
            double = Double(claims.bundle_id, claims.owner, self.double, "", claims.created, (), claims.assurance)
            with closing(Registry()) as registry:
                registry.register(double)

    # What people do.

    @rule(
        target=links,
        purposes=st.sampled_from([("birthday",), PURPOSES]),
        max_uses=st.sampled_from([None, 1, 2]),
        life_s=st.sampled_from([60, 3600, 10 * 86_400]),
        delegable=st.booleans(),
        published=st.booleans(),
    )
    def lend(
        self, purposes: tuple[str, ...], max_uses: int | None, life_s: int, delegable: bool, published: bool
    ) -> Link | None:
        path = self.folder / f"{len(self.model.links)}.grant"
        where = str(self.list_file) if published else ""
        terms = GrantTerms(purposes, max_uses=max_uses, expires_s=life_s, delegable=delegable, status_at=where)
        call = partial(lending.grant, self.double, keys=ADA, to=BOB.public, host=HOST.public, terms=terms, out=path)
        if self.model.withdrawn:
            self._refused("withdrawn", call)
            assert not path.exists()
            return None
        call()
        now = self.model.now
        link = Link(path, purposes, max_uses, now, now + life_s, BOB, delegable, published)
        link.place = unverified_chain(read_tokens(path)).grant.status.status_list.idx
        self.model.grants.append(link)
        self.model.links.append(link)
        return link

    @rule(
        target=links,
        parent=links,
        purposes=st.sampled_from([(), ("birthday",), PURPOSES]),
        max_uses=st.sampled_from([None, 1, 2]),
    )
    def delegate(self, parent: Link | None, purposes: tuple[str, ...], max_uses: int | None) -> Link | None:
        assume(parent is not None)
        assert parent is not None
        path, now = self.folder / f"{len(self.model.links)}.grant", self.model.now
        narrowed = Narrowing(purposes=purposes, max_uses=max_uses)
        call = partial(lending.delegate, parent.path, keys=BOB, to=TOOL.public, narrowed=narrowed, out=path)
        given = Link(
            path, purposes or parent.purposes, max_uses or parent.max_uses, max(now, parent.nbf), parent.exp, TOOL
        )
        wider = not set(given.purposes) <= set(parent.purposes)
        wider |= parent.max_uses is not None and (given.max_uses or 99) > parent.max_uses
        for code, holds in (
            ("not_delegable", parent.parent is not None),
            ("not_yet", now < parent.nbf - SKEW_S),
            ("expired", now >= parent.exp),
            ("not_delegable", not parent.delegable),
            ("widened", wider),
        ):
            if holds:
                self._refused(code, call)
                return None
        call()
        given.parent = parent
        self.model.links.append(given)
        return given

    @rule(link=links)
    def revoke(self, link: Link | None) -> None:
        assume(link is not None)
        assert link is not None
        grant = link.root
        was = grant.revoked
        done = recalling.revoke(link.path, keys=ADA)
        grant.revoked = True
        self.model.seq += not was
        assert (done.seq, bool(done.grants)) == (self.model.seq, not was)

    @precondition(lambda self: self.model.grants and not self.model.withdrawn)
    @rule()
    def withdraw(self) -> None:
        done = recalling.withdraw(self.double, keys=ADA)
        self.model.withdrawn = True
        self.model.seq += 1
        assert done.seq == self.model.seq
        for grant in self.model.grants:
            grant.revoked = True

    @rule()
    def publish(self) -> None:
        token = publishing.published(ADA).status_token.encode()
        said = List(self.model.seq, self.model.now, self.model.now_revoked)
        self.lists.append((token, said))
        self.list_file.write_bytes(token)
        self.model.standing_there = said

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def put_an_older_list_there(self, data: st.DataObject) -> None:
        token, self.model.standing_there = data.draw(st.sampled_from(self.lists))
        self.list_file.write_bytes(token)

    @rule()
    def fall_silent(self) -> None:
        self.list_file.unlink(missing_ok=True)
        self.model.standing_there = None

    @rule(link=links)
    def hand_the_statement_over(self, link: Link | None) -> None:
        """Tell the host directly: it knows from then on, whatever lists say."""
        assume(link is not None and link.root.revoked and not self.model.withdrawn)
        assert link is not None
        jti = unverified_chain(read_tokens(link.path)).grant.jti
        with closing(Registry()) as registry:
            (body,) = [s.body for s in registry.statements(ADA.public.fingerprint) if s.jti == jti]
        file = self.folder / "statement"
        file.write_text(body)
        with closing(self._ledger(HOST)) as ledger:
            call = partial(publishing.take_status, str(file), ADA.public, ledger)
            if self.model.clock_is_back():
                self._refused("clock_set_back", call)
            else:
                call()
                self.model.told.add(link.root.place)

    @rule(seconds=st.sampled_from([1, 29, 31, 61, 299, 301, 3600, 86_400]))
    def wait(self, seconds: int) -> None:
        self.model.now += seconds

    @rule(seconds=st.sampled_from([10, 59, 61, 400, 4000]))
    def turn_the_clock_back(self, seconds: int) -> None:
        self.model.now -= seconds

    # What is asked.

    @rule(link=links, purpose=st.sampled_from(PURPOSES), stranger=st.integers(0, 5), old_file=st.booleans())
    def use(self, link: Link | None, purpose: str, stranger: int, old_file: bool) -> None:
        assume(link is not None)
        assert link is not None
        holder = EVE if stranger == 0 else link.holder
        before = [each.used for each in link.all_links]
        self._ask(link, purpose, holder, old_file, self.model.refusal(link, purpose, holder, old_file))
        for each, used in zip(link.all_links, before, strict=True):
            assert each.used >= used
            assert each.max_uses is None or each.used <= each.max_uses

    @rule(link=links)
    def use_twice_with_one_proof(self, link: Link | None) -> None:
        assume(link is not None)
        assert link is not None
        asked = a_use(link.purposes[0])
        if self.model.clock_is_back():
            self._refused("clock_set_back", partial(unlocking.challenge, HOST))
            return
        nonce = unlocking.challenge(HOST)
        proof = unlocking.prove(link.path, asked, link.holder, HOST.public.fingerprint, nonce, self.model.now)
        first = self.model.refusal(link, link.purposes[0], link.holder, False)
        self._ask(link, link.purposes[0], None, False, first, proof)
        if not first:
            self._ask(link, link.purposes[0], None, False, "replayed", proof)

    @rule(old_file=st.booleans())
    def use_as_owner(self, old_file: bool) -> None:
        code = "withdrawn" if self.model.withdrawn else ""
        code = "clock_set_back" if self.model.clock_is_back() else code
        double = self.old_copy if old_file else self.double

        def call() -> None:
            with unlocking.unlock(double, a_use("birthday"), keys=ADA) as opened:
                assert opened.parts

        if code:
            self._refused(code, call)
        else:
            call()

    @invariant()
    def uses_are_counted(self) -> None:
        with closing(self._ledger(HOST)) as ledger:
            for link in self.model.links:
                chain = unverified_chain(read_tokens(link.path))
                last = chain.delegation or chain.grant
                assert ledger.used(last.iss, last.jti) == link.used

    def _ask(
        self, link: Link, purpose: str, holder: Keys | None, old_file: bool, code: str, proof: str | None = None
    ) -> None:
        double = self.old_copy if old_file else self.double
        borrowed = unlocking.Borrowed(link.path, HOST, ADA.public, holder, proof)

        def call() -> None:
            with unlocking.unlock(double, a_use(purpose), borrowed=borrowed) as opened:
                assert set(opened.parts) == {part.name for part in some_parts() if part.modality == "face"}

        if code:
            self._refused(code, call)
        else:
            call()

    @staticmethod
    def _refused(code: str, call: Callable[[], object]) -> None:
        with pytest.raises(NotPermitted) as refused:
            call()
        assert refused.value.code == code


def a_use(purpose: str) -> Use:
    return Use("generate", purpose, "a cake with candles", "reference", ("video",), ("face",), 1.0, 4096)


def test_nothing_opens_that_may_not_and_all_that_may(made: Path) -> None:
    Lending.template = made
    budget = settings(
        max_examples=int(os.environ.get("CAMEO_MACHINE_EXAMPLES", "12")),
        stateful_step_count=25,
        # Without shrinking, which takes minutes here: the steps that are printed show the way.
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Lending, settings=budget)


@settings(max_examples=400, deadline=None)
@given(scopes(), scopes(), uses())
def test_what_a_narrower_grant_covers_the_wider_one_does(child: Scope, parent: Scope, use: Use) -> None:
    try:
        require_narrower(child, parent)
        require_covered(child, use)
    except NotPermitted:
        return
    require_covered(parent, use)
