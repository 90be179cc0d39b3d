"""Everything that is read has a largest size, looked at before anything is parsed, inflated or kept."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cameo
from cameo.crypto.keys import Keys, PublicKeys
from cameo.custody import read_deletion
from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.grants import fetch, status
from cameo.grants import group as groups
from cameo.grants.receipt import LINE_LIMIT, verify_receipts
from cameo.seal import container
from cameo.seal.bundle import Bundle
from cameo.seal.container import CONSENT, MANIFEST, pack_entries
from cameo.unlocking import draw_nonce, prove
from tests.attacks.conftest import ADA, BOB, STUDIO, USE, Lab
from tests.attacks.forging import b64url, claims_of, entries_of, resigned

MEGA = 1024 * 1024


def sparse(path: Path, size: int) -> Path:
    """Make a file that is large and takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_oversize_grant(lab: Lab) -> None:
    path = lab.grant()
    path.write_bytes(path.read_bytes().strip() + b"A" * 32 * 1024)
    lab.refused("oversize", NotVerified, lab.by(path))
    lab.refused("oversize", NotVerified, lab.by(sparse(lab.folder / "x.grant", 2**40)))


def test_oversize_token_in_a_grant(lab: Lab) -> None:
    """Longer than a token may be, and signed; every text in it has a limit of its own besides."""
    token = lab.token(lab.grant())
    lab.refused("oversize", NotVerified, lab.by(lab.token_file(resigned(token, ADA, status_at="x" * 16_000))))
    scope = {**claims_of(token)["scope"], "purposes": [f"p{n}" for n in range(65)]}
    lab.refused("malformed", NotVerified, lab.by(lab.token_file(resigned(token, ADA, scope=scope))))


def test_oversize_proof(lab: Lab) -> None:
    grant = lab.grant()
    proof = prove(grant, USE, BOB, STUDIO.public.fingerprint, draw_nonce(STUDIO), lab.clock())
    lab.refused("oversize", NotVerified, lab.by(grant, None, proof=proof + "A" * 4096))
    lab.refused("oversize", NotVerified, lab.by(grant, None, proof="." * (10 * MEGA)))


def test_oversize_prompt(lab: Lab) -> None:
    lab.refused("prompt_refused", NotPermitted, lab.by(lab.grant()), replace(USE, prompt="cake " * 100_000))


def test_oversize_status_list(lab: Lab) -> None:
    grant = lab.grant()
    place = str(sparse(lab.folder / "status.jwt", 2**40))
    lab.refused("oversize", NotVerified, lab.by(grant, status=place))


def test_oversize_status_list_when_inflated(lab: Lab) -> None:
    """Sixteen gigabytes of zeros, signed by the owner: inflated only up to what a list may hold."""
    grant = lab.grant()
    lists = {"bits": 1, "lst": b64url(zlib.compress(bytes(2 * MEGA + 1), 9))}
    token = status.sign_status(ADA, 64, (), 1, lab.clock())
    place = lab.file("jwt", resigned(token, ADA, status_list=lists).encode())
    lab.refused("oversize", NotVerified, lab.by(grant, status=str(place)))


def test_oversize_group(lab: Lab) -> None:
    group = cameo.keep_group(lab.folder / "band.group", keys=ADA, add=[BOB.public])
    grant = lab.grant(group, delegable=False)
    folder = lab.folder / "site"
    (folder / "groups").mkdir(parents=True)
    sparse(folder / "groups" / group.sub, 2**40)
    lab.refused("oversize", NotVerified, lab.by(grant, status=str(folder)))
    with pytest.raises(CameoError) as caught:
        groups.read_group("A" * (groups.TOKEN_LIMIT + 1), ADA.public)
    assert caught.value.code == "oversize"


def test_oversize_revocation_statements(lab: Lab) -> None:
    with pytest.raises(NotVerified) as caught:
        fetch.fetch_statements(str(sparse(lab.folder / "revocations", 2**40).parent), ADA.public)
    assert caught.value.code == "oversize"
    with pytest.raises(NotVerified) as caught:
        status.read_revocation("A" * (status.TOKEN_LIMIT + 1), ADA.public)
    assert caught.value.code == "oversize"


def test_oversize_bundle(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more than a bundle may have is not looked at; and no more than that is read."""
    monkeypatch.setattr("cameo.seal.bundle.FILE_LIMIT", MEGA)
    monkeypatch.setattr(container, "FILE_LIMIT", MEGA)
    path = sparse(lab.folder / "huge.cameo", 2**40)
    lab.refused("oversize", NotVerified, keys=ADA, double=path)


@pytest.mark.parametrize(("name", "size"), [(MANIFEST, MEGA), (CONSENT, MEGA)])
def test_oversize_entry_of_a_bundle(lab: Lab, name: str, size: int) -> None:
    blob = b"".join(pack_entries({**entries_of(lab.double), name: b"{" + b" " * size + b"}"}))
    path = lab.file("cameo", blob)
    lab.refused("oversize" if name == MANIFEST else "spliced", NotVerified, keys=ADA, double=path)
    if name == CONSENT:
        with pytest.raises(NotVerified) as caught:
            Bundle.open(path).consent_claims()
        assert caught.value.code == "oversize"


READERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "public key": (PublicKeys.load, "oversize"),
    "key file": (lambda path: Keys.load(path, "x"), "oversize"),
    "consent file": (cameo.load_terms, "usage"),
    "deletion receipt": (lambda path: read_deletion(bytes(5 * MEGA), ADA.public), "oversize"),
    "receipt": (lambda path: verify_receipts([b"{" + b" " * LINE_LIMIT + b"}"], STUDIO.public), "bad_receipt"),
    "export": (lambda path: cameo.audit(export=path, host=STUDIO.public), "error"),
    "bundle id": (lambda path: cameo.revoke(path, keys=ADA), "oversize"),
}


@pytest.mark.parametrize("what", READERS)
def test_oversize_file(lab: Lab, what: str) -> None:
    """A terabyte of zeros, read as each kind of file: refused, and without holding more of it than its limit."""
    read, code = READERS[what]
    path = sparse(lab.folder / "huge", 2**40)
    tracemalloc.start()
    try:
        with pytest.raises((NotVerified, UsageError, CameoError)) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * MEGA
    finally:
        tracemalloc.stop()
    assert caught.value.code == code
