"""`cameo capture`: a file stands for the camera; the clip goes to the same pipeline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cameo.capture.challenge import read_challenge
from cameo.capture.clip import read_clip
from tests.capture.answering import fixed_challenge
from tests.capture.conftest import click, record
from tests.docs.test_pages import json_members
from tests.test_answering import record_answer

from .conftest import Cli, run_process


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read files as fast as they can be read, and have no display."""
    from cameo.capture.playback import Pace

    monkeypatch.setattr(Pace, "wait", lambda *_: None)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def made(tmp_path: Path, home: Path) -> Path:
    """Seven seconds of a moving bar, and a click."""
    assert not home.exists()
    folder = tmp_path / "made"
    folder.mkdir()
    return record(folder / "made.mp4", (np.arange(140) / 20).tolist(), sound=click(48_000, 7.0, 2.0, 1))


def test_it_writes_a_clip_and_says_what_is_next(cli: Cli, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "me and you.mp4"
    shown = cli("capture", "-o", out, "--camera", made, "--seconds", "5", "--no-guide")
    assert shown.status == 0, shown.err
    said = shown.err.splitlines()
    assert said[0] == "  0.0 s  say what you like, in your usual voice" and len(said) == 4
    assert "5.0 s, 160 x 120, 20 pictures a second, with sound" in shown.out
    assert f"cameo enroll '{out}' --key ada.key --out '{out.with_suffix('.cameo')}'" in shown.out
    clip = read_clip(out)
    assert clip.used_s == pytest.approx(5.0, abs=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "me and you.mp4"]


def test_json(cli: Cli, made: Path, tmp_path: Path) -> None:
    words = ("--camera", made, "--seconds", "5", "--no-guide", "--json")
    value = json.loads(cli("capture", "-o", tmp_path / "a.mp4", *words).out)
    assert set(value) == json_members("capture")
    assert (value["sound"], value["challenge"], value["checks"], value["live"]) == (True, None, None, None)
    silent = json.loads(cli("capture", "-o", tmp_path / "b.mp4", "--microphone", "none", *words).out)
    assert silent["sound"] is False and silent["enroll"][-2:] == ["--voice", "voice.wav"]
    listed = cli("capture", "--list", "--json")
    assert listed.status == 0 and set(json.loads(listed.out)) == {"cameras", "microphones"}


def test_a_clip_that_is_not_good_enough_is_kept(cli: Cli, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    shown = cli("capture", "-o", out, "--camera", made, "--seconds", "5", "--no-guide", "--check")
    assert (shown.status, shown.out) == (6, "")
    assert f"{out} was recorded and is kept, but cameo enroll would refuse it" in shown.err
    assert "Frames with a face: 0 %" in shown.err and "error: no face found" in shown.err
    assert out.exists()


@pytest.mark.slow
def test_a_challenge_is_shown_recorded_and_answered(cli: Cli, home: Path, tmp_path: Path) -> None:
    """Somebody made by code answers a drawn challenge; what was recorded of it is judged live."""
    asked, answer, out = tmp_path / "asked.json", tmp_path / "answer.mp4", tmp_path / "out.mp4"
    assert cli("challenge", "-o", asked).status == 0
    challenge = read_challenge(asked.read_bytes())
    record_answer(answer, challenge)
    words = ("--camera", answer, "--challenge", asked, "--check", "--no-guide", "--json")
    shown = cli("capture", "-o", out, *words)
    assert shown.status == 0, shown.err
    value = json.loads(shown.out)
    assert value["live"] is True and value["challenge"] == str(asked)
    assert value["enroll"][-2:] == ["--challenge", str(asked)]
    assert value["checks"]["face"]["level"] == "ok"
    assert sum("say " in line for line in shown.err.splitlines()) == 6
    assert (home / "challenges" / "open" / f"{challenge.nonce}.json").exists(), "only enrolling takes it"


def test_a_challenge_that_is_drawn_lies_beside_the_clip(cli: Cli, home: Path, made: Path, tmp_path: Path) -> None:
    long = record(tmp_path / "made" / "long.mp4", (np.arange(300) / 10.5).tolist(), sound=click(48_000, 28.0, 2.0, 1))
    out = tmp_path / "out.mp4"
    shown = cli("capture", "-o", out, "--camera", long, "--with-challenge", "--no-guide", "--check")
    assert shown.status == 6, "a click answers nothing"
    challenge = read_challenge((tmp_path / "out.challenge.json").read_bytes())
    assert (home / "challenges" / "open" / f"{challenge.nonce}.json").exists()
    first = next(line for line in shown.err.splitlines() if line.startswith("  1.0 s"))
    assert first.split("s  ", 1)[1].startswith(("say", "turn", "look"))


def test_a_recording_that_ends_before_the_challenge_leaves_nothing(cli: Cli, made: Path, tmp_path: Path) -> None:
    shown = cli("capture", "-o", tmp_path / "out.mp4", "--camera", made, "--with-challenge", "--no-guide")
    assert (shown.status, shown.out) == (1, "")
    assert "ends after 7.0 s, 21 s are needed" in shown.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "made"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "-o needs a name"),
        (["-o", "a.mov"], "-o needs a name"),
        (["-o", "a.mp4", "--seconds", "4"], "must be from 5 to 30"),
        (["-o", "a.mp4", "--seconds", "nan"], "must be from 5 to 30"),
        (["-o", "a.mp4", "--camera", "none.mp4"], "no such file"),
        (["-o", "a.mp4", "--camera", "987", "--microphone", "none"], "there is no camera 987"),
        (["-o", "a.mp4", "--camera", "MADE", "--window"], "no window can be opened here"),
        (["-o", "a.mp4", "--camera", "MADE", "--challenge", "none.json"], "cannot read none.json"),
        (["-o", "a.mp4", "--camera", "MADE", "--with-challenge", "--seconds", "20"], "the challenge takes 21 s"),
        (["-o", "a.mp4", "--camera", "MADE", "--with-challenge", "--microphone", "none"], "has to be heard"),
        (["-o", "a.mp4", "--challenge", "a.json", "--with-challenge"], "not allowed with"),
        (["-o", "a.mp4", "--window", "--terminal"], "not allowed with"),
    ],
)
def test_nonsense_is_refused(
    cli: Cli, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = cli("capture", *(made if word == "MADE" else word for word in words))
    assert (shown.status, shown.out) == (2, "")
    assert said in shown.err and len(shown.err.splitlines()) == 2
    assert not list(tmp_path.glob("a*"))


def test_an_old_challenge_is_refused_before_anything_opens(cli: Cli, made: Path, tmp_path: Path) -> None:
    from datetime import timedelta

    import msgspec

    from cameo.capture.challenge import write_challenge

    fixed = fixed_challenge()
    old = msgspec.structs.replace(
        fixed, issued=fixed.issued - timedelta(days=900), expires=fixed.expires - timedelta(days=900)
    )
    (tmp_path / "old.json").write_bytes(write_challenge(old))
    shown = cli("capture", "-o", tmp_path / "a.mp4", "--camera", made, "--challenge", tmp_path / "old.json")
    assert shown.status == 4 and "the challenge has expired" in shown.err


def test_nothing_is_overwritten(cli: Cli, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"a real one")
    shown = cli("capture", "-o", out, "--camera", made)
    assert shown.status == 1 and "exists already" in shown.err and out.read_bytes() == b"a real one"
    out.unlink()
    (tmp_path / "out.challenge.json").write_bytes(b"another")
    shown = cli("capture", "-o", out, "--camera", made, "--with-challenge")
    assert shown.status == 1 and "out.challenge.json exists already" in shown.err and not out.exists()


def test_ctrl_c_leaves_nothing(made: Path, tmp_path: Path) -> None:
    """The file is played at its own speed: the recording takes five seconds, and is stopped in its first."""
    folder = tmp_path / "out"
    folder.mkdir()
    words = ["capture", "-o", str(folder / "out.mp4"), "--camera", str(made), "--seconds", "5", "--no-guide"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "cameo", *words], stdout=-1, stderr=-1, text=True, env=env) as process:
        assert process.stderr is not None
        assert "say what you like" in process.stderr.readline()
        assert len(list(folder.iterdir())) == 1, "the place is taken while it records"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "error: interrupted" in err
    assert not list(folder.iterdir())


def test_help_and_wrong_words_load_nothing_heavy() -> None:
    code = "import sys; from cameo.cli import main; main(sys.argv[1:]); print(bool({'av', 'cv2'} & set(sys.modules)))"
    assert run_process("capture", "--help", code=code).stdout.endswith("False\n")
    assert run_process("capture", "--seconds", "x", code=code).stdout == "False\n"


def test_opencv_is_loaded_before_pyav(made: Path, tmp_path: Path) -> None:
    """Or its first window hangs, on Linux."""
    after = "m = list(sys.modules); print(m.index('cv2') < m.index('av'))"
    code = f"import sys; from cameo.cli import main; main(sys.argv[1:]); {after}"
    done = run_process("capture", "-o", tmp_path / "o.mp4", "--camera", made, "--microphone", "x.y", code=code)
    assert done.stdout == "True\n"
