"""Ask a person, on a terminal, what their double may be used for."""

from __future__ import annotations

import datetime
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from cameo.cli import terminal
from cameo.errors import UsageError
from cameo.seal.consent import text_shown
from cameo.seal.terms import (
    ALWAYS_PROHIBITED,
    AUDIENCES,
    DEFAULT_TERMS,
    PROHIBITIONS,
    VALID_DAYS,
    Audience,
    ConsentTerms,
    Prohibition,
    Purpose,
    load_terms,
    resolve_terms,
    today,
)

T = TypeVar("T")

_MOST_PURPOSES = 16
_LONGEST_DAYS = 3653  # ten years
_LENGTH = re.compile(r"(\d{1,3}) ?(d|w|m|y|days?|weeks?|months?|years?)")
_UNIT_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_OPTIONAL = tuple(use for use in PROHIBITIONS if use not in ALWAYS_PROHIBITED)
_WHO = {"only me": "owner", "me": "owner", "people i approve": "approved", "friends": "approved"}


def agreed_terms(file: Path | None, generators: Sequence[str], yes: bool, keep_captures: bool = False) -> ConsentTerms:
    """Get terms from a file, from the person, or take the narrowest; show them, and ask for a yes.

    Args:
        file: of the terms, TOML.
        generators: those the double is tuned for.
        yes: whether the person has read and agreed already.
        keep_captures: whether the recording is kept in the double, whatever the terms say of it.

    Raises:
        UsageError: the file is no terms, there is nobody to ask, or they do not agree.
    """
    from cameo.grants.guard import list_digest

    if file is not None:
        terms = load_terms(file)
    elif yes or not sys.stdin.isatty():
        terms = DEFAULT_TERMS
    else:
        terms = ask_terms(today())
    if keep_captures:
        retention = msgspec.structs.replace(terms.retention, captures=True)
        terms = msgspec.structs.replace(terms, retention=retention)
    terms = resolve_terms(terms, generators, today(), list_digest())
    require_agreed(terms, yes)
    return terms


def require_agreed(terms: ConsentTerms, yes: bool) -> None:
    """Show the text of a consent, and ask for a yes.

    Raises:
        UsageError: there is nobody to ask, or they do not agree.
    """
    for line in text_shown(terms):
        terminal.say(line)
    terminal.confirm("Do you agree?", yes)


def ask_terms(first: datetime.date) -> ConsentTerms:
    """Ask for the terms of a consent, question by question; Enter takes what stands in brackets.

    Raises:
        UsageError: the input ends before the last answer.
    """
    terminal.say("What do you allow? Enter takes what stands in [brackets].")
    purposes = _ask("What may it be used for? A few words, commas between uses", "personal", _purposes)
    personal = purposes == DEFAULT_TERMS.purposes
    who = "Who may use it: 1 only me, 2 people I approve, 3 a group I keep, 4 everyone"
    audience = _ask(who, "1" if personal else "2", _audience)
    if personal and audience != "owner":
        purposes = (Purpose("personal"),)  # without the words that say it is for the owner
    year = first + datetime.timedelta(days=VALID_DAYS)
    until = _ask("Until when? A day, or 30 days, 6 months, 1 year", year.isoformat(), partial(_day, first=first))
    delegable = audience != "owner" and _ask("May they pass it on, once", "no", _yes)
    commercial = _ask("May money be made with it", "no", _yes)
    always = ", ".join(use for use in PROHIBITIONS if use in ALWAYS_PROHIBITED)
    terminal.say(f"Always forbidden: {always}.")
    prohibited = _ask(f"Which of these, too: {', '.join(_OPTIONAL)}", "all", _prohibited)
    name = _ask("Your name, as others shall see it", "", _name)
    return ConsentTerms(
        tuple(
            msgspec.structs.replace(
                purpose, audience=audience, valid_until=until, delegable=delegable, commercial=commercial
            )
            for purpose in purposes
        ),
        name=name,
        prohibited=prohibited,
    )


def _ask(question: str, default: str, read: Callable[[str], T]) -> T:
    """Ask until `read` takes the answer; its `ValueError` says how to answer."""
    while True:
        print(f"{question} [{default or 'none'}]: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            print(file=sys.stderr)
            raise UsageError("you did not agree; nothing was made", "run it again and answer, or give --consent FILE")
        try:
            return read(line.strip() or default)
        except ValueError as error:
            terminal.say(f"  {error}")


def _purposes(text: str) -> tuple[Purpose, ...]:
    if text.lower() == "personal":
        return DEFAULT_TERMS.purposes
    uses: dict[str, str] = {}
    for said in filter(None, map(str.strip, text.split(","))):
        if len(said) > 200 or not said.isprintable():
            raise ValueError("say each use in a few plain words, such as: birthday greetings, comedy")
        uses.setdefault(_purpose_id(said, len(uses) + 1), said)
    if not 0 < len(uses) <= _MOST_PURPOSES:
        raise ValueError(f"say 1 to {_MOST_PURPOSES} uses, such as: birthday greetings, comedy")
    return tuple(Purpose(key, "" if said == key else said) for key, said in uses.items())


def _purpose_id(said: str, number: int) -> str:
    """Make an id of a use: its letters of the Latin alphabet and digits, or its number where there are none."""
    latin = unicodedata.normalize("NFKD", said.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", latin)[:64].strip("-") or f"purpose-{number}"


def _audience(text: str) -> Audience:
    said = _WHO.get(text.lower(), text.lower())
    for number, audience in enumerate(AUDIENCES, 1):
        if said in (str(number), audience):
            return audience
    raise ValueError("answer 1, 2, 3 or 4")


def _day(text: str, first: datetime.date) -> datetime.date:
    length = _LENGTH.fullmatch(text.lower())
    if length:
        day = first + datetime.timedelta(days=int(length[1]) * _UNIT_DAYS[length[2][0]])
    else:
        try:
            day = datetime.date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"write a day like {first.year + 1}-03-31, or 30 days, 6 months, 1 year") from None
    if not first <= day <= first + datetime.timedelta(days=_LONGEST_DAYS):
        raise ValueError("choose a day from today on, and not more than ten years ahead")
    return day


def _yes(text: str) -> bool:
    if text.lower() in ("y", "yes"):
        return True
    if text.lower() in ("n", "no"):
        return False
    raise ValueError("answer yes or no")


def _prohibited(text: str) -> tuple[Prohibition, ...]:
    said = {word.strip() for word in text.lower().split(",")} - {""}
    kept = {"all": set(_OPTIONAL), "none": set()}.get(text.lower(), said)
    if not kept <= set(_OPTIONAL):
        raise ValueError(f"answer all, none, or some of: {', '.join(_OPTIONAL)}")
    return tuple(use for use in PROHIBITIONS if use in ALWAYS_PROHIBITED or use in kept)


def _name(text: str) -> str:
    if len(text) > 128 or not text.isprintable():
        raise ValueError("a name has up to 128 plain characters")
    return text
