"""The list of sealed parts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cameo.report.parts import list_parts, tuned_size

if TYPE_CHECKING:
    from cameo.records import Enrollment


def test_parts_are_said_in_words_the_largest_first(enrollment: Enrollment) -> None:
    parts = list_parts(enrollment.sealed)
    assert [part.size for part in parts] == sorted((part.size for part in parts), reverse=True)
    assert {part.name for part in parts} == set(enrollment.sealed.parts)
    words = {part.name: part.words for part in parts}
    assert words["adapter.reference.face"] == "what the generator reference learned about the face"
    assert words["template.voice"] == "the voice as numbers, to compare with"


def test_only_adapter_and_identity_count_as_tuned(enrollment: Enrollment) -> None:
    sizes = enrollment.sealed.parts
    assert tuned_size(enrollment.sealed) == sizes["adapter.reference.face"] + sizes["identity.reference.face"]


def test_a_part_of_an_unknown_kind_is_listed_by_its_name(enrollment: Enrollment) -> None:
    (part,) = list_parts(replace(enrollment.sealed, parts={"motion": 7}))
    assert (part.name, part.words, part.size, part.tuned) == ("motion", "", 7, False)
    assert list_parts(replace(enrollment.sealed, parts={"captures": 1}))[0].words.startswith("the recording itself")
