"""Whose clips there are, by folder, by name and by manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from cameo.errors import UsageError
from cameo.fidelity.folders import ClipFile, PersonFiles, list_clips, list_people, split_references


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def of(files: list[ClipFile]) -> dict[str, tuple[str, str]]:
    return {file.name: (file.person, file.film) for file in files}


def test_people_by_file_and_by_folder(tmp_path: Path) -> None:
    touched(tmp_path, "ada/2.png", "ada/1.jpg", "ada/notes.txt", "bob.mp4", "bob.JPG", ".hidden.jpg", "notes.txt")
    people = list_people(tmp_path)
    assert list(people) == ["ada", "bob"]
    assert [path.name for path in people["ada"].photos] == ["1.jpg", "2.png"]
    assert ([p.name for p in people["bob"].photos], [p.name for p in people["bob"].clips]) == (["bob.JPG"], ["bob.mp4"])


def test_voices_stand_beside_pictures_or_alone(tmp_path: Path) -> None:
    touched(tmp_path, "ada.jpg", "ada.wav", "bob/a.mp4", "bob/b.FLAC", "bob/c.mp4", "eve.ogg", "zoe.mp4")
    people = list_people(tmp_path)
    assert list(people) == ["ada", "bob", "eve", "zoe"]
    heard = {name: [path.name for path in person.voices] for name, person in people.items()}
    assert heard == {"ada": ["ada.wav"], "bob": ["b.FLAC"], "eve": ["eve.ogg"], "zoe": ["zoe.mp4"]}
    assert [path.name for path in people["bob"].clips] == ["a.mp4", "c.mp4"]
    reference, held = split_references(people["ada"], None)
    assert reference.voices == held.voices, "shared out by time"


def test_clips_by_folder_and_by_name(tmp_path: Path) -> None:
    names = ("ada/x.mp4", "ada-lovelace.mp4", "ada-lovelace-2.webm", "ada-1.mp4", "ada.mov", "adam.mp4", "ada/x.json")
    found, skipped = list_clips("own", touched(tmp_path, *names), {"ada", "ada-lovelace"})
    assert of(found) == {
        "ada/x.mp4": ("ada", "ada"),
        "ada-lovelace.mp4": ("ada-lovelace", "ada-lovelace"),
        "ada-lovelace-2.webm": ("ada-lovelace", "ada-lovelace"),
        "ada-1.mp4": ("ada", "ada"),
        "ada.mov": ("ada", "ada"),
    }
    assert [(Path(one.file).name, one.reason) for one in skipped] == [
        ("adam.mp4", "its name begins with nobody's for whom there is a reference")
    ]


def test_manifest(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_text("﻿clip,person,film\nout/1.mp4,ada,one\nout/2.mp4,ada,\n/elsewhere/3.mp4,bob,two\n", "utf-8")
    found, skipped = list_clips("own", path, {"ada"})
    assert of(found) == {"out/1.mp4": ("ada", "one"), "out/2.mp4": ("ada", "")}
    assert found[0].path == tmp_path / "out" / "1.mp4"
    assert [one.reason for one in skipped] == ["there is no reference for 'bob'"]
    path.write_text("person,clip\nada,1.mp4\n")
    assert of(list_clips("own", path, {"ada"})[0]) == {"1.mp4": ("ada", "ada")}


@pytest.mark.parametrize(
    "text",
    [
        "clip\n1.mp4\n",
        "clip,person,mood\n1.mp4,ada,glad\n",
        "clip,person\n1.mp4\n",
        "clip,person\n,ada\n",
        "clip,person\n1.mp4,ada,more\n",
        'clip,person\n"1.mp4,ada\n',
        "clip,person\n1\0.mp4,ada\n",
        "",
        "clip,person\n",
    ],
)
def test_bad_manifests(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clips.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        list_clips("own", path, {"ada"})
    assert "clip,person[,film]" in caught.value.hint


def test_a_manifest_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00\x00")
    with pytest.raises(UsageError, match="cannot read"):
        list_clips("own", tmp_path / "clips.csv", {"ada"})


def test_empty_and_missing_folders(tmp_path: Path) -> None:
    for look in (list_people, lambda place: list_clips("own", place, {"ada"})):
        with pytest.raises(UsageError, match="there is no folder"):
            look(tmp_path / "nowhere")
        with pytest.raises(UsageError, match="there is nobody in|there are no clips in"):
            look(touched(tmp_path, "notes.txt"))


def test_references_are_shared_out() -> None:
    def files(photos: int, clips: int) -> PersonFiles:
        paths = [Path(f"{k}.jpg") for k in range(photos)], [Path(f"{k}.mp4") for k in range(clips)]
        return PersonFiles("ada", tuple(paths[0]), tuple(paths[1]))

    for photos, held in ((1, 0), (2, 1), (4, 1), (9, 2)):
        reference, real = split_references(files(photos, 0), None)
        assert (len(reference.photos), len(real.photos)) == (photos - held, held)
    # With a clip, whose end is held out, photographs are references all.
    reference, real = split_references(files(3, 1), None)
    assert (len(reference.photos), len(real.photos), len(real.clips)) == (3, 0, 1)
    assert split_references(files(3, 1), {"ada": files(5, 0)}) == (files(3, 1), files(5, 0))
    # Whoever is not among the real ones has none: a reference is never its own ceiling.
    assert split_references(files(3, 1), {"bob": files(5, 0)}) == (files(3, 1), files(0, 0))
