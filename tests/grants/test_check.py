"""One request against one grant: every refusal, and which comes first."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cameo.errors import CameoError, NotPermitted, NotVerified
from cameo.grants.check import Permit, Request, Target, check_request, require_time
from cameo.grants.grant import Chain, verify_chain
from cameo.grants.group import Group, new_group
from cameo.grants.proof import SKEW_S, sign_proof
from tests.grants.chain import ADA, BOB, EVE, NOW, SCOPE, STUDIO, TOOL, delegation_token, grant_token
from tests.lendable import a_use

HOST = STUDIO.public.fingerprint
NONCE = "n" * 22
TARGET = Target("ab" * 16, "cd" * 32, "ef" * 32)


def chain_of(**changes: Any) -> Chain:
    return verify_chain((grant_token(**changes),), ADA.public)


def ask(chain: Chain, use: Any = None, by: Any = BOB, now: float = NOW, **changes: Any) -> Permit:
    use = use or a_use()
    said: dict[str, Any] = {"target": TARGET, "host": HOST, "group": None} | changes
    proof = sign_proof(chain, use, by, HOST, NONCE, now)
    return check_request(chain, Request(use, proof, said["group"]), said["target"], said["host"], now)


def test_what_is_allowed() -> None:
    assert ask(chain_of()) == Permit(BOB.public.fingerprint, NONCE)


def test_a_tool_is_allowed_what_both_links_allow() -> None:
    grant = grant_token()
    chain = verify_chain((grant, delegation_token(grant)), ADA.public)
    assert ask(chain, by=TOOL).holder == TOOL.public.fingerprint
    short = msgspec.structs.replace(SCOPE, max_uses=1, max_seconds=0.5)
    narrowed = verify_chain((grant, delegation_token(grant, scope=short)), ADA.public)
    with pytest.raises(NotPermitted) as caught:
        ask(narrowed, by=TOOL)
    assert caught.value.code == "too_long"


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"target": Target("00" * 16, "cd" * 32, "ef" * 32)}, "wrong_double", "for another double"),
        ({"target": Target("ab" * 16, "00" * 32, "ef" * 32)}, "wrong_double", "sealed again"),
        ({"target": Target("ab" * 16, "cd" * 32, "00" * 32)}, "wrong_double", "sealed again"),
        ({"host": EVE.public.fingerprint}, "wrong_host", "for the host"),
        ({"now": NOW - SKEW_S - 1}, "not_yet", "the grant begins on 15 January 2027, 08:00 UTC"),
        ({"now": NOW + 3600}, "expired", "the grant ended on 15 January 2027, 09:00 UTC"),
        ({"by": EVE}, "wrong_holder", "not by the key that asks"),
        ({"use": a_use(purpose="comedy")}, "wrong_purpose", "for birthday, not for 'comedy'"),
        ({"use": a_use(outputs=("audio",))}, "out_of_scope", "the output audio"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(NotPermitted, match=said) as caught:
        ask(chain_of(), **changes)
    assert caught.value.code == code
    assert caught.value.hint


def test_the_first_refusal_wins() -> None:
    """Everything is wrong; what is put right, one after the other, makes room for the next refusal."""
    wrong: dict[str, Any] = {
        "target": Target("00" * 16, "00" * 32, "ef" * 32),
        "host": EVE.public.fingerprint,
        "now": NOW + 9999,
        "by": EVE,
        "use": a_use(purpose="comedy"),
    }
    codes = []
    for name, right in (
        ("", None),
        ("target", TARGET),
        ("host", HOST),
        ("now", NOW),
        ("by", BOB),
        ("use", a_use()),
    ):
        if name:
            wrong[name] = right
        try:
            ask(chain_of(), **wrong)
        except CameoError as error:
            codes.append(error.code)
    assert codes == ["wrong_double", "wrong_host", "expired", "wrong_holder", "wrong_purpose"]


def test_a_little_early_is_in_time_and_the_last_second_is_over() -> None:
    chain = chain_of()
    require_time(chain, NOW - SKEW_S)
    require_time(chain, NOW + 3599.9)
    with pytest.raises(NotPermitted):
        require_time(chain, NOW + 3600)


def test_the_shorter_link_decides() -> None:
    grant = grant_token()
    chain = verify_chain((grant, delegation_token(grant, nbf=NOW + 600)), ADA.public)
    for now, code in ((NOW, "not_yet"), (NOW + 1800, "expired")):
        with pytest.raises(NotPermitted) as caught:
            require_time(chain, now)
        assert caught.value.code == code
    require_time(chain, NOW + 1000)


def of_group(*members: Any) -> Group:
    return msgspec.structs.replace(new_group(ADA.public, "friends", [m.public for m in members]), sub="cc" * 16)


def test_members_only() -> None:
    chain = chain_of(cnf=None, group="cc" * 16, delegable=False)
    assert ask(chain, group=of_group(BOB)).holder == BOB.public.fingerprint
    for group in (of_group(EVE), of_group()):
        with pytest.raises(NotPermitted, match="is not in the group friends") as caught:
            ask(chain, group=group)
        assert caught.value.code == "not_in_group"


def test_the_list_must_be_that_of_the_group() -> None:
    chain = chain_of(cnf=None, group="cc" * 16, delegable=False)
    for group in (None, msgspec.structs.replace(of_group(BOB), sub="dd" * 16)):
        with pytest.raises(NotVerified) as caught:
            ask(chain, group=group)
        assert caught.value.code == "wrong_list"


def test_everyone_who_proves_who_they_are() -> None:
    chain = chain_of(cnf=None, everyone=True, delegable=False)
    assert ask(chain, by=EVE).holder == EVE.public.fingerprint
    assert ask(chain, by=BOB).holder == BOB.public.fingerprint
