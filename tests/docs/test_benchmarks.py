"""Hold the page of the benchmarks against their results, and the README's numbers against that page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.catalogue import BENCHMARKS
from benchmarks.claims_table import BEGIN, END, read_results, tables
from benchmarks.machine import ROOT
from benchmarks.run import RESULTS
from cameo.generators.reference_net import SIZE
from cameo.grants.standing import GRACE_S
from cameo.grants.status import TTL_S
from tests.docs.markdown import codes, prose, rows, section

PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"
RAN = sorted(RESULTS.glob("*.json"))
_NAMES = r"ISO/IEC 29794-5|LTX-2|Apache-2\.0"
_TENS = r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:-[a-z]+)?"
_TEENS = r"(?:thir|four|fif|six|seven|eigh|nine)teen"
_NUMBER = rf"\d[\d.,]*|\b(?:three|four|five|six|seven|eight|nine|ten|eleven|twelve|{_TENS}|{_TEENS}|hundred|thousand)\b"


def test_the_table_is_what_was_found() -> None:
    text = PAGE.read_text("utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    between = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert between == tables(read_results(RESULTS, BENCHMARKS), BENCHMARKS), "python -m benchmarks.run --table"


@pytest.mark.parametrize("path", RAN, ids=lambda path: path.stem)
def test_results_are_whole_and_of_todays_claims(path: Path) -> None:
    result = json.loads(path.read_bytes())
    (benchmark,) = [one for one in BENCHMARKS if one.name == path.stem]
    assert (result["name"], result["mode"]) == (path.stem, "full")
    assert len(result["rounds"]) >= 3, "a spread needs three rounds"
    limits = {claim.name: (claim.relation, claim.limit) for claim in benchmark.claims}
    for claim in result["claims"]:
        assert limits[claim["name"]] == (claim["relation"], claim["limit"])
        assert claim["holds"], claim["name"]


def quoted() -> list[list[str]]:
    return rows(section(PAGE, "## The numbers of the README"))


def test_every_number_of_the_readme_is_shown_to_be_true() -> None:
    unlinked = re.sub(r"\]\([^)]*\)", "", prose(README))
    text = " ".join(re.sub(r"[\[*]", "", unlinked).split())
    spans = []
    for phrase, *_ in quoted():
        assert text.count(phrase) == 1, f"the README does not say {phrase!r} (once)"
        spans.append((text.index(phrase), text.index(phrase) + len(phrase)))
    bare = re.sub(_NAMES, lambda found: "_" * len(found[0]), re.sub(r"`[^`]*`", lambda code: "_" * len(code[0]), text))
    for found in re.finditer(_NUMBER, bare, re.IGNORECASE):
        inside = any(start <= found.start() and found.end() <= end + 1 for start, end in spans)
        assert inside, f"…{bare[max(0, found.start() - 30) : found.end() + 30]!r} has no row in docs/benchmarks.md"


def test_what_shows_them_exists() -> None:
    claims = {claim.name for benchmark in BENCHMARKS for claim in benchmark.claims}
    for _, shown, _ in quoted():
        for code in codes(shown):
            if code.startswith("python -m benchmarks.run"):
                assert code.split()[3] in {benchmark.name for benchmark in BENCHMARKS}
            elif "/" in code:
                assert (ROOT / code).is_file(), code
        for name in re.findall(r'"([^"]+)"', shown):
            known = any(claim.startswith(name) for claim in claims) or name in (
                ROOT / "benchmarks" / "trust.py"
            ).read_text("utf-8")
            assert known, f"no benchmark says {name!r}"


def test_settings_that_the_readme_states() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"{SIZE} × {SIZE} pixels" in text
    assert GRACE_S == 300 and "in the last five minutes" in text
    assert f"asks again after {TTL_S} s" in PAGE.read_text("utf-8")
    minimum = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert minimum and f"Python ≥ {minimum[1]}" in text
