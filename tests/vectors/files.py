"""Safetensors, key files and receipts: some whole, then one defect each."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.vectors.case import Vector
from tests.vectors.forge import (
    ADA,
    EVE,
    HOST,
    NOW,
    Claims,
    Person,
    b64,
    chance,
    compact,
    envelope,
    fingerprint,
    safetensors,
    sha256_hex,
    tensor,
)

RECEIPT_TYPE = "application/vnd.cameo.receipt.v1+json"
PASSPHRASE = "correct horse battery staple"
_PRIME = 2**255 - 19
# y of the points of order 8 (edwards25519), u of those of order 8 (curve25519).
_ED_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_X_ORDER_8 = 325606250916557431795983626356110631294008115727848805560023387167927233504
_X_OTHER_ORDER_8 = pow(_X_ORDER_8, -1, _PRIME)


def tensors() -> Iterator[Vector]:
    """Vectors of kind "safetensors"."""
    four = struct.pack("<f", 0.5)
    one = tensor("F32", [1], 0, 4)
    nan, infinity = struct.pack("<f", float("nan")), struct.pack("<e", float("-inf"))
    long = json.dumps({"x": one}).encode()
    for name, expected, description, file in (
        ("ok", "ok", "one number", safetensors({"x": one}, four)),
        ("ok-empty", "ok", "no tensor", safetensors({})),
        ("ok-metadata", "ok", "metadata that is text", safetensors({"__metadata__": {"rank": "16"}, "x": one}, four)),
        ("ok-padded", "ok", "spaces after the header, as the library writes them", safetensors(long + b"   ", four)),
        ("ok-scalar", "ok", "a tensor without dimensions", safetensors({"x": tensor("F32", [], 0, 4)}, four)),
        ("overlap", "malformed", "two tensors in the same place", safetensors({"x": one, "y": one}, four)),
        (
            "gap",
            "malformed",
            "a gap between two tensors",
            safetensors({"x": one, "y": tensor("F32", [1], 8, 12)}, four * 3),
        ),
        ("hidden-bytes", "malformed", "bytes after the last tensor", safetensors({"x": one}, four + b"evil")),
        ("bytes-missing", "malformed", "a tensor beyond the end", safetensors({"x": one}, four[:3])),
        (
            "shape-too-large",
            "malformed",
            "a shape larger than its place",
            safetensors({"x": tensor("F32", [2], 0, 4)}, four),
        ),
        (
            "shape-overflow",
            "malformed",
            "a shape whose product overflows",
            safetensors({"x": tensor("U8", [2**33, 2**31], 0, 0)}),
        ),
        ("shape-negative", "malformed", "a negative dimension", safetensors({"x": tensor("F32", [-1], 0, 4)}, four)),
        (
            "shape-float",
            "malformed",
            "a dimension that is not whole",
            safetensors({"x": {**one, "shape": [1.0]}}, four),
        ),
        ("shape-true", "malformed", "a dimension that is true", safetensors({"x": {**one, "shape": [True]}}, four)),
        ("rank", "malformed", "nine dimensions", safetensors({"x": tensor("F32", [1] * 9, 0, 4)}, four)),
        ("offsets-reversed", "malformed", "ends before it begins", safetensors({"x": tensor("F32", [1], 4, 0)}, four)),
        (
            "offset-minus-zero",
            "malformed",
            "-0, which is no place",
            safetensors(compact({"x": one}).replace(b"[0,", b"[-0,"), four),
        ),
        ("nan", "malformed", "NaN", safetensors({"x": one}, nan)),
        (
            "infinity-half",
            "malformed",
            "an infinity of 16 bits",
            safetensors({"x": tensor("F16", [1], 0, 2)}, infinity),
        ),
        (
            "infinity-bfloat",
            "malformed",
            "an infinity in bfloat16",
            safetensors({"x": tensor("BF16", [1], 0, 2)}, b"\x80\x7f"),
        ),
        ("dtype", "malformed", "a type nobody knows", safetensors({"x": {**one, "dtype": "OBJ"}}, four)),
        ("member", "malformed", "a member nobody knows", safetensors({"x": {**one, "pickle": True}}, four)),
        ("metadata-number", "malformed", "metadata that is a number", safetensors({"__metadata__": {"rank": 16}})),
        (
            "duplicate-name",
            "malformed",
            "two tensors of the same name",
            safetensors(b'{"x":%b,"x":%b}' % ((compact(one),) * 2), four),
        ),
        ("lone-surrogate", "malformed", "a name that is no text", safetensors(b'{"\\ud800":%b}' % compact(one), four)),
        ("header-array", "malformed", "the header is an array", safetensors(b"[]")),
        ("header-nested", "malformed", "two thousand brackets", safetensors(b"[" * 2000)),
        ("header-space-first", "malformed", "a space before the header", safetensors(b" {}")),
        ("header-not-utf8", "malformed", "a header that is no UTF-8", safetensors(b'{"\xff":1}')),
        ("header-cut-off", "malformed", "a header without its end", safetensors(b'{"x":')),
        ("header-length", "malformed", "a header longer than the file", safetensors({}, length=3)),
        ("header-huge", "malformed", "a header of 2^63 bytes", safetensors({}, length=2**63)),
        ("too-short", "malformed", "seven bytes", b"\x02" + bytes(6)),
        ("pickle", "malformed", "a pickle", b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94."),
        ("zip", "malformed", "a ZIP, as torch.save writes", b"PK\x03\x04" + bytes(60)),
    ):
        yield Vector("safetensors", name, description, expected, {"file_base64": b64(file)})


def _pub(sign: bytes, decrypt: bytes = HOST.decrypt_bytes) -> str:
    file = {"cameo_pub": 1, "sign": b64(sign), "decrypt": b64(decrypt), "fingerprint": fingerprint(sign, decrypt)}
    return compact(file).decode()


def keys() -> Iterator[Vector]:
    """Vectors of kind "key": `.pub` files, then key files with their passphrase."""
    sign = HOST.sign_bytes
    whole = HOST.pub_file()
    sloppy = whole["sign"][:-2] + chr(ord(whole["sign"][-2]) + 1) + "="

    def little(number: int) -> bytes:
        return number.to_bytes(32, "little")

    for name, expected, description, file in (
        ("ok", "ok", "a public key", compact(whole).decode() + "\n"),
        ("ok-members-swapped", "ok", "the members in another order", compact(dict(reversed(whole.items()))).decode()),
        ("sign-identity", "weak_key", "Ed25519, order 1", _pub(little(1))),
        ("sign-order-2", "weak_key", "Ed25519, order 2", _pub(little(_PRIME - 1))),
        ("sign-order-4", "weak_key", "Ed25519, order 4", _pub(little(0))),
        ("sign-order-4-negative", "weak_key", "Ed25519, order 4, sign bit set", _pub(little(1 << 255))),
        ("sign-order-8", "weak_key", "Ed25519, order 8", _pub(little(_ED_ORDER_8))),
        ("sign-order-8-other", "weak_key", "Ed25519, order 8", _pub(little(_PRIME - _ED_ORDER_8))),
        (
            "sign-not-reduced",
            "weak_key",
            "Ed25519, y = p + 1: the identity, spelled otherwise",
            _pub(little(_PRIME + 1)),
        ),
        ("sign-not-canonical", "weak_key", "Ed25519, y = p + 3", _pub(little(_PRIME + 3))),
        ("decrypt-zero", "weak_key", "X25519, u = 0", _pub(sign, little(0))),
        ("decrypt-order-8", "weak_key", "X25519, order 8", _pub(sign, little(_X_ORDER_8))),
        ("decrypt-order-8-other", "weak_key", "X25519, order 8", _pub(sign, little(_X_OTHER_ORDER_8))),
        ("decrypt-not-reduced", "weak_key", "X25519, u = p + 9", _pub(sign, little(_PRIME + 9))),
        ("decrypt-top-bit", "weak_key", "X25519, the top bit is set", _pub(sign, little(9 | 1 << 255))),
        ("sign-short", "malformed", "31 bytes", _pub(sign[:31])),
        (
            "fingerprint",
            "malformed",
            "the fingerprint of another",
            compact({**whole, "fingerprint": ADA.fingerprint}).decode(),
        ),
        ("spelling", "malformed", "a bit is set that belongs to no byte", compact({**whole, "sign": sloppy}).decode()),
        ("no-padding", "malformed", "base64 without padding", compact({**whole, "sign": whole["sign"][:-1]}).decode()),
        ("version", "malformed", "a version nobody knows", compact({**whole, "cameo_pub": 2}).decode()),
        ("version-float", "malformed", "version 1.0", compact({**whole, "cameo_pub": 1.0}).decode()),
        ("unknown-member", "malformed", "a member nobody knows", compact({**whole, "name": "host"}).decode()),
        (
            "duplicate-member",
            "malformed",
            "two members of the same name",
            compact(whole).decode().replace("{", '{"cameo_pub":1,', 1),
        ),
        ("oversize", "oversize", "more than 4096 bytes", compact(whole).decode() + " " * 4096),
    ):
        yield Vector("key", name, description, expected, {"file": file})
    for name, expected, description, file in (
        ("private-ok", "ok", "a key file and its passphrase", _key_file(HOST, HOST)),
        ("private-other-passphrase", "not_permitted", "another passphrase", _key_file(HOST, HOST, "something else")),
        ("private-other-half", "malformed", "the public half is somebody else's", _key_file(HOST, EVE)),
        (
            "private-weaker-kdf",
            "malformed",
            "asks for a weaker derivation",
            _key_file(HOST, HOST, kdf="argon2id-8MiB-t1-p1"),
        ),
    ):
        yield Vector("key", name, description, expected, {"file": file, "passphrase": PASSPHRASE})


def _key_file(private: Person, public: Person, passphrase: str = PASSPHRASE, kdf: str = "argon2id-64MiB-t3-p4") -> str:
    salt, nonce = chance("key file", "salt", size=16), chance("key file", "nonce", size=12)
    head = {"cameo_key": 1, "kdf": kdf, "cipher": "chacha20-poly1305", "salt": b64(salt), "nonce": b64(nonce)}
    head["public"] = public.pub_file()
    stretched = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65536).derive(passphrase.encode())
    secret = private.sign_seed + private.decrypt_secret
    sealed = ChaCha20Poly1305(stretched).encrypt(nonce, secret, compact(head))
    return compact({"header": head, "sealed": b64(sealed)}).decode()


def _receipt(seq: int, before: str, **changes: Any) -> Claims:
    double = sha256_hex(b"some double")[:32]
    texts = {"code": "", "rule": "", "bundle_id": double, "owner": ADA.fingerprint}
    texts |= {"consent_sha256": sha256_hex(b"some consent"), "grant": "", "delegation": "", "holder": ""}
    texts |= {"purpose": "birthday", "action": "generate", "generator": "reference"}
    texts |= {"request_sha256": "", "output_sha256": ""}
    place = {"version": 1, "seq": seq, "previous_sha256": before, "double_seq": seq, "double_previous_sha256": before}
    return {**place, "at": NOW + seq, "host": HOST.fingerprint, "decision": "deny", **texts, "seconds": 4.0, **changes}


def _lines(payloads: Sequence[Claims], signer: Person = HOST) -> list[str]:
    return [compact(envelope(RECEIPT_TYPE, compact(payload), signer)).decode() for payload in payloads]


def _chain(length: int) -> list[Claims]:
    chain: list[Claims] = []
    for seq in range(1, length + 1):
        chain.append(_receipt(seq, sha256_hex(compact(chain[-1])) if chain else ""))
    return chain


def receipts() -> Iterator[Vector]:
    """Vectors of kind "receipt": an export of a host's chain, a line each."""
    chain = _chain(3)
    lines = _lines(chain)
    first = chain[0]
    for name, expected, description, export in (
        ("ok", "ok", "three receipts", lines),
        ("ok-stretch", "ok", "the last two of three", lines[1:]),
        ("ok-none", "ok", "no receipt", []),
        ("missing", "bad_receipt", "the second of three is missing", [lines[0], lines[2]]),
        ("order", "bad_receipt", "out of order", lines[::-1]),
        ("twice", "bad_receipt", "a receipt twice", [lines[0], lines[0]]),
        ("other-host", "bad_receipt", "signed by another host", _lines([{**first, "host": EVE.fingerprint}], EVE)),
        ("signature", "bad_receipt", "signed by another host, in the name of this one", _lines([first], EVE)),
        (
            "changed",
            "bad_receipt",
            "the first was signed again, as an allowance",
            [*_lines([{**first, "decision": "allow"}]), *lines[1:]],
        ),
        (
            "first-previous",
            "bad_receipt",
            "the first follows from another",
            _lines([{**first, "previous_sha256": "00" * 32}]),
        ),
        ("at-far", "bad_receipt", "in a year of five digits", _lines([{**first, "at": 2**39}])),
        ("seq-zero", "bad_receipt", "number 0", _lines([{**first, "seq": 0}])),
        ("seq-float", "bad_receipt", "number 1.5", _lines([{**first, "seq": 1.5}])),
        ("double-seq", "bad_receipt", "of no double, and numbered", _lines([{**first, "bundle_id": ""}])),
        ("seconds-negative", "bad_receipt", "a length below 0", _lines([{**first, "seconds": -1.0}])),
        ("unknown-member", "bad_receipt", "a member nobody knows", _lines([{**first, "prompt": "a cake"}])),
        ("member-order", "bad_receipt", "members in another order", _lines([dict(reversed(first.items()))])),
        ("spaces", "bad_receipt", "a space in the envelope", [lines[0].replace(",", ", ", 1)]),
        ("oversize", "bad_receipt", "a line of more than 8192 bytes", [lines[0] + " " * 8192]),
        ("empty-line", "bad_receipt", "an empty line", [lines[0], ""]),
    ):
        yield Vector("receipt", name, description, expected, {"lines": export}, {"host": HOST})
