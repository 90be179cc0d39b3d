"""Every phrase of the shipped list does its work, as it stands and disguised."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest

from benchmarks.prompt_guard import USES
from cameo.grants.folding import UNSPACED, fold
from cameo.grants.words.shipped import LIST_ID, LISTS, list_digest, shipped_list, signed_list

TEXT = (files("cameo.grants.words") / f"{LIST_ID}.toml").read_text("utf-8")
FILE = tomllib.loads(TEXT)


def _spelled(phrase: str, chance: random.Random) -> str:
    """Write a phrase out: one of its alternatives, an ordinary ending, no gap."""
    words = []
    for item in phrase.split():
        part = chance.choice(item.split("|"))
        part = chance.choice(FILE["sets"][part[1:-1]]) if part.startswith("<") else part
        words.append(part.replace("*", ""))
    return " ".join(word for word in words if word != "...")


def _phrases() -> Iterator[tuple[dict[str, Any], str]]:
    for rule in FILE["rules"]:
        for phrase in rule["words"]:
            yield rule, phrase


def _find(prompt: str) -> dict[str, str]:
    return shipped_list().phrases.find(fold(prompt))


def test_every_phrase_is_found() -> None:
    chance = random.Random(1)
    for rule, phrase in _phrases():
        for prompt in {f"ada, {_spelled(phrase, chance)}; ada" for _ in range(5)}:
            assert rule["id"] in _find(prompt), prompt


def _apart(mark: str) -> Callable[[str], str]:
    return lambda word: mark.join(word)


def _fancy(first: int) -> Callable[[str], str]:
    return lambda word: "".join(chr(first + ord(c) - ord("a")) for c in word)


DISGUISES: dict[str, Callable[[str], str]] = {
    "capitals": str.upper,
    "dots": _apart("."),
    "spaces": _apart(" "),
    "emoji": _apart("🔥"),
    "hidden": _apart("\u200b"),
    "accents": _apart("\u0301"),
    "stretched": lambda word: word + 3 * word[-1],
    "stretched inside": lambda word: word[:2] + 2 * word[1] + word[2:],
    "fullwidth": _fancy(0xFF41),
    "mathematical": _fancy(0x1D41A),
    "circled": _fancy(0x24D0),
    "leet": lambda word: word.translate(str.maketrans("oea", "034")),
    "signs": lambda word: word[0] + word[1:-1].translate(str.maketrans("ai", "@!")) + word[-1],
    "cyrillic": lambda word: word.translate(str.maketrans("aceopxy", "асеорху")),
    "hyphen": lambda word: word[:2] + "-" + word[2:],
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_every_english_word_is_found_disguised(disguise: str) -> None:
    words = {
        (rule["id"], word)
        for rule, phrase in _phrases()
        if " " not in phrase
        for word in phrase.split("|")
        if re.fullmatch("[a-z]{4,}", word) and len(set(word)) > 1 and word not in FILE["sets"]
    }
    assert len(words) > 150
    missed = [word for rule, word in words if rule not in _find(f"in the scene: {DISGUISES[disguise](word)}")]
    assert missed == []


def test_harmless_phrases_hide_nothing_beside_them() -> None:
    chance = random.Random(2)
    for phrase in FILE["harmless"]:
        for part in phrase.split("|") if UNSPACED.search(phrase) else (_spelled(phrase, chance),):
            assert "intimate/nudity" in _find(f"ada {part} naked woman"), part


def test_the_list_is_tidy() -> None:
    assert {rule["id"].partition("/")[0] for rule in FILE["rules"]} == set(USES)
    ids = [rule["id"] for rule in FILE["rules"]]
    assert len(ids) == len(set(ids))
    named = set(re.findall(r"<(\w+)>", TEXT)) - {"age"}
    assert named <= set(FILE["sets"])
    for rule in FILE["rules"]:
        assert len(rule["words"]) == len(set(rule["words"])), rule["id"]
    assert shipped_list().phrases.unreadable == []


# Released lists, by their digests: owners have signed these.
RELEASED = {"cameo-words-1": "35c866d9b5561a964a4bfb7882242aab1748b517eded0e6417bac9f2fa99d649"}


def test_a_released_list_is_never_edited() -> None:
    assert {name: list_digest(name) for name in LISTS} == RELEASED, "add a list beside it instead"


def test_a_signed_list_is_found_by_its_digest() -> None:
    for name in LISTS:
        found = signed_list(list_digest(name))
        assert found is not None
        assert found.sha256 == list_digest(name)
    assert signed_list("00" * 32) is None
