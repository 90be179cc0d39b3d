"""Searching: the likest is found, FAISS or not, by one key only, and strangers are found no more often than is said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cameo.embed.calibration import Calibration, Threshold, find_calibration
from cameo.embed.face_embedded import EmbeddedFaceEncoder
from cameo.embed.gallery import (
    FALSE_ALARMS,
    SAME_RECORDING,
    Gallery,
    has_faiss,
    pack_vector,
    search_limit,
    turn_for_search,
    unpack_vector,
)
from cameo.embed.template import PosedTemplate, View
from cameo.errors import EncoderMismatch, NotVerified
from cameo.records import EncoderInfo, Template

SIZE = 48
ENCODER = EncoderInfo("made", "face", "5c" * 32, SIZE, "matched", "none", 0.5, "made")
KEY, OTHER = b"k" * 32, b"o" * 32


def unit(seed: int, count: int = 1, size: int = SIZE) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, size))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def template(vector: np.ndarray, encoder: EncoderInfo = ENCODER) -> Template:
    return Template(vector, 0.1, 24, np.ones(24, np.float32), encoder)


def turned(vectors: np.ndarray, key: bytes = KEY) -> list[PosedTemplate]:
    return [turn_for_search(template(vector), key) for vector in vectors]


def gallery(people: list[PosedTemplate], faiss: bool) -> Gallery:
    rows = np.stack([person.vector for person in people])
    return Gallery(ENCODER, people[0].rotation, [f"p{i}" for i in range(len(people))], rows, faiss)


ENGINES = [False, pytest.param(True, marks=pytest.mark.skipif(not has_faiss(), reason="faiss is not installed"))]


@pytest.mark.parametrize("faiss", ENGINES)
def test_the_likest_come_first_with_their_plain_cosine(faiss: bool) -> None:
    vectors = unit(1, 200)
    probe = vectors[77] + 0.4 * unit(2)[0]
    probe = (probe / np.linalg.norm(probe)).astype(np.float32)
    hits = gallery(turned(vectors), faiss).search(turned(probe[None])[0], 5)
    cosines = vectors.astype(np.float64) @ probe
    assert [hit.name for hit in hits] == [f"p{i}" for i in np.argsort(-cosines)[:5]]
    assert [hit.score for hit in hits] == pytest.approx(sorted(cosines, reverse=True)[:5], abs=1e-5)


@pytest.mark.skipif(not has_faiss(), reason="faiss is not installed")
def test_faiss_and_numpy_find_the_same() -> None:
    """With everybody enrolled twice, so that ties are decided alike, too."""
    people = turned(unit(3, 150))
    exact, fast = (gallery(people + people, faiss) for faiss in (False, True))
    for probe in turned(unit(4, 20)) + people[:5]:
        assert exact.search(probe, 9) == fast.search(probe, 9)


@pytest.mark.parametrize("faiss", ENGINES)
def test_few_and_none(faiss: bool) -> None:
    (probe,) = turned(unit(5))
    alone = gallery([probe], faiss)
    assert [(hit.name, hit.score) for hit in alone.search(probe, 3)] == [("p0", 1.0)]
    empty = Gallery(ENCODER, probe.rotation, [], np.zeros((0, SIZE), np.float32), faiss)
    assert (len(empty), empty.search(probe)) == (0, [])


def test_only_templates_of_its_encoder_and_key_are_looked_for() -> None:
    people = turned(unit(6, 3))
    searched = gallery(people, False)
    foreign = dataclasses.replace(ENCODER, digest="6d" * 32)
    with pytest.raises(EncoderMismatch):
        searched.search(turned(unit(6), OTHER)[0])
    with pytest.raises(EncoderMismatch):
        searched.search(turn_for_search(template(unit(6)[0], foreign), KEY))
    with pytest.raises(EncoderMismatch):
        Gallery(ENCODER, "", ["a"], np.zeros((1, SIZE + 1), np.float32))
    with pytest.raises(EncoderMismatch):
        Gallery(ENCODER, "", ["a", "b"], np.zeros((1, SIZE), np.float32))


def test_views_are_not_kept() -> None:
    vector = unit(7)[0]
    posed = PosedTemplate(vector, 0.1, 24, np.ones(24, np.float32), ENCODER, (View("left", vector, 5, 0.1),))
    assert turn_for_search(posed, KEY).views == ()


def test_a_vector_as_bytes() -> None:
    (person,) = turned(unit(8))
    data = pack_vector(person)
    assert np.array_equal(unpack_vector(data, ENCODER), person.vector)
    for wrong in (b"", data[:-4], data + data, bytes(len(data)), b"\xff" * len(data)):
        with pytest.raises(NotVerified):
            unpack_vector(wrong, ENCODER)


# Limits.


def measured(*thresholds: tuple[float, float]) -> Calibration:
    kept = tuple(Threshold(rate, score, rate) for rate, score in thresholds)
    return Calibration("made", "5c" * 32, 10.0, -4.0, 100, 10_000, kept, "made")


def test_a_measured_rate_is_taken_as_it_is() -> None:
    known = measured((0.1, 0.2), (0.01, 0.3), (0.001, 0.45))
    assert search_limit(ENCODER, 1, known) == 0.3
    assert [search_limit(ENCODER, count, known) for count in (2, 5, 10)] == [0.45] * 3
    assert search_limit(ENCODER, 0, known) == 0.3


def test_the_limit_rises_with_how_many_are_searched() -> None:
    known = measured((0.1, 0.2), (0.01, 0.3))
    limits = [search_limit(ENCODER, count, known) for count in (1, 10, 100, 10**9)]
    assert limits == pytest.approx([0.3, 0.4, 0.5, SAME_RECORDING])
    plain = [search_limit(ENCODER, count) for count in (1, 10, 100, 10**9)]
    assert plain[0] == ENCODER.threshold < plain[1] < plain[2] <= plain[3] == SAME_RECORDING


@pytest.mark.parametrize("count", [1, 20, 300])
def test_strangers_are_found_no_more_often_than_is_said(count: int) -> None:
    """Evenly drawn directions are strangers; the rates are measured on some, the searches made with others."""
    impostors = np.einsum("nd,nd->n", unit(10, 20_000), unit(11, 20_000))
    known = measured(*((rate, float(np.quantile(impostors, 1 - rate))) for rate in (0.1, 0.01)))
    limit = search_limit(ENCODER, count, known)
    searches = 2_000
    best = (unit(12, searches) @ unit(13, count).T).max(1)
    wrong = int((best >= limit).sum())
    assert wrong <= searches * FALSE_ALARMS + 3 * np.sqrt(searches * FALSE_ALARMS)


def test_the_embedded_encoder_has_a_limit_of_its_own() -> None:
    encoder = EmbeddedFaceEncoder.load().info
    known = find_calibration(encoder)
    assert known is not None
    assert search_limit(encoder, 1, known) == known.threshold(0.01).score
    assert search_limit(encoder, 1, known) < search_limit(encoder, 50, known) < 1
