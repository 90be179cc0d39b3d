"""Find words and phrases in a folded text, also where a word is stretched or torn.

A phrase is words in their order, with anything but letters and digits between them. A word may be `a|b` (either),
`und*` (begins so), `<age>` (any of a named set), `...` (up to four words of any kind). A phrase in a script that is
written without spaces is found anywhere, `|` between phrases; one with a sign that is no letter, as it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cameo.grants.folding import UNSPACED, Folded, Reading, fold
from cameo.grants.words.torn import Candidate, candidates, squeeze, starts_of

GAP = "..."
_GAP_WORDS = 4
_SIGNS = str.maketrans("@$", "as")


class _Pattern(NamedTuple):
    """Hold a word of a phrase: its letters without repeats, how often each stands there, whether more may follow."""

    letters: str
    counts: tuple[int, ...]
    begins: bool


class _Edge(NamedTuple):
    """Say that the words up to `end` read as the pattern.

    `plain`: exactly as the phrase spells it; `joined`: put together from pieces with no space between.
    """

    pattern: int
    end: int
    plain: bool
    joined: bool


_Phrase = tuple[frozenset[int] | None, ...]  # None: a gap
_Edges = list[list[_Edge]]  # what begins at each word


class Phrases:
    """Hold phrases compiled for search, each with the name of its rule.

    Args:
        entries: (rule, phrase).
        harmless: phrases that are ordinary although something of `entries` stands in them.
        sets: what `<name>` stands for.
        guess: also take a word written as two ("na ked") and one with a letter doubled ("nuude"). Only for a list that
            was held against ordinary words: the name Isa would be found in "is a".

    Attributes:
        unreadable: rules with a phrase that no text can match.
    """

    def __init__(
        self,
        entries: Iterable[tuple[str, str]],
        harmless: Iterable[str] = (),
        sets: Mapping[str, Sequence[str]] | None = None,
        guess: bool = False,
    ) -> None:
        self.unreadable: list[str] = []
        self._sets = {f"<{name}>": words for name, words in (sets or {}).items()}
        self._guess = guess
        self._starts: set[str] = set()
        self._ids: dict[_Pattern, int] = {}
        self._whole: dict[str, list[tuple[int, _Pattern]]] = defaultdict(list)
        self._begun: dict[str, list[tuple[int, _Pattern]]] = defaultdict(list)
        self._phrases: dict[int, list[tuple[str, str, _Phrase]]] = defaultdict(list)
        self._harmless: dict[int, list[_Phrase]] = defaultdict(list)
        self._solid: list[tuple[str, str, str]] = []
        self._harmless_solid: list[str] = []
        self._symbols: list[tuple[str, str, str]] = []
        for rule, entry in entries:
            self._add(rule, entry)
        for entry in harmless:
            if UNSPACED.search(entry):
                self._harmless_solid += _solids(entry)
            else:
                phrase = self._phrase(entry)
                for pattern in phrase[0] or ():
                    self._harmless[pattern].append(phrase)

    def find(self, folded: Folded) -> dict[str, str]:
        """Find every rule that the text trips, with the first of its phrases that was found."""
        found: dict[str, str] = {}
        for rule, entry, symbols in self._symbols:
            if symbols in folded.symbols:
                found.setdefault(rule, entry)
        for reading in folded.readings:
            if reading.solid:
                self._find_solid(reading.solid, found)
            edges = self._edges(reading)
            for start, there in enumerate(edges):
                for pattern in dict.fromkeys(edge.pattern for edge in there):
                    for rule, entry, phrase in self._phrases.get(pattern, ()):
                        if rule not in found and next(_ends(phrase, 0, start, edges), None) is not None:
                            found[rule] = entry
        return found

    def _add(self, rule: str, entry: str) -> None:
        items = [item for item in entry.split() if item != GAP]
        bare = len(_letters(entry)) < 2 and not entry.strip().isalnum()  # "C++" is not every c
        if UNSPACED.search(entry):
            self._solid += [(rule, entry, solid) for solid in _solids(entry)]
        elif items and not bare and all(_letters(item) for item in items):
            phrase = self._phrase(entry)
            for pattern in phrase[0] or ():
                self._phrases[pattern].append((rule, entry, phrase))
        elif symbols := fold(entry).symbols.strip():
            self._symbols.append((rule, entry, symbols))
        else:
            self.unreadable.append(rule)

    def _phrase(self, entry: str) -> _Phrase:
        phrase: list[frozenset[int] | None] = []
        for item in entry.split():
            words = [word for part in item.split("|") for word in self._sets.get(part, (part,))]
            numbers = frozenset(self._number(word) for word in words if _letters(word))
            if numbers or phrase:
                phrase.append(numbers or None)
        return tuple(phrase)

    def _number(self, word: str) -> int:
        pattern = _Pattern(*squeeze(_letters(word)), word.endswith("*"))
        if pattern not in self._ids:
            self._ids[pattern] = len(self._ids)
            self._starts |= starts_of(pattern.letters, pattern.begins)
            index, key = (self._begun, pattern.letters[:3]) if pattern.begins else (self._whole, pattern.letters)
            index[key].append((self._ids[pattern], pattern))
        return self._ids[pattern]

    def _find_solid(self, solid: str, found: dict[str, str]) -> None:
        for ordinary in self._harmless_solid:
            solid = solid.replace(ordinary, " ")
        for rule, entry, wanted in self._solid:
            if wanted in solid:
                found.setdefault(rule, entry)

    def _edges(self, reading: Reading) -> _Edges:
        """Find what begins at each word, leaving out what lies within a harmless phrase."""
        edges: _Edges = []
        for start in range(len(reading.words)):
            found = candidates(reading, start, self._guess, self._starts)
            edges.append([edge for candidate in found for edge in self._read(candidate)])
        plain = [[edge for edge in there if edge.plain] for there in edges]
        whole = [[edge for edge in there if edge.end == start + 1] for start, there in enumerate(plain)]
        for start, there in enumerate(plain):
            for phrase in (phrase for edge in there for phrase in self._harmless.get(edge.pattern, ())):
                # "a n a l o g" is as harmless as it is unspaced; "pen-is" is not the harmless "pen is".
                for end in _ends(phrase, 0, start, whole if len(phrase) > 1 else plain):
                    for k in range(start, end):
                        edges[k] = [edge for edge in edges[k] if edge.end > end or edge.joined]
        return edges

    def _read(self, candidate: Candidate) -> Iterator[_Edge]:
        """Look the candidate up, in each of its spellings."""
        for k, spelled in enumerate(candidate.spellings):
            letters, counts = squeeze(spelled)
            for number, pattern in self._known(letters):
                size = len(pattern.letters)
                there = (*counts[: size - 1], min(counts[size - 1], pattern.counts[-1])) if pattern.begins else counts
                if candidate.loose:
                    if letters == pattern.letters and counts == pattern.counts:
                        yield _Edge(number, candidate.end, False, False)
                elif there == pattern.counts or self._stretched(there, pattern.counts):
                    plain = candidate.plain and k == 0 and there == pattern.counts
                    yield _Edge(number, candidate.end, plain, not candidate.plain)

    def _known(self, letters: str) -> Iterator[tuple[int, _Pattern]]:
        yield from self._whole.get(letters, ())
        for size in range(1, min(3, len(letters)) + 1):
            for number, pattern in self._begun.get(letters[:size], ()):
                if letters.startswith(pattern.letters):
                    yield number, pattern

    def _stretched(self, counts: tuple[int, ...], least: tuple[int, ...]) -> bool:
        return all(n >= m for n, m in zip(counts, least, strict=True)) and (self._guess or max(counts) > 2)


def _ends(phrase: _Phrase, k: int, start: int, edges: _Edges) -> Iterator[int]:
    """Yield where the phrase may end if its word `k` is to stand at `start`."""
    if k == len(phrase):
        yield start
    elif (wanted := phrase[k]) is None:
        for skipped in range(_GAP_WORDS + 1):
            yield from _ends(phrase, k + 1, start + skipped, edges)
    elif start < len(edges):
        for edge in edges[start]:
            if edge.pattern in wanted:
                yield from _ends(phrase, k + 1, edge.end, edges)


def _letters(text: str) -> str:
    return "".join(fold(text).readings[0].words).translate(_SIGNS)


def _solids(entry: str) -> list[str]:
    readings = [fold(part).readings[0] for part in entry.split("|")]
    return [found for reading in readings if (found := reading.solid or "".join(reading.words))]
