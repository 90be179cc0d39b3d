"""Keys that verify anything, or whose secrets everyone knows; wherever a key can come from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import cameo
from cameo.crypto.encoding import encode_base64, encode_json, sha256_hex
from cameo.crypto.jws import sign_token
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import CameoError, NotVerified
from cameo.grants.group import GROUP
from cameo.unlocking import draw_nonce, prove
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab
from tests.attacks.forging import b64url, claims_of, header_of, resigned, sign_raw

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the large group
_D = -121665 * pow(121666, -1, PRIME) % PRIME
Point = tuple[int, int]


def little(number: int) -> bytes:
    return number.to_bytes(32, "little")


# Edwards25519 (RFC 8032 §5.1), so that the points of small order are computed here and not copied from the code.


def added(p: Point, q: Point) -> Point:
    k = _D * p[0] * q[0] * p[1] * q[1] % PRIME
    x = (p[0] * q[1] + q[0] * p[1]) * pow(1 + k, -1, PRIME) % PRIME
    return x, (p[1] * q[1] + p[0] * q[0]) * pow(1 - k, -1, PRIME) % PRIME


def times(number: int, p: Point) -> Point:
    total = (0, 1)
    while number:
        total = added(total, p) if number & 1 else total
        p, number = added(p, p), number >> 1
    return total


def point_at(y: int) -> Point | None:
    """Find a point of the curve by its y (RFC 8032 §5.1.3)."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    return None if (x * x - square) % PRIME else (x, y)


def eight_points() -> list[Point]:
    """Multiply points by the large prime order until one of order 8 is left, and take all its multiples."""
    for y in range(2, 100):
        point = point_at(y)
        if point and times(4, small := times(ORDER, point)) != (0, 1):
            return [times(number, small) for number in range(8)]
    raise AssertionError("no point found")


EIGHT = eight_points()
EIGHT_BYTES = [little(y | (x & 1) << 255) for x, y in EIGHT]
CONSTANT = little(1) + bytes(32)
# Each with either sign bit, and the spellings that are not reduced.
ED25519 = {f"{n} of 8, sign {sign}": little(y | sign << 255) for n, (_, y) in enumerate(EIGHT) for sign in (0, 1)}
ED25519 |= {f"not reduced {y}": little(PRIME + y) for y in (0, 1, 2, 18)}
# u = (1 + y) / (1 - y) of the same points; those of the twist are found by what they do to a shared secret, below.
X25519 = {f"{n} of 8": little((1 + y) * pow(1 - y, -1, PRIME) % PRIME) for n, (_, y) in enumerate(EIGHT) if y != 1}
X25519 |= {"minus one": little(PRIME - 1), "zero not reduced": little(PRIME), "one not reduced": little(PRIME + 1)}
X25519 |= {"top bit": little(2**255 | 9)}


def fingerprint(sign: bytes, decrypt: bytes) -> str:
    return sha256_hex(b"cameo/v1/owner\0" + sign + decrypt)


def confirmation(sign: bytes, decrypt: bytes) -> dict[str, Any]:
    return {
        "kid": fingerprint(sign, decrypt),
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url(sign)},
        "enc": {"kty": "OKP", "crv": "X25519", "x": b64url(decrypt)},
    }


WEAK = [pytest.param(key, TOOL.public.decrypt_bytes, id=f"ed25519 {name}") for name, key in ED25519.items()]
WEAK += [pytest.param(TOOL.public.sign_bytes, key, id=f"x25519 {name}") for name, key in X25519.items()]


@pytest.mark.parametrize(("sign", "decrypt"), WEAK)
def test_small_order_key_in_a_pub_file(tmp_path: Path, sign: bytes, decrypt: bytes) -> None:
    said = {"cameo_pub": 1, "sign": encode_base64(sign), "decrypt": encode_base64(decrypt)}
    path = tmp_path / "weak.pub"
    path.write_bytes(encode_json({**said, "fingerprint": fingerprint(sign, decrypt)}))
    with pytest.raises(NotVerified) as caught:
        PublicKeys.load(path)
    assert caught.value.code == "weak_key"


@pytest.mark.parametrize(("sign", "decrypt"), WEAK)
def test_small_order_key_of_a_holder(lab: Lab, sign: bytes, decrypt: bytes) -> None:
    """Whoever got the owner to lend to such a key has lent to everyone: one signature proves every request."""
    forged = resigned(lab.token(lab.grant()), ADA, cnf=confirmation(sign, decrypt))
    lab.refused("weak_key", NotVerified, lab.by(lab.token_file(forged)))


@pytest.mark.parametrize("number", range(8))
def test_small_order_key_in_the_proof_of_a_grant_for_everyone(lab: Lab, number: int) -> None:
    """Here the key comes from whoever asks. Nobody's key would do, with a signature that nobody made."""
    grant = lab.grant("everyone", delegable=False)
    proof = prove(grant, USE, BOB, STUDIO.public.fingerprint, draw_nonce(STUDIO), lab.clock())
    weak = confirmation(EIGHT_BYTES[number], BOB.public.decrypt_bytes)
    head, claims = {**header_of(proof), "kid": weak["kid"]}, {**claims_of(proof), "cnf": weak}
    for back in range(100):
        earlier = {**claims, "iat": claims["iat"] - back}
        message = sign_raw(head, earlier, BOB).rpartition(".")[0]
        # S = 0 and R = the identity hold for every message whose hash is a multiple of the key's order.
        hashed = hashlib.sha512(CONSTANT[:32] + EIGHT_BYTES[number] + message.encode()).digest()
        if int.from_bytes(hashed, "little") % ORDER % 8 == 0:
            break
    lab.refused("weak_key", NotVerified, lab.by(grant, None, proof=f"{message}.{b64url(CONSTANT)}"))
    assert lab.open(lab.by(grant, EVE))


def test_small_order_key_of_a_tool(lab: Lab) -> None:
    grant = lab.grant()
    token, delegation = lab.delegate(grant).read_text().strip().split("~")
    weak = confirmation(ED25519["0 of 8, sign 0"], TOOL.public.decrypt_bytes)
    forged = resigned(delegation, BOB, cnf=weak)
    lab.refused("weak_key", NotVerified, lab.by(lab.token_file(token, forged), TOOL))


def test_small_order_key_in_a_group(lab: Lab) -> None:
    """A member list that the owner was led to sign."""
    group = cameo.keep_group(lab.folder / "band.group", keys=ADA, add=[BOB.public])
    grant = lab.grant(group, delegable=False)
    assert lab.open(lab.by(grant))
    sign, decrypt = ED25519["4 of 8, sign 0"], EVE.public.decrypt_bytes
    weak = {"fingerprint": fingerprint(sign, decrypt), "sign": encode_base64(sign), "decrypt": encode_base64(decrypt)}
    token = sign_token(GROUP, group, ADA)
    members = sorted([*claims_of(token)["members"], weak], key=lambda member: member["fingerprint"])
    folder = lab.folder / "published"
    (folder / "groups").mkdir(parents=True)
    forged = resigned(token, ADA, seq=group.seq + 1, members=members)
    (folder / "groups" / group.sub).write_text(forged)
    lab.refused("weak_key", NotVerified, lab.by(grant, status=str(folder)))


def test_small_order_host_key_gets_no_content_key(lab: Lab) -> None:
    """Wrapped to such a key, everyone could unwrap it; so it never becomes a `PublicKeys`."""
    for decrypt in X25519.values():
        with pytest.raises(CameoError) as caught:
            PublicKeys(STUDIO.public.sign_bytes, decrypt)
        assert caught.value.code == "weak_key"


def test_constant_signature_verifies_nothing() -> None:
    """The library itself would take it for any message under the identity; no key of ours does."""
    for keys in (ADA, BOB, Keys.generate()):
        assert not keys.public.verifies(CONSTANT, b"anything")


def test_the_points_above_are_those_of_small_order() -> None:
    assert len({y for _, y in EIGHT}) == 5
    assert all(times(8, point) == (0, 1) for point in EIGHT)
