"""Contact sheets: one labelled line of frames per row, so that people can look instead of read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cameo.records import UInt8

ZOOM, LABEL_PX = 2, 20


def write_sheet(path: Path, rows: Mapping[str, UInt8]) -> None:
    """Write rows of frames `[N, S, S, 3]` RGB as one PNG."""
    width = max(len(frames) * frames.shape[2] * ZOOM for frames in rows.values())
    lines = []
    for name, frames in rows.items():
        label = np.full((LABEL_PX, width, 3), 255, np.uint8)
        cv2.putText(label, name, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        strip = np.concatenate(list(frames), 1)
        large = cv2.resize(strip, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_CUBIC)
        lines += [label, np.pad(large, ((0, 0), (0, width - large.shape[1]), (0, 0)), constant_values=255)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(lines), cv2.COLOR_RGB2BGR))
