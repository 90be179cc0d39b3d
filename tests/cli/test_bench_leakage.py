"""`cameo bench leakage`: what is said, and what wrong calls lead to."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cameo.cli.bench_leakage import leakage
from cameo.errors import UsageError
from cameo.fidelity.leakage import Leakage, Losses, Way, infer_membership, likeness_of
from cameo.fidelity.nearness import NearestFrames, Views
from cameo.probing import LeakageOptions, LeakageReport
from tests.cli.conftest import PASSPHRASE
from tests.lendable import Lendable

WORDS = ["ada.cameo", "--key", "ada.key"]


def report(copied: bool, windows: int = 12, led: bool = True) -> LeakageReport:
    """Make a report from random pictures: those learned from handed out again, or those held out."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, (24, 64, 64), np.uint8) for _ in range(2)]
    rows = random.standard_normal((2, 24, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    train, held = (Views(grey, vectors, np.ones(24, bool)) for grey, vectors in zip(pictures, rows, strict=True))
    shown = [train if copied else held] * 2
    near = NearestFrames(train, held).compare(shown)
    untuned = [random.random((2, n)).astype(np.float32) for n in (20, windows)]
    tuned = [untuned[0] - (1.0 if copied else 0.0), untuned[1]]
    tuned = [t + 0.01 * random.random(t.shape).astype(np.float32) for t in tuned]
    attack = infer_membership(Losses(tuned[0], untuned[0]), Losses(tuned[1], untuned[1]))
    alone = Way(False, likeness_of(shown, held.vectors[0]), 1.0, near, near if led else (), attack)
    found = Leakage(alone, replace(alone, aided=True), 0.9, 0.1, 24, 24)
    return LeakageReport("b" * 32, "reference", "embedded-face-1", "c" * 64, found, ())


@pytest.fixture
def given(desk: Lendable, monkeypatch: pytest.MonkeyPatch) -> list[LeakageOptions]:
    """The current folder with a double; what the verb asks for is kept, and a report stands in for the work."""
    monkeypatch.setenv("CAMEO_PASSPHRASE", PASSPHRASE)
    asked: list[LeakageOptions] = []

    def probe(_bundle: Any, *, keys: Any, options: LeakageOptions, progress: Any) -> LeakageReport:
        asked.append(options)
        return report(copied=True)

    monkeypatch.setattr("cameo.probing.probe_leakage", probe)
    return asked


def test_copies_are_said_plainly(given: list[LeakageOptions], capsys: pytest.CaptureFixture[str]) -> None:
    leakage(WORDS)
    told = capsys.readouterr().out
    assert told.startswith("ada.cameo: what its adapter gives back")
    assert "alone, most pictures lie nearer to what it learned from" in told
    assert "retold, most pictures lie nearer" in told
    assert "its loss tells what it learned from" in told
    assert max(map(len, told.splitlines())) <= 105
    lines = {words[0]: words[1:] for words in (re.split("  +", line.strip()) for line in told.splitlines())}
    assert lines["nearer than 5 % of new ones"] == ["100 %", "100 %", "100 %", "100 %", "5 %"]
    assert lines["told from its loss, AUC"] == ["1.00", "1.00", "0.50"]
    assert lines["caught at 1 % false alarms"] == ["unknown", "unknown", "1 %"], "twelve windows cannot tell"
    assert lines["caught at 10 % false alarms"] == ["100 %", "100 %", "10 %"]


def test_nothing_found(
    given: list[LeakageOptions], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cameo.probing.probe_leakage", lambda *_given, **_named: report(False, 1, led=False))
    leakage(WORDS)
    told = capsys.readouterr().out
    assert "alone, pictures lie no nearer" in told
    assert "as far as so few windows can show" in told
    assert "retold" not in told
    assert "nan" not in told


def test_json(given: list[LeakageOptions], capsys: pytest.CaptureFixture[str]) -> None:
    leakage([*WORDS, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {
        "file", "bundle_id", "generator", "scorer", "receipt", "frames", "likeness", "without_references",
        "with_references", "written",
    }  # fmt: skip
    assert told["without_references"]["copying"] == "most"


def test_what_is_asked_for(given: list[LeakageOptions], capsys: pytest.CaptureFixture[str]) -> None:
    Path("selfie.mp4").write_bytes(b"")
    leakage([*WORDS, "--footage", "selfie.mp4", "--seeds", "5", "--out", "found", "--generator", "wan:w"])
    (asked,) = given
    assert (asked.footage, asked.out, asked.generator) == (Path("selfie.mp4"), Path("found"), "wan:w")
    assert asked.settings.seeds == 5


def test_wrong_calls(given: list[LeakageOptions]) -> None:
    with pytest.raises(UsageError, match="no file none.mp4"):
        leakage([*WORDS, "--footage", "none.mp4"])
    with pytest.raises(UsageError, match="--key"):
        leakage(["ada.cameo"])
    with pytest.raises(UsageError, match="--seeds"):
        leakage([*WORDS, "--seeds", "many"])
    assert not given
