"""The questions of `cameo enroll`: Enter takes the narrowest, a wrong answer is asked again, nothing is guessed."""

from __future__ import annotations

import datetime

import msgspec
import pytest

from cameo.cli.consent import ask_terms
from cameo.errors import UsageError
from cameo.seal.terms import DEFAULT_TERMS, PROHIBITIONS, ConsentTerms, parse_terms

from .test_enroll import Terminal

TODAY = datetime.date(2026, 3, 1)


def answered(monkeypatch: pytest.MonkeyPatch, *answers: str) -> ConsentTerms:
    stdin = Terminal("".join(f"{answer}\n" for answer in answers))
    monkeypatch.setattr("sys.stdin", stdin)
    terms = ask_terms(TODAY)
    assert stdin.read() == "", "every answer was taken"
    return terms


def test_enter_allows_the_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = answered(monkeypatch, *[""] * 6)
    (personal,) = DEFAULT_TERMS.purposes
    assert (personal.audience, personal.outputs) == ("owner", ("video", "audio"))
    assert terms == ConsentTerms((msgspec.structs.replace(personal, valid_until=datetime.date(2027, 3, 1)),))


def test_every_answer_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = answered(
        monkeypatch,
        "birthday, Stand-up Comedy!, 생일",
        "everyone",
        "2026-12-24",
        "y",
        "YES",
        "political, endorsement",
        "Ada",
    )
    assert [(p.id, p.description) for p in terms.purposes] == [
        ("birthday", ""),
        ("stand-up-comedy", "Stand-up Comedy!"),
        ("purpose-3", "생일"),
    ]
    for purpose in terms.purposes:
        assert (purpose.audience, purpose.delegable, purpose.commercial) == ("everyone", True, True)
        assert purpose.valid_until == datetime.date(2026, 12, 24)
    assert terms.prohibited == tuple(use for use in PROHIBITIONS if use != "intimate")
    assert terms.name == "Ada"


def test_what_is_said_in_a_file_and_here_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answered(monkeypatch, "birthday", "", "", "", "", "", "")
    assert asked == parse_terms('[[purposes]]\nid = "birthday"\nvalid_until = 2027-03-01')


@pytest.mark.parametrize(
    ("said", "days"), [("30 days", 30), ("1 day", 1), ("2w", 14), ("6 months", 180), ("1 Year", 365), ("2026-03-01", 0)]
)
def test_lengths_of_time(monkeypatch: pytest.MonkeyPatch, said: str, days: int) -> None:
    terms = answered(monkeypatch, "", "", said, "", "", "")
    assert terms.purposes[0].valid_until == TODAY + datetime.timedelta(days=days)


WRONG = {
    0: ([",", "a\x1b[31m", "x" * 201, ",".join("abcdefghijklmnopq")], "such as: birthday greetings"),
    1: (["5", "0", "nobody"], "answer 1, 2, 3 or 4"),
    2: (["soon", "2026-02-28", "999 years", "2099-01-01", "0001-01-01", "30", "-1 days"], "day"),
    3: (["maybe", "1"], "answer yes or no"),
    4: (["nothing", "minors", "intimate; political"], "answer all, none, or some of"),
    5: (["x" * 129, "Ada\x07"], "a name has up to 128"),
}


@pytest.mark.parametrize("question", WRONG)
def test_a_wrong_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], question: int
) -> None:
    wrong, hint = WRONG[question]
    answers = [""] * 6
    assert answered(monkeypatch, *answers[:question], *wrong, *answers[question:]).purposes[0].id == "personal"
    assert capsys.readouterr().err.count(hint) >= len(wrong)


def test_personal_for_others_does_not_say_it_is_for_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = answered(monkeypatch, "", "friends", "", "", "", "none", "")
    assert (terms.purposes[0].id, terms.purposes[0].description) == ("personal", "")
    assert set(terms.prohibited) == {"minors", "financial-fraud", "identity-fraud"}


@pytest.mark.parametrize("given", range(6))
def test_an_end_of_input_agrees_to_nothing(monkeypatch: pytest.MonkeyPatch, given: int) -> None:
    with pytest.raises(UsageError, match="you did not agree"):
        answered(monkeypatch, *[""] * given)
