"""Score how much generated speech sounds like a person, between what they themselves and other people score.

An encoder finds longer pieces of one voice more alike than shorter ones, so ceiling and floor are measured on real
pieces as long as the speech of the clip. Nothing says how like a voice is without the two, nor without the encoder's
name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cameo.errors import CaptureRejected, UsageError

if TYPE_CHECKING:
    from cameo.faces.lips import LipSync
    from cameo.records import Float32

# Speech [N] at 16 kHz -> unit vectors of its windows [K, D]; CaptureRejected when there is less than a second.
EmbedSpeech = Callable[["Float32"], "Float32"]

RATE_HZ = 16_000
LEAST_S = 1.0  # of speech, or it is not scored; the encoders need as much
MOST_PIECES = 24  # of one recording, for ceiling and floor


@dataclass(frozen=True, slots=True)
class Speaker:
    """Hold real speech of a person, `[N]` float32 mono at 16 kHz without pauses.

    `known` is what clips are held against, `held` is other speech of theirs, for the ceiling.
    """

    known: Float32
    held: Float32


@dataclass(frozen=True, slots=True)
class SpokenClip:
    """Hold the speech of a generated clip, `[N]` float32 mono at 16 kHz without pauses, and how its lips follow it.

    sync: from `faces.lips.compare_lips`: whether opening of the mouth and loudness go together, and at which shift;
    None where it cannot be told. It is a proxy: it sees that lips move with the sound, not that they say its words.
    """

    name: str
    person: str
    speech: Float32
    sync: LipSync | None = None


@dataclass(frozen=True, slots=True)
class VoiceScore:
    """Hold what a clip, or a person's clips in the mean, score.

    Attributes:
        name: of the clip, or "" in the mean; person: whose voice it should be.
        likeness: mean cosine of its windows to the person's mean direction.
        ceiling: the same of the person's own held-out speech, in pieces as long; NaN if there is less than a second.
        floor: the same of other people's; NaN if there are none.
        seconds: of speech.
        sync: correlation of mouth and loudness; lag_s: shift of the sound at which it is best. NaN where not known.
    """

    name: str
    person: str
    likeness: float
    ceiling: float
    floor: float
    seconds: float
    sync: float = float("nan")
    lag_s: float = float("nan")

    @property
    def closed(self) -> float:
        """Share of the way from floor to ceiling, NaN where the ceiling is not above the floor."""
        room = self.ceiling - self.floor
        return (self.likeness - self.floor) / room if room > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class VoiceScores:
    """Hold scores by clip and by person, and the clips that have none, with the reason."""

    encoder: str
    clips: tuple[VoiceScore, ...]
    people: tuple[VoiceScore, ...]
    unheard: tuple[tuple[str, str], ...]


def score_voices(
    clips: Sequence[SpokenClip],
    speakers: Mapping[str, Speaker],
    embed: EmbedSpeech,
    encoder: str,
    others: Sequence[Float32] = (),
) -> VoiceScores:
    """Score clips of several people by one encoder.

    Args:
        clips: generated ones; those with less than a second of speech are listed as unheard.
        speakers: real speech of each person.
        embed: of the encoder.
        encoder: its name.
        others: speech of further people for the floor, beside all speakers but the clip's own.

    Raises:
        UsageError: a clip is of nobody among the speakers, or a speaker has less than a second of known speech.
    """
    strays = sorted({clip.person for clip in clips} - set(speakers))
    if strays:
        raise UsageError(f"there is no speech of {strays[0]} to compare with", "give a recording of everybody")
    centres = {name: _centre(name, speaker, embed) for name, speaker in speakers.items()}
    scored, unheard = [], []
    for clip in clips:
        windows = _windows(embed, clip.speech)
        if windows is None:
            unheard.append((clip.name, f"{len(clip.speech) / RATE_HZ:.1f} s of speech, {LEAST_S:g} s is needed"))
            continue
        centre, length = centres[clip.person], len(clip.speech)
        strangers = [*others, *(speaker.held for name, speaker in speakers.items() if name != clip.person)]
        scored.append(
            VoiceScore(
                clip.name,
                clip.person,
                float((windows @ centre).mean()),
                _pieces_mean([speakers[clip.person].held], length, embed, centre),
                _pieces_mean(strangers, length, embed, centre),
                length / RATE_HZ,
                clip.sync.agreement if clip.sync else float("nan"),
                clip.sync.best_s if clip.sync else float("nan"),
            )
        )
    people = [_mean_score(name, [one for one in scored if one.person == name]) for name in speakers]
    return VoiceScores(encoder, tuple(scored), tuple(one for one in people if one is not None), tuple(unheard))


def split_speech(speech: Float32, share: float = 0.5) -> Speaker:
    """Part one recording of a person: the first `share` is known, the rest held out."""
    cut = round(len(speech) * share)
    return Speaker(speech[:cut], speech[cut:])


def _windows(embed: EmbedSpeech, speech: Float32) -> Float32 | None:
    """Unit vectors of the windows of speech; None when there is too little of it."""
    try:
        return embed(speech) if len(speech) >= LEAST_S * RATE_HZ else None
    except CaptureRejected:
        return None


def _centre(name: str, speaker: Speaker, embed: EmbedSpeech) -> Float32:
    windows = _windows(embed, speaker.known)
    if windows is None:
        raise UsageError(f"there is less than {LEAST_S:g} s of speech of {name}", "give 10 to 20 s of their speech")
    mean = windows.mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def _pieces_mean(speeches: Sequence[Float32], length: int, embed: EmbedSpeech, centre: Float32) -> float:
    """Mean likeness of real speech in pieces of `length` samples, every speaker counting alike.

    Speech that is shorter is one piece.
    """
    means = []
    for speech in speeches:
        count = min(max(1, len(speech) // length), MOST_PIECES)
        pieces = [_windows(embed, speech[k * length : (k + 1) * length]) for k in range(count)]
        found = [float((windows @ centre).mean()) for windows in pieces if windows is not None]
        means += [float(np.mean(found))] if found else []
    return float(np.mean(means)) if means else float("nan")


def _mean_score(person: str, scores: Sequence[VoiceScore]) -> VoiceScore | None:
    """Every clip counting alike; what is not known of a clip is left out. None without clips."""
    if not scores:
        return None
    names = ("likeness", "ceiling", "floor", "seconds", "sync", "lag_s")
    values = {name: np.array([getattr(one, name) for one in scores]) for name in names}
    known = {name: column[np.isfinite(column)] for name, column in values.items()}
    means = {name: float(column.mean()) if len(column) else float("nan") for name, column in known.items()}
    return VoiceScore("", person, **means)
