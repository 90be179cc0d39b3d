"""Scores of shots: means over frames, a frame without a face counting nothing, and every two shots compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cameo.embed.shots import score_shots
from cameo.errors import EncoderMismatch
from cameo.records import Template
from tests.seal.conftest import ENCODER

INFO = replace(ENCODER, dimension=3)


class Encoder:
    """Take the brightness of a frame for a direction: 0 is no face."""

    info = INFO

    def embed(self, frames: np.ndarray, points: Any = None) -> tuple[np.ndarray, np.ndarray]:
        which = frames[:, 0, 0, 0].astype(int)
        return np.concatenate([np.zeros((1, 3)), np.eye(3)])[which].astype(np.float32), which > 0


def shot(*which: int) -> np.ndarray:
    return np.array(which, np.uint8)[:, None, None, None].repeat(3, 3)


def template(**changes: Any) -> Template:
    return Template(np.eye(3, dtype=np.float32)[0], 0.1, 12, np.ones(12, np.float32), replace(INFO, **changes))


def test_likeness_and_consistency() -> None:
    scores = score_shots(Encoder(), [shot(1, 1, 0, 1), shot(2, 2), shot(1, 2)], template())
    assert scores.likeness == pytest.approx((0.75, 0.0, 0.5))
    assert scores.found == (0.75, 1.0, 1.0)
    assert scores.consistency == pytest.approx((0.0, 0.5**0.5, 0.5**0.5))


def test_without_a_template_nothing_is_said_of_likeness() -> None:
    scores = score_shots(Encoder(), [shot(1), shot(0)])
    assert scores.likeness == () and np.isnan(scores.consistency).all()


def test_a_template_of_another_encoder_is_refused() -> None:
    with pytest.raises(EncoderMismatch):
        score_shots(Encoder(), [shot(1)], template(digest="f" * 64))
