"""A small network that tells which English digit is said somewhere in a stretch of sound, and what it looks at.

Fitted on synthesised speech only (`benchmarks/training/fit_digits.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000
MELS = 40
CLASSES = 11  # the digits, and anything else
OTHER = 10
_FRAME, _HOP, _FFT = 400, 160, 512
_LOW_HZ, _HIGH_HZ = 80, 7000
_FLOOR_DB = 45.0  # under the loud frames; what is fainter counts as this
_SCALE_DB = 15.0


def _mel_filters() -> Float32:
    """Triangular filters `[40, 257]`. Source: mel = 1127 ln(1 + f/700), the HTK book, section 5.4."""
    mel = np.linspace(1127 * np.log1p(_LOW_HZ / 700), 1127 * np.log1p(_HIGH_HZ / 700), MELS + 2)
    bins = 700 * np.expm1(mel / 1127) * _FFT / RATE_HZ
    left, middle, right = bins[:-2, None], bins[1:-1, None], bins[2:, None]
    k = np.arange(_FFT // 2 + 1)[None]
    return np.maximum(0, np.minimum((k - left) / (middle - left), (right - k) / (right - middle))).astype(np.float32)


_FILTERS = _mel_filters()
_WINDOW = np.hamming(_FRAME).astype(np.float32)


def mel_picture(samples: Float32) -> Float32:
    """Turn `[N]` float32 at 16 kHz, at least 25 ms, into `[T, 40]`: level against the loud frames, about -3..1."""
    emphasised = np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, _FRAME)[::_HOP]
    power = np.abs(np.fft.rfft(frames * _WINDOW, _FFT)).astype(np.float32) ** 2 @ _FILTERS.T
    level_db = 10 * np.log10(power + 1e-10)
    loud_db = np.percentile(level_db.max(1), 95)
    return (np.maximum(level_db - loud_db, -_FLOOR_DB) / _SCALE_DB).astype(np.float32)


def _block(inputs: int, outputs: int, stride: tuple[int, int]) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def _wide(inputs: int, outputs: int, dilation: int) -> nn.Sequential:
    conv = nn.Conv1d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())


class DigitNet(nn.Module):
    """Map pictures `[B, T, 40]` to logits `[B, 11]`; the digit may lie anywhere in them, and T is free."""

    def __init__(self) -> None:
        super().__init__()
        # Two-dimensional first, so that a shorter vocal tract is a small shift and not another pattern.
        self.near = nn.Sequential(_block(1, 12, (2, 2)), _block(12, 24, (2, 2)), _block(24, 32, (1, 2)))
        self.far = nn.Sequential(_wide(32 * 5, 64, 1), _wide(64, 64, 2), _wide(64, 64, 4))
        self.where = nn.Conv1d(64, 1, 1)
        self.drop = nn.Dropout(0.2)
        self.what = nn.Linear(64, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Classify."""
        near = self.near(pictures[:, None])
        far = self.far(near.transpose(2, 3).flatten(1, 2))
        weight = torch.softmax(self.where(far), -1)
        return self.what(self.drop((far * weight).sum(-1)))
