"""`cameo sample`: a person to try things with, or nothing at all."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cameo.capture.clip import read_clip

from .conftest import Cli, run_process


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Render small pictures where the size does not matter."""
    from cameo.synthetic import selfie

    monkeypatch.setattr(selfie, "render_selfie", functools.partial(selfie.render_selfie, size=48))


@pytest.mark.usefixtures("small")
def test_it_writes_a_clip_and_says_so(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "selfie.mp4"
    shown = cli("sample", out, "--seconds", "3")
    assert shown.status == 0
    assert shown.err.splitlines() == ["rendering a person", "writing the clip"]
    assert str(out) in shown.out
    assert "3.0 s" in shown.out
    assert "this person does not exist" in shown.out
    clip = read_clip(out)
    assert clip.source.duration_s == pytest.approx(3, abs=0.05)
    assert len(clip.sound) > 40_000
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("small")
def test_json_and_seeds(cli: Cli, tmp_path: Path) -> None:
    value = json.loads(cli("sample", tmp_path / "a.mp4", "--seed", "5", "--seconds", "3.2", "--json").out)
    assert value == {
        "video": str(tmp_path / "a.mp4"),
        "seed": 5,
        "seconds": 3.2,
        "width": 36,
        "height": 48,
        "real_person": False,
    }
    cli("sample", tmp_path / "b.mp4", "--seed", "5", "--seconds", "3.2")
    cli("sample", tmp_path / "c.mp4", "--seed", str(2**31 - 1), "--seconds", "3.2")
    a, b, c = (read_clip(tmp_path / f"{name}.mp4").frames.astype(int) for name in "abc")
    # Not byte for byte: the encoder's last bits depend on where its memory lies.
    assert np.abs(a - b).mean() < 1
    assert np.abs(a - c).mean() > 10


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a.mp4", "b.mp4"],
        ["a.mov"],
        ["a"],
        [".mp4"],
        *([["a.mp4", "--seed", word] for word in ("-1", str(2**31), "1.5", "x", "", "1_0", "9" * 5000)]),
        *([["a.mp4", "--seconds", word] for word in ("2.9", "60.1", "nan", "inf", "-5", "x", "")]),
    ],
)
def test_nonsense_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shown = cli("sample", *words)
    assert (shown.status, shown.out) == (2, "")
    assert len(shown.err.splitlines()) == 2
    assert len(shown.err) < 300
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "selfie.mp4").write_bytes(b"a real one")
    shown = cli("sample", tmp_path / "selfie.mp4")
    assert (shown.status, shown.out) == (1, "")
    assert "exists already" in shown.err
    assert (tmp_path / "selfie.mp4").read_bytes() == b"a real one"


def test_places_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "none" / "a.mp4", tmp_path / "file" / "a.mp4", tmp_path / ("a" * 300 + ".mp4")):
        shown = cli("sample", out)
        assert (shown.status, shown.out) == (1, "")
        assert shown.err.startswith("error: cannot write")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


_FULL = """
import functools, resource, signal, sys
from cameo.cli import main
from cameo.synthetic import selfie
selfie.render_selfie = functools.partial(selfie.render_selfie, size=96)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """A file size limit stands in for it; the message names the file that was asked for."""
    out = tmp_path / "selfie.mp4"
    done = run_process("sample", out, "--seconds", "3", code=_FULL)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: cannot write {out}: file too large\n" in done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cameo", "sample", str(tmp_path / "selfie.mp4"), "--seconds", "60"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=env) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "rendering a person\n"
        assert len(list(tmp_path.iterdir())) == 1, "the place is taken while it renders"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert "error: interrupted" in err
    assert not list(tmp_path.iterdir())


def test_help_and_wrong_words_load_no_renderer(tmp_path: Path) -> None:
    code = "import sys; from cameo.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    assert run_process("sample", "--help", code=code).stdout.endswith("False\n")
    assert run_process("sample", tmp_path / "a.mov", code=code).stdout == "False\n"
