"""The loss tells what an adapter learned from if it memorised it, and not because some windows are easy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.fidelity.leakage import (
    Leakage,
    Losses,
    Way,
    infer_membership,
    judge_copying,
    likeness_of,
    mean_likeness,
    real_likeness,
    summarise,
)
from cameo.fidelity.nearness import NearestFrames, Views

SEEDS, LEARNED, HELD = 3, 24, 8


def losses(random: np.random.Generator, count: int, gain: float = 0.0, ease: float = 0.0) -> Losses:
    """Losses of windows: `ease` lowers them for any model, `gain` is what the adapter takes off."""
    untuned = random.normal(1.0 - ease, 0.2, (1, count)) + random.normal(0, 0.02, (SEEDS, count))
    tuned = untuned - gain + random.normal(0, 0.02, (SEEDS, count))
    return Losses(tuned.astype(np.float32), untuned.astype(np.float32))


def test_what_was_memorised_is_told() -> None:
    random = np.random.default_rng(0)
    found = infer_membership(losses(random, LEARNED, 0.3), losses(random, HELD))
    assert found.auc.value == 1
    assert (found.auc.low, found.auc.seeds) == (1, (1, 1, 1))
    assert found.chance < 1e-5
    assert found.told
    assert found.blind < 0.9, "the loss without the adapter tells little"


def test_what_was_not_memorised_is_not_told() -> None:
    random = np.random.default_rng(1)
    told = [infer_membership(losses(random, LEARNED, 0.1), losses(random, HELD, 0.1)).told for _ in range(40)]
    assert sum(told) <= 6  # of a level of 5 %; more has a chance of 1 %


def test_windows_that_are_easy_for_any_model_are_not_told() -> None:
    """The attack is calibrated: what the base tells better, too, is no leak."""
    random = np.random.default_rng(2)
    found = infer_membership(losses(random, LEARNED, 0.1, ease=0.9), losses(random, HELD, 0.1))
    assert found.blind > 0.95
    assert not found.told
    assert found.auc.low < 0.5 < found.auc.high


def test_rates_are_given_where_enough_was_held_out() -> None:
    random = np.random.default_rng(3)
    few = infer_membership(losses(random, LEARNED, 0.3), losses(random, HELD))
    assert np.isnan(few.caught).all()
    some = infer_membership(losses(random, LEARNED, 0.3), losses(random, 10))
    assert np.isnan(some.caught[0]) and some.caught[1] == 1
    many = infer_membership(losses(random, LEARNED, 0.3), losses(random, 100))
    assert many.caught == (1, 1)


def test_a_rate_is_that_of_its_threshold() -> None:
    """Ten others at 0..9, one false alarm: the second lowest is the threshold."""
    others = np.arange(10, dtype=np.float32)[None]
    members = np.array([[-1, 0.5, 1.5, 5]], np.float32)
    found = infer_membership(Losses(members, 0 * members), Losses(others, 0 * others))
    assert found.caught[1] == 0.5


def test_two_windows_are_too_few_to_be_sure() -> None:
    members, others = np.array([[0, 0]], np.float32), np.array([[1]], np.float32)
    found = infer_membership(Losses(members, 0 * members), Losses(others, 0 * others))
    assert found.auc.value == 1
    assert np.isnan(found.auc.low)
    assert not found.told


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=12), st.lists(st.integers(-5, 5), min_size=2, max_size=12))
def test_the_area_is_that_of_all_pairs(one: list[int], other: list[int]) -> None:
    a, b = np.array([one], np.float32), np.array([other], np.float32)
    there, back = (
        infer_membership(Losses(a, 0 * a), Losses(b, 0 * b)),
        infer_membership(Losses(b, 0 * b), Losses(a, 0 * a)),
    )
    pairs = [(x < y) + 0.5 * (x == y) for x in one for y in other]
    assert there.auc.value == pytest.approx(np.mean(pairs))
    assert there.auc.value + back.auc.value == pytest.approx(1)
    assert there.auc.low <= there.auc.value <= there.auc.high


def views(count: int, seed: int, found: bool = True) -> Views:
    random = np.random.default_rng(seed)
    base = np.random.default_rng(99).standard_normal(16)
    vectors = base + 0.5 * random.standard_normal((count, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return Views(random.integers(0, 255, (count, 64, 64), np.uint8), vectors, np.full(count, found))


def test_likeness_counts_faceless_pictures() -> None:
    seen = views(16, 0)
    centre = seen.vectors.mean(0) / np.linalg.norm(seen.vectors.mean(0))
    whole = likeness_of([seen, seen], centre)
    assert whole.value == pytest.approx(float((seen.vectors @ centre).mean()), abs=1e-6)
    assert whole.low <= whole.value <= whole.high
    half = Views(seen.grey, seen.vectors, np.arange(16) < 8)
    assert likeness_of([half], centre).value < 0.7 * whole.value
    assert mean_likeness(views(4, 0, found=False), centre) == 0
    assert np.isnan(mean_likeness(views(0, 0), centre))


def test_the_ceiling_is_of_pictures_that_are_not_in_it() -> None:
    seen = views(32, 1)
    centre = seen.vectors.mean(0) / np.linalg.norm(seen.vectors.mean(0))
    assert 0.5 < real_likeness(seen) < mean_likeness(seen, centre)
    assert np.isnan(real_likeness(views(7, 1)))


def made(copied: bool) -> Leakage:
    random = np.random.default_rng(4)
    train, held = views(40, 5), views(24, 6)
    shown = [train, train] if copied else [held, held]
    near = NearestFrames(train, held).compare(shown)
    attack = infer_membership(losses(random, LEARNED, 0.3 if copied else 0), losses(random, HELD))
    way = Way(False, likeness_of(shown, held.vectors[0]), 1.0, near, (), attack)
    return Leakage(way, way, 0.9, 0.1, len(train), len(held))


def test_copies_are_called_so() -> None:
    assert made(copied=True).alone.copying == "most"
    assert made(copied=False).alone.copying == "none"
    assert judge_copying(()) == "unknown"
    few = NearestFrames(views(40, 5), views(24, 6)).compare([views(7, 6)])
    assert judge_copying(few) == "unknown", "seven pictures are no evidence"


def test_the_summary_is_json_and_keeps_to_its_names() -> None:
    told = json.loads(json.dumps(summarise(made(copied=True)), allow_nan=False))
    assert set(told) == {"frames", "likeness", "without_references", "with_references"}
    way = told["without_references"]
    assert set(way) == {"likeness", "found", "copying", "nearest", "retold_copying", "retold", "membership"}
    assert (way["copying"], way["retold"], way["retold_copying"]) == ("most", None, None)
    assert set(way["nearest"]) == {"pixels", "structure", "face"}
    assert set(way["nearest"]["pixels"]) == {"generated", "held_out", "closest", "nearer", "singled_out"}
    assert way["nearest"]["pixels"]["closest"] == 0
    assert way["membership"]["auc"]["value"] == 1
    assert way["membership"]["windows"] == {"learned": LEARNED, "held_out": HELD}
    assert way["membership"]["caught"] == {"0.01": None, "0.1": None}, "too few windows to say"
