"""Tokens of another algorithm, type, key or spelling, led through the front door of a host.

The whole list of defects, one a file, is in `tests/vectors`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cameo.errors import NotPermitted, NotVerified
from cameo.grants.grant import read_tokens
from cameo.grants.status import sign_status
from cameo.unlocking import draw_nonce, prove
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab
from tests.attacks.forging import b64url, claims_of, header_of, raw_json, resigned, sign_raw, unb64url, with_payload

ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group that Ed25519 signs in


def refused(lab: Lab, code: str, token: str) -> None:
    lab.refused(code, NotVerified, lab.by(lab.token_file(token)))


# Algorithms.


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "EdDSA", "ES256", "RS256", "ed25519", "Ed25519 ", "Ed448"])
def test_algorithm_confusion(lab: Lab, alg: str) -> None:
    """Every other name is refused, even over a signature that would hold."""
    token = lab.token(lab.grant())
    refused(lab, "bad_header", sign_raw({**header_of(token), "alg": alg}, claims_of(token), ADA))


@pytest.mark.parametrize("signature", [b"", bytes(64)], ids=["empty", "zeros"])
def test_algorithm_none_with_no_signature(lab: Lab, signature: bytes) -> None:
    token = lab.token(lab.grant())
    signing_input = f"{b64url(raw_json({**header_of(token), 'alg': 'none'}))}.{token.split('.')[1]}"
    refused(lab, "bad_header" if signature else "malformed", f"{signing_input}.{b64url(signature)}")


def test_algorithm_hmac_with_the_public_key_as_secret(lab: Lab) -> None:
    token = lab.token(lab.grant())
    signing_input = f"{b64url(raw_json({**header_of(token), 'alg': 'HS256'}))}.{token.split('.')[1]}"
    for secret in (ADA.public.sign_bytes, ADA.public.to_bytes(), ADA.public.fingerprint.encode()):
        tag = hmac.new(secret, signing_input.encode(), hashlib.sha512).digest()
        refused(lab, "bad_header", f"{signing_input}.{b64url(tag)}")


@pytest.mark.parametrize(
    "more",
    [
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url(EVE.public.sign_bytes)}},
        {"jku": "https://eve.example/keys"},
        {"x5c": ["AAAA"]},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
        {"cty": "cameo-grant+jwt"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_header_that_brings_its_own_key(lab: Lab, more: dict[str, Any]) -> None:
    token = lab.token(lab.grant())
    for keys in (ADA, EVE):
        refused(lab, "bad_header", sign_raw({**header_of(token), **more}, claims_of(token), keys))


# Types.


def _proof(lab: Lab, grant: Path) -> str:
    return prove(grant, USE, BOB, STUDIO.public.fingerprint, draw_nonce(STUDIO), lab.clock())


TOKENS: dict[str, Callable[[Lab, Path], str]] = {
    "delegation": lambda lab, grant: read_tokens(lab.delegate(grant))[1],
    "proof": _proof,
    "status": lambda lab, _: sign_status(ADA, 64, (), 1, lab.clock()),
}


@pytest.mark.parametrize("kind", TOKENS)
def test_type_confusion_as_a_grant(lab: Lab, kind: str) -> None:
    refused(lab, "bad_header", TOKENS[kind](lab, lab.grant()))


@pytest.mark.parametrize("kind", ["grant", "proof", "status"])
def test_type_confusion_as_a_delegation(lab: Lab, kind: str) -> None:
    grant = lab.grant()
    other = lab.token(grant) if kind == "grant" else TOKENS[kind](lab, grant)
    lab.refused("bad_header", NotVerified, lab.by(lab.token_file(lab.token(grant), other), TOOL))


@pytest.mark.parametrize("kind", ["grant", "delegation", "status"])
def test_type_confusion_as_a_proof(lab: Lab, kind: str) -> None:
    """Something else that the friend has signed does not show that they ask."""
    grant = lab.grant()
    other = lab.token(grant) if kind == "grant" else TOKENS[kind](lab, grant)
    lab.refused("bad_header", NotVerified, lab.by(grant, None, proof=other))


@pytest.mark.parametrize("kind", ["grant", "delegation", "proof"])
def test_type_confusion_as_a_status_list(lab: Lab, kind: str) -> None:
    grant = lab.grant()
    other = lab.token(grant) if kind == "grant" else TOKENS[kind](lab, grant)
    place = lab.file("jwt", other.encode())
    lab.refused("bad_header", NotVerified, lab.by(grant, status=str(place)))


def test_type_confusion_with_claims_of_the_right_type(lab: Lab) -> None:
    """Claims of a grant, signed as a plain JWT: no other program's signature can be led here."""
    token = lab.token(lab.grant())
    for typ in ("JWT", "at+jwt", "application/cameo-grant+jwt", "CAMEO-GRANT+JWT", ""):
        refused(lab, "bad_header", sign_raw({**header_of(token), "typ": typ}, claims_of(token), ADA))


# Key ids.


def test_substituted_kid(lab: Lab) -> None:
    """The thief signs and names themselves; signs and names the owner; the owner's signature under another name."""
    token = lab.token(lab.grant())
    head, claims = header_of(token), claims_of(token)
    refused(lab, "bad_signature", sign_raw({**head, "kid": EVE.public.fingerprint}, claims, EVE))
    refused(lab, "bad_signature", sign_raw(head, claims, EVE))
    refused(lab, "bad_signature", sign_raw({**head, "kid": EVE.public.fingerprint}, claims, ADA))


@pytest.mark.parametrize("kid", ["../../ada.pub", "' OR 1=1 --", "", "ADA".lower(), "0" * 63, "\u0660" * 64, "0" * 65])
def test_substituted_kid_that_is_no_fingerprint(lab: Lab, kid: str) -> None:
    token = lab.token(lab.grant())
    refused(lab, "bad_header", sign_raw({**header_of(token), "kid": kid}, claims_of(token), ADA))


def test_substituted_kid_in_a_proof_and_a_delegation(lab: Lab) -> None:
    grant = lab.grant()
    forged = resigned(_proof(lab, grant), EVE, header={**header_of(_proof(lab, grant))})
    lab.refused("bad_signature", NotVerified, lab.by(grant, None, proof=forged))
    delegation = read_tokens(lab.delegate(grant))[1]
    stolen = resigned(delegation, EVE, header=header_of(delegation))
    lab.refused("bad_signature", NotVerified, lab.by(lab.token_file(lab.token(grant), stolen), TOOL))


def test_substituted_kid_in_the_cnf(lab: Lab) -> None:
    """The friend's fingerprint over the thief's key: only the owner could sign that, and it is refused even then."""
    token = lab.token(lab.grant())
    cnf = claims_of(token)["cnf"]
    cnf["jwk"]["x"] = b64url(EVE.public.sign_bytes)
    refused(lab, "malformed", resigned(token, ADA, cnf=cnf))


# Spelling.


def _respelled(token: str, place: int, change: Callable[[str], str]) -> str:
    """Spell one part of a token otherwise; the signature is the owner's, over the new spelling."""
    words = token.split(".")
    words[place] = change(words[place])
    if place < 2:
        words[2] = b64url(ADA.sign(f"{words[0]}.{words[1]}".encode()))
    return ".".join(words)


def _last_bits(text: str) -> str:
    """Change the last character so that a careless decoder reads the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = {2: 15, 3: 3}[len(text) % 4]
    other = alphabet[alphabet.index(text[-1]) ^ (1 & spare)]
    assert base64.urlsafe_b64decode(text[:-1] + other + "==") == unb64url(text)
    return text[:-1] + other


SPELLINGS: dict[str, Callable[[str], str]] = {
    "padding": lambda text: text + "=" * (-len(text) % 4 or 4),
    "white space": lambda text: text[:8] + "\n" + text[8:],
    "space behind": lambda text: text + " ",
    "junk": lambda text: text[:8] + "!" + text[8:],
}


@pytest.mark.parametrize("place", [0, 1, 2], ids=["header", "payload", "signature"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_malleable_base64(lab: Lab, place: int, spelling: str) -> None:
    """A second spelling of one token would have another digest: another `ath`, another place in a block list."""
    token = lab.token(lab.grant())
    refused(lab, "malformed", _respelled(token, place, SPELLINGS[spelling]))


def test_malleable_base64_in_the_last_bits(lab: Lab) -> None:
    token = lab.token(lab.grant())
    tried = 0
    for place in range(3):
        if len(token.split(".")[place]) % 4:
            refused(lab, "malformed", _respelled(token, place, _last_bits))
            tried += 1
    assert tried


def test_malleable_signature(lab: Lab) -> None:
    """S plus the order of the group verifies with careless libraries."""
    token = lab.token(lab.grant())
    head, body, last = token.split(".")
    raw = unb64url(last)
    more = (int.from_bytes(raw[32:], "little") + ORDER).to_bytes(32, "little")
    refused(lab, "bad_signature", f"{head}.{body}.{b64url(raw[:32] + more)}")


def test_duplicate_json_members(lab: Lab) -> None:
    """The second `sub` would count here, the first one elsewhere: so neither does, whoever signed it."""
    token = lab.token(lab.grant())
    text = raw_json(claims_of(token))
    for doubled in (
        text.replace(b'"sub":', b'"sub":"' + b"0" * 32 + b'","sub":', 1),
        text.replace(b'"sub":', b'"\\u0073ub":"' + b"0" * 32 + b'","sub":', 1),
        text.replace(b'"max_uses":', b'"max_uses":1,"max_uses":', 1),
    ):
        assert doubled != text
        refused(lab, "malformed", sign_raw(header_of(token), doubled, ADA))


def test_duplicate_json_members_in_the_header(lab: Lab) -> None:
    token = lab.token(lab.grant())
    head = raw_json(header_of(token)).replace(b'"alg":', b'"alg":"none","alg":', 1)
    refused(lab, "bad_header", sign_raw(head, claims_of(token), ADA))


@pytest.mark.parametrize("more", [b" ", b"\n{}", b"\0", b"//"])
def test_json_with_something_behind_it(lab: Lab, more: bytes) -> None:
    """White space is JSON; what it changes is the signature."""
    token = lab.token(lab.grant())
    refused(lab, "bad_signature", with_payload(token, raw_json(claims_of(token)) + more))


def test_members_nobody_knows(lab: Lab) -> None:
    """A reader that skips what it does not know would skip a restriction of a later version."""
    token = lab.token(lab.grant())
    refused(lab, "malformed", resigned(token, ADA, only_on_sundays=True))
    scope = {**claims_of(token)["scope"], "countries": ["de"]}
    refused(lab, "malformed", resigned(token, ADA, scope=scope))


def test_numbers_of_another_type(lab: Lab) -> None:
    token = lab.token(lab.grant())
    claims = claims_of(token)
    for wrong in (str(claims["exp"]), True, -1, claims["exp"] + 0.5, 2**64, None):
        refused(lab, "malformed", resigned(token, ADA, exp=wrong))
    text = json.dumps({**claims, "exp": 0}).replace('"exp": 0', '"exp": 1e400')
    refused(lab, "malformed", sign_raw(header_of(token), text.encode(), ADA))


def test_an_unchanged_token_signed_the_same_way_opens(lab: Lab) -> None:
    """So that what is refused above is refused for what it changes."""
    token = lab.token(lab.grant())
    assert lab.open(lab.by(lab.token_file(resigned(token, ADA))))
    lab.refused("wrong_holder", NotPermitted, lab.by(lab.token_file(token), EVE))
