"""One spelling for whatever looks alike."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameo.grants.folding import Reading, fold


def _words(text: str) -> set[str]:
    return {" ".join(reading.words) for reading in fold(text).readings}


@pytest.mark.parametrize(
    "text",
    [
        "NUDE",
        "ｎｕｄｅ",
        "𝐧𝐮𝐝𝐞",
        "𝖓𝖚𝖉𝖊",
        "𝓷𝓾𝓭𝓮",
        "𝚗𝚞𝚍𝚎",
        "ⓝⓤⓓⓔ",
        "🅽🆄🅳🅴",
        "🅝🅤🅓🅔",
        "🄽🅄🄳🄴",
        "🇳🇺🇩🇪",
        "ⁿᵘᵈᵉ",
        "ɴᴜᴅᴇ",
        "ñüđé",
        "n̶u̶d̶e̶",
        "n\u0301\u0302\u0303u\u0300d\u0304e\u0489",
        "nυde",  # Greek upsilon
        "ոude",  # Armenian vo
        "nud\u0435",  # Cyrillic ie
        "иυ∂є",
        "\u039dUDE",  # Greek capital nu, whose small letter looks like v
        "NU\u13a0E",  # Cherokee
        "ᑎᑌᗪE",
        "nu\u200bde",
        "nu\u00adde",
        "nu\u2060de",
        "nu\ufeffde",
        "nu\u034fde",
        "nu\u180ede",
        "nu\ufe0fde",
        "nu\u3164de",
        "nu\u2800de",
        "\u202enude\u202c",
        "nu\U000e0041de",
    ],
    ids=ascii,
)
def test_what_looks_like_a_word_is_that_word(text: str) -> None:
    assert "nude" in _words(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Straße", "strasse"),
        ("crème brûlée", "creme brulee"),
        ("smørrebrød", "smorrebrod"),
        ("Łódź", "lodz"),
        ("don't", "don t"),
        ("don\u02bct", "don t"),  # an apostrophe that counts as a letter
        ("birthday_party", "birthday party"),
        ("35mm", "35 mm"),
        ("iPhone", "i phone"),
        ("ﬁne", "fine"),
        ("½", "1 2"),
        ("", ""),
        ("🎂🎉", ""),
    ],
)
def test_ordinary_text(text: str, words: str) -> None:
    assert _words(text) == {words}


def test_a_hidden_character_is_also_a_gap() -> None:
    assert _words("ada\u200bdances") == {"adadances", "ada dances"}


def test_i_and_l_are_not_told_apart_where_they_look_alike() -> None:
    assert any(r.words == ("n", "1", "pple") for r in fold("N\u0399PPLE").readings)  # capital iota is I, or l


def test_a_script_without_spaces_is_read_as_one() -> None:
    assert fold("裸 体!").readings[0].solid == "裸体"
    assert fold("ﾇｰﾄﾞ").readings[0].solid == "ヌード"
    assert fold("plain").readings[0].solid == ""


def test_korean_words_stay_apart_unless_spelled_by_syllable() -> None:
    assert fold("분야 동향").readings[0].solid == "분야 동향"
    assert fold("누 드").readings[0].solid == "누드"


def test_symbols_keep_what_is_no_letter() -> None:
    assert "🔞" in fold("A\u200bda 🔞\ufe0f").symbols
    assert "ada" in fold("A\u200bda 🔞").symbols


def test_plain_english_has_one_reading() -> None:
    assert fold("Ada dances.").readings == (Reading(("ada", "dances"), ("", " ", "."), ""),)


@given(st.text(max_size=60))
def test_any_text_folds(text: str) -> None:
    for reading in fold(text).readings:
        assert len(reading.gaps) == len(reading.words) + 1
        assert all(reading.words)
        for word in reading.words:
            assert word == word.casefold()
            # Nothing is left that draws a second character over the first.
            assert not any(unicodedata.category(c) in ("Me", "Cf") for c in word)


@given(st.text(st.characters(codec="ascii"), max_size=60))
def test_case_does_not_matter_where_no_word_has_a_capital_inside(text: str) -> None:
    assert fold(text.lower()).readings[0].words == fold(text.upper()).readings[0].words
