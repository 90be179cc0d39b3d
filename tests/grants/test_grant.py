"""Grants and delegations: whole, signed by the right keys, consistent, and never wider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cameo.crypto.encoding import encode_base64, encode_base64url
from cameo.crypto.jws import sign_token
from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.grants import grant as grants
from cameo.grants.grant import Confirmation, Jwk, SealedKey, fresh_id, parse_tokens, read_tokens, sealed_keys
from tests.grants.chain import (
    ADA,
    BOB,
    EVE,
    NOW,
    SCOPE,
    TOOL,
    delegation_claims,
    delegation_token,
    grant_claims,
    grant_token,
)


def code_of(error: pytest.ExceptionInfo[CameoError]) -> str:
    assert error.value.message and error.value.hint
    return error.value.code


def test_a_grant() -> None:
    token = grants.sign_grant(grant_claims(), ADA)
    chain = grants.verify_chain((token,), ADA.public)
    assert (chain.grant, chain.delegation) == (grant_claims(), None)
    assert (chain.scope, chain.nbf, chain.exp) == (SCOPE, NOW, NOW + 3600)
    assert chain.holder is not None and chain.holder.keys() == BOB.public
    assert grants.unverified_chain((token,)) == chain
    assert sealed_keys(chain.grant) == {"face": encode_base64(bytes(80))}


def test_a_delegation_narrows_it() -> None:
    token = grant_token()
    link = grants.sign_delegation(token, delegation_claims(token), BOB)
    chain = grants.verify_chain((token, link), ADA.public)
    assert chain.delegation == delegation_claims(token)
    assert (chain.scope.max_uses, chain.nbf, chain.exp) == (1, NOW, NOW + 1800)
    assert chain.holder is not None and chain.holder.keys() == TOOL.public
    assert chain.digest != grants.verify_chain((token,), ADA.public).digest
    assert grants.unverified_chain((token, link)) == chain


def test_whom_it_is_for() -> None:
    assert grant_claims().audience == "approved"
    assert grant_claims(cnf=Confirmation.of(ADA.public)).audience == "owner"
    assert grant_claims(cnf=None, group="cc" * 16).audience == "group"
    assert grant_claims(cnf=None, everyone=True).audience == "everyone"


BOTH = (SealedKey("face", encode_base64(bytes(80))), SealedKey("voice", encode_base64(bytes(80))))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cnf": None}, "for nobody, or for several"),
        ({"group": "cc" * 16}, "for nobody, or for several"),
        ({"everyone": True}, "for nobody, or for several"),
        ({"cnf": None, "group": "cc" * 16, "everyone": True, "delegable": False}, "for nobody, or for several"),
        ({"cnf": None, "group": "cc" * 16}, "cannot be passed on"),
        ({"cnf": None, "everyone": True}, "cannot be passed on"),
        ({"exp": NOW}, "ends before it begins"),
        ({"nbf": NOW + 3600}, "ends before it begins"),
        ({"exp": NOW + grants.LIFE_LIMIT_S + 1}, "lasts longer than a grant can"),
        ({"keys": (SealedKey("voice", encode_base64(bytes(80))),)}, "not those of its modalities"),
        ({"keys": BOTH}, "not those of its modalities"),
        ({"keys": (BOTH[0], BOTH[0])}, "not those of its modalities"),
    ],
)
def test_a_grant_that_contradicts_itself(changes: dict[str, Any], said: str) -> None:
    """Neither signed by us, nor accepted from somebody who signed it all the same."""
    with pytest.raises(UsageError, match=said):
        grants.sign_grant(grant_claims(**changes), ADA)
    with pytest.raises(NotVerified, match=said) as caught:
        grants.verify_chain((grant_token(**changes),), ADA.public)
    assert code_of(caught) == "malformed"


def test_the_key_that_is_named_must_be_the_one_that_is_carried() -> None:
    named = Confirmation.of(BOB.public)
    for wrong, said in (
        (msgspec.structs.replace(named, kid=EVE.public.fingerprint), "belongs to other keys"),
        (msgspec.structs.replace(named, jwk=named.enc), "wrong curves"),
        (msgspec.structs.replace(named, enc=Confirmation.of(EVE.public).enc), "belongs to other keys"),
        (msgspec.structs.replace(named, jwk=Jwk("OKP", "Ed25519", encode_base64url(bytes(31)))), "holder's key"),
    ):
        with pytest.raises(NotVerified, match=said) as caught:
            grants.verify_chain((grant_token(cnf=wrong),), ADA.public)
        assert code_of(caught) == "malformed"
    weak = Confirmation(EVE.public.fingerprint, Jwk("OKP", "Ed25519", encode_base64url(bytes(32))), named.enc)
    with pytest.raises(NotVerified) as caught:
        grants.verify_chain((grant_token(cnf=weak),), ADA.public)
    assert code_of(caught) == "weak_key"


def test_who_signed_it() -> None:
    with pytest.raises(NotVerified, match="not signed by the owner you trust") as caught:
        grants.verify_chain((grant_token(),), EVE.public)
    assert code_of(caught) == "bad_signature"
    with pytest.raises(NotVerified, match="another issuer"):
        grants.verify_chain((grant_token(EVE),), EVE.public)
    token = grant_token()
    head, payload, signature = token.split(".")
    other = grant_token(exp=NOW + 7200).split(".")[1]
    for spoilt in (f"{head}.{other}.{signature}", f"{head}.{payload}.{'A' * len(signature)}"):
        with pytest.raises(NotVerified) as caught:
            grants.verify_chain((spoilt,), ADA.public)
        assert code_of(caught) == "bad_signature"
    assert grants.verify_chain((token,), ADA.public).grant.exp == NOW + 3600, "and no failure is kept"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scope": msgspec.structs.replace(SCOPE, max_uses=5)}, "widened"),
        ({"scope": msgspec.structs.replace(SCOPE, purposes=("comedy",))}, "widened"),
        ({"exp": NOW + 3601}, "widened"),
        ({"nbf": NOW - 1}, "widened"),
        ({"exp": NOW}, "widened"),
        ({"parent": encode_base64url(bytes(32))}, "spliced"),
        ({"cnf": msgspec.structs.replace(Confirmation.of(TOOL.public), kid=EVE.public.fingerprint)}, "malformed"),
    ],
)
def test_a_delegation_that_does_not_fit(changes: dict[str, Any], code: str) -> None:
    """Neither signed by us, nor accepted from somebody who signed it all the same."""
    token = grant_token()
    with pytest.raises(CameoError) as caught:
        grants.sign_delegation(token, delegation_claims(token, **changes), BOB)
    assert code_of(caught) == code
    with pytest.raises(CameoError) as caught:
        grants.verify_chain((token, delegation_token(token, **changes)), ADA.public)
    assert code_of(caught) == code


def test_who_may_delegate() -> None:
    token = grant_token()
    claims = delegation_claims(token)
    with pytest.raises(NotPermitted, match="does not hold the grant") as caught:
        grants.sign_delegation(token, claims, EVE)
    assert code_of(caught) == "wrong_holder"
    for signer, changes in ((EVE, {}), (EVE, {"iss": EVE.public.fingerprint}), (BOB, {"iss": EVE.public.fingerprint})):
        with pytest.raises(NotVerified) as refused:
            grants.verify_chain((token, delegation_token(token, signer, **changes)), ADA.public)
        assert code_of(refused) == "bad_signature"


@pytest.mark.parametrize("changes", [{"delegable": False}, {"cnf": None, "group": "cc" * 16, "delegable": False}])
def test_what_may_not_be_passed_on(changes: dict[str, Any]) -> None:
    token = grant_token(**changes)
    with pytest.raises(NotPermitted) as caught:
        grants.sign_delegation(token, delegation_claims(token), BOB)
    assert code_of(caught) == "not_delegable"
    with pytest.raises(NotPermitted) as caught:
        grants.verify_chain((token, delegation_token(token)), ADA.public)
    assert code_of(caught) == "not_delegable"


def test_a_delegation_of_another_grant_is_spliced() -> None:
    one, other = grant_token(), grant_token(jti="03" * 16)
    with pytest.raises(NotVerified, match="another grant") as caught:
        grants.verify_chain((one, delegation_token(other)), ADA.public)
    assert code_of(caught) == "spliced"


def test_how_many_links() -> None:
    token = grant_token()
    link = delegation_token(token)
    for tokens in ((), (token, link, link)):
        with pytest.raises(NotVerified, match="one delegation at most"):
            grants.verify_chain(tokens, ADA.public)


def test_the_file(tmp_path: Path) -> None:
    token = grant_token()
    link = delegation_token(token)
    for tokens in ((token,), (token, link)):
        path = tmp_path / f"{len(tokens)}.grant"
        path.write_bytes(grants.file_bytes(tokens))
        assert read_tokens(path) == tokens
    assert parse_tokens(token.encode()) == (token,), "the line end is a courtesy"
    with pytest.raises(UsageError, match="cannot read"):
        read_tokens(tmp_path / "none.grant")
    with pytest.raises(UsageError, match="cannot read"):
        read_tokens(tmp_path)


def test_files_that_are_no_grant(tmp_path: Path) -> None:
    token = grant_token()
    link = delegation_token(token)
    for raw, code in (
        (b"", "malformed"),
        (b"\xff" * 8, "malformed"),
        (token.encode() + b"\n\n", "malformed"),
        (token.encode() + b"~", "malformed"),
        (f"{token}~{link}~{link}".encode(), "malformed"),
        (link.encode(), "bad_header"),
        (f"{token}~{token}".encode(), "bad_header"),
        (b"a" * (grants.FILE_LIMIT + 1), "oversize"),
        (token.encode() + b"~" + b"a" * grants.FILE_LIMIT, "oversize"),
    ):
        (tmp_path / "x.grant").write_bytes(raw)
        with pytest.raises(NotVerified) as caught:
            read_tokens(tmp_path / "x.grant")
        assert code_of(caught) == code, raw[:40]


def test_members_that_nobody_knows_are_refused() -> None:
    class More(grants.GrantClaims, frozen=True):
        more: int = 1

    claims = More(**{name: getattr(grant_claims(), name) for name in grants.GrantClaims.__struct_fields__})
    token = sign_token(grants.GRANT, claims, ADA)
    with pytest.raises(NotVerified) as caught:
        grants.verify_chain((token,), ADA.public)
    assert code_of(caught) == "malformed"


def test_ids_do_not_repeat() -> None:
    made = {fresh_id() for _ in range(100)}
    assert len(made) == 100
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in made)
