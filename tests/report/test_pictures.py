"""Pictures of frames and stills: which are shown, how large, and what they show."""

from __future__ import annotations

import base64
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.report.pictures import (
    REJECTED_SHOWN,
    USED_SHOWN,
    show_mistakes,
    show_pair,
    show_rejected,
    show_stills,
    show_used,
)
from tests.report.conftest import REJECTED

if TYPE_CHECKING:
    from cameo.records import Enrollment, UInt8
    from cameo.report.pictures import Picture


def pixels(picture: Picture) -> UInt8:
    """Decode a data URI to `[H, W, 3]` RGB."""
    kind, _, data = picture.uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape[:2] == (picture.height, picture.width)
    return np.asarray(decoded[..., ::-1], np.uint8)


def test_used_frames_are_spread_over_the_clip(enrollment: Enrollment) -> None:
    shown = show_used(enrollment)
    assert len(shown) == USED_SHOWN
    times = [float(picture.caption.split(" s")[0]) for picture in shown]
    used = enrollment.clip.times_s[enrollment.frames_used]
    assert (times[0], times[-1]) == (used[0], used[-1])
    assert max(np.diff(times)) < 3 * (used[-1] - used[0]) / USED_SHOWN
    assert all("used" in picture.alt for picture in shown)


def test_a_used_frame_shows_the_face_large_and_in_its_colours(enrollment: Enrollment) -> None:
    first = int(np.flatnonzero(enrollment.frames_used)[0])
    box, frame = enrollment.track.boxes[first], enrollment.clip.frames[first]
    # A green face, all else black: the crop is around the face and red and blue are not exchanged.
    painted = np.zeros_like(frame)
    x, y, width, height = (int(v) for v in box)
    painted[max(y, 0) : y + height, max(x, 0) : x + width] = (200, 120, 40)
    frames = enrollment.clip.frames.copy()
    frames[first] = painted
    seen = pixels(show_used(replace(enrollment, clip=replace(enrollment.clip, frames=frames)))[0])
    middle = seen[seen.shape[0] // 2, seen.shape[1] // 2].astype(int)
    assert np.abs(middle - (200, 120, 40)).max() < 12
    assert (seen.max(2) > 100).mean() > 0.3


def test_a_likeness_nobody_knows_is_a_dash(enrollment: Enrollment) -> None:
    unknown = np.full_like(enrollment.frame_likeness, math.nan)
    shown = show_used(replace(enrollment, frame_likeness=unknown))
    assert all(picture.caption.endswith("· –") for picture in shown)


def test_rejected_frames_are_grouped_by_reason(enrollment: Enrollment) -> None:
    groups = show_rejected(enrollment)
    assert {group.reason: group.count for group in groups} == {why: len(frames) for why, frames in REJECTED.items()}
    assert [group.count for group in groups] == sorted((group.count for group in groups), reverse=True)
    assert sum(len(group.pictures) for group in groups) == REJECTED_SHOWN
    assert all(group.pictures for group in groups)
    assert all(group.reason in picture.alt for group in groups for picture in group.pictures)


def test_a_frame_without_a_face_is_shown_whole(enrollment: Enrollment) -> None:
    frames = enrollment.clip.frames.copy()
    at = REJECTED["no face"][0]
    frames[at] = 0
    frames[at, :8, :8] = 255
    groups = show_rejected(replace(enrollment, clip=replace(enrollment.clip, frames=frames)))
    group = next(group for group in groups if group.reason == "no face")
    assert pixels(group.pictures[0])[:8, :8].min() > 200


def test_nothing_used_and_nothing_rejected_show_nothing(enrollment: Enrollment) -> None:
    count = len(enrollment.clip.frames)
    quality = replace(enrollment.quality, reasons=("",) * count)
    none = replace(enrollment, frames_used=np.zeros(count, bool), quality=quality)
    assert show_used(none) == ()
    assert show_rejected(none) == []


def test_stills_are_the_three_views_enlarged(enrollment: Enrollment) -> None:
    rows = show_stills(enrollment.adapter)
    assert [row.title for row in rows] == ["The recording", "Before tuning", "Your double"]
    assert "step 300" in rows[2].note
    for row, stills in zip(
        rows, (enrollment.adapter.real, enrollment.adapter.before, enrollment.adapter.after), strict=True
    ):
        assert len(row.pictures) == len(stills)
        for picture, still in zip(row.pictures, stills, strict=True):
            back = cv2.resize(pixels(picture), (64, 64), interpolation=cv2.INTER_AREA)
            assert np.abs(back.astype(int) - still).mean() < 4  # the same picture, and as sharp
            assert picture.width == 256


def test_the_pair_is_one_moment(enrollment: Enrollment) -> None:
    recorded, made = show_pair(enrollment.adapter)
    middle = len(enrollment.adapter.real) // 2
    for picture, still in ((recorded, enrollment.adapter.real[middle]), (made, enrollment.adapter.after[middle])):
        back = cv2.resize(pixels(picture), (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(back.astype(int) - still).mean() < 4


def test_without_stills_there_are_no_rows_and_no_pair(enrollment: Enrollment) -> None:
    none = np.zeros((0, 64, 64, 3), np.uint8)
    adapter = replace(enrollment.adapter, before=none, after=none, real=none)
    assert show_stills(adapter) == []
    assert show_pair(adapter) == ()


def test_an_untuned_double_says_so_in_its_row(enrollment: Enrollment) -> None:
    assert show_stills(replace(enrollment.adapter, best_step=0))[2].note == "as sealed: tuning changed nothing"


def test_what_was_told_worst_is_shown_in_three_rows(enrollment: Enrollment) -> None:
    rows = show_mistakes(enrollment.adapter)
    assert [row.title for row in rows] == ["The recording", "At first", "As sealed"]
    assert [picture.caption for picture in rows[1].pictures] == ["0.31", "0.33", "0.35", "0.37"]
    assert [picture.caption for picture in rows[0].pictures] == ["0.0 s", "0.4 s", "0.8 s", "1.2 s"]
    assert not show_mistakes(replace(enrollment.adapter, mistakes=()))
