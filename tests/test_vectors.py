"""The corpus in `tests/vectors/`: each vector gets the code it promises, and is what its recipe makes."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, codes, rows, section
from tests.vectors.case import FOLDER, KINDS
from tests.vectors.check import answer
from tests.vectors.make import all_vectors

PATHS = sorted(path for kind in KINDS for path in (FOLDER / kind).glob("*.json"))
PAGE = ROOT / "docs" / "reference" / "test-vectors.md"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text("utf-8"))
    assert answer(vector) == vector["expected"], vector["description"]


def test_the_corpus_is_what_the_recipes_make() -> None:
    made = {vector.path: vector.to_text() for vector in all_vectors()}
    assert sorted(made) == PATHS
    for path, text in made.items():
        assert path.read_text("utf-8") == text, f"{path.name}: run python -m tests.vectors.make"


def test_the_corpus_is_small_and_every_kind_has_a_whole_one() -> None:
    vectors = [json.loads(path.read_text("utf-8")) for path in PATHS]
    assert len({vector["id"] for vector in vectors}) == len(vectors) > 300
    assert {vector["kind"] for vector in vectors if vector["expected"] == "ok"} == set(KINDS)
    assert sum(path.stat().st_size for path in PATHS) < 1_000_000
    # What differs in nothing but its name tests nothing new.
    inputs = Counter(json.dumps([v["kind"], v["now"], v["keys"], v["input"]], sort_keys=True) for v in vectors)
    assert inputs.most_common(1)[0][1] == 1


def test_the_page_describes_every_kind_and_code() -> None:
    told = {codes(row[0])[0]: int(row[1]) for row in rows(section(PAGE, "## Kinds"))}
    assert told == Counter(path.parent.name for path in PATHS)
    expected = {json.loads(path.read_text("utf-8"))["expected"] for path in PATHS}
    assert {codes(row[0])[0] for row in rows(section(PAGE, "## Codes"))} == expected
    assert re.search(rf"\b{len(PATHS)} files\b", PAGE.read_text("utf-8"))
