"""`cameo enroll` with encoders that somebody brought, and that are not what they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.made_ecapa import write_model
from cameo.crypto.keys import Keys
from tests.cli.conftest import PASSPHRASE, Cli
from tests.embed.packs import write_detector, write_landmarks, write_recogniser

NAME = "embedding_model.ckpt"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "ada.key"
    Keys.generate().save(path, PASSPHRASE)
    return path


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoilt(folder: Path, what: str) -> tuple[str, str]:
    """Make an encoder that is none; the option and value that name it."""
    write_detector(folder / "det.onnx", 320, landmarks=what != "a detector without landmarks")
    write_recogniser(folder / "rec.onnx", rank=3 if what == "a recogniser of another output" else 2)
    if what == "a truncated recogniser":
        truncate(folder / "rec.onnx")
    elif what == "a pack without detector":
        (folder / "det.onnx").unlink()
    elif what == "a pack without recogniser":
        (folder / "rec.onnx").unlink()
    elif what == "a truncated file":
        truncate(folder / "rec.onnx")
        return "--face-model", f"onnx:{folder / 'rec.onnx'}"
    elif what == "a file of another kind":
        write_landmarks(folder / "points.onnx", 212)
        return "--face-model", f"onnx:{folder / 'points.onnx'}"
    elif what == "truncated voice weights":
        truncate(write_model(folder, width=16, size=32) / NAME)
        return "--voice-model", f"ecapa:{folder}"
    elif what == "voice weights that are noise":
        (folder / NAME).write_bytes(np.random.default_rng(0).bytes(5000))
        return "--voice-model", f"ecapa:{folder}"
    elif what == "no voice weights":
        return "--voice-model", f"ecapa:{folder}"
    return "--face-model", f"insightface:{folder}"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("a truncated recogniser", "cannot read"),
        ("a recogniser of another output", "not [N, D] vectors"),
        ("a detector without landmarks", "gives no landmarks"),
        ("a pack without detector", "no model for detection"),
        ("a pack without recogniser", "no model for recognition"),
        ("a truncated file", "cannot read"),
        ("a file of another kind", "is no recogniser"),
        ("truncated voice weights", "holds no weights that can be read safely"),
        ("voice weights that are noise", "holds no weights that can be read safely"),
        ("no voice weights", "no ECAPA-TDNN weights at"),
    ],
)
def test_encoders_that_are_none(
    cli: Cli, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    monkeypatch.setenv("CAMEO_HOME", str(tmp_path / "home"))
    (tmp_path / "model").mkdir()
    named = spoilt(tmp_path / "model", what)
    (tmp_path / "never-read.mp4").touch()
    shown = cli("enroll", tmp_path / "never-read.mp4", "--key", key, "--out", tmp_path / "a.cameo", "--yes", *named)
    assert shown.status == 5
    error, hint = shown.err.strip().splitlines()[-2:]
    assert error.startswith("error: ")
    assert said in error
    assert hint.startswith("hint: ")
    assert not shown.out
    assert not (tmp_path / "a.cameo").exists()
