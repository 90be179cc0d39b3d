"""Let people who do not exist say English digits at given times: the formant voices of `voice`, spelling out words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cameo.synthetic.voice import CONSONANTS, STEP_S, VOWELS, Phone, Spoken, coarticulated, draw_speaker, utter

if TYPE_CHECKING:
    from cameo.records import Float64
    from cameo.synthetic.voice import Speaker

_REST = Phone((500, 1500, 2500), 0.2, 0.0)
_IY, _IH, _EH, _AE, _AA, _AO, _UH, _UW, _AH, _ER = VOWELS
_W, _Y, _R, _L, _M, _N, _V, _Z, _F, _S, _SH, _H, _B, _D, _G, _P, _T, _K = CONSONANTS
# θ, which the table lacks: a faint, wide hiss behind the teeth. Source: Klatt 1980, table III.
_TH = (Phone((320, 1290, 2540), 0.09, 0.15, 0.0, 0.03, 0.05, 6500),)


def _short(vowel: Phone, factor: float) -> tuple[Phone, ...]:
    return (vowel._replace(seconds=vowel.seconds * factor),)


def _vowel(*parts: Phone) -> tuple[Phone, ...]:
    """A vowel, or the two halves of a diphthong."""
    return tuple(part._replace(seconds=0.24 / len(parts)) for part in parts)


# General American. Source: the Carnegie Mellon Pronouncing Dictionary.
_WORDS: tuple[tuple[Phone, ...], ...] = (
    (*_Z, *_short(_IH, 0.8), *_R, *_vowel(_AO, _UH)),
    (*_W, *_vowel(_AH), *_N),
    (*_T, *_vowel(_UW)),
    (*_TH, *_R, *_vowel(_IY)),
    (*_F, *_vowel(_AO), *_R),
    (*_F, *_vowel(_AA, _IH), *_V),
    (*_S, *_short(_IH, 1.0), *_K, *_S),
    (*_S, *_short(_EH, 1.0), *_V, *_short(_AH, 0.6), *_N),
    (*_vowel(_EH, _IY), *_T),
    (*_N, *_vowel(_AA, _IH), *_N),
)


def say_digits(
    seed: int, digits: Sequence[int], starts_s: Sequence[float], seconds: float, fps: float = 25.0, take: int = 0
) -> Spoken:
    """Let the person of `seed` say one digit at each of `starts_s`, and be silent between them.

    Args:
        seed: who speaks; the same voice as `voice.speak` gives.
        digits: what is said, 0..9 each.
        starts_s: when each begins, rising, at least a second apart.
        seconds: length of the sound.
        fps: rate of the track of the lips' opening.
        take: another one says the same a little differently.
    """
    speaker, random = draw_speaker(seed), np.random.default_rng((seed, take, 7))
    rows = np.tile(_REST.parameters, (int(np.ceil(seconds / STEP_S)), 1))
    for digit, start_s in zip(digits, starts_s, strict=True):
        word = _spell(speaker, _WORDS[digit], random)
        first = round(start_s / STEP_S)
        kept = word[: max(0, len(rows) - first)]
        rows[first : first + len(kept)] = kept
    return utter(speaker, coarticulated(rows, 0.018, 0.040), seconds, fps, random)


def _spell(speaker: Speaker, word: Sequence[Phone], random: np.random.Generator) -> Float64:
    """Parameters `[K, 9]` of one word: its own length and level, the pitch falling."""
    stretch, level = random.uniform(0.9, 1.25) / speaker.tempo, random.uniform(0.8, 1.0)
    parts = []
    for index, phone in enumerate(word):
        steps = max(1, round(phone.seconds * stretch * random.uniform(0.9, 1.1) / STEP_S))
        pitch = 1.06 + 0.5 * speaker.liveliness - 0.22 * index / len(word)
        said = phone._replace(pitch=pitch, voicing=phone.voicing * level)
        parts.append(np.tile(said.parameters, (steps, 1)))
    return np.concatenate(parts)
