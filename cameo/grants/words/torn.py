"""Put torn words together again: letters apart, marks or emoji between, digits and signs instead of letters."""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import groupby
from typing import NamedTuple

from cameo.grants.folding import Reading

# No word of a list is longer, even stretched. Longer runs are not tried, so that time grows with the text only.
_MOST_LETTERS = 40
_MOST_PIECES = 24

_STANDS_FOR = "!|*@$"
_AS_I = str.maketrans("0134578!|@$", "oieastbiias")
_AS_L = str.maketrans("0134578!|@$", "oleastbllas")
_NO_SIGNS = str.maketrans("", "", _STANDS_FOR)
_VOWELS = "aeiou"


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
    """Yield each run of words from `start` on that may be one word.

    Args:
        reading: the text.
        start: the number of the first word.
        guess: whether to yield loose ones.
        starts: the beginnings, up to three letters without repeats, of the words that are looked for.
    """
    words, gaps = reading.words, reading.gaps
    raw, spaced, lone, odd, long = "", False, True, 0, 0
    for end in range(start + 1, min(len(words), start + _MOST_PIECES) + 1):
        pieces, last = end - start, words[end - 1]
        if pieces > 1:
            spaced = spaced or " " in gaps[end - 1]
            raw += "".join(c for c in gaps[end - 1] if c in _STANDS_FOR)
        raw += last
        lone = lone and len(last) == 1
        odd += len(last) == 1 and last not in "ai"  # "a" and "i" are words of their own
        long += len(last) > 2
        if len(raw) > _MOST_LETTERS or (spaced and pieces > 2 and long > 1):
            return
        spellings = _spellings(raw)
        if len(raw) > 2 and not any(_begin(spelled) in starts for spelled in spellings):
            return
        if pieces == 1:
            yield Candidate(end, spellings, False, True)
        elif lone:
            if pieces > 2 and (len(raw) > 3 or _stands_alone(reading, start, end)):
                yield Candidate(end, spellings, False, True)
        elif not spaced:
            yield Candidate(end, spellings, False, False)
        elif guess and raw.isalpha() and (pieces == 2 or odd):
            yield Candidate(end, (raw,), True, False)


def _begin(spelled: str) -> str:
    """Return the first three letters, those that repeat taken once."""
    begin = spelled[:3]
    if len(begin) < 3 or begin[0] == begin[1] or begin[1] == begin[2]:
        begin = "".join(letter for letter, _ in groupby(spelled))[:3]
    return begin


def _stands_alone(reading: Reading, start: int, end: int) -> bool:
    """Say whether three single letters are a word of their own, not part of a longer row such as "T I T A N"."""
    words, gaps = reading.words, reading.gaps
    before = start == 0 or len(words[start - 1]) > 1 or words[start - 1] in "ai" or gaps[start] != gaps[start + 1]
    after = end == len(words) or len(words[end]) > 1 or gaps[end] != gaps[end - 1]
    return before and after


def _spellings(raw: str) -> tuple[str, ...]:
    """Spell out digits and signs that stand for letters; 1, ! and | may be i or l, an asterisk any vowel."""
    if raw.isalpha():
        return (raw,)
    bare = raw.translate(_NO_SIGNS)
    found = [bare]
    if len(raw) > 1 and not raw.isdigit():
        for vowel in _VOWELS if "*" in raw else "_":
            filled = raw.replace("*", vowel)
            found += [filled.translate(_AS_I), filled.translate(_AS_L)]
    return tuple(dict.fromkeys(found))
