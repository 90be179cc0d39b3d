"""The room and the company: how long sound fades, and whether a second voice speaks."""

from __future__ import annotations

import numpy as np
import pytest

from cameo.capture.room import LEAST_WINDOWS, halves_alike, reverberation_s
from cameo.capture.sound_limits import ONE_VOICE, REVERBERATION
from cameo.embed.voice import load_voice_encoder
from cameo.synthetic.voice import speak
from tests.capture.test_quality import echoing

RATE_HZ = 16_000


def said(seed: int, seconds: float = 8.0) -> np.ndarray:
    return np.asarray(speak(seed, seconds, 25.0).sound, np.float32)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_the_estimate_rises_with_the_room(seed: int) -> None:
    dry = said(seed)
    small, hall = (reverberation_s(echoing(dry, t)) for t in (0.4, 1.0))
    assert small is not None
    assert hall is not None
    assert small < hall
    assert REVERBERATION.judge(small).level == "ok"
    assert REVERBERATION.judge(hall).level == "warn"


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_a_dry_voice_is_quiet_or_tells_nothing(seed: int) -> None:
    found = reverberation_s(said(seed))
    assert found is None or REVERBERATION.judge(found).level == "ok"


def test_what_has_no_pauses_tells_nothing() -> None:
    time = np.arange(4 * RATE_HZ) / RATE_HZ
    assert reverberation_s(np.zeros(4 * RATE_HZ, np.float32)) is None
    assert reverberation_s((0.3 * np.sin(2 * np.pi * 700 * time)).astype(np.float32)) is None
    assert reverberation_s(np.zeros(100, np.float32)) is None


def test_too_few_windows_tell_nothing() -> None:
    rows = np.eye(LEAST_WINDOWS - 1, 8, dtype=np.float32)
    assert halves_alike(rows) is None


def test_windows_that_are_all_alike() -> None:
    assert halves_alike(np.tile(np.eye(1, 8, dtype=np.float32), (6, 1))) == pytest.approx(1)


def test_two_voices_in_any_order() -> None:
    random = np.random.default_rng(0)
    one, two = np.eye(2, 16)
    for whose in ([0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 1]):
        rows = np.where(np.array(whose)[:, None] == 0, one, two) + 0.05 * random.standard_normal((6, 16))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        found = halves_alike(rows.astype(np.float32))
        assert found is not None
        assert found < 0.2


@pytest.mark.parametrize(("one", "other"), [(2, 4), (3, 4)])
def test_two_synthetic_people_in_one_recording(one: int, other: int) -> None:
    """With the encoder that ships: what one says passes, what two say one after the other warns."""
    encoder = load_voice_encoder()
    alone = halves_alike(encoder.embed_windows(said(one, 12.0)))
    both = halves_alike(encoder.embed_windows(np.concatenate([said(one, 6.0), said(other, 6.0)])))
    assert alone is not None
    assert both is not None
    assert ONE_VOICE.judge(alone).level == "ok"
    assert ONE_VOICE.judge(both).level == "warn"
