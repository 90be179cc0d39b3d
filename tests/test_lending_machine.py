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
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from cameo import deciding, lending, publishing, recalling, unlocking
from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.grants.guard import list_digest
from cameo.grants.ledger import Ledger
from cameo.grants.scope import Scope, require_covered, require_narrower
from cameo.lending import GrantTerms, Narrowing
from cameo.records import Use
from cameo.registry.store import Double, Registry
from cameo.seal import bundle as bundles
from cameo.seal.consent import agree
from cameo.seal.terms import parse_terms, resolve_terms
from tests.grants.conftest import keys_of
from tests.lending_model import SKEW_S, START, Link, List, Model
from tests.seal.conftest import ENCODER, some_parts
from tests.strategies import PURPOSES, scopes, uses

# In memory where that can be: nothing here is about disks, and everything is flushed to them all the time.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ADA, BOB, TOOL, HOST, EVE = (keys_of(number) for number in range(11, 16))
TERMS = "".join(f'[[purposes]]\nid = "{name}"\ndelegable = true\n' for name in PURPOSES)


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
    bundles.seal_bundle(folder / "sealed", ADA, agreed, some_parts(), [ENCODER])
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
        self.folder = Path(tempfile.mkdtemp(prefix="cameo-machine-", dir=MEMORY))
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
        for module in (unlocking, deciding):
            self.patch.setattr(module, "Ledger", self._ledger)

    def teardown(self) -> None:
        with closing(self._ledger(HOST)) as ledger:
            ledger.verify_chain()
            allowed = sum(receipt.decision == "allow" for receipt in ledger.receipts())
            assert allowed == sum(grant.used for grant in self.model.grants)
            for link in self.model.links:
                chain = unverified_chain(read_tokens(link.path))
                last = chain.delegation or chain.grant
                assert ledger.used(last.iss, last.jti) == link.used <= (link.max_uses or 99)
        self.patch.undo()
        shutil.rmtree(self.folder)

    def _ledger(self, keys: Keys) -> Ledger:
        return Ledger(keys, clock=lambda: float(self.model.now))

    @initialize(target=links, enrolled_here=st.booleans(), published=st.booleans(), max_uses=st.sampled_from([None, 2]))
    def enrol(self, enrolled_here: bool, published: bool, max_uses: int | None) -> Any:
        """Register the double on this machine, or only bring it there; publish, lend it, and pass that on to a tool."""
        if enrolled_here:
            claims = bundles.Bundle.open(self.double).claims
            double = Double(claims.bundle_id, claims.owner, self.double, "", claims.created, (), claims.assurance)
            with closing(Registry()) as registry:
                registry.register(double)
        self._publish()
        grant = self._lend(PURPOSES, max_uses, 3600, True, published)
        return multiple(grant, self._delegate(grant, (), 1))

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
    ) -> Any:
        if not self.model.withdrawn:
            return self._lend(purposes, max_uses, life_s, delegable, published)
        self._refused("withdrawn", partial(self._lend, purposes, max_uses, life_s, delegable, published))
        return multiple()

    @rule(
        target=links,
        parent=links,
        purposes=st.sampled_from([(), ("birthday",), PURPOSES]),
        max_uses=st.sampled_from([None, 1, 2]),
    )
    def delegate(self, parent: Link, purposes: tuple[str, ...], max_uses: int | None) -> Any:
        now, uses = self.model.now, max_uses or parent.max_uses
        wider = not set(purposes) <= set(parent.purposes) or (uses or 99) > (parent.max_uses or 99)
        for code, holds in (
            ("not_delegable", parent.parent is not None),
            ("not_yet", now < parent.nbf - SKEW_S),
            ("expired", now >= parent.exp),
            ("not_delegable", not parent.delegable),
            ("widened", wider),
        ):
            if holds:
                self._refused(code, partial(self._delegate, parent, purposes, max_uses))
                return multiple()
        return self._delegate(parent, purposes, max_uses)

    @rule(link=links, all_of_them=st.integers(0, 7))
    def take_back(self, link: Link, all_of_them: int) -> None:
        """Revoke a grant, or, once in a while, withdraw the consent."""
        model = self.model
        if all_of_them or model.withdrawn:
            self._revoke(link)
            return
        done = recalling.withdraw(self.double, keys=ADA)
        model.withdrawn = True
        model.seq += 1
        assert done.seq == model.seq
        for each in model.grants:
            each.revoked = True
        # The file as it was before says nothing of it.
        self.use_as_owner(True)
        self.use(link, link.purposes[0], 1, True)

    @rule(what=st.sampled_from(["new", "new", "old", "none"]), data=st.data())
    def publish(self, what: str, data: st.DataObject) -> None:
        """Have the newest list where hosts look, or an older one, or none."""
        if what == "new":
            self._publish()
        elif what == "old":
            token, self.model.standing_there = data.draw(st.sampled_from(self.lists))
            self.list_file.write_bytes(token)
        else:
            self.list_file.unlink(missing_ok=True)
            self.model.standing_there = None

    @rule(link=links)
    def hand_the_statement_over(self, link: Link) -> None:
        """Revoke a grant and tell the host directly: it knows from then on, whatever lists say."""
        if self.model.withdrawn:
            return
        self._revoke(link)
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
        self.use(link, link.purposes[0], 1, False)

    @rule(seconds=st.sampled_from([1, 29, 31, 61, 299, 301, 3539, 86_400, -10, -59, -61, -400]))
    def turn_the_clock(self, seconds: int) -> None:
        self.model.now += seconds

    # What is asked.

    @rule(link=links, purpose=st.sampled_from(PURPOSES), stranger=st.integers(0, 7), old_file=st.booleans())
    def use(self, link: Link, purpose: str, stranger: int, old_file: bool) -> None:
        holder = EVE if stranger == 0 else link.holder
        self._ask(link, purpose, holder, old_file, self.model.refusal(link, purpose, holder, old_file))

    @rule(link=links)
    def use_until_refused(self, link: Link) -> None:
        for _ in range(3):
            code = self.model.refusal(link, link.purposes[0], link.holder, False)
            self._ask(link, link.purposes[0], link.holder, False, code)
            if code:
                break

    @rule(link=links, other=links)
    def use_twice_with_one_proof(self, link: Link, other: Link) -> None:
        """Make a proof for one grant, try it with another, then twice with the right one."""
        asked, purpose = a_use(link.purposes[0]), link.purposes[0]
        if self.model.clock_is_back():
            self._refused("clock_set_back", partial(unlocking.draw_nonce, HOST))
            return
        nonce = unlocking.draw_nonce(HOST)
        proof = unlocking.prove(link.path, asked, link.holder, HOST.public.fingerprint, nonce, self.model.now)
        if other is not link and other.holder is link.holder:
            refused = self.model.refusal(other, purpose, other.holder, False, just_looking=True)
            timely = refused in ("withdrawn", "not_yet", "expired")
            self._ask(other, purpose, None, False, refused if timely else "wrong_grant", proof)
        first = self.model.refusal(link, purpose, link.holder, False)
        self._ask(link, purpose, None, False, first, proof)
        if not first:
            # The nonce is spent; before that, everything else is looked at as always.
            self._ask(link, purpose, None, False, "replayed", proof)

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

    def _revoke(self, link: Link) -> None:
        done = recalling.revoke(link.path, keys=ADA)
        self.model.seq += not link.root.revoked
        assert (done.seq, bool(done.grants)) == (self.model.seq, not link.root.revoked)
        link.root.revoked = True

    def _new_path(self) -> Path:
        return self.folder / f"{len(self.model.links)}.grant"

    def _lend(
        self, purposes: tuple[str, ...], max_uses: int | None, life_s: int, delegable: bool, published: bool
    ) -> Link:
        path, now = self._new_path(), self.model.now
        where = str(self.list_file) if published else ""
        terms = GrantTerms(purposes, max_uses=max_uses, expires_s=life_s, delegable=delegable, status_at=where)
        lending.grant(self.double, keys=ADA, to=BOB.public, host=HOST.public, terms=terms, out=path)
        link = Link(path, purposes, max_uses, now, now + life_s, BOB, delegable, published)
        link.place = unverified_chain(read_tokens(path)).grant.status.status_list.idx
        self.model.grants.append(link)
        self.model.links.append(link)
        return link

    def _delegate(self, parent: Link, purposes: tuple[str, ...], max_uses: int | None) -> Link:
        path, narrowed = self._new_path(), Narrowing(purposes=purposes, max_uses=max_uses)
        lending.delegate(parent.path, keys=BOB, to=TOOL.public, narrowed=narrowed, out=path)
        asked, uses = purposes or parent.purposes, max_uses or parent.max_uses
        link = Link(path, asked, uses, max(self.model.now, parent.nbf), parent.exp, TOOL, parent=parent)
        self.model.links.append(link)
        return link

    def _publish(self) -> None:
        token = publishing.published(ADA).status_token.encode()
        said = List(self.model.seq, self.model.now, self.model.now_revoked)
        self.lists.append((token, said))
        self.list_file.write_bytes(token)
        self.model.standing_there = said

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
    more = os.environ.get("CAMEO_MACHINE_EXAMPLES")
    budget = settings(
        max_examples=int(more or "20"),
        stateful_step_count=30,
        # The same stories every time, so that a red run is red again; others with the variable above.
        derandomize=not more,
        database=None,
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
