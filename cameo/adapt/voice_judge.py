"""Score how much generated speech sounds like a person, against held-out speech and against other people."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import resample_poly

from cameo.adapt.judge import EmbedVoice, Verdict
from cameo.directions import mean_direction
from cameo.errors import CaptureRejected
from cameo.generators.base import RATE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cameo.records import Float32


class VoiceJudge:
    """Compare with held-out speech `[N]` at 16 kHz of the person, and of other people, through one encoder."""

    def __init__(self, embed: EmbedVoice, real: Float32, others: Sequence[Float32]) -> None:
        self._embed = embed
        own = self._windows(real)
        self._centre = mean_direction(own) if own is not None else None
        heard = [windows for windows in map(self._windows, others) if windows is not None]
        self._others = np.stack([mean_direction(windows) for windows in heard]) if heard else None
        self._usual = self._nearest(own) if own is not None else 0.0

    def _windows(self, sound: Float32) -> Float32 | None:
        """Unit vectors of the windows of a sound; None when there is too little of it."""
        try:
            return self._embed(sound)
        except CaptureRejected:
            return None

    def _nearest(self, windows: Float32) -> float:
        return float((windows @ self._others.T).max(1).mean()) if self._others is not None else float("nan")

    def score(self, sound: Float32 | None, rate_hz: int) -> Verdict | None:
        """Score sound `[C, N]`; too little speech counts as 0. None where too little was held out to compare with."""
        if self._centre is None:
            return None
        windows = self._windows(_mono(sound, rate_hz)) if sound is not None else None
        if windows is None:
            return Verdict(0.0, 0.0, found=0.0)
        impostor = self._nearest(windows)
        excess = max(0.0, impostor - self._usual) if self._others is not None else 0.0
        return Verdict(float((windows @ self._centre).mean()), impostor, excess)


def _mono(sound: Float32, rate_hz: int) -> Float32:
    """Mix `[C, N]` down and bring it to 16 kHz."""
    common = gcd(rate_hz, RATE_HZ)
    return np.asarray(resample_poly(sound.mean(0), RATE_HZ // common, rate_hz // common), np.float32)
