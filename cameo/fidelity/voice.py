"""Score how much generated speech sounds like a person, between what they themselves and other people score.

An encoder finds longer pieces of one voice more alike than shorter ones, so ceiling and floor are measured on real
pieces about as long as the speech of the clip. Nothing says how like a voice is without the two, nor without the
encoder's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cameo.errors import CaptureRejected
from cameo.scores import ClipVoice, Lips

if TYPE_CHECKING:
    from cameo.faces.lips import LipSync
    from cameo.records import Float32

# Speech [N] at 16 kHz -> unit vectors of its windows [K, D]; CaptureRejected when there is less than a second.
EmbedSpeech = Callable[["Float32"], "Float32"]

RATE_HZ = 16_000
LEAST_S = 1.0  # of speech, or it is not scored; the encoders need as much
MOST_PIECES = 24  # of one person, for ceiling and floor
# Lengths of pieces go in steps of the square root of 2, so that clips of about one length share what was encoded.
_STEPS_PER_OCTAVE = 2


class Voices:
    """Hold real voices, and score speech against them.

    Args:
        embed: of the encoder.
    """

    def __init__(self, embed: EmbedSpeech) -> None:
        self._embed = embed
        self._centres: dict[str, Float32] = {}
        self._held: dict[str, Float32] = {}
        self._pieces: dict[tuple[str, int], Float32] = {}

    def add(self, person: str, known: Sequence[Float32], held: Float32) -> bool:
        """Add a person; returns whether there is enough speech to hold clips against.

        Args:
            person: their name.
            known: speech of each recording of the reference, `[N]` float32 mono at 16 kHz without pauses.
            held: other speech of theirs, for their ceiling and for other people's floor.
        """
        self._held[person] = held
        found = [windows for speech in known if (windows := self._windows(speech)) is not None]
        if found:
            mean = np.concatenate(found).mean(0)
            self._centres[person] = np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
        return bool(found)

    def score(self, person: str, speech: Float32) -> ClipVoice | None:
        """Score the speech of a clip, `[N]` like `known`; None where there is too little of it.

        Whoever has no speech to compare with has no likeness. Lips are looked at elsewhere.
        """
        windows = self._windows(speech)
        if windows is None:
            return None
        centre = self._centres.get(person)
        if centre is None:
            return ClipVoice(len(speech) / RATE_HZ, math.nan, math.nan, math.nan, None)
        strangers = [self._likeness(other, len(speech), centre) for other in self._held if other != person]
        known = [value for value in strangers if math.isfinite(value)]
        return ClipVoice(
            speech_s=len(speech) / RATE_HZ,
            likeness=float((windows @ centre).mean()),
            ceiling=self._likeness(person, len(speech), centre),
            floor=float(np.mean(known)) if known else math.nan,
            lips=None,
        )

    def _likeness(self, person: str, length: int, centre: Float32) -> float:
        """Mean likeness of somebody's held-out speech in pieces about as long; NaN where there is too little of it."""
        size = _rounded(length)
        if (person, size) not in self._pieces:
            self._pieces[person, size] = self._encoded(self._held[person], size)
        pieces = self._pieces[person, size]
        return float((pieces @ centre).mean()) if len(pieces) else math.nan

    def _encoded(self, speech: Float32, size: int) -> Float32:
        """Mean of the windows of every piece, `[P, D]`; speech that is shorter is one piece."""
        count = min(max(1, len(speech) // size), MOST_PIECES)
        pieces = [self._windows(speech[k * size : (k + 1) * size]) for k in range(count)]
        means = [windows.mean(0) for windows in pieces if windows is not None]
        return np.stack(means) if means else np.zeros((0, 0), np.float32)

    def _windows(self, speech: Float32) -> Float32 | None:
        """Unit vectors of the windows of speech; None when there is too little of it."""
        try:
            return self._embed(speech) if len(speech) >= LEAST_S * RATE_HZ else None
        except CaptureRejected:
            return None


def plain_lips(found: LipSync | None) -> Lips | None:
    """Take over what is told of a clip's lips."""
    return Lips(found.agreement, found.chance, found.best_s) if found is not None else None


def _rounded(length: int) -> int:
    """Bring a length to the nearest step, at least the least that can be encoded."""
    steps = round(_STEPS_PER_OCTAVE * math.log2(max(length / RATE_HZ, LEAST_S)))
    return max(math.ceil(2.0 ** (steps / _STEPS_PER_OCTAVE) * RATE_HZ), int(LEAST_S * RATE_HZ))
