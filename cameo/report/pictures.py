"""Turn frames and stills into pictures that live inside the page, as data URIs."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cameo.report.numbers import likeness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cameo.records import Adapter, Enrollment, FaceTrack, UInt8

USED_SHOWN = 16
REJECTED_SHOWN = 12

_THUMBNAIL_PX, _THUMBNAIL_QUALITY = 176, 82
_STILL_PX, _STILL_QUALITY = 256, 90
_HEAD = 1.5  # side of the crop over the longer side of the face's box: hair and chin are in the picture


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold one picture as a data URI, with what stands under it and what is read out instead of it."""

    uri: str
    width: int
    height: int
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Hold some of the `count` frames rejected for one reason."""

    reason: str
    count: int
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Stills:
    """Hold a row of stills and what they are."""

    title: str
    note: str
    pictures: tuple[Picture, ...]


def show_used(enrollment: Enrollment) -> tuple[Picture, ...]:
    """Picture at most `USED_SHOWN` of the frames in the face template, spread over the clip."""
    return tuple(
        _thumbnail(enrollment, index, "used", f" · {likeness(enrollment.frame_likeness[index])}")
        for index in _spread(np.flatnonzero(enrollment.frames_used).tolist(), USED_SHOWN)
    )


def show_rejected(enrollment: Enrollment) -> list[Rejected]:
    """Picture at most `REJECTED_SHOWN` rejected frames, by reason, the commonest reason first."""
    reasons = enrollment.quality.reasons
    counts = dict(Counter(reason for reason in reasons if reason).most_common())
    groups = []
    for reason, shown in _shares(counts, REJECTED_SHOWN).items():
        frames = [index for index, given in enumerate(reasons) if given == reason]
        pictures = tuple(_thumbnail(enrollment, index, reason) for index in _spread(frames, shown))
        groups.append(Rejected(reason, counts[reason], pictures))
    return groups


def show_stills(adapter: Adapter) -> list[Stills]:
    """Picture the person beside what the generator makes of them, before and after tuning; no rows without stills."""
    tuned = adapter.best_step > 0
    after = f"as sealed, step {adapter.best_step}" if tuned else "as sealed: tuning changed nothing"
    rows = (
        ("The recording", "frames never used for tuning", adapter.real),
        ("Before tuning", "made from reference frames alone", adapter.before),
        ("Your double", after, adapter.after),
    )
    return [
        Stills(title, note, tuple(_still(still, "", f"{title}, moment {i + 1}") for i, still in enumerate(stills)))
        for title, note, stills in rows
        if len(stills)
    ]


def show_mistakes(adapter: Adapter) -> list[Stills]:
    """Picture the moments that were told worst at first: the recording, the first take, and the take as sealed."""
    told = adapter.mistakes
    if not told:
        return []
    rows = (
        ("The recording", "what was to be told", [(m.real, f"{m.start_s:.1f} s") for m in told]),
        ("At first", "before tuning step by step", [(m.first_take, likeness(m.before)) for m in told]),
        ("As sealed", f"step {adapter.best_step}", [(m.last_take, likeness(m.after)) for m in told]),
    )
    return [
        Stills(title, note, tuple(_still(still, under, f"{title}, {under}") for still, under in shown))
        for title, note, shown in rows
    ]


def show_pair(adapter: Adapter) -> tuple[Picture, ...]:
    """Picture one moment of the recording and what the double makes of it; nothing without stills."""
    count = min(len(adapter.real), len(adapter.after))
    if not count:
        return ()
    middle = count // 2
    return (
        _still(adapter.real[middle], "the recording", "the person in the recording"),
        _still(adapter.after[middle], "the double", "the same moment, generated with the double"),
    )


def _thumbnail(enrollment: Enrollment, index: int, state: str, note: str = "") -> Picture:
    """Picture one frame, cropped to the head where a face was found, under it its time and `note`."""
    time = f"{enrollment.clip.times_s[index]:.2f} s"
    frame = _head(enrollment.clip.frames[index], enrollment.track, index)
    return picture_of(frame, _THUMBNAIL_PX, _THUMBNAIL_QUALITY, f"{time}{note}", f"frame at {time}, {state}")


def _still(still: UInt8, caption: str, alt: str) -> Picture:
    return picture_of(still, _STILL_PX, _STILL_QUALITY, caption, alt)


def _head(frame: UInt8, track: FaceTrack, index: int) -> UInt8:
    """Cut a square around the face out of a frame `[H, W, 3]`, moved inside it; the whole frame without a face."""
    box = track.boxes[index]
    if not (track.found[index] and np.isfinite(box).all()):
        return frame
    x, y, width, height = (float(value) for value in box)
    rows, columns = frame.shape[:2]
    side = int(np.clip(_HEAD * max(width, height), 2, min(rows, columns)))
    left = int(np.clip(x + width / 2 - side / 2, 0, columns - side))
    top = int(np.clip(y + height / 2 - side / 2, 0, rows - side))
    return frame[top : top + side, left : left + side]


def _spread(items: Sequence[int], count: int) -> list[int]:
    """Take `count` of the items, evenly, or all when there are fewer."""
    picked = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in picked]


def _shares(counts: dict[str, int], limit: int) -> dict[str, int]:
    """Deal `limit` places out in turn, so that a rare reason is shown too."""
    shares = dict.fromkeys(counts, 0)
    for _ in range(limit):
        open_ = [reason for reason in counts if shares[reason] < counts[reason]]
        if not open_:
            break
        shares[min(open_, key=lambda reason: shares[reason])] += 1
    return shares


def picture_of(picture: UInt8, long_px: int, quality: int, caption: str, alt: str) -> Picture:
    """Scale a picture `[H, W, 3]` so that its longer side is `long_px`, and encode it."""
    height, width = picture.shape[:2]
    scale = long_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Lanczos keeps the edges of small stills where a browser would smear them.
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
    scaled = np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=kind), np.uint8)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(scaled, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    uri = f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
    return Picture(uri, *size, caption, alt)
