from __future__ import annotations

import hashlib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from benchmarks.training.fit_voice import packed
from cameo.embed.face_embedded import EmbeddedFaceEncoder
from cameo.embed.template import compare, pool
from cameo.embed.voice import load_voice_encoder
from cameo.embed.voice_embedded import EmbeddedVoiceEncoder, VoiceSpace
from cameo.embed.voice_windows import windows
from cameo.errors import CaptureRejected, EncoderMismatch, MissingWeights, UsageError
from cameo.records import CONSISTENCY_ONLY
from tests.embed.conftest import Crowd
from tests.embed.voices import RATE_HZ, speak

SPEAKERS = 6


@pytest.fixture(scope="module")
def encoder() -> EmbeddedVoiceEncoder:
    return EmbeddedVoiceEncoder.load()


def test_one_speaker_is_nearer_than_another(encoder: EmbeddedVoiceEncoder) -> None:
    first = np.stack([encoder.embed(speak(s, 0)) for s in range(SPEAKERS)])
    second = np.stack([encoder.embed(speak(s, 1)) for s in range(SPEAKERS)])
    scores = first @ second.T
    assert (scores.argmax(0) == np.arange(SPEAKERS)).all()
    assert (scores.argmax(1) == np.arange(SPEAKERS)).all()
    assert np.diag(scores).min() > encoder.info.threshold


def test_the_whole_is_the_mean_of_its_windows(encoder: EmbeddedVoiceEncoder) -> None:
    sound = speak(0, 0)
    rows = encoder.embed_windows(sound)
    mean = rows.sum(0)
    assert rows.shape == (3, encoder.info.dimension)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.embed(sound) == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1.0, [(0, 1)]), (3.0, [(0, 3)]), (4.0, [(0, 3), (1, 4)]), (6.0, [(0, 3), (1.5, 4.5), (3, 6)])],
)
def test_windows_cover_the_sound(seconds: float, expected: list[tuple[float, float]]) -> None:
    found = windows(int(seconds * RATE_HZ))
    assert [(a / RATE_HZ, b / RATE_HZ) for a, b in found] == expected


def test_loudness_does_not_matter(encoder: EmbeddedVoiceEncoder) -> None:
    sound = speak(1, 0)
    assert encoder.embed(sound) @ encoder.embed(0.05 * sound) > 0.98


def test_noise_leaves_the_speaker_nearest(encoder: EmbeddedVoiceEncoder) -> None:
    noise = np.random.default_rng(5).standard_normal(6 * RATE_HZ).astype(np.float32)
    clean = np.stack([encoder.embed(speak(s, 0)) for s in range(SPEAKERS)])
    noisy = np.stack([encoder.embed(speak(s, 1) + 0.002 * noise) for s in range(SPEAKERS)])
    assert ((clean @ noisy.T).argmax(0) == np.arange(SPEAKERS)).mean() >= 0.8


def test_what_was_fitted_is_what_is_read(encoder: EmbeddedVoiceEncoder) -> None:
    """Eigenvectors lie transposed in memory, and safetensors writes memory as it lies."""
    fitted = VoiceSpace(**{f.name: np.asfortranarray(getattr(encoder.space, f.name)) for f in fields(VoiceSpace)})
    tensors = load(packed(fitted))
    for field in fields(VoiceSpace):
        assert np.array_equal(tensors[field.name], getattr(encoder.space, field.name)), field.name


def test_less_than_a_second_is_refused(encoder: EmbeddedVoiceEncoder) -> None:
    with pytest.raises(CaptureRejected, match=r"only 0\.9 s") as refusal:
        encoder.embed(speak(0, 0, 0.9))
    assert refusal.value.exit_code == 6


def test_silence_is_refused(encoder: EmbeddedVoiceEncoder) -> None:
    with pytest.raises(CaptureRejected, match="no sound"):
        encoder.embed_windows(np.zeros(3 * RATE_HZ, np.float32))


@pytest.mark.parametrize("samples", [np.zeros((2, 48_000), np.float32), np.full(48_000, np.nan, np.float32)])
def test_other_sound_is_refused(encoder: EmbeddedVoiceEncoder, samples: np.ndarray) -> None:
    with pytest.raises(UsageError):
        encoder.embed(samples)


def test_a_steady_tone_gives_a_finite_row(encoder: EmbeddedVoiceEncoder) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(2 * RATE_HZ) / RATE_HZ)
    assert np.isfinite(encoder.embed(tone.astype(np.float32))).all()


def test_templates_of_voices_and_faces_do_not_compare(encoder: EmbeddedVoiceEncoder, crowd: Crowd) -> None:
    face = EmbeddedFaceEncoder.load()
    rows, _ = face.embed(crowd.frames[:12], crowd.points[:12])
    voice = pool(encoder.embed_windows(speak(0, 0)), None, encoder.info)
    with pytest.raises(EncoderMismatch):
        compare(voice, pool(rows, None, face.info))
    with pytest.raises(EncoderMismatch):
        pool(rows, None, encoder.info)


def test_it_says_what_it_is(encoder: EmbeddedVoiceEncoder) -> None:
    info = encoder.info
    weights = (files("cameo.embed") / "weights" / "voice.safetensors").read_bytes()
    assert info.digest == hashlib.sha256(weights).hexdigest()
    assert info.assurance == CONSISTENCY_ONLY
    assert info.modality == "voice"
    assert 0 < info.threshold < 1
    assert "benchmarks/" in info.threshold_source
    assert len(weights) < 1_000_000


def test_it_is_chosen_by_name(encoder: EmbeddedVoiceEncoder) -> None:
    assert load_voice_encoder().info == encoder.info
    with pytest.raises(UsageError, match="unknown voice model"):
        load_voice_encoder("another")


def test_missing_weights_are_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights) as refusal:
        EmbeddedVoiceEncoder.load(tmp_path)
    assert refusal.value.exit_code == 5
