"""`cameo film`: a scene file in, one clip out; wrong files are said in two lines."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cameo.cli.film import read_scene
from cameo.errors import UsageError
from tests.cli.conftest import Cli
from tests.cli.test_lend import fails
from tests.lendable import Lendable

BOB = 'double = "ada.cameo"\ngrant = "bob.grant"\nas = "bob.key"\nhost = "studio.key"\npurpose = "birthday"\n'


def scene(people: str, rest: str = "") -> None:
    Path("scene.toml").write_text(f"{rest}\n[[people]]\n{people}")


@pytest.fixture
def studio(lendable: Lendable, key_files: Path, monkeypatch: pytest.MonkeyPatch) -> Lendable:
    """The folder of a host with a double that casts, lent to Bob, and the keys of everybody."""
    for file in key_files.iterdir():
        shutil.copy(file, lendable.folder)
    monkeypatch.chdir(lendable.folder)
    lendable.grant()
    return lendable


def test_a_film_of_two_shots(cli: Cli, studio: Lendable) -> None:
    shots = "[[shots]]\nprompt = 'a cake'\nframes = 8\n[[shots]]\nseed = 4\nframes = 10\n"
    scene(BOB + shots)
    done = cli("film", "scene.toml", "--out", "film.mp4", "--sheet", "film.png")
    assert done.status == 0, done.err
    assert "0.7 s, 384 x 384, 2 shots" in done.out
    assert "not a recording" in done.out
    assert "to other shots" in done.out and "likeness  " not in done.out
    assert Path("film.png").stat().st_size > 1000
    told = json.loads(cli("film", "scene.toml", "--out", "film.mp4", "--json").out)
    assert [shot["seed"] for shot in told["shots"]] == [0, 4]
    assert told["people"][0]["bundle_id"] == studio.bundle_id


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (BOB + 'key = "ada.key"\n', "with a key or with a grant"),
        ('double = "ada.cameo"\n', "with a key or with a grant"),
        ('double = "ada.cameo"\ngrant = "bob.grant"\nas = "bob.key"\n', "is used with host and purpose"),
        ('double = "ada.cameo"\nkey = "ada.key"\nhost = "studio.key"\n', "host goes with a grant only"),
        (BOB + "soft = 0.2\n", "a soft edge and no box"),
        (BOB + "box = [0, 0, 0.5, 1]\n", "one person alone"),
        (BOB + f"[[people]]\n{BOB}", "asked for twice"),
        (BOB + "[[shots]]\nframes = 0\n", "0 frames is none"),
    ],
)
def test_scenes_that_cannot_be_filmed(cli: Cli, studio: Lendable, who: str, said: str) -> None:
    scene(who)
    fails(cli("film", "scene.toml", "--out", "film.mp4"), 2, said)
    assert not Path("film.mp4").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "people"),
        ("people = []", "people"),
        ("people = 3", "people"),
        ("[[people]]", "double"),
        ("[[people]]\ndouble = 'a'\nname = 'b'", "name"),
        ("[[people]]\ndouble = 'a'\nbox = [0, 1]", "box"),
        ("size = [64]\n[[people]]\ndouble = 'a'", "size"),
        ("size = [0, 64]\n[[people]]\ndouble = 'a'", "size"),
        ("[[people]]\ndouble = 'a'\n[[shots]]\nframes = 1.5", "frames"),
        ("[[people", "scene.toml"),
        ("\x00", "scene.toml"),
    ],
)
def test_files_that_are_no_scene(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "scene.toml").write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        read_scene(tmp_path / "scene.toml")
    assert "[[people]]" in caught.value.hint


def test_no_file_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("none.toml", "bytes", "."):
        with pytest.raises(UsageError, match="cannot read"):
            read_scene(tmp_path / name)
