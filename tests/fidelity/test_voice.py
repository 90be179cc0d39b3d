"""Generated speech is scored between what the person and what other people score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cameo.embed.voice import load_voice_encoder
from cameo.errors import CaptureRejected
from cameo.faces.lips import LipSync
from cameo.fidelity.voice import MOST_PIECES, RATE_HZ, EmbedSpeech, Voices, plain_lips
from cameo.scores import Lips
from tests.fidelity.spoken import voice


def by_pitch(speech: np.ndarray) -> np.ndarray:
    """Stand in for an encoder: seconds of a tone point to its pitch; needs no voice."""
    if not np.abs(speech).max() > 0:
        raise CaptureRejected("there is no sound")
    seconds = [speech[k : k + RATE_HZ] for k in range(0, len(speech) - RATE_HZ + 1, RATE_HZ)]
    crossings = np.array([np.mean(np.diff(np.sign(one)) != 0) * 20 for one in seconds])
    return np.stack([np.cos(crossings), np.sin(crossings)], 1).astype(np.float32)


def tone(hertz: float, seconds: float) -> np.ndarray:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.sin(2 * np.pi * hertz * at + 0.1).astype(np.float32)


PITCHES = {"ada": 200, "bob": 600}


def voices(embed: EmbedSpeech = by_pitch, held_s: float = 8) -> Voices:
    """Know two people by a tone each."""
    known = Voices(embed)
    for person, pitch in PITCHES.items():
        assert known.add(person, [tone(pitch, 4)], tone(pitch, held_s))
    return known


def test_a_clip_in_the_own_voice_reaches_the_ceiling() -> None:
    known = voices()
    like, unlike = known.score("ada", tone(200, 3)), known.score("ada", tone(600, 3))
    assert like is not None and unlike is not None
    assert like.speech_s == 3 and like.lips is None
    assert like.likeness == pytest.approx(like.ceiling, abs=0.01)
    assert unlike.likeness == pytest.approx(unlike.floor, abs=0.01)
    assert like.floor < like.ceiling - 0.3


def test_too_little_speech_has_no_score() -> None:
    for speech in (np.zeros(0, np.float32), tone(200, 0.9), np.zeros(2 * RATE_HZ, np.float32)):
        assert voices().score("ada", speech) is None


def test_ceiling_and_floor_are_of_pieces_about_as_long_and_encoded_once() -> None:
    lengths: list[int] = []

    def noting(speech: np.ndarray) -> np.ndarray:
        lengths.append(len(speech))
        return by_pitch(speech)

    known = voices(noting)
    lengths.clear()
    for seconds in (2.0, 2.1, 1.9):
        known.score("ada", tone(200, seconds))
    # The clips; four pieces of her own and four of Bob's speech of eight seconds, for all three.
    assert sorted(lengths) == sorted([32_000, 33_600, 30_400] + [2 * RATE_HZ] * 8)
    lengths.clear()
    known.score("bob", tone(600, 2))
    assert lengths == [2 * RATE_HZ]
    known.score("ada", tone(200, 4.4))
    assert set(lengths[2:]) == {4 * RATE_HZ}


def test_speech_that_is_shorter_is_one_piece_and_long_speech_has_so_many() -> None:
    short = voices(held_s=1.5).score("ada", tone(200, 6))
    assert short is not None and math.isfinite(short.ceiling)
    pieces: list[int] = []
    long = Voices(lambda speech: pieces.append(len(speech)) or by_pitch(speech))  # type: ignore[func-returns-value]
    long.add("ada", [tone(200, 4)], tone(200, 60))
    pieces.clear()
    long.score("ada", tone(200, 1))
    assert len(pieces) == 1 + MOST_PIECES


def test_who_has_no_speech_has_no_likeness() -> None:
    known = voices()
    assert not known.add("eve", [np.zeros(0, np.float32), tone(300, 0.5)], np.zeros(0, np.float32))
    found = known.score("eve", tone(300, 2))
    assert found is not None and found.speech_s == 2
    assert np.isnan([found.likeness, found.ceiling, found.floor]).all()
    ada = known.score("ada", tone(200, 2))
    assert ada is not None and math.isfinite(ada.floor), "Eve, who has no speech, is not in the floor"


def test_without_others_there_is_no_floor_and_without_held_out_speech_no_ceiling() -> None:
    alone = Voices(by_pitch)
    alone.add("ada", [tone(200, 4), tone(200, 0.2)], tone(200, 0.5))
    found = alone.score("ada", tone(200, 2))
    assert found is not None and found.likeness > 0.9
    assert math.isnan(found.floor) and math.isnan(found.ceiling)


def test_what_is_told_of_lips() -> None:
    assert plain_lips(None) is None
    assert plain_lips(LipSync(0.6, 0.01, 0.08, 0.7)) == Lips(0.6, 0.01, 0.08)


def test_rendered_voices_by_the_embedded_encoder() -> None:
    """The real encoder: a person's own further speech is above other people's."""
    known = Voices(load_voice_encoder().embed_windows)
    for seed in range(1, 4):
        known.add(str(seed), [voice(seed, 6)], voice(seed, 6, take=1))
    own, wrong = (known.score("1", voice(seed, 3, take=2)) for seed in (1, 2))
    assert own is not None and wrong is not None
    assert own.likeness > wrong.likeness
    assert own.ceiling > own.floor
    assert own.likeness > (own.ceiling + own.floor) / 2 > wrong.likeness
