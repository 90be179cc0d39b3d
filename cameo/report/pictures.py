"""Turn frames and stills into pictures that live inside the page, as data URIs."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cameo.records import Adapter, Enrollment, FaceTrack, UInt8

USED_SHOWN = 16
REJECTED_SHOWN = 12

_THUMBNAIL_PX = 176
_HEAD = 1.5  # side of the crop over the longer side of the face's box: hair and chin are in the picture
_JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold one picture as a data URI, with what stands under it and what is read out instead of it."""

    uri: str
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
        _thumbnail(enrollment, index, "used", f" · {enrollment.frame_likeness[index]:.2f}")
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
    """Picture the person beside what the generator makes of them, before and after tuning."""
    tuned = adapter.best_step > 0
    after = f"kept at step {adapter.best_step}" if tuned else "tuning did not help, so this is the row above again"
    rows = (
        ("The person", "held-out frames, never used for tuning", adapter.real),
        ("Generator before tuning", "from the person's references alone", adapter.before),
        ("Generator with the tuned adapter" if tuned else "Generator as sealed", after, adapter.after),
    )
    return [
        Stills(title, note, tuple(Picture(_png(s), "", f"{title}, still {i + 1}") for i, s in enumerate(stills)))
        for title, note, stills in rows
    ]


def _thumbnail(enrollment: Enrollment, index: int, state: str, note: str = "") -> Picture:
    """Picture one frame, cropped to the head where a face was found, under it its time and `note`."""
    time = f"{enrollment.clip.times_s[index]:.2f} s"
    return Picture(
        _jpeg(_head(enrollment.clip.frames[index], enrollment.track, index)),
        f"{time}{note}",
        f"frame at {time}, {state}",
    )


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


def _jpeg(picture: UInt8) -> str:
    height, width = picture.shape[:2]
    scale = _THUMBNAIL_PX / max(height, width)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(np.ascontiguousarray(picture), target, interpolation=filter_), np.uint8)
    return _uri("jpeg", resized, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def _png(picture: UInt8) -> str:
    return _uri("png", picture, [])


def _uri(kind: str, picture: UInt8, settings: list[int]) -> str:
    _, data = cv2.imencode(f".{kind}", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), settings)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
