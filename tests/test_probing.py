"""Only its owner probes a double, with the recording it was tuned on, and what is found is on record as a use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cameo.capture.clip import read_clip
from cameo.custody import erase
from cameo.eliciting import ProbeSettings
from cameo.errors import (
    CameoError,
    CaptureRejected,
    ClipError,
    EncoderMismatch,
    NotPermitted,
    NotVerified,
    OutputError,
    UsageError,
)
from cameo.media import write_mp4
from cameo.probing import WRITTEN, LeakageOptions, LeakageReport, describe_leakage, probe_leakage
from cameo.recalling import withdraw
from cameo.seal.bundle import Part
from cameo.synthetic.selfie import render_selfie
from tests.conftest import Enrolled
from tests.keeping import seal_kept
from tests.lendable import Lendable, People

QUICK = ProbeSettings(seeds=1, pictures=8, windows=2, draws=1)


@pytest.fixture
def kept(
    home: Path, people: People, tmp_path: Path, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path
) -> Lendable:
    """The enrolled person as a double that keeps the recording."""
    return seal_kept(tmp_path, people, enrolled.made, enrolled_parts, selfie)


@pytest.fixture
def bare(
    home: Path, people: People, tmp_path: Path, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path
) -> Lendable:
    """The same without the recording."""
    return seal_kept(tmp_path, people, enrolled.made, enrolled_parts, None)


@pytest.fixture(scope="module")
def clips(selfie: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with recordings that must be refused."""
    folder = tmp_path_factory.mktemp("clips")
    own, other = read_clip(selfie).frames, render_selfie(9, 5.0, size=256)
    write_mp4(folder / "other.mp4", other.frames, other.fps)
    write_mp4(folder / "again.mp4", np.stack([cv2.convertScaleAbs(f, alpha=0.8, beta=30) for f in own]), 25.0)
    write_mp4(folder / "short.mp4", own[:40], 25.0)
    (folder / "broken.mp4").write_bytes(b"this is no video")
    return folder


def probe(double: Lendable, **options: Any) -> LeakageReport:
    chosen = LeakageOptions(**{"settings": QUICK, **options})
    return probe_leakage(double.double, keys=double.people.ada, options=chosen)


@contextmanager
def refused(double: Lendable, error: type[CameoError], message: str, opened: bool = False) -> Iterator[None]:
    """Expect a refusal that spends no use, or one that is on record as withheld."""
    before, raw = len(double.receipts(double.people.ada)), double.double.read_bytes()
    with pytest.raises(error, match=message) as caught:
        yield
    assert caught.value.hint
    assert double.double.read_bytes() == raw
    since = [decision for decision, _ in double.decisions(double.people.ada)[before:]]
    assert since == (["allow", "withheld"] if opened else [])


def test_a_double_that_keeps_its_recording(kept: Lendable) -> None:
    """Nothing stands in for anything: the recording is decoded, cut as for tuning, and the sealed adapter probed."""
    out = kept.folder / "found"
    report = probe(kept, out=out)
    assert report.bundle_id == kept.bundle_id and report.generator == "reference"
    assert [Path(name).name for name in report.written] == list(WRITTEN)
    assert sorted(path.name for path in out.iterdir()) == sorted(WRITTEN)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (out, *out.iterdir())), "they show the person"
    told = json.loads((out / "leakage.json").read_text())
    assert told == json.loads(json.dumps(describe_leakage(report)))
    assert told["frames"]["learned"] > told["frames"]["held_out"] > 8
    assert 0 <= told["without_references"]["membership"]["auc"]["value"] <= 1
    assert told["with_references"]["nearest"]["structure"]["closest"] > 0.001, "nothing is handed out bit for bit"
    for name in ("leakage.png", "nearest.png"):
        picture = cv2.imread(str(out / name))
        assert picture is not None
        assert picture.shape[1] > 600 and picture.std() > 10
    assert kept.decisions(kept.people.ada) == [("allow", ""), ("released", "")]
    assert [receipt.action for receipt in kept.receipts(kept.people.ada)] == ["generate", "generate"]


def test_the_recording_may_be_given(bare: Lendable, selfie: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def stop(*given: Any) -> Any:
        seen.append(given)
        raise ZeroDivisionError

    monkeypatch.setattr("cameo.probing.probe_adapter", stop)
    with pytest.raises(ZeroDivisionError):
        probe(bare, footage=selfie)
    with pytest.raises(ZeroDivisionError):
        probe(bare, footage=selfie, held_out=0.4)
    exhibits = [given[2] for given in seen]
    assert [round(one.held / len(one.footage), 1) for one in exhibits] == [0.8, 0.6]
    assert all(one.held - one.learned == 8 for one in exhibits), "the gap that tuning leaves"
    assert [decision for decision, _ in bare.decisions(bare.people.ada)] == ["allow", "withheld"] * 2


def test_nobody_else(kept: Lendable) -> None:
    for who in (kept.people.bob, kept.people.studio, kept.people.eve):
        with pytest.raises(NotVerified):
            probe_leakage(kept.double, keys=who, options=LeakageOptions(settings=QUICK))


def test_what_is_refused_before_anything_slow(bare: Lendable, selfie: Path) -> None:
    with refused(bare, UsageError, "keeps no recording"):
        probe(bare)
    with refused(bare, UsageError, "no generator"):
        probe(bare, footage=selfie, generator="sora")
    with refused(bare, UsageError, "not tuned for the generator wan"):
        probe(bare, footage=selfie, generator="wan:weights")
    with refused(bare, UsageError, "seeds"):
        probe(bare, footage=selfie, settings=replace(QUICK, seeds=99))
    with refused(bare, UsageError, "share"):
        probe(bare, footage=selfie, held_out=1.0)
    with refused(bare, OutputError, "cannot make the folder"):
        probe(bare, footage=selfie, out=bare.folder / "none" / "found")
    with refused(bare, OutputError, "cannot"):
        probe(bare, footage=selfie, out=bare.double)


def test_another_encoder(bare: Lendable, selfie: Path, enrolled: Enrolled, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        info = replace(enrolled.made.face.encoder, id="other")

    monkeypatch.setattr("cameo.probing.load_face_encoder", lambda _spec: Other())
    with refused(bare, EncoderMismatch, "cannot be compared by other"):
        probe(bare, footage=selfie)


def test_bad_recordings(bare: Lendable, clips: Path) -> None:
    with refused(bare, ClipError, "broken.mp4"):
        probe(bare, footage=clips / "broken.mp4")
    with refused(bare, UsageError, "no such file"):
        probe(bare, footage=clips / "none.mp4")
    with refused(bare, CameoError, "too few usable frames"):
        probe(bare, footage=clips / "short.mp4")
    with refused(bare, CaptureRejected, "another than the double's", opened=True):
        probe(bare, footage=clips / "other.mp4")
    with refused(bare, UsageError, "not tuned on this recording", opened=True):
        probe(bare, footage=clips / "again.mp4")


def test_withdrawn_and_erased(kept: Lendable) -> None:
    copy = kept.double.read_bytes()
    withdraw(kept.double, keys=kept.people.ada)
    with pytest.raises(NotPermitted, match="withdrawn"):
        probe(kept)
    erase(kept.double, keys=kept.people.ada)
    kept.double.write_bytes(copy)
    with pytest.raises(NotPermitted):
        probe(kept)
