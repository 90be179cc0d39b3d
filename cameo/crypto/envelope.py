"""Sign documents with DSSE and count which trusted keys did.

Source: DSSE v1.0, github.com/secure-systems-lab/dsse (protocol.md, envelope.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_base64, decode_json, encode_base64, encode_json
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified

_HINT = "the file was changed or is damaged: do not use it"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold one signature; `keyid` is the signer's fingerprint."""

    keyid: Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
    sig: Annotated[str, msgspec.Meta(max_length=88)]


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold a payload (base64), what it is, and who signed it."""

    payload_type: Annotated[str, msgspec.Meta(max_length=128)] = msgspec.field(name="payloadType")
    payload: str
    signatures: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=8)]


def authenticated_bytes(payload_type: str, payload: bytes) -> bytes:
    """Encode what is signed, DSSE's PAE: no two (type, payload) pairs give the same bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_envelope(payload_type: str, payload: bytes, signers: Sequence[KeyProvider]) -> Envelope:
    """Sign `payload` by every one of `signers`, in order of their fingerprints."""
    message = authenticated_bytes(payload_type, payload)
    ordered = sorted(signers, key=lambda keys: keys.public.fingerprint)
    signatures = tuple(Signature(keys.public.fingerprint, encode_base64(keys.sign(message))) for keys in ordered)
    return Envelope(payload_type, encode_base64(payload), signatures)


def read_envelope(raw: bytes, what: str, limit: int) -> Envelope:
    """Read an envelope in the one spelling `sign_envelope` gives it.

    The JSON around the payload is not signed. Accepting only its canonical bytes leaves nothing in it that could
    be changed unnoticed.

    Raises:
        NotVerified: malformed, oversize or not canonical.
    """
    envelope = decode_json(raw, Envelope, what, limit)
    ids = [signature.keyid for signature in envelope.signatures]
    if encode_json(envelope) != raw or ids != sorted(set(ids)):
        raise NotVerified(f"{what} is not in canonical form", "get the file again from its owner", "malformed")
    return envelope


def unverified_payload(envelope: Envelope, payload_type: str, what: str) -> bytes:
    """Decode the payload without looking at the signatures.

    Raises:
        NotVerified: it is of another type, or not base64.
    """
    if envelope.payload_type != payload_type:
        message = f"{what} is of another type than {payload_type}"
        raise NotVerified(message, "this file is not what its name says", "bad_header")
    return decode_base64(envelope.payload, f"{what}: payload")


def verify_envelope(
    envelope: Envelope, payload_type: str, trusted: Iterable[PublicKeys], what: str, threshold: int = 1
) -> bytes:
    """Return the payload if at least `threshold` distinct keys of `trusted` signed it.

    Keys are counted, not key ids; a signature that claims a trusted key and does not verify under it is refused,
    even when others would be enough.

    Raises:
        NotVerified: too few trusted keys verify, or one that claims to be trusted does not.
    """
    payload = unverified_payload(envelope, payload_type, what)
    message = authenticated_bytes(payload_type, payload)
    by_id = {key.fingerprint: key for key in trusted}
    verified: set[str] = set()
    for signature in envelope.signatures:
        key = by_id.get(signature.keyid)
        raw = decode_base64(signature.sig, f"{what}: signature", 64)
        if key is None:
            continue
        if not key.verifies(raw, message):
            hint = "the file was changed or is damaged: do not use it"
            raise NotVerified(f"{what}: the signature does not hold", hint, "bad_signature")
        verified.add(key.fingerprint)
    if threshold < 1 or len(verified) < threshold:
        hint = "is this the right .pub file?"
        raise NotVerified(f"{what} is not signed by the key you trust", hint, "bad_signature")
    return payload
