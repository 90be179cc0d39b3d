"""An owner, a friend, a tool, a host and a thief; a small double; and how to see that an attack came to nothing."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import cameo
from cameo.crypto.keys import Keys, PublicKeys
from cameo.errors import CameoError
from cameo.grants.grant import file_bytes, read_tokens
from cameo.grants.guard import list_digest
from cameo.grants.ledger import Ledger
from cameo.grants.receipt import Receipt
from cameo.lending import GrantTerms, Narrowing
from cameo.records import Use
from cameo.registry.store import Registry
from cameo.seal.bundle import Part, seal_bundle
from cameo.seal.consent import Agreement, agree
from cameo.seal.terms import parse_terms, resolve_terms
from cameo.unlocking import Borrowed, unlock
from tests.seal.conftest import ENCODER, some_parts

TERMS = """
[[purposes]]
id = "birthday"
audience = "everyone"
outputs = ["video", "audio"]
delegable = true

[[purposes]]
id = "comedy"
delegable = true
"""

USE = Use(
    action="generate",
    purpose="birthday",
    prompt="a cake with candles",
    generator="reference",
    outputs=("video",),
    modalities=("face",),
    seconds=4.0,
    pixels=65_536,
    seed=7,
)

ADA, BOB, TOOL, STUDIO, EVE = (Keys.generate() for _ in range(5))


def secret(keys: Keys) -> str:
    """Write private keys down, for a process that shall have them; see `worker.keys`."""
    return (keys._sign.private_bytes_raw() + keys._decrypt.private_bytes_raw()).hex()


def agreement(toml: str = TERMS, today: datetime.date | None = None) -> Agreement:
    day = today or datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=2)
    return agree(resolve_terms(parse_terms(toml), ["reference"], day, list_digest()), "api")


def seal(path: Path, keys: Keys = ADA, shift: float = 0.0, consent: Agreement | None = None) -> list[Part]:
    parts = some_parts(shift)
    seal_bundle(path, keys, consent or agreement(), parts, [ENCODER])
    return parts


class Clock:
    """Tell the time, and how far a test has moved it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass
class Lab:
    """Hold everybody's files in one folder; `home` is the machine that owner and host share."""

    folder: Path
    home: Path
    clock: Clock
    double: Path
    plain: dict[str, bytes]
    issued: int = 0

    def grant(self, to: Any = BOB.public, host: PublicKeys = STUDIO.public, **terms: Any) -> Path:
        """Lend the double."""
        out = self.file("grant")
        asked = {"purposes": ("birthday",), "modalities": ("face",), "delegable": to == BOB.public, **terms}
        cameo.grant(self.double, keys=ADA, to=to, host=host, terms=GrantTerms(**asked), out=out)
        return out

    def delegate(self, grant: Path, keys: Keys = BOB, to: Keys = TOOL, **narrowed: Any) -> Path:
        """Narrow a grant for the tool."""
        out = self.file("grant")
        cameo.delegate(grant, keys=keys, to=to.public, narrowed=Narrowing(**narrowed), out=out)
        return out

    def file(self, suffix: str, data: bytes | None = None) -> Path:
        """Name a fresh file, and write it if there is something to write."""
        self.issued += 1
        path = self.folder / f"{self.issued}.{suffix}"
        if data is not None:
            path.write_bytes(data)
        return path

    def token_file(self, *tokens: str) -> Path:
        """Write tokens as a `.grant` file."""
        return self.file("grant", file_bytes(tokens))

    def token(self, grant: Path) -> str:
        """Read the first token of a `.grant` file."""
        return read_tokens(grant)[0]

    def by(self, grant: Path, holder: Keys | None = BOB, **more: Any) -> Borrowed:
        """Say what a friend brings."""
        return Borrowed(**{"grant": grant, "host": STUDIO, "owner": ADA.public, "holder": holder, **more})

    def open(self, borrowed: Borrowed | None = None, use: Use = USE, double: Path | None = None, **more: Any) -> dict:
        """Open the double and give back its parts."""
        with unlock(double or self.double, use, borrowed=borrowed, **more) as opened:
            return dict(opened.parts)

    def refused(
        self,
        code: str,
        error: type[CameoError],
        borrowed: Borrowed | None = None,
        use: Use = USE,
        double: Path | None = None,
        **more: Any,
    ) -> CameoError:
        """Demand that nothing opens, that nothing was allowed or counted, and that the refusal is on record."""
        host = borrowed.host if borrowed else more["keys"]
        before = self.receipts(host)
        inside = False
        with pytest.raises(CameoError) as caught, unlock(double or self.double, use, borrowed=borrowed, **more):
            inside = True
        assert not inside, "the double was open"
        assert (caught.value.code, type(caught.value).__mro__.count(error)) == (code, 1), caught.value
        assert caught.value.hint
        new = self.receipts(host)[len(before) :]
        assert [(r.decision, r.code) for r in new] == [("deny", code)]
        return caught.value

    def receipts(self, host: Any = STUDIO) -> list[Receipt]:
        """Read what the host has on record, and verify its chain."""
        with closing(Ledger(host, clock=self.clock)) as ledger:
            ledger.verify_chain()
            return ledger.receipts()

    def decisions(self, host: Any = STUDIO) -> list[tuple[str, str]]:
        return [(receipt.decision, receipt.code) for receipt in self.receipts(host)]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine whose databases are made already, and a double."""
    folder = tmp_path_factory.mktemp("attacks")
    seal(folder / "ada.cameo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMEO_HOME", str(folder / "home"))
        Ledger(STUDIO).close()
        Registry().close()
    return folder


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every host in this test."""
    made = Clock()
    for module in ("unlocking", "deciding"):
        monkeypatch.setattr(f"cameo.{module}.Ledger", partial(Ledger, clock=made))
    return made


@pytest.fixture
def lab(made_once: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Lab:
    shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CAMEO_LEDGER", raising=False)
    monkeypatch.delenv("CAMEO_REGISTRY", raising=False)
    return Lab(tmp_path, tmp_path / "home", clock, tmp_path / "ada.cameo", {p.name: p.data for p in some_parts()})


@pytest.fixture
def elsewhere(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Go to another machine, which knows nothing: no registry, no ledger."""

    def go() -> None:
        monkeypatch.setenv("CAMEO_HOME", str(lab.folder / "elsewhere"))

    yield go
