"""Look for what camera and codec did to the picture: smear by movement, and the borders of coding blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from cameo.records import Clip, Float32, Float64, UInt8

_BLOCK_PX = 8  # of JPEG, MPEG-4 and the transforms of H.264 and HEVC, whose larger blocks end on the same lines
_LEAST_PERIOD_PX = 4.0
_FRAMES = 24
# A frame is smeared where detail in one direction is below this share of the clip's best decile while detail across it
# is this many times as much. Source: measured, see docs/reference/quality-checks.md.
_SMEARED_SHARE, _SMEARED_RATIO = 0.4, 1.6
_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))


def directional_detail(face: UInt8) -> tuple[float, float, float, float]:
    """Mean squared difference of neighbours along four directions of a `[S, S]` uint8 face, in grey levels squared."""
    light = face.astype(np.float32)
    size = len(light)
    found = []
    for down, right in _DIRECTIONS:
        x = slice(right, size) if right >= 0 else slice(0, size + right)
        y = slice(0, size - right) if right >= 0 else slice(-right, size)
        step = light[down:, x] - light[: size - down, y]
        found.append(float(np.square(step).mean()) / (down * down + right * right))
    return found[0], found[1], found[2], found[3]


def smeared_share(detail: Float32) -> float:
    """Share of frames smeared in one direction, 0..1.

    Movement while the shutter is open takes the detail along its way and leaves the detail across it; a lens out of
    focus takes both.

    Args:
        detail: `[T, 4]` of `directional_detail`, NaN rows where there was no face.
    """
    known = detail[np.isfinite(detail).all(1)]
    if not len(known):
        return 0.0
    share = known / np.maximum(np.percentile(known, 90, axis=0), 1e-6)
    across = share[:, [2, 3, 0, 1]]  # bad focus takes more from the sides of a pixel than from its corners
    return float(((share < _SMEARED_SHARE) & (across > _SMEARED_RATIO * share)).any(1).mean())


def blockiness(clip: Clip) -> float | None:
    """How much steeper the picture is across the borders of coding blocks than beside them; 1 is not at all.

    None where it cannot be told: pictures that were scaled down so far that a block is under four pixels.

    Source: after Z. Wang, H. R. Sheikh and A. C. Bovik, "No-reference perceptual quality assessment of JPEG
    compressed images", 2002, with the place of the borders searched, because pictures are turned and scaled.
    """
    height, width = clip.frames.shape[1:3]
    period = _BLOCK_PX * max(width, height) / max(clip.source.width, clip.source.height, 1)
    if period < _LEAST_PERIOD_PX or min(height, width) < 8 * _BLOCK_PX or not len(clip.frames):
        return None
    chosen = np.unique(np.linspace(0, len(clip.frames) - 1, _FRAMES).round().astype(int))
    across = np.zeros(width - 1)
    down = np.zeros(height - 1)
    for index in chosen:
        light = cv2.cvtColor(clip.frames[index], cv2.COLOR_RGB2GRAY).astype(np.float32)
        across += np.abs(np.diff(light, axis=1)).mean(0)
        down += np.abs(np.diff(light, axis=0)).mean(1)
    return float(np.exp((_grid(across / len(chosen), period) + _grid(down / len(chosen), period)) / 2))


def _grid(steps: Float64, period: float) -> float:
    """Log of how far the steps on the best grid of `period` lie above those on the usual one."""
    level = np.log(steps + 0.05)  # a twentieth of a grey level: plain grounds have no borders to speak of
    around = np.convolve(np.pad(level, 3, mode="reflect"), np.array([1, 1, 1, 0, 1, 1, 1]) / 6, mode="valid")
    rises = level - around
    offsets = np.arange(int(period))
    means = []
    for offset in offsets:
        places = np.rint(offset + period * np.arange(int((len(rises) - 1 - offset) / period))).astype(int)
        means.append(float(rises[places].mean()))
    return max(means) - float(np.median(means))
