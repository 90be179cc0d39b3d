"""A double that may be lent, the four who have to do with it, and what they do over and over."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from cameo.crypto.keys import Keys
from cameo.errors import CameoError, NotPermitted, NotVerified
from cameo.grants.guard import list_digest
from cameo.grants.ledger import Ledger
from cameo.lending import Granted, GrantTerms, Narrowing, delegate, grant
from cameo.records import Use
from cameo.registry.store import Double, Registry
from cameo.seal.bundle import Part, seal_bundle
from cameo.seal.consent import Agreement, agree
from cameo.seal.terms import parse_terms, resolve_terms, today
from cameo.unlocking import Borrowed, unlock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cameo.crypto.keys import PublicKeys
    from cameo.grants.group import Group
    from cameo.grants.receipt import Receipt
    from cameo.records import EncoderInfo

TERMS = """
[[purposes]]
id = "birthday"
delegable = true

[[purposes]]
id = "comedy"
"""


@dataclass(frozen=True)
class People:
    """Hold five pairs of keys: the owner, a friend, the friend's tool, a host, and somebody who was given nothing."""

    ada: Keys
    bob: Keys
    tool: Keys
    studio: Keys
    eve: Keys

    @classmethod
    def made(cls) -> People:
        return cls(*(Keys.generate() for _ in range(5)))


def agreed(toml: str = TERMS, generator: str = "reference") -> Agreement:
    """Agree to terms today, as a program does."""
    return agree(resolve_terms(parse_terms(toml), [generator], today(), list_digest()), "api")


@dataclass(frozen=True)
class Lendable:
    """Hold a double of Ada's that is registered on this machine, and the folder where everything is."""

    folder: Path
    double: Path
    bundle_id: str
    people: People

    def grant(
        self,
        *purposes: str,
        to: PublicKeys | Group | str | None = None,
        host: PublicKeys | None = None,
        out: str = "bob.grant",
        **terms: Any,
    ) -> Granted:
        """Lend it, to Bob for birthdays at the studio unless told otherwise."""
        return grant(
            self.double,
            keys=self.people.ada,
            to=to if to is not None else self.people.bob.public,
            host=host or self.people.studio.public,
            terms=GrantTerms(purposes or ("birthday",), **terms),
            out=self.folder / out,
        )

    def delegate(self, *, keys: Keys | None = None, out: str = "tool.grant", **narrowed: Any) -> Granted:
        """Pass Bob's grant on to his tool."""
        by, to = keys or self.people.bob, self.people.tool.public
        return delegate(
            self.folder / "bob.grant", keys=by, to=to, narrowed=Narrowing(**narrowed), out=self.folder / out
        )

    def borrowed(self, grant: str = "bob.grant", **changes: Any) -> Borrowed:
        """Say what Bob brings to the studio."""
        who = self.people
        return replace(Borrowed(self.folder / grant, host=who.studio, owner=who.ada.public, holder=who.bob), **changes)

    def open(self, grant: str = "bob.grant", use: Use | None = None, **changes: Any) -> dict[str, bytes]:
        """Open it at the studio and return the parts."""
        with unlock(self.double, use or a_use(), borrowed=self.borrowed(grant, **changes)) as opened:
            return dict(opened.parts)

    def receipts(self, host: Keys | None = None) -> list[Receipt]:
        """List what a host has on record, after verifying it."""
        with closing(Ledger(host or self.people.studio)) as ledger:
            ledger.verify_chain()
            return ledger.receipts()

    def decisions(self, host: Keys | None = None) -> list[tuple[str, str]]:
        """List what was decided and why."""
        return [(receipt.decision, receipt.code) for receipt in self.receipts(host)]


def a_use(**changes: Any) -> Use:
    """Ask for a second of a birthday clip."""
    use = Use("generate", "birthday", "a cake with candles", "reference", ("video",), ("face",), 1.0, 384 * 384)
    return replace(use, **changes)


def refused(
    lending: Lendable, code: str, grant: str = "bob.grant", use: Use | None = None, **changes: Any
) -> CameoError:
    """Expect a refusal at the studio, and a receipt that says so and nothing else."""
    before = len(lending.receipts())
    with pytest.raises((NotPermitted, NotVerified)) as caught:
        lending.open(grant, use, **changes)
    assert caught.value.code == code
    assert caught.value.hint
    receipts = lending.receipts()[before:]
    assert [(receipt.decision, receipt.code) for receipt in receipts] == [("deny", code)]
    return caught.value


def seal_lendable(
    folder: Path, people: People, parts: Sequence[Part], encoder: EncoderInfo, toml: str = TERMS
) -> Lendable:
    """Seal a double of Ada's under terms, and register it as enrolling would."""
    path = folder / "ada.cameo"
    generator = next((part.generator for part in parts if part.generator), "reference")
    made = seal_bundle(path, people.ada, agreed(toml, generator), parts, [encoder])
    known = Double(made.bundle_id, made.owner, path.resolve(), "0" * 64, made.created, (encoder.id,), made.assurance)
    with closing(Registry()) as registry:
        registry.register(known)
    return Lendable(folder, path, made.bundle_id, people)
