"""Write public keys down in full, where a fingerprint is not enough: in group lists and hand-overs."""

from __future__ import annotations

from typing import Annotated

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_base64, encode_base64
from cameo.crypto.keys import PublicKeys
from cameo.errors import NotVerified

_Key = Annotated[str, msgspec.Meta(min_length=44, max_length=44)]


class FullKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold public keys in full, as a `.pub` file does."""

    sign: _Key
    decrypt: _Key
    fingerprint: Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]

    @classmethod
    def of(cls, keys: PublicKeys) -> FullKeys:
        """Write `keys` down."""
        return cls(encode_base64(keys.sign_bytes), encode_base64(keys.decrypt_bytes), keys.fingerprint)

    def load(self, what: str) -> PublicKeys:
        """Load the keys; `what` names them in errors.

        Raises:
            NotVerified: "malformed", "weak_key", or with a fingerprint of others ("malformed").
        """
        keys = PublicKeys(decode_base64(self.sign, what, 32), decode_base64(self.decrypt, what, 32))
        if keys.fingerprint != self.fingerprint:
            raise NotVerified(f"{what} has the fingerprint of another key", "do not use the file", "malformed")
        return keys
