"""What the owner's rules refuse, what they let pass, and that whatever fails refuses."""

from __future__ import annotations

import hashlib
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from benchmarks import prompt_guard as bench
from cameo.errors import CameoError, NotPermitted
from cameo.grants import guard
from cameo.grants.guard import Decision, PromptRefused, judge_prompt, list_digest, require_prompt
from cameo.grants.words import shipped

USES = bench.USES
LIST = files("cameo.grants.words") / f"{guard.LIST_ID}.toml"
FILE = tomllib.loads(LIST.read_text("utf-8"))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "what-word-rules-cannot-catch.md"
FORBIDDEN = "ada naked on a bed"
ORDINARY = "ada blows out the candles"


@dataclass(frozen=True)
class Words:
    """A rule of the owner, as a consent record holds it."""

    id: str
    words: tuple[str, ...]
    purpose: str = ""


@dataclass
class Classifier:
    """A classifier that answers, or raises, what it was given."""

    answer: Any
    name: str = "eye-1"
    asked: int = 0

    def judge(self, prompt: str, prohibited: Sequence[str]) -> str | None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _rule(prompt: str, *prohibited: str) -> str:
    return judge_prompt(prompt, prohibited or USES, (), "birthday").rule


# The lists of prompts.


def test_ordinary_prompts_pass() -> None:
    prompts = bench.ordinary()
    assert len(set(prompts)) >= 150
    assert bench.false_alarms(prompts).wrong == ()


def test_disguised_prompts_are_refused() -> None:
    cases = bench.forbidden("disguised")
    assert len(set(cases)) >= 150
    assert {case.use for case in cases} == set(USES)
    assert bench.caught(cases).wrong == ()


def test_the_rule_is_one_of_the_use() -> None:
    for case in bench.forbidden("disguised"):
        assert _rule(case.prompt, case.use).startswith(f"{case.use}/")


def test_disguises_that_the_list_was_not_made_for() -> None:
    count = bench.caught(bench.forbidden("unseen"))
    assert count.right >= 0.9 * count.total


def test_the_page_says_what_is_measured() -> None:
    page = " ".join(PAGE.read_text("utf-8").split())
    alarms, known = bench.false_alarms(bench.ordinary()), bench.caught(bench.forbidden("disguised"))
    unseen, meant = bench.caught(bench.forbidden("unseen")), bench.caught(bench.forbidden("paraphrased"))
    for words in (
        f"{len(alarms.wrong)} of {alarms.total} refused",
        f"{known.right} of {known.total} caught",
        f"{unseen.right} of {unseen.total} caught",
        f"{meant.right} of {meant.total} caught",
    ):
        assert words in page


# What only looks forbidden.


@pytest.mark.parametrize(
    "prompt",
    [
        "Essex, Sussex, Middlesex and Scunthorpe",
        "the assassin peels a grape in the analysis class",
        "a minor chord",
        "a c o c k t a i l bar",
        "A N A L O G synthesizers",
        "the pen is on the table",
        "put in the oven",
        "her brother's ex-wife",
        "plan C, Sam!",
        "tennis, set, as so often",
        "kids at a birthday party",
        "two children build a sand castle beside ada",
        "a cake for a 9 year old",
        "a 12 year old whisky",
        "party!!! party!!! 100% fun @ home for $5",
        "ヌードル",
        "ピエロが踊る",
        "グレープジュース",
        "이야기해야 한다",
        "지나치게 큰 건강간식",
        "她和男性朋友做爱心蛋糕",
    ],
)
def test_innocent_letters(prompt: str) -> None:
    assert _rule(prompt) == ""


def test_only_what_is_prohibited() -> None:
    assert _rule("ada at a campaign rally", "intimate", "minors") == ""
    assert _rule(FORBIDDEN, "political") == ""
    assert judge_prompt(FORBIDDEN, (), (), "birthday") == Decision(True)


def test_minors_are_refused_beside_what_is_otherwise_allowed() -> None:
    assert _rule(FORBIDDEN, "minors") == ""
    assert _rule("a child flies a kite", "minors") == ""
    assert _rule(f"{FORBIDDEN}, a child watches", "minors") == "minors/sexual"
    assert _rule(f"a 9 year old, {FORBIDDEN}", "minors") == "minors/sexual"


def test_a_use_that_the_list_does_not_know_refuses() -> None:
    assert judge_prompt(ORDINARY, ("intimate", "weapons"), (), "birthday") == Decision(False, "weapons/unknown")


# Bounds.


def test_too_long() -> None:
    assert _rule("a " * (guard.PROMPT_LIMIT // 2)) == ""
    assert _rule("a" * (guard.PROMPT_LIMIT + 1)) == "prompt/too-long"


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\x7f", "\x85", "\ud800", "\x08"])
def test_control_characters(bad: str) -> None:
    assert _rule(f"ada{bad} waves") == "prompt/control"


def test_lines_and_tabs_are_not_control_characters() -> None:
    assert _rule("ada waves\r\n\tand smiles\n") == ""
    assert _rule("") == ""


@pytest.mark.parametrize(
    "piece", ["a ", "1!", "n*", "s3", "n\u200b", "\ufdfa", "na.", "as a ", "verify ", "裸", "e\u0301"]
)
def test_no_text_takes_long(piece: str) -> None:
    prompt = (piece * guard.PROMPT_LIMIT)[: guard.PROMPT_LIMIT]
    shipped.shipped_list()
    start = time.process_time()
    judge_prompt(prompt, USES, (Words("x", ("abc*", "a b")),), "birthday")
    assert time.process_time() - start < 8  # seconds; the worst takes about one


# The owner's own words.


def _own(prompt: str, *words: str, purpose: str = "", declared: str = "birthday") -> str:
    return judge_prompt(prompt, (), (Words("exes", words, purpose),), declared).rule


@pytest.mark.parametrize(
    ("word", "prompt"),
    [
        ("Bob Miller", "ada hugs BOB  MILLER"),
        ("Bob Miller", "ada hugs b.o.b-m i l l e r"),
        ("Bob Miller", "ada hugs Вob Мiller"),
        ("Isa", "ada meets I s a"),
        ("Isa", "ada meets Isaaaa"),
        ("Анна", "рядом АННА"),
        ("Anna", "ada and @nna"),
        ("P@ris", "ada in paris"),
        ("AC/DC", "an ac/dc concert"),
        ("AC/DC", "an ACDC concert"),
        ("route 66", "ada on Route 66"),
        ("route66", "ada on route-66"),
        ("smok*", "ada smoking a pipe"),
        ("🍑", "ada and a 🍑\ufe0f tree"),
        ("C++", "ada teaches c++ to sheep"),
        ("東京", "エイダが東 京にいる"),
        ("서울", "아다는 서울에서 춤춘다"),
        ("دبي", "ada in دُبي"),
        ("หมา", "ada กับหมาตัวใหญ่"),
    ],
)
def test_own_words_are_found(word: str, prompt: str) -> None:
    assert _own(prompt, word) == "owner/exes"


@pytest.mark.parametrize(
    ("word", "prompt"),
    [
        ("Isa", "ada is a dancer"),
        ("Ana", "ada and Anna"),
        ("Ed", "a 3D animation"),
        ("Martin", "in the mart in town"),
        ("Bob Miller", "ada hugs Bob and miller moths"),
        ("smok", "ada smoking a pipe"),
        ("🍑", "ada and a peach"),
        ("C++", "ada in plan C"),
    ],
)
def test_own_words_are_not_seen_everywhere(word: str, prompt: str) -> None:
    assert _own(prompt, word) == ""


def test_own_words_for_one_purpose() -> None:
    assert _own("ada with beer", "beer", purpose="school", declared="school") == "owner/exes"
    assert _own("ada with beer", "beer", purpose="school", declared="birthday") == ""


@pytest.mark.parametrize("word", ["", " ", "\u200b"])
def test_a_word_that_cannot_be_read_refuses(word: str) -> None:
    assert _own(ORDINARY, "beer", word) == "owner/exes"


def test_own_words_add_to_the_list() -> None:
    rules = (Words("exes", ("beer",)),)
    assert judge_prompt(FORBIDDEN, USES, rules, "birthday").rule == "intimate/nudity"
    assert judge_prompt(ORDINARY, USES, rules, "birthday").allowed


# A classifier.


def _classified(prompt: str, classifier: Classifier) -> str:
    return judge_prompt(prompt, USES, (), "birthday", classifier).rule


def test_a_classifier_refuses_more() -> None:
    assert _classified(ORDINARY, Classifier(None)) == ""
    assert _classified(ORDINARY, Classifier("intimate")) == "classifier/eye-1:intimate"


def test_a_classifier_allows_nothing_that_words_refuse() -> None:
    classifier = Classifier(None)
    assert _classified(FORBIDDEN, classifier) == "intimate/nudity"
    assert classifier.asked == 0


@pytest.mark.parametrize("answer", [ValueError("out of memory"), False, True, 0, "", "a\nb", "x" * 200, ["intimate"]])
def test_a_classifier_that_fails_refuses(answer: Any) -> None:
    assert _classified(ORDINARY, Classifier(answer)) == "classifier/eye-1:failed"


@pytest.mark.parametrize("name", ["", "Two Words", "a\nb", "x" * 65, None])
def test_the_name_of_a_classifier_cannot_garble_a_receipt(name: Any) -> None:
    assert _classified(ORDINARY, Classifier("minors", name)) in (
        "classifier/unnamed:minors",
        "classifier/unnamed:failed",
    )
    assert not judge_prompt(ORDINARY, USES, (), "birthday", Classifier(None, "ok")).rule


# The signed list.


def test_the_digest_is_of_the_file() -> None:
    assert list_digest() == hashlib.sha256(LIST.read_bytes()).hexdigest()
    assert FILE["id"] == guard.LIST_ID


def test_require_returns_the_decision() -> None:
    assert require_prompt(ORDINARY, USES, (), "birthday", list_digest()) == Decision(True)


def test_require_names_the_rule_and_not_the_word() -> None:
    with pytest.raises(PromptRefused) as refused:
        require_prompt(FORBIDDEN, USES, (), "birthday", list_digest())
    error = refused.value
    assert isinstance(error, NotPermitted)
    assert (error.code, error.exit_code) == ("prompt_refused", 4)
    assert error.decision.rule == "intimate/nudity"
    assert "intimate/nudity" in error.message
    for text in (error.message, error.hint):
        assert "\n" not in text
        assert "naked" not in text
    assert error.hint


@pytest.mark.parametrize("signed", ["", "0" * 64, "f" * 63])
def test_another_list_than_the_owner_signed_refuses(signed: str) -> None:
    with pytest.raises(PromptRefused, match="word list that this version") as refused:
        require_prompt(ORDINARY, USES, (), "birthday", signed)
    assert (refused.value.code, refused.value.decision.rule) == ("prompt_refused", "prompt/other-list")
    assert "update cameo" in refused.value.hint


@pytest.mark.parametrize(
    ("prompt", "hint"),
    [("a" * 4001, "4000 characters"), ("\x00", "control characters"), ("the beer", "owner"), ("", "repaired")],
)
def test_each_refusal_says_what_to_do(prompt: str, hint: str) -> None:
    classifier = None if prompt else Classifier(RuntimeError())
    with pytest.raises(PromptRefused) as refused:
        require_prompt(prompt, USES, (Words("drinks", ("beer",)),), "birthday", list_digest(), classifier)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"id = 1", b'id = "x"\nsets = {}\nharmless = []\nrules = [{}]', b"more = 1"]
)
def test_a_damaged_list_allows_nothing(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped.shipped_list.cache_clear()
    monkeypatch.setattr(shipped, "_raw", lambda _name: raw)
    try:
        with pytest.raises(CameoError, match="cannot be read"):
            judge_prompt(ORDINARY, USES, (), "birthday")
    finally:
        shipped.shipped_list.cache_clear()
