"""The same attacks led through `cameo.cast`: no clip comes out, nothing is left of one. The generator is a stand-in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cameo
from cameo import casting, staging
from cameo.casting import cast
from cameo.crypto.keys import Keys
from cameo.errors import CameoError, ClipError, NotPermitted, NotVerified
from cameo.generators.base import Direction, Performance
from cameo.generators.reference import load_reference
from cameo.media import write_mp4
from cameo.registry.store import Registry
from cameo.seal.bundle import Bundle
from cameo.seal.unlock import unlock_as_owner
from cameo.staging import CastOptions
from tests.attacks.conftest import ADA, BOB, EVE, STUDIO, TOOL, Lab
from tests.attacks.seeking import files_that_hold
from tests.conftest import Enrolled

OPTIONS = CastOptions(purpose="birthday", prompt="a cake with candles", frames=8)


class Engine:
    """Stand in for a generator: it does what a test wants while it "generates"."""

    id, fps = "reference", 25.0
    modalities, speaks = ("face",), False

    def __init__(self) -> None:
        self.meanwhile: Callable[[], object] = lambda: None
        self.asked = self.done = 0

    def settle(self, direction: Direction) -> Direction:
        return replace(direction, size=(64, 64))

    def perform(self, person: object, direction: Direction, pulse: Callable[[float], None]) -> Performance:
        self.asked += 1
        self.meanwhile()
        pulse(0.5)
        self.done += 1
        return Performance(np.zeros((direction.length, 64, 64, 3), np.uint8))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()

    @contextmanager
    def plug(generator: Engine, parts: dict[str, bytes], _weights: object) -> Iterator[Any]:
        assert set(parts) == {"adapter.reference.face", "identity.reference.face"}
        yield SimpleNamespace()

    monkeypatch.setattr(casting, "load_generator", lambda _: made)
    monkeypatch.setattr(staging, "load_into", plug)
    return made


def no_clip(lab: Lab, code: str, error: type[CameoError], options: CastOptions = OPTIONS, **by: Any) -> None:
    """Demand that casting is refused, and that no clip is left, whole or in part, under any name."""
    before = sorted(lab.folder.glob("*"))
    with pytest.raises(error) as caught:
        cast(by.pop("double", lab.double), out=lab.folder / "clip.mp4", options=options, **by)
    assert caught.value.code == code
    assert sorted(lab.folder.glob("*")) == before


def test_a_clip_comes_out(lab: Lab, engine: Engine) -> None:
    made = cast(lab.double, borrowed=lab.by(lab.grant()), out=lab.folder / "clip.mp4", options=OPTIONS)
    assert Path(made.path).stat().st_size > 0
    assert lab.decisions() == [("allow", ""), ("released", "")]


@pytest.mark.parametrize("who", [BOB, STUDIO, TOOL, EVE], ids=["bob", "studio", "tool", "eve"])
def test_cast_without_owner_key_or_grant(lab: Lab, engine: Engine, who: Keys) -> None:
    no_clip(lab, "bad_signature", NotVerified, keys=who)
    assert not engine.asked


def test_cast_with_a_stolen_token(lab: Lab, engine: Engine) -> None:
    grant = lab.grant()
    no_clip(lab, "wrong_holder", NotPermitted, borrowed=lab.by(grant, EVE))
    no_clip(lab, "wrong_host", NotPermitted, borrowed=lab.by(grant, host=EVE))
    assert not engine.asked


@pytest.mark.parametrize("terms", [{"max_seconds": 0.31}, {"max_pixels": 384 * 384 - 1}], ids=["long", "large"])
def test_cast_of_more_than_was_granted(lab: Lab, engine: Engine, terms: dict[str, Any]) -> None:
    """What is held against the grant is what leaves, not what the caller says of it."""
    code = "too_long" if "max_seconds" in terms else "too_large"
    no_clip(lab, code, NotPermitted, borrowed=lab.by(lab.grant(**terms)))
    assert not engine.asked


def test_revocation_while_generating(lab: Lab, engine: Engine) -> None:
    grant = lab.grant()
    engine.meanwhile = lambda: cameo.revoke(grant, keys=ADA)
    no_clip(lab, "revoked", NotPermitted, borrowed=lab.by(grant))
    assert engine.asked == 1
    assert lab.decisions() == [("allow", ""), ("withheld", "revoked")]


def test_revocation_during_a_long_run(lab: Lab, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator is not even let to its end."""
    monkeypatch.setattr(staging, "RECHECK_S", -1.0)
    grant = lab.grant()
    engine.meanwhile = lambda: cameo.revoke(grant, keys=ADA)
    no_clip(lab, "revoked", NotPermitted, borrowed=lab.by(grant))
    assert (engine.asked, engine.done) == (1, 0)


def test_revocation_after_the_clip_was_written(lab: Lab, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clip is there already, under a name of its own; it is removed, and the old clip stays what it was."""
    grant, out = lab.grant(), lab.folder / "clip.mp4"
    out.write_bytes(b"an older clip")

    def write_and_revoke(path: Path, *rest: Any) -> None:
        write_mp4(path, *rest)
        assert path.stat().st_size > 0
        cameo.revoke(grant, keys=ADA)

    monkeypatch.setattr(staging, "write_mp4", write_and_revoke)
    no_clip(lab, "revoked", NotPermitted, borrowed=lab.by(grant))
    assert out.read_bytes() == b"an older clip"
    assert lab.decisions() == [("allow", ""), ("withheld", "revoked")]


def test_bundle_swapped_while_generating(lab: Lab, engine: Engine) -> None:
    """The receipt and the clip are of the double that was verified."""
    grant, double = lab.grant(), Bundle.open(lab.double).claims.bundle_id
    engine.meanwhile = lambda: lab.double.write_bytes(b"something else")
    made = cast(lab.double, borrowed=lab.by(grant), out=lab.folder / "clip.mp4", options=OPTIONS)
    assert made.bundle_id == double
    assert {receipt.bundle_id for receipt in lab.receipts()} == {double}


def test_generator_that_fails_spends_the_use(lab: Lab, engine: Engine) -> None:
    grant = lab.grant(max_uses=1)

    def fail() -> None:
        raise MemoryError

    engine.meanwhile = fail
    with pytest.raises(MemoryError):
        cast(lab.double, borrowed=lab.by(grant), out=lab.folder / "clip.mp4", options=OPTIONS)
    no_clip(lab, "uses_exhausted", NotPermitted, borrowed=lab.by(grant))
    assert not list(lab.folder.glob("*.mp4"))
    assert not list(lab.folder.glob(".*"))


def test_double_enrolled_as_if_it_were_a_recording(lab: Lab) -> None:
    """Enrolling makes doubles of recordings; another's double is none."""
    with pytest.raises(ClipError):
        cameo.enroll(lab.double, keys=EVE, out=lab.folder / "eve.cameo")
    assert not (lab.folder / "eve.cameo").exists()


@pytest.mark.slow
def test_no_file_of_a_real_enrolment_and_cast_holds_plaintext(
    enrolled: Enrolled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `test_no_other_door`, with the real thing: home, double, report and clip, before and after erasing."""
    shutil.copytree(enrolled.home, tmp_path / "home")
    double = tmp_path / "ada.cameo"
    for path in (enrolled.double, enrolled.report):
        shutil.copy(path, tmp_path)
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    verified = Bundle.open(double).verify(enrolled.keys.public)
    # Everybody's enrolment stays what it is: in this copy of the registry, the double is the copy of the file.
    with closing(Registry()) as registry:
        registry.register(replace(registry.get(verified.manifest.bundle_id), path=double))
    content = unlock_as_owner(verified, enrolled.keys)
    parts = [verified.read_part(part.name, content) for part in verified.manifest.parts]
    pieces = [data[at : at + 32] for data in parts for at in (len(data) // 2, len(data) - 32)]
    secrets = [piece for piece in pieces if len(set(piece)) > 8] + list(content._keys.values())
    assert len(secrets) > 4
    digest = load_reference().base_digest
    cast(double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=CastOptions(frames=8))
    assert not files_that_hold(tmp_path, secrets)
    cameo.erase(double, keys=enrolled.keys)
    assert not double.exists()
    assert enrolled.double.exists()
    assert not files_that_hold(tmp_path, secrets)
    assert load_reference().base_digest == digest
    with pytest.raises(NotPermitted) as caught:
        cast(enrolled.double, keys=enrolled.keys, out=tmp_path / "clip.mp4", options=CastOptions(frames=8))
    assert caught.value.code == "erased"
