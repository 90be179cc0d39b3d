"""What every voice encoder asks of its sound, and the windows it is cut into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cameo.errors import CaptureRejected, UsageError

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000
WINDOW_S, HOP_S = 3.0, 1.5
LEAST_S = 1.0


def windows(length: int) -> list[tuple[int, int]]:
    """Split `length` samples into windows of 3 s every 1.5 s, the last one ending with the sound."""
    size, hop = int(WINDOW_S * RATE_HZ), int(HOP_S * RATE_HZ)
    if length <= size:
        return [(0, length)]
    starts = [*range(0, length - size, hop), length - size]
    return [(start, start + size) for start in starts]


def require_speech(samples: Float32) -> None:
    """Refuse what no encoder can judge.

    Raises:
        CaptureRejected: there is less than a second of it, or it is silent.
        UsageError: it is not a row of finite samples.
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise UsageError(f"sound of shape {samples.shape}", "give [N] finite float samples, mono at 16 kHz")
    if len(samples) < LEAST_S * RATE_HZ:
        raise CaptureRejected(
            f"only {len(samples) / RATE_HZ:.1f} s of speech, {LEAST_S:.0f} s is needed", "record 10 to 20 s of speech"
        )
    if float(np.abs(samples).max()) < 1e-5:
        raise CaptureRejected("there is no sound in the speech", "check the microphone and record again")
