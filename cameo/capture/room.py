"""Hear the room and the company: how long sound lingers, and whether more than one voice speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cameo.records import Bool, Float32, Float64

RATE_HZ = 16_000
_FRAME, _HOP = 256, 128  # 16 and 8 ms
_HOP_S = _HOP / RATE_HZ
_BANDS_HZ = ((500, 1000), (1000, 2000), (2000, 4000))
_LEAST_DROP_DB, _LEAST_DECAYS = 6.0, 4  # less is the flutter of noise
_FITTED = 12  # hops over which a decay is fitted: 96 ms
_QUIET_DB = 6.0  # above the noise a decay must still be
_QUANTILE = 10.0
LEAST_WINDOWS = 4


def reverberation_s(sound: Float32) -> float | None:
    """Estimate how long the room takes to swallow 60 dB, in seconds; None when no pause tells.

    Speech may end slowly in any room, but never faster than the room lets it. So decays are fitted wherever the level
    of a band falls steadily, and a low quantile of their times is taken.

    Args:
        sound: `[N]` float32 mono at 16 kHz, pauses left in.

    Source: after T. de M. Prego et al., "A blind algorithm for reverberation-time estimation using subband
    decomposition of speech signals", 2012; quantile and limits measured by benchmarks/gate.py.
    """
    if len(sound) < RATE_HZ:
        return None
    blocks = np.lib.stride_tricks.sliding_window_view(sound, _FRAME)[::_HOP]
    power = np.abs(np.fft.rfft(blocks * np.hanning(_FRAME).astype(np.float32), axis=1)) ** 2
    at_hz = np.fft.rfftfreq(_FRAME, 1 / RATE_HZ)
    times = []
    for low, high in _BANDS_HZ:
        band = power[:, (at_hz >= low) & (at_hz < high)].sum(1)
        times += _decays(10 * np.log10(band + 1e-9))
    return float(np.percentile(times, _QUANTILE)) if len(times) >= _LEAST_DECAYS * len(_BANDS_HZ) else None


def _decays(level_db: Float64) -> list[float]:
    """Times for 60 dB of every stretch of 96 ms over which a band's level falls steadily, well above the noise."""
    floor = float(np.percentile(level_db, 5)) + _QUIET_DB
    windows = np.lib.stride_tricks.sliding_window_view(level_db, _FITTED)
    at = np.arange(_FITTED) - (_FITTED - 1) / 2
    slope = windows @ at / float((at**2).sum())
    left = windows - windows.mean(1, keepdims=True) - slope[:, None] * at
    steady = np.sqrt((left**2).mean(1)) < 2.0
    fits: Bool = steady & (slope * (_FITTED - 1) < -_LEAST_DROP_DB) & (windows[:, -1] > floor)
    return [float(-60 * _HOP_S / s) for s in slope[fits]]


def halves_alike(windows: Float32) -> float | None:
    """Cosine between the two groups of windows of speech that differ most; None when there are under four windows.

    Windows of one voice differ by what is said, windows of two voices much more.

    Args:
        windows: `[K, D]` unit rows of a voice encoder.
    """
    if len(windows) < LEAST_WINDOWS:
        return None
    rows = windows.astype(np.float64)
    one = _two_groups(rows)
    if one.all() or not one.any():
        return 1.0
    first, second = rows[one].mean(0), rows[~one].mean(0)
    return float(first @ second / max(float(np.linalg.norm(first) * np.linalg.norm(second)), 1e-9))


def _two_groups(rows: Float64) -> Bool:
    """Split rows by the direction in which they differ most, then move each to the nearer middle until none moves."""
    centred = rows - rows.mean(0)
    one: Bool = centred @ np.linalg.svd(centred, full_matrices=False)[2][0] > 0
    for _ in range(20):
        if one.all() or not one.any():
            break
        first, second = rows[one].mean(0), rows[~one].mean(0)
        moved: Bool = ((rows - first) ** 2).sum(1) < ((rows - second) ** 2).sum(1)
        if (moved == one).all():
            break
        one = moved
    return one
