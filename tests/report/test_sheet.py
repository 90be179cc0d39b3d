"""A contact sheet: a labelled line per shot, short shots too."""

from __future__ import annotations

import cv2
import numpy as np

from cameo.report.sheet import draw_sheet


def test_a_line_for_every_shot() -> None:
    long, short = np.full((20, 64, 120, 3), 90, np.uint8), np.full((2, 64, 120, 3), 200, np.uint8)
    sheet = cv2.imdecode(np.frombuffer(draw_sheet([("shot 1", long), ("shot 2", short)]), np.uint8), cv2.IMREAD_COLOR)
    assert sheet is not None and sheet.shape == (8 + 2 * (26 + 192) + 8, 8 + 6 * (360 + 8), 3)
    assert np.all(sheet[8 + 26 + 10, -40] == 90), "six frames of the long one"
    assert np.all(sheet[8 + 218 + 26 + 10, -40] == 255) and np.all(sheet[8 + 218 + 26 + 10, 40] == 200)
