"""A line takes on somebody's voice and stays the line; what is sealed of a voice is small and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor

from cameo.embed.voice import load_voice_encoder
from cameo.errors import CaptureRejected, NotVerified, UsageError
from cameo.generators.vocoder import VocoderFrames, put_together, take_apart
from cameo.generators.voice_conversion import LAYOUT, VoiceAdapter, convert_voice, learn_voice, require_voiced
from cameo.synthetic.voice import speak

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000
OWNER, SPEAKER, OTHER = 5, 8, 3


@pytest.fixture(scope="module")
def speech() -> dict[int, Float32]:
    """Three made-up people, four seconds each."""
    return {seed: np.asarray(speak(seed, 4.0, 25.0).sound, np.float32) for seed in (OWNER, SPEAKER, OTHER)}


@pytest.fixture(scope="module")
def voice(speech: dict[int, Float32]) -> VoiceAdapter:
    return learn_voice(speech[OWNER])


@pytest.fixture(scope="module")
def line(speech: dict[int, Float32]) -> VocoderFrames:
    return take_apart(speech[SPEAKER])


@pytest.fixture(scope="module")
def said(speech: dict[int, Float32], voice: VoiceAdapter) -> Float32:
    return convert_voice(voice, speech[SPEAKER])


def middle_hz(frames: VocoderFrames) -> float:
    return float(np.median(frames.pitch_hz[frames.voiced]))


def test_the_vocoder_gives_back_what_it_took_apart(speech: dict[int, Float32], line: VocoderFrames) -> None:
    sound = speech[SPEAKER]
    again = put_together(line, len(sound))
    assert len(again) == len(sound)
    assert again.dtype == np.float32
    heard = take_apart(again)
    assert middle_hz(heard) == pytest.approx(middle_hz(line), rel=0.03)
    both = line.loud & heard.loud
    shapes = [frames.cepstra[both, 1:] - frames.cepstra[both, 1:].mean(0) for frames in (line, heard)]
    assert np.corrcoef(shapes[0].ravel(), shapes[1].ravel())[0, 1] > 0.9


def test_the_pitch_and_the_sound_become_the_owners(
    said: Float32, line: VocoderFrames, voice: VoiceAdapter, speech: dict[int, Float32]
) -> None:
    heard, wanted = take_apart(said), float(voice.pitch[0].exp())
    assert abs(np.log(middle_hz(heard) / wanted)) < 0.05 < abs(np.log(middle_hz(line) / wanted))
    own = np.asarray(voice.mean[0])
    far, near = (
        np.linalg.norm(frames.cepstra[frames.loud & frames.voiced, 1:].mean(0) - own) for frames in (line, heard)
    )
    assert near < 0.5 * far


def test_an_encoder_that_took_no_part_hears_the_owner(said: Float32, speech: dict[int, Float32]) -> None:
    encoder = load_voice_encoder()
    owner, source, converted = (encoder.embed(sound) for sound in (speech[OWNER], speech[SPEAKER], said))
    assert converted @ owner > source @ owner + 0.1


def test_it_stays_the_line(said: Float32, line: VocoderFrames, speech: dict[int, Float32]) -> None:
    sound = speech[SPEAKER]
    assert len(said) == len(sound)
    assert said.dtype == np.float32
    assert np.abs(said).max() <= 1
    assert np.sqrt(np.mean(said**2)) == pytest.approx(np.sqrt(np.mean(sound**2)), rel=0.05)
    heard = take_apart(said)
    both = line.loud & heard.loud & line.voiced & heard.voiced
    asked, sung = (np.log(frames.pitch_hz[both]) for frames in (line, heard))
    assert np.corrcoef(asked, sung)[0, 1] > 0.8
    shapes = [frames.cepstra[both, 1:12] - frames.cepstra[both, 1:12].mean(0) for frames in (line, heard)]
    assert np.corrcoef(shapes[0].ravel(), shapes[1].ravel())[0, 1] > 0.7, "the same sounds at the same times"


def test_two_owners_sound_unlike(said: Float32, speech: dict[int, Float32]) -> None:
    other = convert_voice(learn_voice(speech[OTHER]), speech[SPEAKER])
    assert not np.allclose(other, said, atol=1e-3)


def test_the_same_speech_gives_the_same_voice_and_the_same_sound(
    speech: dict[int, Float32], voice: VoiceAdapter, said: Float32
) -> None:
    again = learn_voice(speech[OWNER])
    assert all(torch.equal(again.tensors()[name], tensor) for name, tensor in voice.tensors().items())
    assert np.array_equal(convert_voice(again, speech[SPEAKER]), said)


def test_it_is_small(voice: VoiceAdapter) -> None:
    assert {name: tuple(tensor.shape) for name, tensor in voice.tensors().items()} == LAYOUT
    assert sum(tensor.nbytes for tensor in voice.tensors().values()) < 10_000


def test_a_voice_without_pitch_is_refused(voice: VoiceAdapter) -> None:
    whisper = np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1
    for sound in (whisper, np.zeros(RATE_HZ, np.float32), whisper[:100]):
        with pytest.raises(CaptureRejected, match="no pitch"):
            learn_voice(sound)
        with pytest.raises(UsageError, match="no voice"):
            require_voiced(sound)
        with pytest.raises(UsageError, match="no voice"):
            convert_voice(voice, sound)


SPOILED: dict[str, Callable[[dict[str, Tensor]], object]] = {
    "nan": lambda t: t["mean"][0, 0].fill_(torch.nan),
    "infinite": lambda t: t["covariance"][0, 0].fill_(torch.inf),
    "missing": lambda t: t.pop("breath"),
    "more": lambda t: t.update(tokens=torch.zeros(1)),
    "shape": lambda t: t.update(mean=torch.zeros(2, 30)),
    "type": lambda t: t.update(mean=t["mean"].double()),
    "no pitch": lambda t: t["pitch"][0].fill_(0),
    "a negative spread": lambda t: t["pitch"][1].fill_(-1),
    "lopsided": lambda t: t["covariance"][0, 0, 1].add_(1),
    "a negative variance": lambda t: t["covariance"][0, 3, 3].fill_(-1),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_is_no_voice_is_refused(voice: VoiceAdapter, name: str) -> None:
    tensors = {key: tensor.clone() for key, tensor in voice.tensors().items()}
    SPOILED[name](tensors)
    with pytest.raises(NotVerified, match="the sealed voice"):
        VoiceAdapter.load(tensors)


def test_a_sealed_voice_comes_back(voice: VoiceAdapter) -> None:
    back = VoiceAdapter.load(voice.tensors())
    assert all(torch.equal(back.tensors()[name], tensor) for name, tensor in voice.tensors().items())
