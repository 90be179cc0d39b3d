"""The runner of the benchmarks: claims, tables, failures; with stand-in benchmarks written where they run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import claims_table, run
from benchmarks.catalogue import BENCHMARKS, Benchmark, Inputs, lacks
from benchmarks.claims import AT_LEAST, AT_MOST, Claim, Unreadable, at, judge, over
from benchmarks.claims_table import BEGIN, END
from benchmarks.machine import ROOT
from benchmarks.results import write_result
from tests.docs.markdown import rows

STAND_IN = """
import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
for name in ("--out", "--seed", "--pack", "--ratio", "--status"):
    parser.add_argument(name)
args = parser.parse_args()
if args.status:
    print("the disk is on fire", file=sys.stderr)
    sys.exit(int(args.status))
seed = int(args.seed or 0)
found = {"samples": {"turns": 7}, "ours": [1.0 + seed, 2.0, 3.0], "theirs": [2.0, 4.0, 6.0], "pack": args.pack}
if args.ratio:
    found["ratio"] = float(args.ratio)
pathlib.Path(args.out).write_text(json.dumps(found))
pathlib.Path(args.out).with_suffix(".png").write_bytes(b"a picture")
"""
FASTER = Claim("times as fast", over(("theirs",), ("ours",)), AT_LEAST, 1.5)
Make = Callable[..., Benchmark]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make benchmarks of a module that lies in a folder of its own."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "stand_in.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.delitem(sys.modules, "stand_in", raising=False)
    return lambda **more: Benchmark(**{"name": "standing", "module": "stand_in", "claims": (FASTER,), **more})


def started(out: Path, *words: str, known: list[Benchmark]) -> int:
    return run.main([*words, "--out", str(out)], known)


def written(out: Path, name: str = "standing") -> dict[str, Any]:
    return dict(json.loads((out / f"{name}.json").read_bytes()))


# Claims.


def test_a_claim_is_judged_by_the_median_of_the_rounds() -> None:
    claim = Claim("half", at("value"), AT_LEAST, 0.5)
    verdict = judge(claim, [{"value": 0.4}, {"value": 0.6}, {"value": [0.1, 0.9, 0.7]}])
    assert (verdict.values, verdict.found, verdict.low, verdict.high) == ((0.4, 0.6, 0.7), 0.6, 0.4, 0.7)
    assert verdict.holds
    assert not judge(claim, [{"value": 0.4}, {"value": 0.49}, {"value": 0.9}]).holds
    assert judge(replace(claim, relation=AT_MOST), [{"value": 0.5}]).holds
    assert not judge(replace(claim, relation=AT_MOST), [{"value": 0.51}]).holds


def test_a_ratio_is_taken_turn_by_turn() -> None:
    found = {"a": [1.0, 100.0, 9.0], "b": [2.0, 200.0, 3.0], "one": 6.0, "two": 3.0}
    assert list(over(("a",), ("b",))(found)) == [0.5, 0.5, 3.0]
    assert list(over(("one",), ("two",))(found)) == [2.0]


@pytest.mark.parametrize("found", [{}, {"value": None}, {"value": []}, {"value": "fast"}, [], {"value": float("nan")}])
def test_what_lacks_its_numbers_is_no_result(found: Any) -> None:
    with pytest.raises(Unreadable, match="half"):
        judge(Claim("half", at("value"), AT_LEAST, 0.5), [found])


def test_ratios_of_unequal_turns_or_to_nothing_are_none() -> None:
    for found in ({"a": [1.0, 2.0], "b": [1.0]}, {"a": 1.0, "b": 0.0}):
        with pytest.raises(Unreadable):
            judge(Claim("half", over(("a",), ("b",)), AT_LEAST, 0.5), [found])


# Running.


def test_what_is_written_of_a_run(stand_in: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = [stand_in(seeded=True, full=("--ratio", "3"))]
    assert started(tmp_path / "out", "--seed", "4", known=known) == 0
    result = written(tmp_path / "out")
    assert result["command"] == "python -m stand_in --ratio 3 --seed 4"
    assert [one["seed"] for one in result["rounds"]] == [4, 5, 6]
    assert [one["found"]["ours"][0] for one in result["rounds"]] == [5.0, 6.0, 7.0]
    assert (result["mode"], result["seed"], result["samples"]) == ("full", 4, {"turns": 7})
    assert result["machine"]["cores"] >= 1 and result["machine"]["memory"] > 0 and result["versions"]["numpy"]
    (claim,) = result["claims"]
    assert (claim["values"], claim["found"], claim["holds"]) == ([2.0, 2.0, 2.0], 2.0, True)
    assert (tmp_path / "out" / "standing.png").read_bytes() == b"a picture"
    told = capsys.readouterr()
    assert "holds   standing: times as fast: 2 (2 to 2), at least 1.5" in told.out
    assert "[1/1] standing took" in told.err


def test_a_claim_that_no_longer_holds_fails(stand_in: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = [stand_in(quick=(), claims=(replace(FASTER, limit=2.5),))]
    assert started(tmp_path, "--quick", known=known) == 1
    assert "MISSED  standing: times as fast: 2, at least 2.5" in capsys.readouterr().out
    assert written(tmp_path)["claims"][0]["holds"] is False


def test_one_that_fails_is_told_and_the_others_go_on(
    stand_in: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing.json").write_text("what was found before")
    known = [stand_in(name="failing", full=("--status", "3")), stand_in()]
    assert started(tmp_path, "--rounds", "1", known=known) == 1
    told = capsys.readouterr().err
    assert "[1/2] failing FAILED: status 3\nthe disk is on fire" in told
    assert "[2/2] standing took" in told
    assert (tmp_path / "failing.json").read_text() == "what was found before"
    unread = [stand_in(claims=(Claim("gone", at("nowhere"), AT_MOST, 1),))]
    assert started(tmp_path, "--rounds", "1", known=unread) == 1
    assert "FAILED: gone: the result lacks its numbers" in capsys.readouterr().err


def test_what_lacks_something_is_skipped_and_says_so(
    stand_in: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.catalogue.gpus", lambda: [])
    needs = {
        "pack": "it needs --pack FOLDER",
        "gpu": "no NVIDIA card is there",
        "command:no-such-command": "the command no-such-command is not there",
        "package:no_such_package": "the package no_such_package is not installed",
    }
    known = [stand_in(name=f"n{k}", needs=(need,)) for k, need in enumerate(needs)]
    known += [stand_in(name="n4", module="benchmarks.no_such_module"), stand_in(name="n5")]
    assert started(tmp_path, "--rounds", "1", known=known) == 0
    told = capsys.readouterr().err
    for k, why in enumerate([*needs.values(), "there is no benchmarks.no_such_module"]):
        assert f"n{k} skipped: {why}" in told
    assert started(tmp_path, "n0", known=known) == 1, "nothing was measured"
    assert "nothing was measured" in capsys.readouterr().err
    assert started(tmp_path, "n5", "--quick", known=known) == 1
    assert "n5 skipped: not in the quick mode" in capsys.readouterr().err


def test_what_is_given_goes_along_and_is_not_named(stand_in: Make, tmp_path: Path) -> None:
    folder = tmp_path / "secret place"
    folder.mkdir()
    known = [stand_in(takes={"pack": ("--pack", "insightface:{pack}"), "clips": ("--no-such-option",)}, quick=())]
    assert started(tmp_path, "--rounds", "1", "--pack", str(folder), known=known) == 0
    assert "secret" not in (tmp_path / "standing.json").read_text()
    result = written(tmp_path)
    assert result["rounds"][0]["found"]["pack"] == "insightface:PACK"
    assert "--pack" in result["command"] and "PACK" in result["command"]
    assert started(tmp_path, "--quick", "--pack", str(folder), known=known) == 0
    assert written(tmp_path)["rounds"][0]["found"]["pack"] is None, "quick runs are the same everywhere"


def test_one_that_writes_a_folder(stand_in: Make, tmp_path: Path) -> None:
    text = STAND_IN.replace("pathlib.Path(args.out).write_text", "(pathlib.Path(args.out) / 'told.json').write_text")
    text = text.replace("seed = int", "pathlib.Path(args.out).mkdir()\nseed = int")
    (tmp_path / "modules" / "stand_in.py").write_text(text)
    assert started(tmp_path, "--rounds", "1", known=[stand_in(written="told.json")]) == 0
    assert written(tmp_path)["rounds"][0]["found"]["samples"] == {"turns": 7}


@pytest.mark.parametrize("words", [["no-such"], ["--rounds", "0"], ["--clips", "no/such/folder"]])
def test_bad_words_are_a_usage_error(words: list[str], stand_in: Make, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        started(tmp_path, *words, known=[stand_in()])
    assert stopped.value.code == 2
    assert not list(tmp_path.glob("*.json"))


def test_clips_become_words(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.MP4", "notes.txt"):
        (tmp_path / name).touch()
    benchmark = Benchmark("one", "one", full=("--x",), takes={"clips": ("--clips", "{clips/*}"), "pack": ("{pack}",)})
    said = benchmark.words(Inputs(clips=tmp_path), quick=False, seed=0)
    assert said == ["--x", "--clips", str(tmp_path / "a.MP4"), str(tmp_path / "b.mp4")]


# The catalogue and the table.


def test_the_catalogue_can_be_run() -> None:
    assert len({benchmark.name for benchmark in BENCHMARKS}) == len(BENCHMARKS)
    for benchmark in BENCHMARKS:
        path = ROOT / Path(*benchmark.module.split(".")).with_suffix(".py")
        text = path.read_text("utf-8")
        options = {word for word in (*benchmark.full, *(benchmark.quick or ())) if word.startswith("--")}
        options |= {word for more in benchmark.takes.values() for word in more if word.startswith("--")}
        options |= {"--out"} | ({"--seed"} if benchmark.seeded else set())
        assert {option for option in options if f'"{option}"' not in text} == set(), benchmark.name
        for need in (*benchmark.needs, *benchmark.takes, *(claim.needs for claim in benchmark.claims)):
            assert isinstance(lacks(need, Inputs()), str)
    assert sum(benchmark.quick is not None for benchmark in BENCHMARKS) >= 5


def test_the_table_is_written_between_its_comments(stand_in: Make, tmp_path: Path) -> None:
    page, out = tmp_path / "page.md", tmp_path / "out"
    page.write_text(f"before\n\n{BEGIN}\nearlier\n{END}\n\nafter\n")
    known = [stand_in(name="unmeasured"), stand_in()]
    claims_table.rewrite(page, out, known)
    assert "Nothing was measured yet." in page.read_text()
    started(out, "standing", known=known)
    claims_table.rewrite(page, out, known)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "earlier" not in text
    table = rows(text)
    assert table[0] == ["times as fast", "2", "2 to 2", "3", "at least 1.5", "holds", "`standing`"]
    assert table[1][:3] == ["`standing`", "`python -m stand_in`", "7 turns"]
    assert "Not measured yet by the runner: `unmeasured`." in text
    claims_table.rewrite(page, out, known)
    assert page.read_text() == text
    page.write_text("no comments")
    with pytest.raises(SystemExit, match="lacks the comments"):
        claims_table.rewrite(page, out, known)


def test_results_are_whole_and_finite(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "one.json"
    write_result(path, {"a": float("nan"), "b": [1.0, float("inf"), (2,)], "c": {"d": -float("inf")}}, {"people": 3})
    assert json.loads(path.read_bytes()) == {
        "samples": {"people": 3},
        "a": None,
        "b": [1.0, None, [2]],
        "c": {"d": None},
    }
