"""Terms: what a file may say, what it means when it says little, and which uses and grants stay within."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cameo.errors import CameoError, NotPermitted, UsageError
from cameo.grants.scope import Scope
from cameo.records import Use
from cameo.seal.narrowing import require_narrowed
from cameo.seal.terms import (
    AUDIENCES,
    DEFAULT_TERMS,
    PROHIBITIONS,
    TERMS_LIMIT,
    ConsentTerms,
    Guard,
    Purpose,
    WordRule,
    allows_generator,
    any_purpose,
    load_terms,
    parse_terms,
    require_allowed,
    require_grantable,
    resolve_terms,
    with_generator,
)
from cameo.seal.wording import describe, describe_purpose, sum_up

TODAY = datetime.date(2026, 3, 1)
SMALLEST = '[[purposes]]\nid = "birthday"'
FULL = """
name = "Ada"
jurisdiction = "DE"
prohibited = ["intimate", "minors", "political", "financial-fraud", "identity-fraud"]
[[purposes]]
id = "advert"
description = "one spot for the bakery"
audience = "approved"
actions = ["generate"]
outputs = ["video", "image"]
modalities = ["face"]
generators = ["reference", "wan"]
commercial = true
delegable = true
valid_from = 2026-04-01
valid_until = 2026-04-30
[[words]]
id = "exes"
words = ["Charles", "old flame"]
[[words]]
id = "rivals"
words = ["Acme"]
purpose = "advert"
[retention]
captures = true
until = "erased-by-owner"
"""


def test_the_smallest_file_gives_the_narrowest_use() -> None:
    terms = resolve_terms(parse_terms(SMALLEST), ["reference"], TODAY)
    (purpose,) = terms.purposes
    assert purpose.id == "birthday"
    assert (purpose.audience, purpose.actions, purpose.outputs) == ("approved", ("generate",), ("video",))
    assert (purpose.commercial, purpose.delegable) == (False, False)
    assert purpose.generators == ("reference",)
    assert purpose.valid_from == TODAY
    assert purpose.valid_until == TODAY + datetime.timedelta(days=365)
    assert terms.prohibited == PROHIBITIONS
    assert not terms.retention.captures


def test_the_default_is_for_the_owner_alone() -> None:
    assert [purpose.audience for purpose in DEFAULT_TERMS.purposes] == ["owner"]
    assert not any(purpose.commercial or purpose.delegable for purpose in DEFAULT_TERMS.purposes)


def test_a_full_file_keeps_what_it_says() -> None:
    terms = resolve_terms(parse_terms(FULL), ["reference"], TODAY)
    (purpose,) = terms.purposes
    assert purpose.generators == ("reference", "wan"), "what was said is not widened by what is at hand"
    assert (purpose.valid_from, purpose.valid_until) == (datetime.date(2026, 4, 1), datetime.date(2026, 4, 30))
    assert purpose.modalities == ("face",)
    assert terms.prohibited == tuple(p for p in PROHIBITIONS if p != "endorsement")
    said = "\n".join(describe(terms))
    for words in (
        "one spot for the bakery",
        "commercial use allowed",
        "from 1 April 2026 until 30 April 2026",
        "once",
        "DE",
    ):
        assert words in said
    assert "exes (2 words)" in said and "rivals (1 word, only for advert)" in said
    assert "Charles" not in said, "whom the owner does not want named need not be named to everyone in the summary"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("", "purposes"),
        ("purposes = []", "purposes"),
        ("[[purposes]]", "id"),
        ('[[purposes]]\nid = "Birthday party"', "id"),
        (SMALLEST + '\ncolour = "red"', "colour"),
        ('colour = "red"\n' + SMALLEST, "colour"),
        (SMALLEST + "\n[retention]\nforever = true", "forever"),
        (SMALLEST + '\naudience = "all"', "audience"),
        (SMALLEST + '\noutputs = ["hologram"]', "outputs"),
        (SMALLEST + "\noutputs = []", "allows nothing"),
        (SMALLEST + "\ncommercial = 1", "commercial"),
        (SMALLEST + '\nvalid_until = "tomorrow"', "valid_until"),
        (SMALLEST + "\nvalid_from = 2026-05-02\nvalid_until = 2026-05-01", "ends before it begins"),
        (SMALLEST + "\n" + SMALLEST, "same id"),
        ('prohibited = ["political"]\n' + SMALLEST, "prohibited must contain"),
        ('prohibited = ["nothing"]\n' + SMALLEST, "prohibited"),
        (SMALLEST + "\nid = 5", "consent file"),
        ("not toml at all", "consent file"),
        (SMALLEST + '\ngenerators = ["../x"]', "generators"),
        (SMALLEST + '\n[[words]]\nid = "exes"', "words"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = []', "words"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = [""]', "words"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = [" . "]', "without a letter"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = ["a\\u0000b"]', "without a letter"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = ["' + "a" * 65 + '"]', "words"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = ["a"]' * 2, "same id"),
        (SMALLEST + '\n[[words]]\nid = "exes"\nwords = ["a"]\npurpose = "advert"', "not there: advert"),
        (SMALLEST + '\n[guard]\nlist = "Any"', "list"),
        (SMALLEST + '\n[guard]\nsha256 = "ab"', "sha256"),
    ],
)
def test_what_a_file_may_not_say(toml: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        parse_terms(toml)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "consent.toml"
    path.write_text(FULL)
    assert load_terms(path) == parse_terms(FULL)
    with pytest.raises(UsageError, match="cannot read"):
        load_terms(tmp_path / "none.toml")
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(UsageError, match="not UTF-8"):
        load_terms(path)
    path.write_text("#" * (TERMS_LIMIT + 1))
    with pytest.raises(UsageError, match="larger"):
        load_terms(path)


def test_a_beginning_at_the_end_of_time() -> None:
    terms = resolve_terms(parse_terms(SMALLEST + "\nvalid_from = 9999-12-30"), ["reference"], TODAY)
    assert terms.purposes[0].valid_until == datetime.date.max


def test_the_edition_of_the_word_list_is_fixed_when_it_is_known() -> None:
    assert resolve_terms(DEFAULT_TERMS, ["reference"], TODAY).guard == Guard("cameo-words-1", "")
    assert resolve_terms(DEFAULT_TERMS, ["reference"], TODAY, "ab" * 32).guard.sha256 == "ab" * 32
    pinned = parse_terms(SMALLEST + f'\n[guard]\nsha256 = "{"cd" * 32}"')
    assert resolve_terms(pinned, ["reference"], TODAY, "ab" * 32).guard.sha256 == "cd" * 32
    assert any("edition cdcdcdcdcdcd" in line for line in describe(pinned))


def test_a_flood_of_words_is_refused() -> None:
    words = tuple(f"{n:063d}" for n in range(256))
    with pytest.raises(UsageError, match="longer than"):
        terms = ConsentTerms((Purpose("a"),), words=tuple(WordRule(f"w{n}", words) for n in range(2)))
        parse_terms(SMALLEST + "".join(f"\n[[words]]\nid = {r.id!r}\nwords = {list(r.words)!r}" for r in terms.words))


# Which uses are within.

BIRTHDAY = Purpose("birthday", audience="group", generators=("reference",), valid_from=TODAY, valid_until=TODAY)
MINE = Purpose(
    "mine", "", "owner", ("generate",), ("video", "image"), ("face",), ("reference", "wan"), True, True,
    TODAY, datetime.date(2026, 12, 31),
)  # fmt: skip
TERMS = ConsentTerms((BIRTHDAY, MINE))
USE = Use("generate", "birthday", "a cake", "reference", ("video",), ("face", "voice"), 4.0, 4096)


def test_what_is_allowed_is_allowed() -> None:
    assert require_allowed(TERMS, USE, "approved", TODAY) is BIRTHDAY
    assert require_allowed(TERMS, USE, "owner", TODAY) is BIRTHDAY
    assert require_allowed(TERMS, USE, "group", TODAY) is BIRTHDAY
    wide = dataclasses.replace(
        USE, purpose="mine", outputs=("image", "video"), modalities=("face",), generator="wan", commercial=True
    )
    assert require_allowed(TERMS, wide, "owner", datetime.date(2026, 12, 31)) is MINE


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"purpose": "advert"}, "wrong_purpose", "no purpose advert"),
        ({"purpose": ""}, "wrong_purpose", "no purpose"),
        ({"purpose": "x\n\x1b[31m" * 100}, "wrong_purpose", "no purpose"),
        ({"action": "train"}, "consent_exceeded", "action train"),
        ({"action": "export"}, "consent_exceeded", "action export, only generate"),
        ({"outputs": ("video", "audio")}, "consent_exceeded", "output audio"),
        ({"outputs": ()}, "consent_exceeded", "not named"),
        ({"modalities": ("face", "captures")}, "consent_exceeded", "modality captures"),
        ({"modalities": ()}, "consent_exceeded", "not named"),
        ({"generator": "wan"}, "consent_exceeded", "generator wan"),
        ({"generator": ""}, "consent_exceeded", "generator"),
        ({"commercial": True}, "consent_exceeded", "commercial"),
    ],
)
def test_what_is_not_said_is_not_allowed(change: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(NotPermitted, match=words) as caught:
        require_allowed(TERMS, dataclasses.replace(USE, **change), "approved", TODAY)
    assert caught.value.code == code
    assert caught.value.message.isprintable() and len(caught.value.message) < 400
    assert caught.value.hint


@pytest.mark.parametrize(("days", "code"), [(-1, "not_yet"), (1, "expired")])
def test_days_outside_are_refused(days: int, code: str) -> None:
    with pytest.raises(NotPermitted) as caught:
        require_allowed(TERMS, USE, "approved", TODAY + datetime.timedelta(days=days))
    assert caught.value.code == code


def test_no_one_uses_it_as_more_than_they_are() -> None:
    for allowed in AUDIENCES:
        terms = ConsentTerms((msgspec.structs.replace(BIRTHDAY, audience=allowed),))
        for asked in AUDIENCES:
            if AUDIENCES.index(asked) <= AUDIENCES.index(allowed):
                require_allowed(terms, USE, asked, TODAY)
            else:
                with pytest.raises(NotPermitted, match=f"for {allowed}, not for {asked}") as caught:
                    require_allowed(terms, USE, asked, TODAY)
                assert caught.value.code == "consent_exceeded"


def test_terms_that_leave_something_open_allow_nothing() -> None:
    for purpose in (
        Purpose("birthday"),
        msgspec.structs.replace(BIRTHDAY, valid_until=None),
        Purpose("birthday", generators=("reference",)),
    ):
        with pytest.raises(NotPermitted):
            require_allowed(ConsentTerms((purpose,)), USE, "owner", TODAY)


def test_one_more_generator_for_every_purpose() -> None:
    toml = '[[purposes]]\nid = "a"\ngenerators = ["wan"]\n[[purposes]]\nid = "b"\nvalid_until = 2026-06-30'
    terms = resolve_terms(parse_terms(toml), ["reference"], datetime.date(2026, 1, 1))
    wider = with_generator(terms, "ltx2")
    assert [purpose.generators for purpose in wider.purposes] == [("ltx2", "wan"), ("ltx2", "reference")]
    require_narrowed(terms, wider)
    assert with_generator(wider, "wan").purposes[0] == wider.purposes[0]
    day, later = datetime.date(2026, 3, 1), datetime.date(2026, 12, 1)
    assert [allows_generator(terms, name, day) for name in ("wan", "reference", "ltx2")] == [True, True, False]
    assert [allows_generator(terms, name, later) for name in ("wan", "reference")] == [True, False]


def test_any_purpose_will_do_for_a_use_that_names_none() -> None:
    use = dataclasses.replace(USE, purpose="", modalities=("face",))
    assert any_purpose(TERMS, use, "approved", TODAY) is BIRTHDAY
    assert any_purpose(TERMS, dataclasses.replace(use, generator="wan"), "owner", TODAY) is MINE
    for asked, audience, day, code in (
        (dataclasses.replace(use, generator="ltx-2"), "owner", TODAY, "consent_exceeded"),
        (dataclasses.replace(use, generator="wan"), "approved", TODAY, "consent_exceeded"),
        (use, "owner", datetime.date(2027, 1, 1), "expired"),
        (use, "owner", datetime.date(2025, 1, 1), "not_yet"),
    ):
        with pytest.raises(NotPermitted, match="does not allow video with") as caught:
            any_purpose(TERMS, asked, audience, day)  # type: ignore[arg-type]
        assert caught.value.code == code


# Which grants are within.

SCOPE = Scope(("generate",), ("birthday",), ("video",), ("face",), ("reference",))


def test_a_grant_within_the_consent() -> None:
    require_grantable(TERMS, SCOPE, TODAY, "approved", False)
    both = msgspec.structs.replace(SCOPE, purposes=("birthday", "mine"))
    require_grantable(TERMS, both, TODAY, "owner", False)
    alone = msgspec.structs.replace(SCOPE, purposes=("mine",), generators=("wan",), commercial=True)
    require_grantable(TERMS, alone, datetime.date(2026, 12, 31), "owner", True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"purposes": ("advert",)}, "wrong_purpose"),
        ({"purposes": ("birthday", "advert")}, "wrong_purpose"),
        ({"actions": ()}, "consent_exceeded"),
        ({"actions": ("export", "generate")}, "consent_exceeded"),
        ({"outputs": ("image",)}, "consent_exceeded"),
        ({"purposes": ("mine", "birthday"), "outputs": ("image",)}, "consent_exceeded"),
        ({"purposes": ("mine",), "modalities": ("face", "voice")}, "consent_exceeded"),
        ({"generators": ("reference", "wan")}, "consent_exceeded"),
        ({"generators": ()}, "consent_exceeded"),
        ({"commercial": True}, "consent_exceeded"),
    ],
)
def test_a_grant_never_exceeds_the_consent(change: dict[str, Any], code: str) -> None:
    with pytest.raises(NotPermitted) as caught:
        require_grantable(TERMS, msgspec.structs.replace(SCOPE, **change), TODAY, "owner", False)
    assert caught.value.code == code


def test_a_grant_ends_with_the_consent_and_goes_no_further() -> None:
    for until, audience, delegable in (
        (TODAY + datetime.timedelta(days=1), "approved", False),
        (TODAY, "everyone", False),
        (TODAY, "approved", True),
    ):
        with pytest.raises(NotPermitted) as caught:
            require_grantable(TERMS, SCOPE, until, audience, delegable)  # type: ignore[arg-type]
        assert caught.value.code == "consent_exceeded"
    with pytest.raises(UsageError, match="for nothing"):
        require_grantable(TERMS, msgspec.structs.replace(SCOPE, purposes=()), TODAY, "owner", False)


# In words.


def test_exporting_is_said_by_nobody_but_the_owner_and_then_in_plain_words() -> None:
    assert all("export" not in purpose.actions for purpose in DEFAULT_TERMS.purposes)
    said = 'actions = ["generate", "export"]'
    plain, both, alone = (
        resolve_terms(parse_terms(f'[[purposes]]\nid = "birthday"\n{actions}'), ["wan"], TODAY)
        for actions in ("", said, said.replace('"generate", ', ""))
    )
    leaves = "to export what was tuned as a plain file, which cannot be called back"
    assert "export" not in describe(plain)[0]
    assert f", to generate video, {leaves}, with wan, " in describe(both)[0]
    assert f", {leaves}, with wan, " in describe(alone)[0]
    assert "to generate" not in describe(alone)[0]
    assert describe_purpose(both, "birthday") == f"{describe(both)[0]}; {describe(both)[1]}"
    use = dataclasses.replace(USE, action="export", purpose="", generator="wan", modalities=("face",))
    assert any_purpose(both, use, "approved", TODAY).id == "birthday"
    with pytest.raises(NotPermitted, match="does not allow exporting what was tuned for wan on"):
        any_purpose(plain, use, "approved", TODAY)
    with pytest.raises(UsageError, match="birthday allows nothing"):
        parse_terms('[[purposes]]\nid = "birthday"\nactions = []')
    with pytest.raises(UsageError):
        parse_terms('[[purposes]]\nid = "birthday"\nactions = ["train"]')


def test_the_sum_of_it() -> None:
    terms = resolve_terms(
        parse_terms('[[purposes]]\nid = "birthday"\n[[purposes]]\nid = "comedy"'), ["reference"], TODAY
    )
    never = "never: intimate, minors, political, financial-fraud, identity-fraud, endorsement"
    assert sum_up(terms, lent=2) == (
        f"may be used in: birthday, comedy; {never}; until 1 March 2027; lent to: 2 friends"
    )
    assert sum_up(terms, lent=1).endswith("; lent to: 1 friend")
    assert sum_up(terms, lent=0).endswith("; lent to: nobody")
    assert sum_up(terms).endswith("; until 1 March 2027")
    assert sum_up(terms, withdrawn=True) == "withdrawn: may not be used any more"
    assert sum_up(TERMS).startswith("may be used in: birthday until 1 March 2026, mine until 31 December 2026; never")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_garbage_raises_nothing_else(raw: bytes) -> None:
    try:
        parse_terms(raw.decode("utf-8", "replace"))
    except CameoError as error:
        assert isinstance(error, UsageError)
