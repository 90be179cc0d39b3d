"""Put one vector to cameo, and return the code it answers with: "ok", or that of the error.

This is the procedure that `docs/reference/test-vectors.md` describes for each kind.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import CameoError
from cameo.grants.check import Request, Target, check_request, require_time
from cameo.grants.grant import parse_tokens, verify_chain
from cameo.grants.group import read_group
from cameo.grants.ledger import Ledger
from cameo.grants.receipt import verify_receipts
from cameo.grants.status import read_revocation, read_status
from cameo.records import Use
from cameo.seal.bundle import Bundle
from cameo.seal.consent import verify_consent
from cameo.seal.tensors import check_tensors
from cameo.seal.unlock import unlock_as_host, unlock_as_owner
from tests.vectors.case import PEOPLE

Document = Mapping[str, Any]
_PEOPLE = json.loads(PEOPLE.read_text("utf-8"))


def answer(vector: Document) -> str:
    """Return the code; whatever is no error of cameo's comes out."""
    try:
        _CHECKS[vector["kind"]](vector)
    except CameoError as error:
        return error.code
    return "ok"


def public(vector: Document, role: str) -> PublicKeys:
    keys = _PEOPLE[vector["keys"][role]]
    return PublicKeys(bytes.fromhex(keys["sign"]), bytes.fromhex(keys["decrypt"]))


def private(vector: Document, role: str) -> Keys:
    sign, decrypt = (bytes.fromhex(_PEOPLE[vector["keys"][role]][f"{half}_secret"]) for half in ("sign", "decrypt"))
    return Keys(Ed25519PrivateKey.from_private_bytes(sign), X25519PrivateKey.from_private_bytes(decrypt))


def _grant(vector: Document) -> None:
    chain = verify_chain(parse_tokens(vector["input"]["file"].encode()), public(vector, "owner"))
    require_time(chain, vector["now"])


def _proof(vector: Document) -> None:
    given, owner = vector["input"], public(vector, "owner")
    chain = verify_chain(parse_tokens(given["file"].encode()), owner)
    use = msgspec.convert(given["use"], Use)
    group = read_group(given["group"], owner) if "group" in given else None
    request = Request(use, given["proof"], group)
    check_request(chain, request, Target(**given["target"]), public(vector, "host").fingerprint, vector["now"])


def _status(vector: Document) -> None:
    owner = public(vector, "owner")
    anybody = Keys(Ed25519PrivateKey.from_private_bytes(bytes(32)), X25519PrivateKey.from_private_bytes(bytes(32)))
    last = read_status(vector["input"]["token"], owner)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.sqlite'}"
        with closing(Ledger(anybody, url, lambda: float(vector["now"]))) as ledger:
            for token in vector["input"]["seen"]:
                ledger.absorb(read_status(token, owner))
            ledger.absorb(last)
            ledger.standing(last.uri, vector["input"]["index"], vector["now"])


def _bundle(vector: Document) -> None:
    given = vector["input"]
    verified = Bundle(Path("vector.cameo"), base64.b64decode(given["file_base64"])).verify(public(vector, "owner"))
    if "grant_id" in given:
        content = unlock_as_host(verified, given["sealed"], private(vector, "host"), given["grant_id"])
    else:
        content = unlock_as_owner(verified, private(vector, "owner"))
    for part in verified.manifest.parts:
        if part.modality in content.modalities:
            verified.read_part(part.name, content)


def _consent(vector: Document) -> None:
    given = vector["input"]
    verify_consent(base64.b64decode(given["file_base64"]), public(vector, "owner"), given["bundle_id"])


def _key(vector: Document) -> None:
    raw = vector["input"]["file"].encode()
    if "passphrase" in vector["input"]:
        Keys.from_bytes(raw, vector["input"]["passphrase"])
    else:
        PublicKeys.from_bytes(raw)


_CHECKS: Mapping[str, Callable[[Document], Any]] = {
    "grant": _grant,
    "delegation": _grant,
    "proof": _proof,
    "status": _status,
    "revocation": lambda v: read_revocation(v["input"]["token"], public(v, "owner")),
    "group": lambda v: read_group(v["input"]["token"], public(v, "owner")),
    "bundle": _bundle,
    "consent": _consent,
    "safetensors": lambda v: check_tensors(base64.b64decode(v["input"]["file_base64"]), "the vector"),
    "key": _key,
    "receipt": lambda v: verify_receipts((line.encode() for line in v["input"]["lines"]), public(v, "host")),
}
