"""Put torn words together again: letters apart, marks or emoji between, digits and signs instead of letters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import groupby
from typing import NamedTuple

from cameo.grants.folding import Reading

# No word of a list is longer, even stretched. Longer runs are not tried, so that time grows with the text only.
_MOST_LETTERS = 40
_MOST_PIECES = 24
_MOST_DIGITS = 4  # pieces before the first letter

_STANDS_FOR = "!|*@$"
_AS_I = str.maketrans("0134578!|@$", "oieastbiias")
_AS_L = str.maketrans("0134578!|@$", "oleastbllas")
_NO_SIGNS = str.maketrans("", "", _STANDS_FOR)
_VOWELS = "aeiou"
_DOUBLED = re.compile(r"(.)\1")
_STEM = 3
_START = 5


class Candidate(NamedTuple):
    """Hold what may be one word.

    Attributes:
        end: the number of the word after it.
        spellings: how it reads; if it can be taken as written, that is the first.
        loose: torn at spaces into longer pieces, so that two ordinary words may look like it by chance.
        plain: one word, or one letter by letter.
    """

    end: int
    spellings: tuple[str, ...]
    loose: bool
    plain: bool


def candidates(reading: Reading, start: int, guess: bool, starts: Set[str]) -> Iterator[Candidate]:
    """Yield each run of words from `start` on that may be one of the words looked for.

    Args:
        reading: the text.
        start: the number of the first word.
        guess: whether to yield loose ones.
        starts: `starts_of` all words that are looked for.
    """
    words, gaps = reading.words, reading.gaps
    if words[start].isalpha() and not _may_be(words[start], starts):
        return
    raw, spaced, lone, lettered, odd, long = "", False, True, False, 0, 0
    for end in range(start + 1, min(len(words), start + _MOST_PIECES) + 1):
        pieces, last = end - start, words[end - 1]
        if pieces > 1:
            spaced = spaced or " " in gaps[end - 1]
            raw += "".join(c for c in gaps[end - 1] if c in _STANDS_FOR)
        raw += last
        lone = lone and len(last) == 1
        lettered = lettered or last.strip("@$").isalpha()
        odd += len(last) == 1 and last not in "ai"  # "a" and "i" are words of their own
        long += len(last) > 2
        if len(raw) > _MOST_LETTERS or (spaced and pieces > 2 and long > 1) or (pieces > _MOST_DIGITS and not lettered):
            return
        spellings = _spellings(raw, lettered and len(raw) > (1 if guess else 2))
        if lettered and not any(_may_be(spelled, starts) for spelled in spellings):
            return
        if pieces == 1:
            yield Candidate(end, spellings, False, True)
        elif lone:
            if (pieces > 2 or not spaced) and (len(raw) > 3 or _stands_alone(reading, start, end)):
                yield Candidate(end, spellings, False, True)
        elif not spaced:
            yield Candidate(end, spellings, False, False)
        elif guess and raw.isalpha() and (pieces == 2 or odd):
            yield Candidate(end, spellings, True, False)


def squeeze(word: str) -> tuple[str, tuple[int, ...]]:
    """Split a word into its letters without repeats and how often each stands there."""
    if not _DOUBLED.search(word):
        return word, (1,) * len(word)
    runs = [(letter, len(list(run))) for letter, run in groupby(word)]
    return "".join(letter for letter, _ in runs), tuple(count for _, count in runs)


def starts_of(letters: str, begins: bool) -> set[str]:
    """List how a text that becomes the word may start; with an asterisk, what may go on in any way."""
    return {letters[:size] for size in range(1, _START + 1)} | ({letters[:_STEM] + "*"} if begins else set())


def _may_be(spelled: str, starts: Set[str]) -> bool:
    letters = squeeze(spelled)[0]
    if letters[:_START] in starts or letters[:_STEM] + "*" in starts:
        return True
    return letters[:1] + "*" in starts or letters[:2] + "*" in starts


def _stands_alone(reading: Reading, start: int, end: int) -> bool:
    """Say whether a few single letters are a word of their own, not part of a longer row such as "T I T A N"."""
    words, gaps = reading.words, reading.gaps
    before = start == 0 or len(words[start - 1]) > 1 or words[start - 1] in "ai" or gaps[start] != gaps[start + 1]
    after = end == len(words) or len(words[end]) > 1 or gaps[end] != gaps[end - 1]
    return before and after


def _spellings(raw: str, coded: bool) -> tuple[str, ...]:
    """Spell out digits and signs, if they may stand for letters; 1, ! and | may be i or l, an asterisk any vowel."""
    if raw.isalpha():
        return (raw,)
    found = [raw.translate(_NO_SIGNS)]
    if coded:
        for vowel in _VOWELS if "*" in raw else "_":
            filled = raw.replace("*", vowel)
            found += [filled.translate(_AS_I), filled.translate(_AS_L)]
    return tuple(dict.fromkeys(found))
