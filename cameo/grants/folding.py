"""Fold a text to what its reader sees: one spelling for accents, alphabets, look-alikes and hidden characters."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import ascii_letters
from typing import Any

import msgspec

# Scripts written without spaces (Thai to Myanmar, Khmer, kana, Han, Hangul): their words are looked for anywhere.
UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]"
)

_HANGUL = re.compile("[\uac00-\ud7a3]")

# Letters, with the signs that stand for letters at either end; digits; such a sign before "3x" or " e x".
_WORD = re.compile(r"[@$]*[^\W\d_]+[@$]*|\d+|[@$]+(?=\d*[^\W\d_]|\s?[^\W_]\b)")

# Where "nakedWoman" and "nUdE" are taken apart; removed from the text before, so that it is never the writer's own.
_SEAM = "\u2060"
_CAMEL = re.compile("(?<=[a-z])(?=[A-Z])")

# Drawn as nothing, although their category does not say so. Source: Unicode 16, Default_Ignorable_Code_Point; U+2800.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
_VOICING = "\u3099\u309a"  # marks that make another kana, not an accent

# What Unicode's table of look-alikes leaves out and "fancy text" uses, besides every "Latin letter x with …".
_LOOK_ALIKES = {
    **dict(zip("αβγεζηικλμντυχωϵϲ", "abyeznikauvtuxwec", strict=True)),
    **dict(zip("ΛΣΞΩ", "AEEO", strict=True)),
    **dict(zip("авгдеийкмнопрстухьяєіїґэ", "abrgennkmhonpctyxbreiire", strict=True)),
    **dict(zip("ВДИЙКМНПТЯЄЭ", "BDNNKMHNTREE", strict=True)),
    **dict(zip("ᑎᗩᕮᗴᔕᗝᗯᘜᑕᑫᙢᏁ", "NAEESOWGCQMN", strict=True)),
    **dict(zip("∂ðŋþ€£¥¢ı", "ddnpelyci", strict=True)),
    "æ": "ae",
    "Æ": "AE",
    "œ": "oe",
    "Œ": "OE",
}
_LATIN = re.compile(
    r"LATIN (SMALL|CAPITAL)? ?LETTER (?:SMALL CAPITAL |TURNED |REVERSED |OPEN |SCRIPT )?([A-Z])( WITH .*)?\Z"
)
_LATIN_BLOCKS = (0xC0, 0x2AF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xAB30, 0xAB6F)
_MODIFIERS = range(0x2B0, 0x300)  # spacing accents and apostrophes, which count as letters


@dataclass(frozen=True, slots=True)
class Reading:
    """Hold one way to read a text.

    Attributes:
        words: runs of letters or digits, folded; the ends may carry `@` or `$`.
        gaps: what stands before each word, then after the last: one more than `words`.
        solid: all words in one, if the text has a script written without spaces; else "". Korean words stay apart,
            unless each is one syllable.
    """

    words: tuple[str, ...]
    gaps: tuple[str, ...]
    solid: str


@dataclass(frozen=True, slots=True)
class Folded:
    """Hold a text in every way that it may be read (one for plain English), and `symbols`, with nothing split off."""

    readings: tuple[Reading, ...]
    symbols: str


def fold(text: str) -> Folded:
    """Fold `text`: Unicode compatibility forms, case, accents, hidden characters, look-alikes; then split it.

    A character that cannot be seen is once left out and once read as a gap. A capital that looks like a Latin one
    is once read as that, and once as its own small letter (Greek Η is h, its small letter looks like n).
    """
    if text.isascii():
        return Folded((_read(text.casefold(), text),), text.casefold())
    shown = _without_hidden(text, "")
    found: dict[Reading, None] = {}
    for variant in dict.fromkeys((shown, _without_hidden(text, " "))):
        base = _without_accents(variant)
        seamed = _CAMEL.sub(_SEAM, base)
        found[_split(seamed.casefold().translate(_look_alikes()).casefold())] = None
        found[_split(_CAMEL.sub(_SEAM, base.translate(_look_alikes())).casefold())] = None
    return Folded(tuple(found), unicodedata.normalize("NFKC", shown).casefold())


def _read(folded: str, text: str) -> Reading:
    """Split plain ASCII, at its capitals too if it has any within a word."""
    return _split(_CAMEL.sub(_SEAM, text).casefold() if _CAMEL.search(text) else folded)


def _split(text: str) -> Reading:
    words, gaps, end = [], [], 0
    for match in _WORD.finditer(text):
        words.append(match[0])
        gaps.append(_gap(text[end : match.start()]))
        end = match.end()
    gaps.append(_gap(text[end:]))
    return Reading(tuple(words), tuple(gaps), _solid(words, gaps) if UNSPACED.search(text) else "")


def _solid(words: list[str], gaps: list[str]) -> str:
    parts = words[:1]
    for left, gap, right in zip(words, gaps[1:], words[1:], strict=False):
        korean = _HANGUL.match(left[-1]) and _HANGUL.match(right[0]) and len(left) + len(right) > 2
        parts += [" ", right] if korean and " " in gap else [right]
    return "".join(parts)


def _gap(text: str) -> str:
    if text in (" ", "", _SEAM):
        return text.strip(_SEAM)
    return re.sub(r"\s", " ", text.replace(_SEAM, ""))


def _without_hidden(text: str, instead: str) -> str:
    """Replace what is drawn as nothing: format characters, fillers, variation selectors, tags."""
    return "".join(instead if unicodedata.category(c) == "Cf" or _BLANK.match(c) else c for c in text)


def _without_accents(text: str) -> str:
    """Bring compatibility forms (ｆｕｌｌ, 𝕞𝕒𝕥𝕙, ⓒ, ᵘᵖ) to plain letters and take their accents off."""
    apart = unicodedata.normalize("NFKD", text)
    kept = (c for c in apart if c in _VOICING or unicodedata.category(c) not in ("Mn", "Me"))
    return unicodedata.normalize("NFC", "".join(kept))


@cache
def _look_alikes() -> dict[int, str]:
    """Map a character to the Latin letter it looks like; "1" where it may be either i or l.

    Source: Unicode Technical Standard 39, confusables.txt, as `confusable_homoglyphs` carries it. Its file is read
    here and not through its module, which lets an environment variable put another in its place.
    """
    raw = files("confusable_homoglyphs").joinpath("confusables.json").read_bytes()
    table = msgspec.json.decode(raw, type=dict[str, list[dict[str, Any]]])
    letters: dict[str, set[str]] = defaultdict(set)
    for letter in ascii_letters:
        for entry in table.get(letter, ()):
            shape = str(entry["c"]).strip("\u200e")
            if len(shape) == 1 and not shape.isascii():
                letters[shape].add(letter)
    found = {ord(shape): "1" if "l" in seen and not seen & {"L", "i"} else min(seen) for shape, seen in letters.items()}
    found |= _latin_letters()
    found |= {ord(shape): letter for shape, letter in _LOOK_ALIKES.items()}
    found |= dict.fromkeys(_MODIFIERS, "'")
    for first in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6):  # squared, negative circled, negative squared, flags
        found |= {first + n: chr(ord("A") + n) for n in range(26)}
    return found


def _latin_letters() -> dict[int, str]:
    """Map each letter named "Latin letter x with …", small capitals and turned ones to x."""
    found = {}
    for first, last in _LATIN_BLOCKS:
        for code in range(first, last + 1):
            if match := _LATIN.match(unicodedata.name(chr(code), "")):
                found[code] = match[2] if match[1] == "CAPITAL" else match[2].lower()
    return found
