"""Any bytes, from what is in the corpus and from mutations of it: only errors of cameo's come out."""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.docs.markdown import ROOT
from tests.fuzz.targets import TARGETS, seeds
from tests.strategies import mangled

SECONDS = 5


@functools.cache
def corpus_of(target: str) -> list[bytes]:
    return list(seeds(target))


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    corpus = corpus_of(target)
    assert len(corpus) > 50
    for seed in (b"", b"\0", b"\x80", b"\xff", *corpus):
        TARGETS[target](seed)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutations(target: str, data: st.DataObject) -> None:
    corpus = [seed for seed in corpus_of(target) if len(seed) < 8192]
    head = data.draw(st.sampled_from([b"\0", b"\x80", b"\xff"]) | st.just(None))
    mutant = data.draw(mangled(st.sampled_from(corpus)))
    TARGETS[target](mutant if head is None else head + mutant[1:])


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_guided_by_coverage(target: str) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris has no wheel for this platform or Python")
    command = [sys.executable, "-m", "tests.fuzz.run", target, "--seconds", str(SECONDS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    reached = [int(number) for number in re.findall(r"cov: (\d+)", done.stderr)]
    runs = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    assert reached and reached[-1] > 50, "nothing is instrumented"
    assert runs and int(runs[1]) > 500
