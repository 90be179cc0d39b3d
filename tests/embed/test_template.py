from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.embed.template import MIN_FRAMES, compare, pack_template, pool, unpack_template
from cameo.errors import CaptureRejected, EncoderMismatch, NotVerified
from cameo.records import CONSISTENCY_ONLY, EncoderInfo, Template

FACE = EncoderInfo("embedded-face-1", "face", "ab" * 32, 16, CONSISTENCY_ONLY, "Apache-2.0", 0.4, "a test")
VOICE = dataclasses.replace(FACE, id="embedded-voice-1", modality="voice")


def rows(count: int, noise: float, seed: int = 0) -> np.ndarray:
    """Unit rows `[count, 16]` scattered around one direction that depends on the seed."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal(16)
    x = centre / np.linalg.norm(centre) + noise * rng.standard_normal((count, 16)) / 4
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_pooling_finds_the_common_direction() -> None:
    x = rows(40, 0.5)
    template = pool(x, None, FACE)
    centre = rows(1, 0.0)[0]
    assert np.linalg.norm(template.vector) == pytest.approx(1, abs=1e-5)
    assert template.vector @ centre > (x @ centre).max() - 0.02
    assert template.count == len(template.scores) == 40
    assert template.spread == pytest.approx(float(np.mean(1 - x @ template.vector)), abs=1e-5)


def test_more_scatter_is_more_spread() -> None:
    assert pool(rows(30, 0.2), None, FACE).spread < pool(rows(30, 0.8), None, FACE).spread


def test_scores_leave_the_scored_row_out() -> None:
    x = rows(13, 0.5)
    others = x[1:].mean(0)
    expected = float(x[0] @ others / np.linalg.norm(others))
    assert pool(x, None, FACE).scores[0] == pytest.approx(expected, abs=1e-5)


def test_strangers_among_the_frames_are_left_out() -> None:
    x, strangers = rows(30, 0.3), rows(4, 0.3, seed=5)
    template = pool(np.concatenate([x, strangers]), None, FACE)
    alone = pool(x, None, FACE)
    assert template.count <= 30
    assert template.vector @ alone.vector > 0.995


def test_never_more_than_a_quarter_is_left_out() -> None:
    mixed = np.concatenate([rows(30, 0.2), rows(14, 0.2, seed=5)])
    assert pool(mixed, None, FACE).count >= 33


def test_weights_pull_the_template() -> None:
    x = np.concatenate([rows(20, 0.2), rows(20, 0.2, seed=5)])
    weights = np.r_[np.full(20, 1.0), np.full(20, 0.05)].astype(np.float32)
    centre = rows(1, 0.0)[0]
    assert pool(x, weights, FACE).vector @ centre > pool(x, None, FACE).vector @ centre


def test_rows_without_a_face_and_rows_of_no_weight_do_not_count() -> None:
    x = rows(20, 0.3)
    x[:4] = 0
    weights = np.ones(20, np.float32)
    weights[4:6] = 0
    assert pool(x, weights, FACE).count <= 14
    with pytest.raises(CaptureRejected):
        pool(x[:15], weights[:15], FACE)


def test_a_face_needs_twelve_frames() -> None:
    assert pool(rows(MIN_FRAMES, 0.5), None, FACE).count == MIN_FRAMES
    with pytest.raises(CaptureRejected, match="11 usable frames"):
        pool(rows(MIN_FRAMES - 1, 0.5), None, FACE)


def test_a_voice_needs_one_window() -> None:
    template = pool(rows(1, 0.0), None, VOICE)
    assert template.count == 1
    assert template.spread == pytest.approx(0, abs=1e-6)
    with pytest.raises(CaptureRejected):
        pool(np.zeros((3, 16), np.float32), None, VOICE)


def test_vectors_that_cancel_are_no_person() -> None:
    one = rows(6, 0.0)
    with pytest.raises(CaptureRejected, match="not one person"):
        pool(np.concatenate([one, -one]), None, FACE)


def test_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(EncoderMismatch):
        pool(np.ones((20, 8), np.float32), None, FACE)


def test_comparison_is_a_cosine() -> None:
    a, b = pool(rows(20, 0.3), None, FACE), pool(rows(20, 0.3, seed=5), None, FACE)
    assert compare(a, a) == pytest.approx(1, abs=1e-5)
    assert compare(a, b) == compare(b, a) == pytest.approx(float(a.vector @ b.vector))


@pytest.mark.parametrize("change", [{"id": "another"}, {"digest": "cd" * 32}])
def test_templates_of_different_encoders_do_not_compare(change: dict[str, Any]) -> None:
    a = pool(rows(20, 0.3), None, FACE)
    b = dataclasses.replace(a, encoder=dataclasses.replace(FACE, **change))
    with pytest.raises(EncoderMismatch):
        compare(a, b)


def same(a: Template, b: Template) -> bool:
    return (
        a.encoder == b.encoder
        and a.count == b.count
        and a.spread == b.spread
        and np.array_equal(a.vector, b.vector)
        and np.array_equal(a.scores, b.scores)
    )


def test_packed_templates_come_back() -> None:
    template = pool(rows(20, 0.3), None, FACE)
    assert same(unpack_template(pack_template(template)), template)


def test_packing_is_deterministic() -> None:
    template = pool(rows(20, 0.3), None, FACE)
    assert pack_template(template) == pack_template(template)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_broken_bytes_are_refused_or_read_as_a_sound_template(data: st.DataObject) -> None:
    packed = bytearray(pack_template(pool(rows(14, 0.3), None, FACE)))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(packed)))
    for broken in (bytes(packed), bytes(packed[:cut])):
        try:
            template = unpack_template(broken)
        except NotVerified:
            continue
        assert np.linalg.norm(template.vector) == pytest.approx(1, abs=2e-3)
        assert template.encoder.assurance == CONSISTENCY_ONLY


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\xff" * 64, b"{}", b"\x02" + b"\0" * 7 + b"{}"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NotVerified):
        unpack_template(data)


def test_values_out_of_range_are_refused() -> None:
    template = pool(rows(14, 0.3), None, FACE)
    for wrong in (
        dataclasses.replace(template, vector=template.vector * 2),
        dataclasses.replace(template, spread=float("nan")),
        dataclasses.replace(template, encoder=dataclasses.replace(FACE, assurance="verified")),
        dataclasses.replace(template, encoder=dataclasses.replace(FACE, threshold=float("inf"))),
        dataclasses.replace(template, scores=np.full(14, np.nan, np.float32)),
    ):
        with pytest.raises(NotVerified):
            unpack_template(pack_template(wrong))
