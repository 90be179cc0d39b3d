"""Generated speech is scored between what the person and what other people score."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from cameo.adapt.others import rendered_voices
from cameo.embed.voice import load_voice_encoder
from cameo.errors import CaptureRejected, UsageError
from cameo.faces.lips import LipSync
from cameo.fidelity.voice import RATE_HZ, Speaker, SpokenClip, score_voices, split_speech
from cameo.synthetic.voice import speak


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


SPEAKERS = {"ada": split_speech(tone(200, 8)), "bob": split_speech(tone(600, 8))}


def test_a_clip_in_the_own_voice_reaches_the_ceiling() -> None:
    own, other = SpokenClip("own.mp4", "ada", tone(200, 3)), SpokenClip("other.mp4", "ada", tone(600, 3))
    scores = score_voices([own, other], SPEAKERS, by_pitch, "pitch")
    assert scores.encoder == "pitch" and not scores.unheard
    like, unlike = scores.clips
    assert (like.name, like.person, like.seconds) == ("own.mp4", "ada", 3)
    assert like.likeness == pytest.approx(like.ceiling, abs=0.01) and like.closed == pytest.approx(1, abs=0.05)
    assert unlike.likeness == pytest.approx(unlike.floor, abs=0.01) and unlike.closed == pytest.approx(0, abs=0.05)
    (ada,) = scores.people
    assert ada.person == "ada"
    assert ada.likeness == pytest.approx((like.likeness + unlike.likeness) / 2)


def test_clips_without_speech_are_listed() -> None:
    clips = [
        SpokenClip("silent.mp4", "ada", np.zeros(0, np.float32)),
        SpokenClip("short.mp4", "ada", tone(200, 0.6)),
        SpokenClip("nothing.mp4", "ada", np.zeros(2 * RATE_HZ, np.float32)),
    ]
    scores = score_voices(clips, SPEAKERS, by_pitch, "pitch")
    assert scores.clips == () and scores.people == ()
    assert [name for name, _ in scores.unheard] == ["silent.mp4", "short.mp4", "nothing.mp4"]
    assert all(reason for _, reason in scores.unheard)


def test_ceiling_and_floor_are_of_pieces_as_long_as_the_clip() -> None:
    lengths: list[int] = []

    def noting(speech: np.ndarray) -> np.ndarray:
        lengths.append(len(speech))
        return by_pitch(speech)

    score_voices([SpokenClip("one.mp4", "ada", tone(200, 2))], SPEAKERS, noting, "pitch", [tone(900, 5)])
    known = {len(speaker.known) for speaker in SPEAKERS.values()}
    assert {length for length in lengths if length not in known} == {2 * RATE_HZ}
    assert (
        lengths.count(2 * RATE_HZ) == 1 + 2 + 2 + 2
    )  # the clip; pieces of her own, of Bob's and of the other's speech


def test_without_others_there_is_no_floor() -> None:
    alone = {"ada": SPEAKERS["ada"]}
    (score,) = score_voices([SpokenClip("a", "ada", tone(200, 2))], alone, by_pitch, "pitch").clips
    assert np.isnan([score.floor, score.closed]).all()
    (score,) = score_voices([SpokenClip("a", "ada", tone(200, 2))], alone, by_pitch, "pitch", [tone(600, 3)]).clips
    assert score.floor < score.likeness


def test_lip_sync_is_passed_on() -> None:
    sync = LipSync(0.6, 0.01, 0.08, 0.7)
    clips = [SpokenClip("a", "ada", tone(200, 2), sync), SpokenClip("b", "ada", tone(200, 2))]
    scores = score_voices(clips, SPEAKERS, by_pitch, "pitch")
    assert (scores.clips[0].sync, scores.clips[0].lag_s) == (0.6, 0.08)
    assert np.isnan(scores.clips[1].sync)
    assert scores.people[0].sync == 0.6, "what is not known is left out"


def test_bad_input() -> None:
    with pytest.raises(UsageError, match="no speech of eve"):
        score_voices([SpokenClip("a", "eve", tone(200, 2))], SPEAKERS, by_pitch, "pitch")
    with pytest.raises(UsageError, match="less than 1 s of speech of ada"):
        score_voices([], {"ada": Speaker(tone(200, 0.5), tone(200, 2))}, by_pitch, "pitch")


@cache
def spoken(seed: int) -> np.ndarray:
    return speak(seed, 12.0).sound


def test_rendered_voices_by_the_embedded_encoder() -> None:
    """The real encoder: a person's own further speech is above other people's."""
    encoder = load_voice_encoder()
    speakers = {str(seed): split_speech(spoken(seed)) for seed in (1, 2)}
    clips = [SpokenClip(name, name, speaker.held[: 3 * RATE_HZ]) for name, speaker in speakers.items()]
    clips.append(SpokenClip("wrong", "1", speakers["2"].held[: 3 * RATE_HZ]))
    scores = score_voices(clips, speakers, encoder.embed_windows, encoder.info.id, rendered_voices(4))
    own, _, wrong = scores.clips
    assert own.likeness > wrong.likeness
    assert own.ceiling > own.floor
    assert own.closed > 0.5 > wrong.closed
