"""Write and check receipts: one signed line for every time a double was used, or refused.

The bytes, the rule of the chain and what an export proves are described in `docs/reference/ledger-format.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import msgspec

from cameo.crypto.encoding import SHA256_HEX, decode_json, encode_json, sha256_hex
from cameo.crypto.envelope import Envelope, read_envelope, sign_envelope, unverified_payload, verify_envelope
from cameo.crypto.keys import PublicKeys
from cameo.crypto.provider import KeyProvider
from cameo.errors import NotVerified

PAYLOAD_TYPE = "application/vnd.cameo.receipt.v1+json"
LINE_LIMIT = 8 * 1024
TEXT_LIMIT = 64
LAST_SECOND = 253_402_300_799  # of the year 9999
_MOST_SECONDS = 1e9
_TEXTS = ("code", "rule", "purpose", "action", "generator")
_IDS = {"bundle_id": 32, "grant": 32, "delegation": 32}
_IDS |= dict.fromkeys(("owner", "consent_sha256", "holder", "request_sha256", "output_sha256"), 64)

Decision = Literal["allow", "deny", "released", "withheld", "erased"]

_HINT = "ask the host for the whole export again; if it stays so, its ledger was changed"

_Fingerprint = Annotated[str, msgspec.Meta(pattern=SHA256_HEX)]
_MaybeSha256 = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
_MaybeId = Annotated[str, msgspec.Meta(pattern=r"\A([0-9a-f]{32})?\Z")]
_Text = Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Entry:
    """Say what shall be recorded. Whatever is not known is "".

    `bundle_id` and `owner` are those of a bundle or grant whose signature held, never of one that did not: a stranger
    could write into somebody's history otherwise. No field takes a prompt or a biometric.

    Attributes:
        decision: "allow" (only `Ledger.reserve` writes it), "deny", "released", "withheld" or "erased".
        code: why, as an error code; "" for what went well.
        rule: id of the prompt guard's rule that decided.
        grant, delegation: their `jti`.
        holder: fingerprint of who asked.
        request_sha256: ties "allow" to the "released" or "withheld" that follows.
        seconds: length of the output.
    """

    decision: Decision
    code: str = ""
    rule: str = ""
    bundle_id: str = ""
    owner: str = ""
    consent_sha256: str = ""
    grant: str = ""
    delegation: str = ""
    holder: str = ""
    purpose: str = ""
    action: str = ""
    generator: str = ""
    request_sha256: str = ""
    output_sha256: str = ""
    seconds: float = 0.0


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hold one link of a host's chain.

    Attributes:
        seq: place in the host's chain, from 1.
        previous_sha256: of the payload of receipt `seq - 1`; "" for the first.
        double_seq: place among the receipts of this `bundle_id`, from 1; 0 when that is not known.
        double_previous_sha256: of the payload of receipt `double_seq - 1` of this double; "" for the first.
        at: Unix seconds.
        host: fingerprint of the host, who signs.

    The others are those of `Entry`.
    """

    version: Literal[1]
    seq: Annotated[int, msgspec.Meta(ge=1)]
    previous_sha256: _MaybeSha256
    double_seq: Annotated[int, msgspec.Meta(ge=0)]
    double_previous_sha256: _MaybeSha256
    at: Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]
    host: _Fingerprint
    decision: Decision
    code: _Text
    rule: _Text
    bundle_id: _MaybeId
    owner: _MaybeSha256
    consent_sha256: _MaybeSha256
    grant: _MaybeId
    delegation: _MaybeId
    holder: _MaybeSha256
    purpose: _Text
    action: _Text
    generator: _Text
    request_sha256: _MaybeSha256
    output_sha256: _MaybeSha256
    seconds: _Seconds


@dataclass(frozen=True, slots=True)
class Link:
    """Say where in the chain a receipt belongs; the fields are those of `Receipt`."""

    seq: int
    previous_sha256: str
    double_seq: int
    double_previous_sha256: str


def cleaned(entry: Entry) -> Entry:
    """Make an entry fit for a receipt, whatever a stranger put into it.

    A refusal is always recorded, so nothing is refused here: an identifier that is not one becomes "", a text is cut
    to `TEXT_LIMIT` characters with those that cannot be printed as "?", a length that is none becomes 0.
    """
    fit: dict[str, Any] = {name: _shown(getattr(entry, name)) for name in _TEXTS}
    fit |= {name: _hex(getattr(entry, name), digits) for name, digits in _IDS.items()}
    fit["seconds"] = round(float(entry.seconds), 3) if 0 <= entry.seconds <= _MOST_SECONDS else 0.0
    return replace(entry, **fit)


def write_receipt(entry: Entry, link: Link, at: float, host: KeyProvider) -> tuple[Receipt, bytes, str]:
    """Sign a receipt for a clean entry.

    Returns:
        The receipt, its line without a line end, and the SHA-256 (hex) of its payload.
    """
    place = {"version": 1, **asdict(link), "at": min(max(0, int(at)), LAST_SECOND), "host": host.public.fingerprint}
    receipt = msgspec.convert({**place, **asdict(entry)}, Receipt)
    payload = encode_json(receipt)
    return receipt, encode_json(sign_envelope(PAYLOAD_TYPE, payload, [host])), sha256_hex(payload)


def read_receipt(line: bytes, what: str = "the receipt") -> Receipt:
    """Read a line without looking at its signature.

    Raises:
        NotVerified: "bad_receipt": it is not a receipt in its one canonical spelling.
    """
    with _as_bad_receipt():
        return _parse(read_envelope(line, what, LINE_LIMIT), what)[0]


def verify_receipts(lines: Iterable[bytes], host: PublicKeys) -> list[Receipt]:
    """Check an export: a stretch of a host's chain, or all receipts of one double in such a stretch.

    Args:
        lines: as the host exported them, with or without line ends.
        host: whose ledger it is said to be.

    Returns:
        The receipts. Whether the first of them is the first of the chain (`seq`) or double (`double_seq`) is for the
        caller to see; that nothing was cut off behind the last cannot be seen from an export alone.

    Raises:
        NotVerified: "bad_receipt": a line is malformed, not signed by `host`, or does not follow from the one before.
    """
    check = ChainCheck(host)
    return [check.add(line.removesuffix(b"\n")) for line in lines]


class ChainCheck:
    """Check receipts one after the other; `add` raises at the first that does not follow."""

    def __init__(self, host: PublicKeys) -> None:
        self._host = host
        self._first = 0
        self._last = (0, "")
        self._gap = ""
        self._doubles: dict[str, tuple[int, str]] = {}

    def add(self, line: bytes) -> Receipt:
        """Check the next line.

        Raises:
            NotVerified: "bad_receipt".
        """
        what = f"the receipt after number {self._last[0]}" if self._first else "the first receipt"
        with _as_bad_receipt():
            envelope = read_envelope(line, what, LINE_LIMIT)
            receipt, digest = _parse(envelope, what)
            if len(envelope.signatures) != 1 or receipt.host != self._host.fingerprint:
                raise NotVerified(f"{what} is of another host", _HINT)
            verify_envelope(envelope, PAYLOAD_TYPE, [self._host], what)
        self._follow(receipt)
        self._follow_double(receipt)
        self._first = self._first or receipt.seq
        self._last = (receipt.seq, digest)
        self._doubles[receipt.bundle_id] = (receipt.double_seq, digest)
        return receipt

    def _follow(self, receipt: Receipt) -> None:
        """Check the host's chain; where it has gaps, all must be of one double."""
        seq, digest = self._last
        if self._first and receipt.seq <= seq:
            raise _bad(f"receipt {receipt.seq} stands after receipt {seq}")
        if self._first and receipt.seq == seq + 1 and receipt.previous_sha256 != digest:
            raise _bad(f"receipt {receipt.seq} does not follow from receipt {seq}: one was changed or replaced")
        if self._first and receipt.seq > seq + 1 and not self._gap:
            self._gap = f"receipts {seq + 1} to {receipt.seq - 1}"
        if self._gap and {*self._doubles, receipt.bundle_id} != {receipt.bundle_id or None}:
            raise _bad(f"{self._gap} are missing, and the others are not all of one double")

    def _follow_double(self, receipt: Receipt) -> None:
        """Check the chain of the receipt's double; it has no gap in any export."""
        known = self._doubles.get(receipt.bundle_id)
        if known is None:
            # The first of its double that stands here; if everything does, it is the first of all.
            if receipt.bundle_id and (self._first or receipt.seq) == 1 and receipt.double_seq != 1:
                raise _bad(
                    f"receipt {receipt.seq} is number {receipt.double_seq} of its double, the others are missing"
                )
        elif receipt.bundle_id and (receipt.double_seq, receipt.double_previous_sha256) != (known[0] + 1, known[1]):
            raise _bad(f"receipt {receipt.seq} does not follow from number {known[0]} of its double: some are missing")


def _parse(envelope: Envelope, what: str) -> tuple[Receipt, str]:
    payload = unverified_payload(envelope, PAYLOAD_TYPE, what)
    receipt = decode_json(payload, Receipt, what, LINE_LIMIT)
    if encode_json(receipt) != payload:
        raise NotVerified(f"{what} is not in canonical form", _HINT)
    starts = (receipt.seq == 1) == (receipt.previous_sha256 == "")
    counts = (receipt.double_seq == 0) == (receipt.bundle_id == "")
    if not starts or not counts or (receipt.double_seq <= 1) != (receipt.double_previous_sha256 == ""):
        raise NotVerified(f"{what} contradicts itself about its place", _HINT)
    return receipt, sha256_hex(payload)


@contextmanager
def _as_bad_receipt() -> Iterator[None]:
    try:
        yield
    except NotVerified as error:
        raise NotVerified(error.message, _HINT, "bad_receipt") from error


def _bad(message: str) -> NotVerified:
    return NotVerified(message, _HINT, "bad_receipt")


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:TEXT_LIMIT])


def _hex(text: str, digits: int) -> str:
    return text if re.fullmatch(rf"[0-9a-f]{{{digits}}}", text) else ""
