"""Hold somebody's keys: Ed25519 to sign, X25519 to decrypt, in a file only its passphrase opens.

The format is described byte by byte in `docs/reference/keys.md`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from cameo.crypto.encoding import SHA256_HEX, decode_base64, decode_json, encode_base64, encode_json, sha256_hex
from cameo.crypto.hpke import hpke_open
from cameo.errors import NotPermitted, NotVerified, OutputError, UsageError
from cameo.files import atomic_create

_FILE_LIMIT = 4096
_WEAK = "ask its owner for a key made by cameo keygen"
_PRIME = 2**255 - 19

# y of the eight points whose order divides 8, canonical form; the sign bit of x is ignored. The library verifies
# such keys: one constant signature then holds for any message. Source: Chalkias, Garillot, Nikolaenko, "Taming the
# many EdDSAs" (2020), table 1.
_ED25519_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_ED25519_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _ED25519_ORDER_8, _PRIME - _ED25519_ORDER_8})

# u of the points of small order on the curve and its twist. Source: cr.yp.to/ecdh.html, "How do I validate
# Curve25519 public keys?", without the entries that are not reduced (those are refused as not canonical).
_X25519_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)

# RFC 9106 §4, second recommended option (64 MiB, t=3, p=4). Fixed by the version: a file cannot ask for less,
# nor for a gigabyte.
_ARGON2_MEMORY_KIB = 64 * 1024
_ARGON2_ITERATIONS = 3
_ARGON2_LANES = 4

_Hex = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]


class _PublicFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cameo_pub: Literal[1]
    sign: str
    decrypt: str
    fingerprint: _Hex


class _KeyHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cameo_key: Literal[1]
    kdf: Literal["argon2id-64MiB-t3-p4"]
    cipher: Literal["chacha20-poly1305"]
    salt: str
    nonce: str
    public: _PublicFile


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    header: _KeyHeader
    sealed: str


class PublicKeys:
    """Hold the two public keys by which anyone knows an owner, a friend or a host.

    Attributes:
        sign_bytes: 32 bytes, Ed25519.
        decrypt_bytes: 32 bytes, X25519.
        fingerprint: SHA-256 (hex) over both, their name in every file.
    """

    __slots__ = ("_sign", "_decrypt", "decrypt_bytes", "fingerprint", "sign_bytes")

    def __init__(self, sign_bytes: bytes, decrypt_bytes: bytes) -> None:
        self._sign = load_ed25519(sign_bytes)
        self._decrypt = load_x25519(decrypt_bytes)
        self.sign_bytes = bytes(sign_bytes)
        self.decrypt_bytes = bytes(decrypt_bytes)
        self.fingerprint = sha256_hex(b"cameo/v1/owner\0" + self.sign_bytes + self.decrypt_bytes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKeys) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"PublicKeys({self.fingerprint[:16]}…)"

    @property
    def sign_key(self) -> Ed25519PublicKey:
        """The key that signatures are verified with."""
        return self._sign

    @property
    def decrypt_key(self) -> X25519PublicKey:
        """The key that boxes are sealed to."""
        return self._decrypt

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether `signature` over `message` is by these keys."""
        try:
            self._sign.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def to_bytes(self) -> bytes:
        """Write the content of a `.pub` file."""
        return encode_json(_public_file(self)) + b"\n"

    @classmethod
    def from_bytes(cls, raw: bytes, what: str = "the public key") -> PublicKeys:
        """Read the content of a `.pub` file.

        Raises:
            NotVerified: malformed, a weak key, or a fingerprint that belongs to other keys.
        """
        return _open_public(decode_json(raw, _PublicFile, what, _FILE_LIMIT), what)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PublicKeys:
        """Read a `.pub` file.

        Raises:
            UsageError: there is no such file.
            NotVerified: see `from_bytes`.
        """
        return cls.from_bytes(_read_small(path, "public key"), f"public key {path}")


class Keys:
    """Hold private keys, of an owner, a friend or a host. They never appear in `repr`, and no method hands them out.

    Implements `crypto.provider.KeyProvider`.
    """

    __slots__ = ("_decrypt", "_sign", "public")

    def __init__(self, sign: Ed25519PrivateKey, decrypt: X25519PrivateKey) -> None:
        self._sign = sign
        self._decrypt = decrypt
        self.public = PublicKeys(sign.public_key().public_bytes_raw(), decrypt.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Keys({self.public.fingerprint[:16]}…)"

    @classmethod
    def generate(cls) -> Keys:
        """Make fresh keys from the system's random source."""
        return cls(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """Sign `message` (64 bytes, Ed25519, RFC 8032)."""
        return self._sign.sign(message)

    def open_box(self, sealed: bytes, info: bytes) -> bytes:
        """Decrypt what was sealed to these keys (HPKE; see `crypto.hpke`).

        Raises:
            NotPermitted: it was sealed to others, for another `info`, or was changed.
        """
        return hpke_open(sealed, self._decrypt, info)

    def save(self, path: str | os.PathLike[str], passphrase: str) -> Path:
        """Write the key file (mode 0600) and, beside it, the `.pub` file.

        Returns:
            The path of the `.pub` file.

        Raises:
            UsageError: the passphrase is empty, or `path` ends in `.pub`.
            OutputError: one of the files exists already, or cannot be written; neither is left behind then.
        """
        key_path = Path(path)
        pub_path = key_path.with_suffix(".pub")
        if key_path == pub_path:
            raise UsageError(f"{path} is the name of a public key", "choose a name that ends in .key")
        if os.path.lexists(pub_path):
            raise OutputError(f"{pub_path} exists already", "choose another name; a key is never overwritten")
        atomic_create(key_path, self.to_bytes(passphrase), mode=0o600)
        try:
            atomic_create(pub_path, self.public.to_bytes())
        except BaseException:
            key_path.unlink(missing_ok=True)
            raise
        return pub_path

    def to_bytes(self, passphrase: str) -> bytes:
        """Write the content of a key file, sealed under `passphrase`.

        Raises:
            UsageError: the passphrase is empty.
        """
        if not passphrase:
            raise UsageError("the passphrase is empty", "choose a passphrase, or set CAMEO_PASSPHRASE")
        salt, nonce = os.urandom(16), os.urandom(12)
        header = _KeyHeader(
            cameo_key=1,
            kdf="argon2id-64MiB-t3-p4",
            cipher="chacha20-poly1305",
            salt=encode_base64(salt),
            nonce=encode_base64(nonce),
            public=_public_file(self.public),
        )
        secret = self._sign.private_bytes_raw() + self._decrypt.private_bytes_raw()
        sealed = ChaCha20Poly1305(_stretch(passphrase, salt)).encrypt(nonce, secret, encode_json(header))
        return encode_json(_KeyFile(header, encode_base64(sealed))) + b"\n"

    @classmethod
    def from_bytes(cls, raw: bytes, passphrase: str, what: str = "the key file") -> Keys:
        """Open the content of a key file.

        Raises:
            NotVerified: malformed, or the public half is not that of the private one.
            NotPermitted: the passphrase does not open it (or its bytes were changed: the two look the same).
        """
        file = decode_json(raw, _KeyFile, what, _FILE_LIMIT)
        header = file.header
        public = _open_public(header.public, what)
        salt = decode_base64(header.salt, f"{what}: salt", 16)
        nonce = decode_base64(header.nonce, f"{what}: nonce", 12)
        sealed = decode_base64(file.sealed, f"{what}: sealed keys", 64 + 16)
        try:
            secret = ChaCha20Poly1305(_stretch(passphrase, salt)).decrypt(nonce, sealed, encode_json(header))
        except InvalidTag:
            message = f"{what} does not open: wrong passphrase, or the file was changed"
            raise NotPermitted(message, "check CAMEO_PASSPHRASE or type the passphrase again") from None
        keys = cls(Ed25519PrivateKey.from_private_bytes(secret[:32]), X25519PrivateKey.from_private_bytes(secret[32:]))
        if keys.public != public:
            message = f"{what}: its public half belongs to other keys"
            raise NotVerified(message, "restore the key file from a copy", "malformed")
        return keys

    @classmethod
    def load(cls, path: str | os.PathLike[str], passphrase: str) -> Keys:
        """Open a key file.

        Raises:
            UsageError: there is no such file.
            NotVerified, NotPermitted: see `from_bytes`.
        """
        return cls.from_bytes(_read_small(path, "key file"), passphrase, f"key file {path}")


def public_half(path: str | os.PathLike[str]) -> PublicKeys:
    """Read who a key file claims to belong to, without its passphrase.

    Raises:
        UsageError: there is no such file, or it is a public half only.
        NotVerified: malformed.
    """
    what = f"key file {path}"
    raw = _read_small(path, "key file")
    if raw.lstrip().startswith(b'{"cameo_pub"'):
        raise UsageError(f"{path} is the public half of a key", "give the .key file of the same name")
    file = decode_json(raw, _KeyFile, what, _FILE_LIMIT)
    return _open_public(file.header.public, what)


def load_ed25519(raw: bytes) -> Ed25519PublicKey:
    """Load a verification key, refusing those that verify anything.

    Raises:
        NotVerified: not 32 bytes, not reduced modulo 2^255 - 19, or of small order.
    """
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    if len(raw) != 32 or y >= _PRIME or y in _ED25519_SMALL_ORDER:
        raise NotVerified(
            "the Ed25519 key is weak or not canonical", "ask its owner for a key made by cameo keygen", "weak_key"
        )
    return Ed25519PublicKey.from_public_bytes(raw)


def load_x25519(raw: bytes) -> X25519PublicKey:
    """Load an encryption key, refusing those whose shared secret everyone knows.

    Raises:
        NotVerified: not 32 bytes, not reduced modulo 2^255 - 19 (top bit included), or of small order.
    """
    u = int.from_bytes(raw, "little")
    if len(raw) != 32 or u >= _PRIME or u in _X25519_SMALL_ORDER:
        raise NotVerified(
            "the X25519 key is weak or not canonical", "ask its owner for a key made by cameo keygen", "weak_key"
        )
    return X25519PublicKey.from_public_bytes(raw)


def _stretch(passphrase: str, salt: bytes) -> bytes:
    """Derive 32 bytes from a passphrase with Argon2id (RFC 9106)."""
    import unicodedata

    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    # The same words typed on two keyboards may differ in code points.
    words = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
    return Argon2id(
        salt=salt, length=32, iterations=_ARGON2_ITERATIONS, lanes=_ARGON2_LANES, memory_cost=_ARGON2_MEMORY_KIB
    ).derive(words)


def _public_file(public: PublicKeys) -> _PublicFile:
    return _PublicFile(1, encode_base64(public.sign_bytes), encode_base64(public.decrypt_bytes), public.fingerprint)


def _open_public(file: _PublicFile, what: str) -> PublicKeys:
    public = PublicKeys(
        decode_base64(file.sign, f"{what}: sign", 32), decode_base64(file.decrypt, f"{what}: decrypt", 32)
    )
    if public.fingerprint != file.fingerprint:
        message = f"{what}: the fingerprint belongs to other keys"
        raise NotVerified(message, "ask its owner for the .pub file again", "malformed")
    return public


def _read_small(path: str | os.PathLike[str], what: str) -> bytes:
    """Read at most a little more than a key file may hold."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_LIMIT + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot read {what} {path}: {reason}", "make keys with: cameo keygen --out ada.key") from None
