"""Status lists, revocation statements and group lists: one whole of each kind, then one defect each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.vectors import claims
from tests.vectors.case import Vector
from tests.vectors.claims import DAY, INDEX, LIST_SIZE, group, member, members, revocation, status
from tests.vectors.forge import ADA, BOB, EVE, NOW, TOOL, b64, b64url, header, status_bits, zlib_bomb, zlib_stored

_OWNER = {"owner": ADA}


def _status(
    name: str, expected: str, description: str, token: str, seen: Sequence[str] = (), index: int = INDEX, now: int = NOW
) -> Vector:
    given = {"token": token, "seen": list(seen), "index": index}
    return Vector("status", name, description, expected, given, _OWNER, now=now)


def statuses() -> Iterator[Vector]:
    """Vectors of kind "status": the list itself, then what a host makes of it after others it has `seen`."""
    packed = zlib_stored(status_bits(LIST_SIZE, (5,)))

    def listing(raw: bytes | str, bits: int = 1) -> str:
        return status(status_list={"bits": bits, "lst": raw if isinstance(raw, str) else b64url(raw)})

    yield _status("ok", "ok", "entry 17 of 64 is not revoked", status())
    yield _status("ok-last-entry", "ok", "the last entry", status(), index=LIST_SIZE - 1)
    yield _status("revoked", "revoked", "entry 5 of 64 is revoked", status(), index=5)
    yield _status("no-such-entry", "malformed", "entry 64 of 64", status(), index=LIST_SIZE)
    for name, code, description, token in (
        ("other-owner", "wrong_list", "somebody else's list", status(signer=EVE, iss=EVE.fingerprint)),
        ("iss", "wrong_list", "the issuer is not the signer", status(iss=EVE.fingerprint)),
        ("sub", "wrong_list", "the name of another list", status(sub=f"urn:cameo:status:{EVE.fingerprint}")),
        ("kid", "bad_signature", "signed by a stranger under the owner's kid", status(EVE, header(claims.STATUS, ADA))),
        ("typ", "bad_header", "its typ is that of a statement", status(head=header(claims.REVOCATION, ADA))),
        ("alg", "bad_header", "alg is HS256", status(head=header(claims.STATUS, ADA, alg="HS256"))),
        ("ttl", "malformed", "may be kept for 11 seconds", status(ttl=11)),
        ("ttl-zero", "malformed", "may be kept for no time", status(ttl=0)),
        ("exp", "malformed", "good for longer than a day", status(exp=NOW - 5 + DAY + 1)),
        ("exp-before-iat", "malformed", "ends when it begins", status(exp=NOW - 5)),
        ("seq-negative", "malformed", "a number below 0", status(seq=-1)),
        ("seq-float", "malformed", "a number that is not whole", status(seq=3.5)),
        ("seq-large", "malformed", "a number that a float cannot tell from the next", status(seq=2**53)),
        ("unknown-member", "malformed", "a claim nobody knows", status(aggregation_uri="https://ada.example")),
        ("bits", "malformed", "two bits an entry", listing(packed, bits=2)),
        ("empty", "malformed", "no entry", listing(zlib_stored(b""))),
        ("cut-off", "malformed", "the zlib stream has no end", listing(packed[:-5])),
        ("checksum", "malformed", "the zlib stream has another checksum", listing(packed[:-1] + b"\xff")),
        ("trailing-bytes", "malformed", "something stands after the zlib stream", listing(packed + b"\0")),
        ("two-streams", "malformed", "two zlib streams", listing(packed + packed)),
        ("raw-deflate", "malformed", "deflate without zlib around it", listing(packed[2:-4])),
        ("not-packed", "malformed", "the bare bits", listing(status_bits(LIST_SIZE, (5,)))),
        ("padding", "malformed", "base64url with padding", listing(b64url(packed) + "=")),
        ("plain-alphabet", "malformed", "base64 in the other alphabet", listing(b64(b"\xff\xef" + packed))),
        ("bomb", "oversize", "inflates to more than 2 MiB", listing(zlib_bomb(258 * 8130 + 1))),
    ):
        yield _status(name, code, description, token)
    newer = status(seq=4, iat=NOW - 4, exp=NOW - 4 + DAY, revoked=(5, INDEX))
    yield _status("rolled-back", "status_rollback", "an older list than one seen before", status(), [newer])
    twin = status(revoked=(6,))
    yield _status("forked", "status_rollback", "another list of the same number", twin, [status()])
    forgiving = status(seq=5, revoked=())
    yield _status("sticky", "revoked", "a newer list no longer shows what one seen before did", forgiving, [newer])
    yield _status("ok-newer", "ok", "a newer list", status(seq=9), [status()])
    yield _status("ok-again", "ok", "the same list again", status(), [status()])
    yield _status("ok-grace", "ok", "300 seconds old", status(iat=NOW - 300, exp=NOW + 10))
    yield _status("stale", "status_stale", "301 seconds old", status(iat=NOW - 301, exp=NOW + 10))
    yield _status("ended", "status_stale", "has ended a second ago", status(exp=NOW - 1))
    yield _status("from-the-future", "status_stale", "dated 31 seconds from now", status(iat=NOW + 31, exp=NOW + 100))
    old = status(iat=NOW - 5000, exp=NOW - 10, revoked=(INDEX,))
    yield _status("revoked-and-stale", "revoked", "too old to say yes, not to say no", old)


def revocations() -> Iterator[Vector]:
    """Vectors of kind "revocation"."""
    for name, code, description, token in (
        ("ok", "ok", "one grant is revoked", revocation()),
        ("ok-withdrawn", "ok", "the consent is withdrawn, three grants with it", revocation(grant="", index=[2, 3, 9])),
        ("ok-without-defaults", "ok", "`reason` has a default", revocation("reason")),
        ("ok-no-grant", "ok", "the consent is withdrawn, and nothing was lent", revocation(grant="", index=[])),
        ("other-owner", "wrong_list", "somebody else's", revocation(signer=EVE, iss=EVE.fingerprint)),
        ("iss", "wrong_list", "the issuer is not the signer", revocation(iss=EVE.fingerprint)),
        ("two-places", "malformed", "one grant at two places", revocation(index=[2, 3])),
        ("no-place", "malformed", "one grant at no place", revocation(index=[])),
        ("order", "malformed", "places out of order", revocation(grant="", index=[3, 2])),
        ("twice", "malformed", "one place twice", revocation(grant="", index=[2, 2])),
        ("negative", "malformed", "a place before the list", revocation(index=[-1])),
        ("outside", "malformed", "a place beyond the largest list", revocation(index=[2**24])),
        ("float", "malformed", "a place between two", revocation(index=[1.5])),
        ("seq-missing", "malformed", "no number", revocation("seq")),
        ("reason-long", "malformed", "a reason of 257 characters", revocation(reason="x" * 257)),
        ("grant-id", "malformed", "an id that is none", revocation(grant="bob")),
    ):
        yield Vector("revocation", name, description, code, {"token": token}, _OWNER)


def groups() -> Iterator[Vector]:
    """Vectors of kind "group"."""
    people = members(BOB, TOOL)
    strangers = {**member(BOB), "fingerprint": EVE.fingerprint}
    weak = {**member(BOB), "sign": b64(b"\1" + bytes(31))}
    short = {**member(BOB), "decrypt": b64(BOB.decrypt_bytes[:30]) + "===="}
    for name, code, description, token in (
        ("ok", "ok", "two members", group()),
        ("ok-empty", "ok", "nobody is left", group(members=[])),
        ("other-owner", "wrong_list", "somebody else's", group(signer=EVE, iss=EVE.fingerprint)),
        ("iss", "wrong_list", "the issuer is not the signer", group(iss=EVE.fingerprint)),
        ("twice", "malformed", "a member twice", group(members=[people[0], people[0]])),
        ("order", "malformed", "members out of order", group(members=people[::-1])),
        ("fingerprint", "malformed", "a member's fingerprint is another's", group(members=[strangers])),
        ("weak-key", "weak_key", "a member's key has small order", group(members=[weak])),
        ("short-key", "malformed", "a member's key of 30 bytes", group(members=[short])),
        ("no-name", "malformed", "an empty name", group(name="")),
        ("name-long", "malformed", "a name of 65 characters", group(name="x" * 65)),
        ("seq-missing", "malformed", "no number", group("seq")),
        ("seq-negative", "malformed", "a number below 0", group(seq=-1)),
        ("unknown-member", "malformed", "a claim nobody knows", group(admin=True)),
    ):
        yield Vector("group", name, description, code, {"token": token}, _OWNER)
