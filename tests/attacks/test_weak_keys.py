"""Keys that verify anything, or whose secrets everyone knows; wherever a key can come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cameo.crypto.encoding import encode_base64, encode_json, sha256_hex
from cameo.crypto.jws import sign_token
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import CameoError, NotVerified
from cameo.grants.group import GROUP
from cameo.unlocking import challenge, prove
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, USE, Lab
from tests.attacks.forging import b64url, claims_of, header_of, resigned, sign_raw

PRIME = 2**255 - 19
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD83D3D706A17C7
TWIST_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504


def little(number: int) -> bytes:
    return number.to_bytes(32, "little")


# Small order, each also with the sign bit where it may stand, and spellings that are not reduced.
ED25519 = {
    "identity": little(1),
    "order 2": little(PRIME - 1),
    "order 4": little(0),
    "order 4 negative": little(2**255),
    "order 8": little(ORDER_8),
    "order 8 negative": little(ORDER_8 | 2**255),
    "order 8 other": little(PRIME - ORDER_8),
    "identity not reduced": little(PRIME + 1),
    "zero not reduced": little(PRIME),
    "identity with sign": little(1 | 2**255),
}
X25519 = {
    "zero": little(0),
    "one": little(1),
    "minus one": little(PRIME - 1),
    "order 8": little(TWIST_8),
    "zero not reduced": little(PRIME),
    "one not reduced": little(PRIME + 1),
    "top bit": little(2**255 | 9),
}


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


@pytest.mark.parametrize("sign", [ED25519["identity"], ED25519["order 8"]], ids=["identity", "order 8"])
def test_small_order_key_in_the_proof_of_a_grant_for_everyone(lab: Lab, sign: bytes) -> None:
    """Here the key comes from whoever asks; a signature of nothing would do, and the receipt would name nobody."""
    grant = lab.grant("everyone", delegable=False)
    proof = prove(grant, USE, BOB, STUDIO.public.fingerprint, challenge(STUDIO), lab.clock())
    weak = confirmation(sign, BOB.public.decrypt_bytes)
    claims = {**claims_of(proof), "cnf": weak}
    signing = sign_raw({**header_of(proof), "kid": weak["kid"]}, claims, BOB).rpartition(".")[0]
    constant = f"{signing}.{b64url(little(1) + bytes(32))}"
    lab.refused("weak_key", NotVerified, lab.by(grant, None, proof=constant))
    assert lab.open(lab.by(grant, EVE))


def test_small_order_key_of_a_tool(lab: Lab) -> None:
    grant = lab.grant()
    token, delegation = lab.delegate(grant).read_text().strip().split("~")
    weak = confirmation(ED25519["identity"], TOOL.public.decrypt_bytes)
    forged = resigned(delegation, BOB, cnf=weak)
    lab.refused("weak_key", NotVerified, lab.by(lab.token_file(token, forged), TOOL))


def test_small_order_key_in_a_group(lab: Lab) -> None:
    """A member list that the owner was led to sign."""
    import cameo

    group = cameo.keep_group(lab.folder / "band.group", keys=ADA, add=[BOB.public])
    grant = lab.grant(group, delegable=False)
    assert lab.open(lab.by(grant))
    sign, decrypt = ED25519["order 2"], EVE.public.decrypt_bytes
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
    constant = little(1) + bytes(32)
    for keys in (ADA, BOB, Keys.generate()):
        assert not keys.public.verifies(constant, b"anything")
