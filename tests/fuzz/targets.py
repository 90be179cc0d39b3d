"""What is fuzzed: each target takes any bytes, and must end well or with an error of cameo's.

The first byte says how deep the rest is put: below 128 it is the file itself, as a stranger sends it; from 128 on it is
what stands inside, signed by the owner, because no mutation gets past a signature by itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError, deserialize

from cameo.crypto.keys import PublicKeys
from cameo.errors import CameoError
from cameo.grants.check import require_time
from cameo.grants.grant import file_bytes, parse_tokens, unverified_chain, verify_chain
from cameo.grants.scope import describe_scope
from cameo.grants.status import read_status, unpack_bits
from cameo.seal.bundle import Bundle
from cameo.seal.consent import verify_consent
from cameo.seal.container import pack_entries, read_entries
from cameo.seal.tensors import check_tensors
from cameo.seal.wording import sum_up
from tests.vectors.case import FOLDER
from tests.vectors.claims import GRANT, STATUS
from tests.vectors.double import MANIFEST_TYPE, Double
from tests.vectors.forge import ADA, NOW, Entry, compact, envelope, header, token, zipped

OWNER = PublicKeys(ADA.sign_bytes, ADA.decrypt_bytes)
DOUBLE = Double()
WHOLE = DOUBLE.entries()
INSIDE = bytes([128])
OUTSIDE = bytes([0])


def fuzz_grant(data: bytes) -> None:
    """A `.grant` file; inside: the claims of a grant."""
    inside, rest = data[:1] >= INSIDE, data[1:]
    with suppress(CameoError):
        tokens = (token(header(GRANT, ADA), rest, ADA),) if inside else parse_tokens(rest)
        describe_scope(unverified_chain(tokens).scope)
        chain = verify_chain(tokens, OWNER)
        # What is accepted is written the same way again.
        assert parse_tokens(file_bytes(chain.tokens)) == tokens
        require_time(chain, NOW)


def fuzz_status(data: bytes) -> None:
    """A status list; inside: its claims, or the packed bits."""
    rest = data[1:]
    with suppress(CameoError):
        if data[:1] < INSIDE:
            read_status(rest.decode("latin-1"), OWNER)
        elif data[:1] == INSIDE:
            found = read_status(token(header(STATUS, ADA), rest, ADA), OWNER)
            assert 0 <= found.revoked <= found.size <= 2**24
        else:
            unpack_bits(base64.urlsafe_b64encode(rest).rstrip(b"=").decode())


def fuzz_bundle(data: bytes) -> None:
    """A `.cameo` file; inside: its manifest, or its consent record."""
    rest = data[1:]
    with suppress(CameoError):
        if data[:1] < INSIDE:
            # One set of entries has one spelling.
            assert b"".join(pack_entries({name: bytes(entry) for name, entry in read_entries(rest).items()})) == rest
            Bundle(Path("fuzz.cameo"), rest).verify(OWNER)
        elif data[:1] == INSIDE:
            signed = compact(envelope(MANIFEST_TYPE, rest, ADA))
            Bundle(Path("fuzz.cameo"), zipped([Entry(WHOLE[0].name, signed), *WHOLE[1:]])).verify(OWNER)
        else:
            sum_up(verify_consent(rest, OWNER, DOUBLE.bundle_id).record.terms)


def fuzz_safetensors(data: bytes) -> None:
    """A safetensors file; what is accepted must be what the library reads, too."""
    rest = data[1:]
    if data[:1] >= INSIDE:  # the header alone: its length is right
        rest = len(rest).to_bytes(8, "little") + rest
    with suppress(CameoError):
        table = check_tensors(rest, "the file")
        try:
            read = {name: tuple(tensor["shape"]) for name, tensor in deserialize(rest)}
        except SafetensorError as error:
            raise AssertionError(f"accepted here, and not by the library: {error}") from error
        assert read == {name: info.shape for name, info in table.tensors.items()}


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "grant": fuzz_grant,
    "status": fuzz_status,
    "bundle": fuzz_bundle,
    "safetensors": fuzz_safetensors,
}


def seeds(target: str) -> Iterator[bytes]:
    """The corpus, as the target takes it: whole files, then what is inside."""
    for kind in (
        ("grant", "delegation") if target == "grant" else (target, "consent") if target == "bundle" else (target,)
    ):
        for path in sorted((FOLDER / kind).glob("*.json")):
            given = json.loads(path.read_text("utf-8"))["input"]
            yield from _seeds_of(kind, given)


def _seeds_of(kind: str, given: Mapping[str, str]) -> Iterator[bytes]:
    text = given.get("file") or given.get("token") or ""
    raw = base64.b64decode(given["file_base64"]) if "file_base64" in given else text.encode()
    if kind == "consent":
        yield b"\xff" + raw
        return
    yield OUTSIDE + raw
    if kind in ("grant", "status") and text.count(".") == 2:
        with suppress(ValueError):
            payload = text.split(".")[1]
            yield INSIDE + base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    if kind == "bundle":
        with suppress(CameoError, ValueError, KeyError):
            signed = json.loads(bytes(read_entries(raw)["manifest.dsse.json"]))
            yield INSIDE + base64.b64decode(signed["payload"])
    if kind == "safetensors":
        yield INSIDE + raw[8:]
