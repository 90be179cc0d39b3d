"""Write every signed thing of cameo, whole or broken, without a line of cameo's own code.

It is a second writer of the formats, made from their pages in `docs/reference/`: what it writes whole must be accepted.
Nothing is drawn by chance, so that the corpus comes out the same, byte for byte, on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NOW = 1_800_000_000  # 15 January 2027, 08:00 UTC

Claims = dict[str, Any]


def chance(*what: str, size: int = 32) -> bytes:
    """Make bytes that look drawn, the same ones for the same words."""
    return hashlib.shake_256("\0".join(("cameo test vectors", *what)).encode()).digest(size)


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value: Any) -> bytes:
    """Write JSON as every signed document of cameo does."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Person:
    """Hold the keys of somebody who exists in these vectors only."""

    name: str

    @cached_property
    def sign_seed(self) -> bytes:
        return chance(self.name, "sign")

    @cached_property
    def decrypt_secret(self) -> bytes:
        return chance(self.name, "decrypt")

    @cached_property
    def _signer(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.sign_seed)

    @cached_property
    def sign_bytes(self) -> bytes:
        return self._signer.public_key().public_bytes_raw()

    @cached_property
    def decrypt_bytes(self) -> bytes:
        return X25519PrivateKey.from_private_bytes(self.decrypt_secret).public_key().public_bytes_raw()

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.sign_bytes, self.decrypt_bytes)

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message)

    def pub_file(self) -> Claims:
        """The members of a `.pub` file."""
        sign, decrypt = b64(self.sign_bytes), b64(self.decrypt_bytes)
        return {"cameo_pub": 1, "sign": sign, "decrypt": decrypt, "fingerprint": self.fingerprint}

    def confirmation(self) -> Claims:
        """The `cnf` claim that names these keys."""
        return {
            "kid": self.fingerprint,
            "jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64url(self.sign_bytes)},
            "enc": {"kty": "OKP", "crv": "X25519", "x": b64url(self.decrypt_bytes)},
        }


ADA, BOB, TOOL, HOST, EVE = (Person(name) for name in ("ada", "bob", "tool", "host", "eve"))


def fingerprint(sign: bytes, decrypt: bytes) -> str:
    return sha256_hex(b"cameo/v1/owner\0" + sign + decrypt)


def header(typ: str, signer: Person, **more: Any) -> Claims:
    """The protected header of a token."""
    return {"alg": "Ed25519", "typ": typ, "kid": signer.fingerprint, **more}


def token(head: Claims | bytes, claims: Claims | bytes, signer: Person) -> str:
    """Sign a compact token; `head` and `claims` may be bytes that are no JSON at all."""
    raw = [part if isinstance(part, bytes) else compact(part) for part in (head, claims)]
    signing_input = ".".join(map(b64url, raw))
    return f"{signing_input}.{b64url(signer.sign(signing_input.encode()))}"


def digest_of(*tokens: str) -> str:
    """Hash tokens as `ath` and `parent` do."""
    return b64url(hashlib.sha256("~".join(tokens).encode()).digest())


def envelope(payload_type: str, payload: bytes, *signers: Person) -> Claims:
    """Sign a DSSE envelope."""
    kind = payload_type.encode()
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    ordered = sorted(signers, key=lambda person: person.fingerprint)
    signatures = [{"keyid": person.fingerprint, "sig": b64(person.sign(message))} for person in ordered]
    return {"payloadType": payload_type, "payload": b64(payload), "signatures": signatures}


# Boxes: HKDF (RFC 5869), HPKE base mode (RFC 9180), and the STREAM of parts.


def hkdf_extract(salt: bytes, key: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), key, "sha256")


def hkdf_expand(prk: bytes, info: bytes, size: int) -> bytes:
    done, block = b"", b""
    while len(done) < size:
        block = hmac.digest(prk, block + info + bytes([len(done) // 32 + 1]), "sha256")
        done += block
    return done[:size]


_KEM = b"KEM" + bytes([0, 0x20])
_SUITE = b"HPKE" + bytes([0, 0x20, 0, 1, 0, 3])


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, key: bytes) -> bytes:
    return hkdf_extract(salt, b"HPKE-v1" + suite + label + key)


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return hkdf_expand(prk, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, size)


def hpke_schedule(shared: bytes, info: bytes, encapsulated: bytes, recipient: bytes) -> tuple[bytes, bytes]:
    """Derive key and base nonce from the Diffie-Hellman value `shared`: RFC 9180 §4.1 and §5.1, base mode."""
    prk = _labeled_extract(_KEM, b"", b"eae_prk", shared)
    secret = _labeled_expand(_KEM, prk, b"shared_secret", encapsulated + recipient, 32)
    context = b"\0" + _labeled_extract(_SUITE, b"", b"psk_id_hash", b"")
    context += _labeled_extract(_SUITE, b"", b"info_hash", info)
    secret = _labeled_extract(_SUITE, secret, b"secret", b"")
    return _labeled_expand(_SUITE, secret, b"key", context, 32), _labeled_expand(
        _SUITE, secret, b"base_nonce", context, 12
    )


def hpke_seal(ephemeral_secret: bytes, recipient: bytes, info: bytes, plain: bytes) -> bytes:
    """Seal a box with a given ephemeral key: encapsulated key, ciphertext, tag."""
    ephemeral = X25519PrivateKey.from_private_bytes(ephemeral_secret)
    encapsulated = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(recipient))
    key, nonce = hpke_schedule(shared, info, encapsulated, recipient)
    return encapsulated + ChaCha20Poly1305(key).encrypt(nonce, plain, b"")


def words(*purpose: str) -> bytes:
    """Join the words that a derivation or a wrapping is bound to."""
    return "\0".join(("cameo/v1", *purpose)).encode()


def derive(key: bytes, *purpose: str, salt: bytes = b"") -> bytes:
    return hkdf_expand(hkdf_extract(salt, key), words(*purpose), 32)


def seal_stream(key: bytes, data: bytes, salt: bytes, *context: str) -> bytes:
    """Encrypt a part of up to 64 KiB: one chunk, which is the last."""
    cipher = ChaCha20Poly1305(derive(key, "stream", *context, salt=salt))
    return salt + cipher.encrypt(bytes(11) + b"\1", data, None)


# Containers.

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")


@dataclass(frozen=True)
class Entry:
    """Describe an entry of a ZIP, with everything that a canonical one leaves at zero."""

    name: str
    data: bytes
    flags: int = 0
    method: int = 0
    extra: bytes = b""
    listed_as: str = ""
    after: bytes = b""
    stored: bytes = b""


def zipped(entries: Sequence[Entry], comment: bytes = b"") -> bytes:
    """Write a ZIP, canonical if every entry is."""
    body, directory = b"", b""
    for entry in entries:
        stored = entry.stored or entry.data
        if entry.method == 8 and not entry.stored:
            packer = zlib.compressobj(0, wbits=-15)
            stored = packer.compress(entry.data) + packer.flush()
        sums = (zlib.crc32(entry.data), len(stored), len(entry.data))
        if entry.flags & 8:
            sums = (0, 0, 0)
        common = (20, entry.flags, entry.method, 0, 0x21)
        name, listed = entry.name.encode(), (entry.listed_as or entry.name).encode()
        directory += _CENTRAL.pack(
            b"PK\1\2", 20, *common, zlib.crc32(entry.data), len(stored), len(entry.data), len(listed), 0, 0, 0, 0, 0,
            len(body),
        )  # fmt: skip
        directory += listed
        body += _LOCAL.pack(b"PK\3\4", *common, *sums, len(name), len(entry.extra)) + name + entry.extra
        body += stored + entry.after
    end = _END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(directory), len(body), len(comment))
    return body + directory + end + comment


def safetensors(head: Mapping[str, Any] | bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """Write a safetensors file; `length` is what it says of its header."""
    raw = head if isinstance(head, bytes) else compact(dict(head))
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + body


def tensor(dtype: str, shape: Sequence[int], start: int, end: int) -> Claims:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


# Status lists.


def status_bits(size: int, revoked: Sequence[int]) -> bytes:
    packed = bytearray(size // 8)
    for index in revoked:
        packed[index >> 3] |= 1 << (index & 7)
    return bytes(packed)


def zlib_stored(data: bytes) -> bytes:
    """Write a zlib stream of one stored block (RFC 1950, 1951): the same bytes with every library."""
    block = b"\1" + struct.pack("<2H", len(data), len(data) ^ 0xFFFF) + data
    return b"\x78\x01" + block + zlib.adler32(data).to_bytes(4, "big")


def zlib_bomb(size: int) -> bytes:
    """Write a zlib stream of `size` zero bytes (1 more than a multiple of 258), with the fixed Huffman code."""
    bits = ["1", "10", "00110000"]  # last block, fixed code (low bit first), one literal 0
    bits += ["11000101" + "00000"] * ((size - 1) // 258)  # each repeats the byte before 258 times
    bits.append("0000000")  # end of block
    stream = "".join(bits)
    stream += "0" * (-len(stream) % 8)
    packed = int(stream[::-1], 2).to_bytes(len(stream) // 8, "little")
    return b"\x78\x01" + packed + zlib.adler32(bytes(size)).to_bytes(4, "big")
