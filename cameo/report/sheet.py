"""A contact sheet: a line of frames for every shot, so that people can look instead of read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cameo.records import UInt8

_FRAMES, _HIGH_PX, _LABEL_PX, _GAP_PX = 6, 192, 26, 8
_WHITE, _BLACK = 255, (0, 0, 0)


def draw_sheet(rows: Sequence[tuple[str, UInt8]]) -> bytes:
    """Draw labelled shots, each `[T, H, W, 3]` uint8 RGB of one size, as a PNG."""
    lines = []
    for label, frames in rows:
        some = frames[np.linspace(0, len(frames) - 1, min(_FRAMES, len(frames))).round().astype(int)]
        size = (round(frames.shape[2] * _HIGH_PX / frames.shape[1]), _HIGH_PX)
        shown = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in some]
        shown += [np.full_like(shown[0], _WHITE)] * (_FRAMES - len(shown))
        strip = np.concatenate([np.pad(f, ((0, 0), (0, _GAP_PX), (0, 0)), constant_values=_WHITE) for f in shown], 1)
        head = np.full((_LABEL_PX, strip.shape[1], 3), _WHITE, np.uint8)
        cv2.putText(head, label, (2, _LABEL_PX - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _BLACK, 1, cv2.LINE_AA)
        lines += [head, strip]
    sheet = np.pad(np.concatenate(lines), ((_GAP_PX, _GAP_PX), (_GAP_PX, 0), (0, 0)), constant_values=_WHITE)
    return cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes()
