"""Narrower terms allow nothing that the old ones did not."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
import pytest

from cameo.errors import UsageError
from cameo.seal.narrowing import require_narrowed
from cameo.seal.terms import (
    PROHIBITIONS,
    ConsentTerms,
    Guard,
    Purpose,
    Retention,
    WordRule,
)
from tests.seal.test_terms import BIRTHDAY, MINE

OLD = ConsentTerms((BIRTHDAY, MINE), words=(WordRule("exes", ("charles",), "mine"), WordRule("rivals", ("acme",))))


def of(terms: ConsentTerms, **change: Any) -> ConsentTerms:
    return msgspec.structs.replace(terms, **change)


def mine(**change: Any) -> tuple[Purpose, ...]:
    return (BIRTHDAY, msgspec.structs.replace(MINE, **change))


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        of(OLD, purposes=(BIRTHDAY,)),
        of(OLD, purposes=(BIRTHDAY,), words=(WordRule("rivals", ("acme", "others")),)),
        of(OLD, words=(*OLD.words, WordRule("more", ("a",)))),
        of(OLD, words=(WordRule("exes", ("charles",)), WordRule("rivals", ("acme",)))),
        of(OLD, purposes=mine(commercial=False, delegable=False, outputs=("image",), generators=("wan",))),
        of(OLD, purposes=mine(valid_from=datetime.date(2026, 3, 2), valid_until=datetime.date(2026, 3, 2))),
        of(OLD, guard=Guard(sha256="ab" * 32)),
    ],
)
def test_narrower_terms(new: ConsentTerms) -> None:
    require_narrowed(new, OLD)


@pytest.mark.parametrize(
    "new",
    [
        of(OLD, purposes=(*OLD.purposes, msgspec.structs.replace(BIRTHDAY, id="other"))),
        of(OLD, prohibited=PROHIBITIONS[1:]),
        of(OLD, retention=Retention(captures=True)),
        of(OLD, jurisdiction="DE"),
        of(OLD, name="Bea"),
        of(OLD, words=()),
        of(OLD, words=(WordRule("exes", ("charles",), "mine"), WordRule("rivals", ("other",)))),
        of(OLD, words=(WordRule("exes", ("charles",), "birthday"), WordRule("rivals", ("acme",)))),
        of(OLD, words=(WordRule("exes", ("charles",), "mine"), WordRule("rivals", ("acme",), "mine"))),
        of(OLD, purposes=mine(description="adverts")),
        of(OLD, purposes=mine(audience="approved")),
        of(OLD, purposes=mine(actions=("generate", "export"))),
        of(OLD, purposes=mine(outputs=("audio",))),
        of(OLD, purposes=mine(modalities=("face", "voice"))),
        of(OLD, purposes=mine(generators=("ltx-2",))),
        of(OLD, purposes=mine(valid_from=datetime.date(2026, 2, 28))),
        of(OLD, purposes=mine(valid_until=datetime.date(2027, 1, 1))),
        of(OLD, purposes=mine(valid_until=None)),
        of(OLD, purposes=(msgspec.structs.replace(BIRTHDAY, commercial=True), MINE)),
        of(OLD, purposes=(msgspec.structs.replace(BIRTHDAY, delegable=True), MINE)),
    ],
)
def test_wider_terms(new: ConsentTerms) -> None:
    with pytest.raises(UsageError, match="not narrower"):
        require_narrowed(new, OLD)


def test_a_fixed_word_list_stays_fixed() -> None:
    fixed = of(OLD, guard=Guard(sha256="ab" * 32))
    for other in ("", "cd" * 32):
        with pytest.raises(UsageError, match="word list"):
            require_narrowed(of(OLD, guard=Guard(sha256=other)), fixed)
