from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.embed.template import (
    MIN_FRAMES,
    PosedTemplate,
    View,
    compare,
    compare_views,
    pack_template,
    pool,
    pool_views,
    unpack_template,
    views_of,
)
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


def turning(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Thirty rows and the yaw of each: a third frontal, a third to either side, which moves the row its own way."""
    yaw = np.repeat([0.0, -25.0, 25.0], 10).astype(np.float32)
    x = rows(30, 0.2, seed) + 0.4 * np.repeat(rows(3, 2.0, 8), 10, axis=0)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), yaw


def test_views_are_the_means_of_their_frames() -> None:
    x, yaw = turning()
    template = pool_views(x, None, yaw, FACE)
    whole = pool(x, None, FACE)
    assert np.array_equal(template.vector, whole.vector)
    assert np.array_equal(template.scores, whole.scores)
    assert [view.name for view in template.views] == ["frontal", "left", "right"]
    assert sum(view.count for view in template.views) == template.count
    for view, side in zip(template.views, (0.0, -25.0, 25.0), strict=True):
        others = [x[yaw == other].mean(0) for other in (0.0, -25.0, 25.0) if other != side]
        assert view.vector @ x[yaw == side].mean(0) > max(view.vector @ other for other in others)
        assert 0 <= view.spread < template.spread


def test_a_view_needs_frames_and_a_known_yaw() -> None:
    x, yaw = turning()
    yaw[20:28] = np.nan
    names = [view.name for view in pool_views(x, None, yaw, FACE).views]
    assert names == ["frontal", "left"], "two frames make no view, and no yaw no side"


def test_strangers_belong_to_no_view() -> None:
    x, yaw = turning()
    stranger = rows(1, 0.0, seed=5)
    template = pool_views(np.concatenate([x, stranger]), None, np.r_[yaw, 0.0].astype(np.float32), FACE)
    frontal = next(view for view in template.views if view.name == "frontal")
    assert frontal.count <= 10


def test_views_compare_by_name() -> None:
    (x, yaw), (y, _) = turning(), turning(5)
    a, b = pool_views(x, None, yaw, FACE), pool_views(y, None, np.abs(yaw), FACE)
    assert set(compare_views(a, a)) == {"frontal", "left", "right"}
    assert compare_views(a, a)["left"] == pytest.approx(1, abs=1e-5)
    assert set(compare_views(a, b)) == {"frontal", "right"}
    assert compare_views(a, pool(x, None, FACE)) == {}
    with pytest.raises(EncoderMismatch):
        compare_views(a, dataclasses.replace(b, encoder=VOICE))


def test_packed_views_come_back() -> None:
    template = pool_views(turning()[0], None, turning()[1], FACE)
    back = unpack_template(pack_template(template))
    assert isinstance(back, PosedTemplate)
    assert same(back, template)
    for view, kept in zip(template.views, back.views, strict=True):
        assert (view.name, view.count, view.spread) == (kept.name, kept.count, kept.spread)
        assert np.array_equal(view.vector, kept.vector)
    assert pack_template(back) == pack_template(template)


def test_a_template_without_views_is_written_as_ever() -> None:
    assert b"cameo-template/1" in pack_template(pool(rows(20, 0.3), None, FACE))
    assert views_of(unpack_template(pack_template(pool(rows(20, 0.3), None, FACE)))) == ()


def test_views_out_of_range_are_refused() -> None:
    x, yaw = turning()
    template = pool_views(x, None, yaw, FACE)
    first = template.views[0]
    for wrong in (
        View("behind", first.vector, first.count, first.spread),
        View("left", first.vector * 2, first.count, first.spread),
        View("left", first.vector[:8], first.count, first.spread),
        View("left", first.vector, 0, first.spread),
        View("left", first.vector, first.count, float("nan")),
        View("left", first.vector * np.float32(np.nan), first.count, first.spread),
    ):
        with pytest.raises(NotVerified):
            unpack_template(pack_template(dataclasses.replace(template, views=(wrong,))))
    for rotation in ("xyz", "ab" * 9):
        with pytest.raises(NotVerified):
            unpack_template(pack_template(dataclasses.replace(template, rotation=rotation)))
    with pytest.raises(NotVerified):
        unpack_template(pack_template(dataclasses.replace(template, count=template.count + 1)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_broken_views_are_refused_or_sound(data: st.DataObject) -> None:
    x, yaw = turning()
    packed = bytearray(pack_template(pool_views(x, None, yaw, FACE)))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    for broken in (bytes(packed), bytes(packed[: data.draw(st.integers(0, len(packed)))])):
        try:
            template = unpack_template(broken)
        except NotVerified:
            continue
        for view in views_of(template):
            assert np.linalg.norm(view.vector) == pytest.approx(1, abs=2e-3)
