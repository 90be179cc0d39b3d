"""Keys: their files, their passphrases, and the keys nobody may use."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cameo.crypto.encoding import encode_base64
from cameo.crypto.keys import Keys, PublicKeys, load_ed25519, load_x25519, public_half
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError

P = 2**255 - 19
ORDER_8 = (
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
)
SMALL_ED25519 = [y | sign << 255 for y in (0, 1, P - 1, P, P + 1, *ORDER_8) for sign in (0, 1)]
SMALL_X25519 = [
    0,
    1,
    P - 1,
    P,
    P + 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    path = tmp_path_factory.mktemp("keys") / "ada.key"
    keys = Keys.generate()
    keys.save(path, "a passphrase")
    return path, keys


def test_file_opens_with_its_passphrase_only(saved: tuple[Path, Keys]) -> None:
    path, keys = saved
    assert Keys.load(path, "a passphrase").public == keys.public
    with pytest.raises(NotPermitted, match="wrong passphrase") as caught:
        Keys.load(path, "a passphrasE")
    assert caught.value.exit_code == 4


def test_loaded_keys_work(saved: tuple[Path, Keys]) -> None:
    path, keys = saved
    signature = Keys.load(path, "a passphrase").sign(b"message")
    assert keys.public.verifies(signature, b"message")
    assert not keys.public.verifies(signature, b"massage")
    assert not Keys.generate().public.verifies(signature, b"message")


def test_files_have_their_modes_and_halves(saved: tuple[Path, Keys]) -> None:
    path, keys = saved
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PublicKeys.load(path.with_suffix(".pub")) == keys.public == public_half(path)
    assert sorted(p.name for p in path.parent.iterdir()) == ["ada.key", "ada.pub"]


def test_secret_is_nowhere_in_the_clear(saved: tuple[Path, Keys]) -> None:
    path, keys = saved
    secrets = [keys._sign.private_bytes_raw(), keys._decrypt.private_bytes_raw()]
    raw = path.read_bytes() + path.with_suffix(".pub").read_bytes() + repr(keys).encode()
    for secret in secrets:
        assert secret not in raw
        assert secret.hex().encode() not in raw
        assert encode_base64(secret).encode()[:40] not in raw


def test_same_passphrase_in_another_normal_form(tmp_path: Path) -> None:
    keys = Keys.generate()
    raw = keys.to_bytes("caf\u00e9")
    assert Keys.from_bytes(raw, "cafe\u0301").public == keys.public


@pytest.mark.parametrize("taken", ["ada.key", "ada.pub"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        Keys.generate().save(tmp_path / "ada.key", "a passphrase")
    assert [p.name for p in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_bad_calls(tmp_path: Path) -> None:
    keys = Keys.generate()
    with pytest.raises(UsageError, match="empty"):
        keys.save(tmp_path / "a.key", "")
    with pytest.raises(UsageError, match="public key"):
        keys.save(tmp_path / "a.pub", "x")
    with pytest.raises(OutputError, match="cannot write"):
        keys.save(tmp_path / "none" / "a.key", "x")
    with pytest.raises(UsageError, match="cannot read"):
        Keys.load(tmp_path / "a.key", "x")
    assert list(tmp_path.iterdir()) == []


def test_the_public_half_in_place_of_the_key_is_named(saved: tuple[Path, Keys]) -> None:
    path, _ = saved
    with pytest.raises(UsageError, match="public half") as caught:
        public_half(path.with_suffix(".pub"))
    assert ".key" in caught.value.hint


def test_swapped_public_half_is_refused(saved: tuple[Path, Keys]) -> None:
    path, _ = saved
    file = json.loads(path.read_text())
    file["header"]["public"] = json.loads(Keys.generate().public.to_bytes())
    with pytest.raises(NotPermitted):
        Keys.from_bytes(json.dumps(file).encode(), "a passphrase")


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f["header"].update(kdf="argon2id-1MiB-t1-p1"),
        lambda f: f["header"].update(cameo_key=2),
        lambda f: f["header"].update(more=1),
        lambda f: f["header"].update(salt=f["header"]["salt"][:-4]),
        lambda f: f["header"].update(salt=f["header"]["salt"][:-3] + "B=="),
        lambda f: f.update(sealed=f["sealed"] + "\n"),
        lambda f: f["header"]["public"].update(fingerprint="0" * 64),
        lambda f: f.pop("sealed"),
    ],
)
def test_malformed_key_files(saved: tuple[Path, Keys], change: object) -> None:
    path, _ = saved
    file = json.loads(path.read_text())
    change(file)  # type: ignore[operator]
    with pytest.raises(NotVerified):
        Keys.from_bytes(json.dumps(file).encode(), "a passphrase")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"{}" * 3000, b"[" * 4000, b'{"cameo_pub":NaN}'])
def test_malformed_public_files(raw: bytes) -> None:
    with pytest.raises(NotVerified):
        PublicKeys.from_bytes(raw)


def test_duplicate_member_is_refused() -> None:
    raw = Keys.generate().public.to_bytes().replace(b'{"cameo_pub":1,', b'{"cameo_pub":1,"cameo_pub":1,')
    with pytest.raises(NotVerified, match="duplicate"):
        PublicKeys.from_bytes(raw)


def test_library_verifies_small_order_keys_and_we_do_not() -> None:
    """The identity as key and as R, with S = 0, verifies every message: the reason the keys are refused."""
    identity = (1).to_bytes(32, "little")
    forged = identity + bytes(32)
    for message in (b"I agree", b"to everything"):
        Ed25519PublicKey.from_public_bytes(identity).verify(forged, message)
    with pytest.raises(NotVerified):
        load_ed25519(identity)


def test_the_small_order_points_are_those_of_the_curve() -> None:
    """Check the constants, which were typed, against the equation -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032, 5.1)."""
    prime = 2**255 - 19
    d = -121665 * pow(121666, -1, prime) % prime

    def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = a, b
        product = d * x1 * x2 * y1 * y2
        x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, prime) % prime
        y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, prime) % prime
        return x, y

    for y in (0, 1, P - 1, *ORDER_8):
        x2 = (y * y - 1) * pow(d * y * y + 1, -1, prime) % prime
        x = pow(x2, (prime + 3) // 8, prime)
        if x * x % prime != x2:
            x = x * pow(2, (prime - 1) // 4, prime) % prime
        assert x * x % prime == x2, f"{y:#x} is on no point of the curve"
        doubled = (x, y)
        for _ in range(3):
            doubled = add(doubled, doubled)
        assert doubled == (0, 1), f"{y:#x} has an order above 8"


@pytest.mark.parametrize("y", SMALL_ED25519)
def test_small_order_ed25519(y: int) -> None:
    with pytest.raises(NotVerified, match="weak"):
        load_ed25519(y.to_bytes(32, "little"))


@pytest.mark.parametrize("u", [value | top << 255 for value in SMALL_X25519 for top in (0, 1)])
def test_small_order_x25519(u: int) -> None:
    with pytest.raises(NotVerified, match="weak"):
        load_x25519(u.to_bytes(32, "little"))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_another_size(size: int) -> None:
    for load in (load_ed25519, load_x25519):
        with pytest.raises(NotVerified):
            load(bytes([9] * size))


def test_x25519_top_bit_is_refused() -> None:
    raw = bytearray(Keys.generate().public.decrypt_bytes)
    load_x25519(bytes(raw))
    raw[31] |= 0x80
    with pytest.raises(NotVerified):
        load_x25519(bytes(raw))


def test_weak_key_in_a_public_file() -> None:
    document = json.loads(Keys.generate().public.to_bytes())
    document["sign"] = encode_base64((1).to_bytes(32, "little"))
    with pytest.raises(NotVerified, match="weak"):
        PublicKeys.from_bytes(json.dumps(document).encode())
