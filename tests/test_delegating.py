"""A friend narrows a grant for a tool, once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from cameo.errors import CameoError, NotPermitted, OutputError, UsageError
from cameo.grants.grant import read_tokens, verify_chain
from tests.lendable import Lendable

if TYPE_CHECKING:
    pass
from tests.test_lending import claims_in, on_record


def test_a_delegation(lending: Lendable) -> None:
    lending.grant(max_uses=4, delegable=True, expires_s=3600)
    parent = claims_in(lending)
    made = lending.delegate(max_uses=1, max_seconds=2.0, modalities=("face",), expires_s=60)
    chain = verify_chain(read_tokens(lending.folder / "tool.grant"), lending.people.ada.public)
    assert chain.delegation is not None
    assert chain.grant == parent
    assert (made.id, made.holder) == (chain.delegation.jti, lending.people.tool.public.fingerprint)
    assert (chain.scope.max_uses, chain.scope.max_seconds, chain.scope.modalities) == (1, 2.0, ("face",))
    assert chain.scope.purposes == parent.scope.purposes
    assert 58 <= chain.exp - parent.iat <= 62
    assert (lending.folder / "tool.grant").stat().st_mode & 0o777 == 0o600
    assert len(on_record(lending)) == 1, "the owner's machine need not know"


def test_what_is_not_said_stays_as_granted(lending: Lendable) -> None:
    lending.grant(max_uses=4, delegable=True)
    made = lending.delegate()
    assert made.scope == claims_in(lending).scope
    assert made.expires.timestamp() == claims_in(lending).exp
    assert made.delegable is False


@pytest.mark.parametrize(
    ("narrowed", "code"),
    [
        ({"max_uses": 5}, "widened"),
        ({"max_seconds": 11.0}, "widened"),
        ({"purposes": ("comedy",)}, "widened"),
        ({"generators": ("wan",)}, "widened"),
        ({"outputs": ("audio",)}, "widened"),
        ({"expires_s": 7200}, "widened"),
        ({"max_uses": 0}, "usage"),
        ({"max_seconds": 0.0}, "usage"),
        ({"max_pixels": 0}, "usage"),
        ({"expires_s": 0}, "usage"),
        ({"expires_s": -5}, "usage"),
        ({"expires_s": 10**20}, "usage"),
        ({"generators": ("Not A Name",)}, "usage"),
    ],
)
def test_what_a_delegation_cannot_say(lending: Lendable, narrowed: dict[str, Any], code: str) -> None:
    lending.grant(max_uses=4, max_seconds=10.0, delegable=True, expires_s=3600)
    with pytest.raises(CameoError) as caught:
        lending.delegate(**narrowed)
    assert caught.value.code == code
    assert not (lending.folder / "tool.grant").exists()


def test_who_may_pass_it_on(lending: Lendable) -> None:
    lending.grant()
    with pytest.raises(NotPermitted) as caught:
        lending.delegate()
    assert caught.value.code == "not_delegable"
    (lending.folder / "bob.grant").unlink()
    lending.grant(delegable=True)
    with pytest.raises(NotPermitted) as caught:
        lending.delegate(keys=lending.people.eve)
    assert caught.value.code == "wrong_holder"
    with pytest.raises(NotPermitted) as caught:
        lending.delegate(keys=lending.people.ada)
    assert caught.value.code == "wrong_holder", "not even the owner"
    assert not (lending.folder / "tool.grant").exists()


def test_it_is_passed_on_once(lending: Lendable) -> None:
    lending.grant(delegable=True)
    lending.delegate()
    (lending.folder / "bob.grant").write_bytes((lending.folder / "tool.grant").read_bytes())
    with pytest.raises(NotPermitted, match="passed on already") as caught:
        lending.delegate(keys=lending.people.tool, out="third.grant")
    assert caught.value.code == "not_delegable"


def test_what_has_ended_is_not_passed_on(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    lending.grant(delegable=True, expires_s=60)
    ended = claims_in(lending).exp
    monkeypatch.setattr("cameo.lending.time.time", lambda: float(ended))
    with pytest.raises(NotPermitted) as caught:
        lending.delegate()
    assert caught.value.code == "expired"


def test_clocks_that_differ_a_little(lending: Lendable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's clock is half a minute ahead: what the friend passes on begins no earlier than what they got."""
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("cameo.lending.time.time", lambda: now + 30)
        lending.grant(delegable=True)
    lending.delegate()
    chain = verify_chain(read_tokens(lending.folder / "tool.grant"), lending.people.ada.public)
    assert chain.delegation is not None
    assert chain.delegation.nbf == chain.grant.nbf
    assert lending.open("tool.grant", holder=lending.people.tool)


def test_a_delegation_replaces_nothing(lending: Lendable) -> None:
    lending.grant(delegable=True)
    (lending.folder / "tool.grant").write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        lending.delegate()
    assert (lending.folder / "tool.grant").read_bytes() == b"precious"
    (lending.folder / "bob.grant").unlink()
    with pytest.raises(UsageError, match="cannot read"):
        lending.delegate(out="other.grant")
