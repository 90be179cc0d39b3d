"""The direct use of the Silero model gives what its own package gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.capture import speech
from cameo.capture.speech import SpeechSettings, find_speech


def babble(seconds: float, seed: int) -> np.ndarray:
    """Make a voiced, formant-like sound with pauses; enough for the model to change its mind now and then."""
    random = np.random.default_rng(seed)
    n = int(16_000 * seconds)
    time = np.arange(n) / 16_000
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 16_000
    harmonics = np.arange(1, 30)[:, None]
    formants = 600 + 250 * np.sin(2 * np.pi * 2.1 * time + seed), 1500 + 500 * np.sin(2 * np.pi * 1.3 * time)
    weight = sum(np.exp(-(((harmonics * pitch) - f) ** 2) / (2 * 120.0**2)) for f in formants)
    sound = (weight * np.sin(harmonics * phase)).sum(0)
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * time), 0, 1) * (np.sin(2 * np.pi * 0.4 * time) > -0.3)
    return (0.1 * sound * syllables + 0.002 * random.standard_normal(n)).astype(np.float32)


@pytest.fixture(scope="module")
def silero() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import silero_vad
    return silero_vad


@pytest.mark.parametrize("seconds", [0.01, 3.21, 6.0])
def test_probabilities_and_segments_match_the_package(silero: Any, seconds: float) -> None:
    import torch

    sound = babble(seconds, 3)
    model = silero.load_silero_vad(onnx=True)
    expected = silero.get_speech_timestamps(torch.from_numpy(sound), model)
    found = find_speech(sound)
    spans = [[e["start"], e["end"]] for e in expected]
    assert (found.segments_s * 16_000).round().astype(int).tolist() == spans
    assert found.seconds == pytest.approx(sum(b - a for a, b in spans) / 16_000)
    if seconds == 6.0:
        assert spans, "the sound must make the comparison mean something"
        assert np.array_equal(found.samples[:100], sound[spans[0][0] : spans[0][0] + 100])


# Runs of equal windows, so that segments and pauses of all lengths around the limits turn up.
_RUNS = st.lists(st.tuples(st.sampled_from([0.0, 0.34, 0.36, 0.49, 0.5, 0.9]), st.integers(1, 12)), max_size=14)


@settings(max_examples=300, deadline=None)
@given(runs=_RUNS, tail=st.integers(1, 512))
def test_segment_rules_match_the_package(silero: Any, runs: list[tuple[float, int]], tail: int) -> None:
    from silero_vad.utils_vad import get_speech_timestamps_from_probs

    probabilities = [p for p, count in runs for _ in range(count)]
    length = max(0, len(probabilities) - 1) * 512 + tail
    expected = get_speech_timestamps_from_probs(probabilities, audio_length_samples=length)
    config = SpeechSettings()
    found = speech._pad(speech._segments(probabilities, length, config), length, config)
    assert found == [(e["start"], e["end"]) for e in expected]


def test_silence_noise_tone_and_nothing_hold_no_speech() -> None:
    random = np.random.default_rng(1)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000)
    for sound in (np.zeros(0), np.zeros(32_000), 0.05 * random.standard_normal(32_000), tone):
        found = find_speech(sound.astype(np.float32))
        assert found.seconds == 0
        assert found.segments_s.shape == (0, 2)
        assert found.samples.shape == (0,)
