"""Grants, delegations and proofs: one whole of each audience, then one defect each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.vectors import claims
from tests.vectors.case import Vector
from tests.vectors.claims import DAY, GRANT, GROUP_ID, NONCE, SCOPE, TARGET, USE, delegation, grant, narrowed, proof
from tests.vectors.forge import ADA, BOB, EVE, HOST, NOW, TOOL, Person, b64url, compact, header, token

# Order 1: any signature by this key that has R = identity and S = 0 would hold.
WEAK = bytes([1]) + bytes(31)


def _grant(name: str, expected: str, description: str, file: str, now: int = NOW) -> Vector:
    return Vector("grant", name, description, expected, {"file": file}, {"owner": ADA}, now=now)


def grants() -> Iterator[Vector]:
    """Vectors of kind "grant"."""
    yield _grant("ok", "ok", "a grant for a friend, that may be passed on", grant())
    yield _grant("ok-with-line-end", "ok", "one line end after it is an editor's habit", grant() + "\n")
    yield _grant("ok-group", "ok", "for a group", grant(cnf=None, group=GROUP_ID, delegable=False))
    yield _grant("ok-everyone", "ok", "for everyone", grant(cnf=None, everyone=True, delegable=False))
    yield _grant("ok-owner", "ok", "for the owner themselves, at a host", grant(cnf=ADA.confirmation()))
    full = grant(group="", everyone=False, status_at="https://ada.example/cameo")
    yield _grant("ok-with-defaults", "ok", "with the members that have a default", full)
    no_limits = {**SCOPE, "max_uses": None, "max_seconds": None, "max_pixels": None}
    voice = {"modality": "voice", "sealed": claims.sealed_key("voice")}
    both = grant(scope={**SCOPE, "modalities": ["face", "voice"]}, keys=[*claims.grant_claims()["keys"], voice])
    yield _grant("ok-two-modalities", "ok", "face and voice", both)
    yield _grant("ok-no-limits", "ok", "nothing is counted or measured", grant(scope=no_limits))
    exported = {**no_limits, "actions": ["export", "generate"]}
    yield _grant("ok-export", "ok", "clips, and a plain file of what was tuned", grant(scope=exported))
    yield from _headers()
    yield from _spellings()
    yield from _contents()
    yield _grant("expired", "expired", "asked for in the very second it ends", grant(), now=NOW + DAY)
    yield _grant("not-yet", "not_yet", "begins 61 seconds from now", grant(nbf=NOW + 61))
    yield _grant("ok-clock-skew", "ok", "begins 60 seconds from now, which clocks may differ by", grant(nbf=NOW + 60))


def _headers() -> Iterator[Vector]:
    head = header(GRANT, ADA)
    kid = ADA.fingerprint
    for name, expected, description, bent in (
        ("alg-none", "bad_header", "alg is none", {**head, "alg": "none"}),
        (
            "alg-hs256",
            "bad_header",
            "alg is HS256, with the public key as the secret in mind",
            {**head, "alg": "HS256"},
        ),
        ("alg-eddsa", "bad_header", "alg is EdDSA, which names no curve", {**head, "alg": "EdDSA"}),
        ("alg-lower-case", "bad_header", "alg is ed25519", {**head, "alg": "ed25519"}),
        ("typ-jwt", "bad_header", "typ is JWT", {**head, "typ": "JWT"}),
        ("typ-proof", "bad_header", "typ is that of a proof", {**head, "typ": claims.PROOF}),
        ("typ-with-prefix", "bad_header", "typ has its media type's prefix", {**head, "typ": f"application/{GRANT}"}),
        ("header-jwk", "bad_header", "the header brings its own key", {**head, "jwk": ADA.confirmation()["jwk"]}),
        ("header-jku", "bad_header", "the header says where its key is", {**head, "jku": "https://eve.example/jwks"}),
        ("header-crit", "bad_header", "the header has a crit member", {**head, "crit": ["exp"]}),
        ("header-b64", "bad_header", "the payload is said to be unencoded", {**head, "b64": False, "crit": ["b64"]}),
        ("header-without-kid", "bad_header", "no kid", {"alg": "Ed25519", "typ": GRANT}),
        ("header-order", "bad_header", "alg stands last", {"typ": GRANT, "kid": kid, "alg": "Ed25519"}),
        ("header-spaces", "bad_header", "spaces in the header", compact(head).replace(b",", b", ")),
        ("header-duplicate", "bad_header", "two alg members", compact(head).replace(b"{", b'{"alg":"none",', 1)),
        ("header-no-json", "bad_header", "the header is not JSON", b"hello"),
        ("kid-upper-case", "bad_header", "kid is in upper case", {**head, "kid": kid.upper()}),
        ("kid-of-another", "bad_signature", "kid names somebody else", {**head, "kid": EVE.fingerprint}),
    ):
        yield _grant(name, expected, description, grant(head=bent))
    unsigned = grant(head={**head, "alg": "none"}).rpartition(".")[0] + "."
    yield _grant("alg-none-unsigned", "malformed", "alg is none and there is no signature", unsigned)


def _spellings() -> Iterator[Vector]:
    whole = grant()
    head, payload, signature = whole.split(".")
    # The last of 86 characters stands for two bits; the next one in the alphabet has another bit, which is nobody's.
    loose = signature[:-1] + chr(ord(signature[-1]) + 1)
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    yield _grant("signature-changed", "bad_signature", "one character of the signature", f"{head}.{payload}.{flipped}")
    yield _grant("signature-spelling", "malformed", "a bit is set that belongs to no byte", f"{head}.{payload}.{loose}")
    yield _grant("signature-short", "malformed", "63 bytes of signature", f"{head}.{payload}.{b64url(bytes(63))}")
    yield _grant("padding", "malformed", "base64url with padding", f"{head}.{payload}.{signature}==")
    yield _grant("plain-alphabet", "malformed", "the other base64 alphabet", f"{head}.{payload}.+/{signature[2:]}")
    yield _grant("white-space", "malformed", "a space before it", " " + whole)
    yield _grant("line-ends", "malformed", "two line ends after it", whole + "\n\n")
    yield _grant("two-segments", "malformed", "no signature, and no dot before it", f"{head}.{payload}")
    yield _grant("four-segments", "malformed", "another segment", f"{whole}.AAAA")
    yield _grant("json-serialisation", "malformed", "the JSON serialisation of JWS", '{"payload":"","signatures":[]}')
    yield _grant("empty", "malformed", "an empty file", "")
    yield _grant("not-ascii", "malformed", "a letter that is not ASCII", whole + "é")
    yield _grant("oversize", "oversize", "a file of more than 32 KiB", whole + "A" * (32 * 1024))
    yield _grant("token-oversize", "oversize", "a token of more than 16384 characters", grant(status_at="x" * 11_200))
    other = grant(signer=EVE, iss=EVE.fingerprint)
    yield _grant("signed-by-another", "bad_signature", "whole, and somebody else's", other)
    payload_of_other = f"{head}.{grant(delegable=False).split('.')[1]}.{signature}"
    yield _grant(
        "payload-of-another", "bad_signature", "the claims of one grant, the signature of another", payload_of_other
    )
    three = "~".join([whole, delegation(whole), delegation(whole)])
    yield _grant("three-tokens", "malformed", "two delegations", three)


def _contents() -> Iterator[Vector]:
    raw = compact(claims.grant_claims())

    def signed(payload: bytes) -> str:
        return token(header(GRANT, ADA), payload, ADA)

    duplicate = raw.replace(b'"delegable":true', b'"delegable":false,"delegable":true')
    yield _grant("duplicate-member", "malformed", "two members of the same name", signed(duplicate))
    inner = raw.replace(b'"max_uses":4', b'"max_uses":4,"max_uses":5')
    yield _grant("duplicate-inner-member", "malformed", "two members of the same name in the scope", signed(inner))
    yield _grant("trailing-bytes", "malformed", "something stands after the claims", signed(raw + b"{}"))
    yield _grant("byte-order-mark", "malformed", "a byte order mark before the claims", signed(b"\xef\xbb\xbf" + raw))
    yield _grant("not-utf8", "malformed", "bytes that are no UTF-8", signed(raw.replace(b"comedy", b"comed\xff")))
    yield _grant("claims-array", "malformed", "the claims are an array", signed(b"[" + raw + b"]"))
    yield _grant("nested", "malformed", "two thousand brackets", signed(b"[" * 2000))
    float_exp = raw.replace(b'"exp":%d' % (NOW + DAY), b'"exp":%d.5' % (NOW + DAY))
    yield _grant("exp-float", "malformed", "an end between two seconds", signed(float_exp))
    exponent = raw.replace(b'"max_uses":4', b'"max_uses":4e400')
    yield _grant("number-overflow", "malformed", "a number that no float can hold", signed(exponent))
    nan = raw.replace(b'"max_seconds":10.0', b'"max_seconds":NaN')
    yield _grant("max-seconds-nan", "malformed", "NaN, which is no JSON", signed(nan))
    strangers = {**BOB.confirmation(), "kid": EVE.fingerprint}
    weak = BOB.confirmation()
    weak["jwk"] = {**weak["jwk"], "x": b64url(WEAK)}
    swapped = BOB.confirmation()
    swapped["jwk"], swapped["enc"] = swapped["enc"], swapped["jwk"]
    keys = claims.grant_claims()["keys"]
    both = {**SCOPE, "modalities": ["face", "voice"]}
    for name, expected, description, change in (
        ("unknown-member", "malformed", "a claim nobody knows", {"admin": True}),
        ("exp-missing", "malformed", "no end", {"without": "exp"}),
        ("exp-text", "malformed", "the end is a text", {"exp": str(NOW + DAY)}),
        ("exp-true", "malformed", "the end is true", {"exp": True}),
        ("nbf-negative", "malformed", "begins before 1970", {"nbf": -1}),
        ("nbf-far", "malformed", "in a year of five digits", {"iat": 2**39, "nbf": 2**39, "exp": 2**39 + DAY}),
        ("exp-before-nbf", "malformed", "ends before it begins", {"exp": NOW - 2 * DAY}),
        ("too-long-a-life", "malformed", "lasts longer than ten years", {"exp": NOW + 11 * 366 * DAY}),
        ("jti-short", "malformed", "an id of 31 digits", {"jti": claims.GRANT_ID[1:]}),
        ("jti-upper-case", "malformed", "an id in upper case", {"jti": claims.GRANT_ID.upper()}),
        ("sub-line-end", "malformed", "an id with a line end", {"sub": claims.BUNDLE_ID + "\n"}),
        ("iss-of-another", "bad_signature", "the issuer is not the signer", {"iss": EVE.fingerprint}),
        ("no-audience", "malformed", "for nobody", {"cnf": None, "delegable": False}),
        ("two-audiences", "malformed", "for a friend and for everyone", {"everyone": True}),
        ("group-delegable", "malformed", "for a group, and may be passed on", {"cnf": None, "group": GROUP_ID}),
        ("cnf-fingerprint", "malformed", "the friend's fingerprint is another's", {"cnf": strangers}),
        ("cnf-weak-key", "weak_key", "the friend's key has small order", {"cnf": weak}),
        ("cnf-curves", "malformed", "the friend's two keys are swapped", {"cnf": swapped}),
        (
            "status-negative",
            "malformed",
            "a place before the list",
            {"status": {"status_list": {"idx": -1, "uri": ""}}},
        ),
        ("keys-missing", "malformed", "no key for a modality that is granted", {"scope": both}),
        ("keys-twice", "malformed", "the key of one modality, twice", {"keys": [keys[0], keys[0]]}),
        ("keys-captures", "malformed", "the key of the recording", {"keys": [{**keys[0], "modality": "captures"}]}),
        ("scope-no-purpose", "malformed", "for nothing", {"scope": {**SCOPE, "purposes": []}}),
        ("scope-action", "malformed", "an action that does not exist", {"scope": {**SCOPE, "actions": ["train"]}}),
        ("scope-no-use", "malformed", "no use at all", {"scope": {**SCOPE, "max_uses": 0}}),
        ("scope-unknown-member", "malformed", "a limit nobody knows", {"scope": {**SCOPE, "max_fun": 1}}),
        ("scope-purpose-word", "malformed", "a purpose with a space", {"scope": {**SCOPE, "purposes": ["a b"]}}),
    ):
        yield _grant(name, expected, description, grant(**change))


def _delegated(name: str, expected: str, description: str, *tokens: str, now: int = NOW) -> Vector:
    return Vector("delegation", name, description, expected, {"file": "~".join(tokens)}, {"owner": ADA}, now=now)


def delegations() -> Iterator[Vector]:
    """Vectors of kind "delegation"."""
    parent = grant()
    yield _delegated("ok", "ok", "a friend lets a tool do less", parent, delegation(parent))
    same = delegation(parent, scope=SCOPE, exp=NOW + DAY, nbf=NOW - DAY)
    yield _delegated("ok-not-narrower", "ok", "a tool may do all that the friend may", parent, same)
    for name, change in (
        ("actions", {"actions": ["export"]}),
        ("purposes", {"purposes": ["birthday", "politics"]}),
        ("outputs", {"outputs": ["image"]}),
        ("generators", {"generators": ["reference", "other"]}),
        ("max-uses", {"max_uses": 5}),
        ("max-uses-none", {"max_uses": None}),
        ("max-seconds", {"max_seconds": 10.5}),
        ("max-seconds-none", {"max_seconds": None}),
        ("max-pixels", {"max_pixels": 1_000_001}),
        ("max-pixels-none", {"max_pixels": None}),
        ("commercial", {"commercial": True}),
    ):
        child = delegation(parent, scope=narrowed(**change))
        yield _delegated(f"widened-{name}", "widened", f"wider than the grant: {change}", parent, child)
    voiced = delegation(parent, scope=narrowed(modalities=["voice"]))
    yield _delegated("widened-modalities", "widened", "the voice, of a grant for the face", parent, voiced)
    later, earlier = delegation(parent, exp=NOW + DAY + 1), delegation(parent, nbf=NOW - DAY - 1)
    yield _delegated("widened-exp", "widened", "ends a second after the grant", parent, later)
    yield _delegated("widened-nbf", "widened", "begins a second before the grant", parent, earlier)
    other = grant(jti="00" * 16)
    yield _delegated("spliced", "spliced", "a delegation of another grant", parent, delegation(other))
    fixed = grant(delegable=False)
    yield _delegated("not-delegable", "not_delegable", "the grant may not be passed on", fixed, delegation(fixed))
    shared = grant(cnf=None, group=GROUP_ID, delegable=False)
    yield _delegated("of-a-group", "not_delegable", "the grant is a group's", shared, delegation(shared))
    strangers = delegation(parent, signer=EVE, iss=EVE.fingerprint)
    yield _delegated("by-a-stranger", "bad_signature", "not signed by the friend", parent, strangers)
    owners = delegation(parent, signer=ADA, iss=ADA.fingerprint)
    yield _delegated("by-the-owner", "bad_signature", "signed by the owner, not by the friend", parent, owners)
    named = delegation(parent, iss=EVE.fingerprint)
    yield _delegated("iss-of-another", "bad_signature", "the issuer is not the signer", parent, named)
    weak = TOOL.confirmation()
    weak["enc"] = {**weak["enc"], "x": b64url(bytes(32))}
    yield _delegated("weak-key", "weak_key", "the tool's key has small order", parent, delegation(parent, cnf=weak))
    lost = delegation(parent, "exp")
    yield _delegated("exp-missing", "malformed", "no end", parent, lost)
    typed = delegation(parent, head=header(GRANT, BOB))
    yield _delegated("typ-grant", "bad_header", "its typ is that of a grant", parent, typed)
    yield _delegated("two-grants", "bad_header", "a grant instead of a delegation", parent, parent)
    yield _delegated("order", "bad_header", "the delegation stands first", delegation(parent), parent)
    yield _delegated("empty-second", "malformed", "nothing after the tilde", parent, "")
    yield _delegated("expired", "expired", "the delegation has ended", parent, delegation(parent), now=NOW + 3600)
    short = delegation(parent, nbf=NOW + 10, exp=NOW + 10)
    yield _delegated("ends-at-once", "widened", "ends in the second it begins", parent, short)


def _proved(name: str, expected: str, description: str, sent: str, host: Person = HOST, **more: Any) -> Vector:
    given = {"file": grant(), "proof": sent, "use": USE, "target": TARGET, **more}
    return Vector("proof", name, description, expected, given, {"owner": ADA, "host": host})


def proofs() -> Iterator[Vector]:
    """Vectors of kind "proof": a whole request, but for the ledger."""
    whole = grant()
    good = proof(whole)
    yield _proved("ok", "ok", "the friend asks for what was granted", good)
    child = delegation(whole)
    both = f"{whole}~{child}"
    yield _proved("ok-delegated", "ok", "the tool asks", proof(whole, child, signer=TOOL), file=both)
    yield _proved(
        "friend-for-tool", "wrong_holder", "the friend asks with the tool's delegation", proof(whole, child), file=both
    )
    shared = grant(cnf=None, group=GROUP_ID, delegable=False)
    member = proof(shared, cnf=BOB.confirmation())
    yield _proved("ok-group", "ok", "a member of the group asks", member, file=shared, group=claims.group())
    alone = claims.group(members=claims.members(TOOL))
    yield _proved("not-in-group", "not_in_group", "somebody else asks", member, file=shared, group=alone)
    unlike = claims.group(sub="00" * 16)
    yield _proved("other-group", "wrong_list", "the list is of another group", member, file=shared, group=unlike)
    yield _proved("no-group-list", "wrong_list", "there is no list of the group", member, file=shared)
    nameless = proof(shared)
    yield _proved(
        "nameless", "wrong_holder", "the proof does not say who asks", nameless, file=shared, group=claims.group()
    )
    yield _proved(
        "by-a-stranger", "wrong_holder", "somebody asks who does not hold the grant", proof(whole, signer=EVE)
    )
    borrowed = proof(whole, signer=EVE, head=header(claims.PROOF, BOB))
    yield _proved("kid-of-the-friend", "bad_signature", "a stranger signs under the friend's kid", borrowed)
    yield _proved("typ", "bad_header", "its typ is that of a grant", proof(whole, head=header(GRANT, BOB)))
    yield _proved("other-host", "wrong_host", "made for another host", proof(whole, aud=EVE.fingerprint))
    yield _proved("other-grant", "wrong_grant", "made for another grant", proof(grant(jti="00" * 16)))
    yield _proved("without-delegation", "wrong_grant", "made for the grant alone", proof(whole, signer=TOOL), file=both)
    yield _proved("changed-prompt", "request_changed", "another prompt is sent", good, use={**USE, "prompt": "a riot"})
    yield _proved("changed-seed", "request_changed", "another seed is sent", good, use={**USE, "seed": 8})
    yield _proved("stale", "stale_proof", "181 seconds old", proof(whole, iat=NOW - 181))
    yield _proved(
        "ok-old", "ok", "180 seconds old, a minute of which clocks may differ by", proof(whole, iat=NOW - 180)
    )
    yield _proved("early", "stale_proof", "made 61 seconds from now", proof(whole, iat=NOW + 61))
    yield _proved("nonce-short", "malformed", "a nonce of 21 characters", proof(whole, nonce=NONCE[1:]))
    yield _proved("oversize", "oversize", "longer than 4096 characters", proof(whole, nonce="A" * 4096))
    yield _proved("wrong-host", "wrong_host", "the host is not the one it was granted for", proof(whole), host=EVE)
    for name, code, change in (
        ("wrong-double", "wrong_double", {"bundle_id": "00" * 16}),
        ("resealed", "wrong_double", {"sha256": "00" * 32}),
        ("other-consent", "wrong_double", {"consent_sha256": "00" * 32}),
    ):
        yield _proved(name, code, f"another double: {change}", good, target={**TARGET, **change})
    for name, code, asked in (
        ("wrong-purpose", "wrong_purpose", {"purpose": "politics"}),
        ("other-action", "out_of_scope", {"action": "train"}),
        ("export", "out_of_scope", {"action": "export", "prompt": "", "seconds": 0.0, "pixels": 0}),
        ("other-output", "out_of_scope", {"outputs": ["image"]}),
        ("no-output", "out_of_scope", {"outputs": []}),
        ("other-generator", "out_of_scope", {"generator": "ltx2"}),
        ("other-modality", "out_of_scope", {"modalities": ["face", "captures"]}),
        ("commercial", "out_of_scope", {"commercial": True}),
        ("too-long", "too_long", {"seconds": 10.001}),
        ("too-large", "too_large", {"pixels": 1_000_001}),
    ):
        use = {**USE, **asked}
        sent = proof(whole, req=claims.use_digest(use))
        yield _proved(name, code, f"more than was granted: {asked}", sent, use=use)
    tools = {**USE, "purpose": "comedy"}
    sent = proof(whole, child, signer=TOOL, req=claims.use_digest(tools))
    yield _proved("narrowed", "wrong_purpose", "granted, but not delegated", sent, file=both, use=tools)
