"""Made voices are heard as speech, are different people, and open the mouth when they sound."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import sosfilt, sosfreqz

from cameo.capture.speech import find_speech
from cameo.capture.speech_checks import clipped_share, speech_over_noise_db
from cameo.embed.voice import load_voice_encoder
from cameo.synthetic import voice
from cameo.synthetic.voice import RATE_HZ, Spoken, draw_speaker, speak

SEEDS = range(8)
FPS = 25


def loudness(sound: np.ndarray) -> np.ndarray:
    """Root mean square around each frame's time, `[T]`."""
    step = RATE_HZ // FPS
    padded = np.pad(sound, step // 2)
    return np.sqrt((padded[: len(sound) // step * step].reshape(-1, step) ** 2).mean(1))


@pytest.fixture(scope="module")
def talks() -> list[Spoken]:
    """Ten seconds of eight people."""
    return [speak(seed, 10) for seed in SEEDS]


def test_the_detector_hears_speech_and_pauses(talks: list[Spoken]) -> None:
    for spoken in talks:
        found = find_speech(spoken.sound)
        assert found.seconds > 6
        assert len(found.segments_s) > 1, "there are pauses between phrases"
        assert speech_over_noise_db(found.samples) > 9
        assert found.segments_s[0, 0] > 0.1
        assert found.segments_s[-1, 1] < 9.9


def test_lengths_and_ranges(talks: list[Spoken]) -> None:
    for spoken in [*talks, speak(1, 3.33, 24)]:
        assert np.abs(spoken.sound).max() == pytest.approx(0.6, abs=0.01)
        assert clipped_share(spoken.sound) == 0
        assert np.isfinite(spoken.sound).all()
        assert spoken.opening.min() == 0
        assert 0.5 < spoken.opening.max() <= 1
        assert spoken.sound.dtype == spoken.opening.dtype == np.float32
    assert [(len(s.sound), len(s.opening)) for s in talks] == [(160_000, 250)] * len(talks)
    short = speak(1, 3.33, 24)
    assert (len(short.sound), len(short.opening)) == (53_280, 80)


def test_the_mouth_opens_with_the_sound(talks: list[Spoken]) -> None:
    for spoken in talks:
        loud = loudness(spoken.sound)
        by_lag = [np.corrcoef(np.roll(loud, lag), spoken.opening)[0, 1] for lag in range(-8, 9)]
        assert by_lag[8] > 0.5
        assert abs(int(np.argmax(by_lag)) - 8) <= 1, "sound and lips run together, to a frame"
        assert loud[spoken.opening > 0.5].min() > 10 * loud[:3].max(), "no open mouth is silent"
        assert spoken.opening[:4].max() < 0.05


def test_the_same_seed_says_the_same() -> None:
    first, again, other, take = speak(3, 3), speak(3, 3), speak(4, 3), speak(3, 3, take=1)
    assert np.array_equal(first.sound, again.sound)
    assert np.array_equal(first.opening, again.opening)
    assert not np.array_equal(first.sound, other.sound)
    assert not np.array_equal(first.opening, take.opening)


def test_a_voice_is_recognised_in_another_text(talks: list[Spoken]) -> None:
    encoder = load_voice_encoder()
    first = np.stack([encoder.embed(find_speech(spoken.sound).samples) for spoken in talks])
    second = np.stack([encoder.embed(find_speech(speak(seed, 10, take=1).sound).samples) for seed in SEEDS])
    scores = first @ second.T
    assert (scores.argmax(0) == np.arange(len(SEEDS))).all()
    others = scores[~np.eye(len(SEEDS), dtype=bool)]
    assert np.diag(scores).min() > others.mean() + 0.2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_pitch_is_the_speakers(seed: int, talks: list[Spoken]) -> None:
    """By autocorrelation of the loudest 64 ms of each half second."""
    found = []
    for start in range(0, 160_000, 8000):
        blocks = talks[seed].sound[start : start + 8000][:7168].reshape(7, 1024)
        block = blocks[(blocks**2).sum(1).argmax()].astype(float)
        alike = np.correlate(block, block, "full")[1023:]
        lags = slice(RATE_HZ // 450, RATE_HZ // 60)
        found.append(RATE_HZ / (lags.start + int(alike[lags].argmax())))
    expected = draw_speaker(seed).pitch_hz
    assert np.median(found) == pytest.approx(expected, rel=0.15)


def test_speakers_span_the_range_of_people() -> None:
    speakers = [draw_speaker(seed) for seed in range(200)]
    pitches = np.array([speaker.pitch_hz for speaker in speakers])
    assert 60 < pitches.min() < 100
    assert 220 < pitches.max() < 330
    tracts = np.array([speaker.formants.mean() for speaker in speakers])
    assert np.corrcoef(pitches, tracts)[0, 1] > 0.6, "short vocal folds go with short vocal tracts"
    assert (tracts * 5500 < RATE_HZ / 2).all()


def test_resonators_peak_at_the_formants() -> None:
    formants_hz = np.array([[730.0, 1090, 2440, 3500, 4500, 5500]])
    for index, hz in enumerate(formants_hz[0]):
        section = voice._resonators(formants_hz)[0, index : index + 1]
        at_hz, response = sosfreqz(section, 8192, fs=RATE_HZ)
        assert at_hz[np.abs(response).argmax()] == pytest.approx(hz, rel=0.03)
        assert abs(response[0]) == pytest.approx(1, abs=1e-6)


def test_hiss_bands_peak_at_their_middle() -> None:
    for middle_hz in (1000.0, 4200.0, 6000.0):
        at_hz, response = sosfreqz(voice._bands(np.array([[middle_hz]]))[0], 8192, fs=RATE_HZ)
        assert at_hz[np.abs(response).argmax()] == pytest.approx(middle_hz, rel=0.08)
        assert np.abs(response).max() == pytest.approx(1, abs=0.1)
        assert np.abs(response[[0, -1]]).max() < 0.01


def test_filters_that_do_not_change_leave_no_seams() -> None:
    formants_hz = np.tile([500.0, 1500, 2500, 3500, 4500, 5500], (20, 1))
    noise = np.random.default_rng(0).standard_normal(1600)
    sections = voice._resonators(formants_hz)
    assert np.allclose(voice._filtered(noise, sections), sosfilt(sections[0], noise))
