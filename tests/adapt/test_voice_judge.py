"""The judge of the voice, with the encoder that ships and rendered speakers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from cameo.adapt.others import rendered_voices
from cameo.adapt.voice_judge import VoiceJudge
from cameo.embed.voice import VoiceEncoder, load_voice_encoder
from cameo.synthetic.voice import speak


@pytest.fixture(scope="module")
def encoder() -> VoiceEncoder:
    return load_voice_encoder()


@pytest.fixture(scope="module")
def judge(encoder: VoiceEncoder) -> VoiceJudge:
    return VoiceJudge(encoder.embed_windows, speak(7, 4.0).sound, rendered_voices(3))


def test_it_prefers_the_person(judge: VoiceJudge) -> None:
    own = judge.score(speak(7, 4.0, take=1).sound[None], 16_000)
    stranger = judge.score(speak(20_001, 4.0, take=1).sound[None], 16_000)
    assert own is not None
    assert stranger is not None
    assert own.likeness > stranger.likeness
    assert own.excess < stranger.excess, "one of the others speaks"
    assert own.score > stranger.score


def test_other_rates_and_stereo_are_heard_alike(judge: VoiceJudge) -> None:
    sound = speak(7, 4.0, take=1).sound
    plain = judge.score(sound[None], 16_000)
    high = resample_poly(sound, 3, 1).astype(np.float32)
    stereo = judge.score(np.stack([high, high]), 48_000)
    assert plain is not None
    assert stereo is not None
    assert stereo.likeness == pytest.approx(plain.likeness, abs=0.05)


@pytest.mark.parametrize("sound", [None, np.zeros((1, 4000), np.float32)])
def test_too_little_speech_counts_as_nothing(judge: VoiceJudge, sound: np.ndarray | None) -> None:
    verdict = judge.score(sound, 16_000)
    assert verdict is not None
    assert (verdict.likeness, verdict.found) == (0, 0)


def test_without_held_out_speech_there_is_no_verdict(encoder: VoiceEncoder) -> None:
    silent = VoiceJudge(encoder.embed_windows, np.zeros(4000, np.float32), ())
    assert silent.score(speak(7, 4.0).sound[None], 16_000) is None
