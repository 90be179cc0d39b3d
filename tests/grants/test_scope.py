"""What a grant allows: a delegation can only narrow it, and a use must lie within it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cameo.errors import NotPermitted
from cameo.grants.scope import Scope, describe_scope, require_covered, require_narrower
from tests.lendable import a_use

WIDE = Scope(
    actions=("generate",),
    purposes=("birthday", "comedy"),
    outputs=("video", "audio"),
    modalities=("face", "voice"),
    generators=("reference", "wan"),
    max_uses=4,
    max_seconds=10.0,
    max_pixels=384 * 384,
    commercial=True,
)


def changed(**changes: Any) -> Scope:
    return msgspec.structs.replace(WIDE, **changes)


@pytest.mark.parametrize(
    "narrower",
    [
        {},
        {"purposes": ("comedy",)},
        {"outputs": ("audio",)},
        {"modalities": ("voice",)},
        {"generators": ("wan",)},
        {"max_uses": 1},
        {"max_seconds": 0.5},
        {"max_pixels": 1},
        {"commercial": False},
    ],
)
def test_narrower_in_any_respect(narrower: dict[str, Any]) -> None:
    require_narrower(changed(**narrower), WIDE)


@pytest.mark.parametrize(
    ("wider", "said"),
    [
        ({"purposes": ("birthday", "sports")}, "purposes: sports"),
        ({"actions": ("export", "generate")}, "actions: export"),
        ({"outputs": ("image",)}, "outputs: image"),
        ({"generators": ("reference", "sora")}, "generators: sora"),
        ({"max_uses": 5}, "max_uses: 5, the grant has 4"),
        ({"max_uses": None}, "max_uses: no limit, the grant has 4"),
        ({"max_seconds": 10.001}, "max_seconds: 10.001, the grant has 10.0"),
        ({"max_seconds": None}, "max_seconds: no limit"),
        ({"max_pixels": 384 * 384 + 1}, "max_pixels: 147457"),
        ({"max_pixels": None}, "max_pixels: no limit"),
    ],
)
def test_wider_in_any_respect_is_refused(wider: dict[str, Any], said: str) -> None:
    with pytest.raises(NotPermitted, match=f"widens {said}") as caught:
        require_narrower(changed(**wider), WIDE)
    assert caught.value.code == "widened"


def test_wider_in_modalities_and_commerce_is_refused() -> None:
    face = changed(modalities=("face",), commercial=False)
    with pytest.raises(NotPermitted, match="modalities: voice"):
        require_narrower(changed(commercial=False), face)
    with pytest.raises(NotPermitted, match="commercial use"):
        require_narrower(changed(modalities=("face",)), face)


def test_no_limit_may_become_one_and_stay_none() -> None:
    free = changed(max_uses=None, max_seconds=None, max_pixels=None)
    require_narrower(WIDE, free)
    require_narrower(free, free)


def test_a_use_within() -> None:
    require_covered(WIDE, a_use())
    require_covered(WIDE, a_use(seconds=10.0, pixels=384 * 384, commercial=True, outputs=("video", "audio")))
    require_covered(changed(max_seconds=None, max_pixels=None), a_use(seconds=9999.0, pixels=10**9))


@pytest.mark.parametrize("limit", [{"max_seconds": 10.0}, {"max_pixels": 384 * 384}])
def test_an_export_keeps_to_no_limit_and_so_is_under_none(limit: dict[str, Any]) -> None:
    """Ours gives no such grant; another program could."""
    free = changed(actions=("export", "generate"), max_seconds=None, max_pixels=None)
    require_covered(free, a_use(action="export"))
    with pytest.raises(NotPermitted, match="a plain file would keep to neither") as caught:
        require_covered(msgspec.structs.replace(free, **limit), a_use(action="export"))
    assert caught.value.code == "out_of_scope"
    require_covered(msgspec.structs.replace(free, **limit), a_use())


@pytest.mark.parametrize(
    ("use", "code", "said"),
    [
        ({"purpose": "sports"}, "wrong_purpose", "the grant is for birthday, comedy, not for 'sports'"),
        ({"purpose": ""}, "wrong_purpose", "not for ''"),
        ({"action": "train"}, "out_of_scope", "the action train"),
        ({"action": "export"}, "out_of_scope", "the action export"),
        ({"generator": "sora"}, "out_of_scope", "the generator sora"),
        ({"outputs": ("video", "image")}, "out_of_scope", "the output image"),
        ({"outputs": ()}, "out_of_scope", "the output that is not named"),
        ({"modalities": ("face", "captures")}, "out_of_scope", "the modality captures"),
        ({"modalities": ()}, "out_of_scope", "the modality that is not named"),
        ({"seconds": 10.001}, "too_long", "up to 10 s, not 10.001 s"),
        ({"pixels": 384 * 384 + 1}, "too_large", "up to 147456 pixels"),
        ({"line_sha256": "ab"}, "out_of_scope", "the line is not named"),
        ({"line_sha256": "AB" * 32}, "out_of_scope", "the line is not named"),
    ],
)
def test_a_use_beyond(use: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(NotPermitted, match=said) as caught:
        require_covered(WIDE, a_use(**use))
    assert caught.value.code == code


def test_a_commercial_use_must_be_allowed() -> None:
    require_covered(changed(commercial=False), a_use())
    with pytest.raises(NotPermitted, match="commercial") as caught:
        require_covered(changed(commercial=False), a_use(commercial=True))
    assert caught.value.code == "out_of_scope"


def test_a_length_that_is_no_number_is_not_within() -> None:
    with pytest.raises(NotPermitted):
        require_covered(WIDE, a_use(seconds=float("nan")))
    with pytest.raises(NotPermitted):
        require_covered(WIDE, a_use(seconds=float("inf")))


def test_in_plain_words() -> None:
    assert describe_scope(WIDE) == [
        "for: birthday, comedy",
        "what: face, voice as video, audio, with reference, wan",
        "commercially, too",
        "at most: 4 uses, 10 s a clip, 147456 pixels a frame",
    ]
    free = changed(max_uses=None, max_seconds=None, max_pixels=None, commercial=False)
    assert describe_scope(free)[2:] == ["not commercially", "no limit on number, length or size"]
    assert describe_scope(changed(max_uses=1))[3].startswith("at most: 1 use,")
    leaves = "export: face, voice for reference, wan, as a plain file that cannot be called back"
    assert describe_scope(changed(actions=("export", "generate")))[1:3] == [describe_scope(WIDE)[1], leaves]
    assert describe_scope(changed(actions=("export",)))[1] == leaves


@pytest.mark.parametrize(
    "wrong",
    [
        {"actions": ["train"]},
        {"purposes": []},
        {"purposes": ["Birthday party"]},
        {"outputs": []},
        {"modalities": ["captures"]},
        {"max_uses": 0},
        {"max_seconds": 0},
        {"max_pixels": -1},
        {"more": 1},
    ],
)
def test_what_is_no_scope(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.to_builtins(WIDE) | wrong, Scope)
