"""`cameo adapt`: what is asked, what is said, and what wrong calls lead to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cameo.seal.bundle import Bundle, Part
from tests.conftest import Enrolled
from tests.keeping import BOTH, seal_kept, shelve_second, stand_in
from tests.lendable import Lendable, People

from .conftest import Cli
from .test_lend import fails

WORDS = ["adapt", "ada.cameo", "--key", "ada.key", "--generator", "second"]


@pytest.fixture
def kept(
    desk: Lendable, people: People, enrolled: Enrolled, enrolled_parts: list[Part], selfie: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Lendable:  # fmt: skip
    """The current folder, with a double that keeps its recording; observing and tuning are stood in for."""
    shelve_second(monkeypatch)
    stand_in(monkeypatch, enrolled.made)
    desk.double.unlink()
    return seal_kept(desk.folder, people, enrolled.made, enrolled_parts, selfie)


def test_what_it_says(cli: Cli, kept: Lendable) -> None:
    made = kept.grant()
    done = cli(*WORDS, "--yes", "--report", "ada.html")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "ada.cameo: tuned for second"
    assert [line.split("  ")[1] for line in lines[1:]] == ["double", "likeness", "took", "report", "for the old file"]
    assert f"grant {made.id}: issue it again for this one" in lines[-1]
    assert "does not allow second yet" in done.err
    assert "with reference, second" in done.err, "the text is shown before it is agreed to"
    assert Path("ada.html").stat().st_mode & 0o077 == 0
    verified = Bundle.open("ada.cameo").verify(kept.people.ada.public)
    assert verified.consent.record.act.method == "flag"


def test_json(cli: Cli, kept: Lendable) -> None:
    told = json.loads(cli(*WORDS, "--yes", "--json").out)
    assert set(told) == {
        "file", "sha256", "size", "bundle_id", "generator", "replaced", "report", "likeness_before", "likeness_after",
        "tuning_step", "parts", "revoked", "outdated", "seconds",
    }  # fmt: skip
    assert (told["generator"], told["replaced"], told["revoked"], told["report"]) == ("second", False, [], None)
    assert told["sha256"] == Bundle.open("ada.cameo").sha256
    assert json.loads(cli(*WORDS, "--replace", "--json").out)["replaced"] is True, "nobody is asked: it is allowed now"


def test_nobody_agreed(cli: Cli, kept: Lendable) -> None:
    raw = Path("ada.cameo").read_bytes()
    fails(cli(*WORDS), 2, "--yes")
    Path("terms.toml").write_text(BOTH)
    fails(cli(*WORDS, "--consent", "terms.toml"), 2, "--yes")
    assert Path("ada.cameo").read_bytes() == raw
    assert cli(*WORDS, "--consent", "terms.toml", "--yes").status == 0


def test_wrong_calls(cli: Cli, kept: Lendable, selfie: Path) -> None:
    raw = Path("ada.cameo").read_bytes()
    fails(cli(*WORDS, "--clip", "none.mp4", "--yes"), 2, "none.mp4")
    fails(cli(*WORDS, "--voice", selfie, "--yes"), 2, "a voice alone")
    fails(cli(*WORDS, "--report", "ada.key", "--yes"), 2, ".html")
    fails(cli("adapt", "ada.cameo", "--key", "ada.key", "--generator", "reference", "--yes"), 2, "--replace")
    fails(cli("adapt", "ada.cameo", "--key", "ada.key", "--generator", "sora", "--yes"), 2, "no generator")
    fails(cli("adapt", "ada.cameo", "--key", "eve.key", "--generator", "second", "--yes"), 3)
    assert Path("ada.cameo").read_bytes() == raw


def test_inspect_tells_that_the_recording_is_kept(cli: Cli, kept: Lendable) -> None:
    shown = cli("inspect", "ada.cameo").out
    assert "recording   kept in the double" in shown
    assert "the recording itself is kept in the double, encrypted" in shown
    assert json.loads(cli("inspect", "ada.cameo", "--json").out)["keeps_recording"] is True


def test_inspect_of_a_double_without_one(cli: Cli, desk: Lendable) -> None:
    assert "kept in the double" not in cli("inspect", "ada.cameo").out
    assert json.loads(cli("inspect", "ada.cameo", "--json").out)["keeps_recording"] is False
