"""Captions say what the scene and the head do, and nothing of who it is."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from cameo.generators.base import Footage, Motion
from cameo.generators.captions import describe
from cameo.generators.other_people import rendered_footage
from tests.generators.test_region_weight import FACE

TRAITS = ("man", "woman", "old", "young", "skin", "hair", "beard", "glasses", "tall", "dark", "pale", "pretty")


def still(points: torch.Tensor = FACE, eyes: float = 1.0, light: int = 128) -> Footage:
    frames = torch.full((9, 64, 64, 3), light, dtype=torch.uint8)
    motion = Motion(points.expand(9, -1, -1), torch.full((9,), eyes))
    return Footage(frames, motion, torch.ones(9, dtype=torch.bool))


def test_a_plain_scene() -> None:
    assert describe(still()) == (
        "a head-and-shoulders shot of a person in front of the camera, looking into the camera, mouth open, "
        "in even light"
    )


@pytest.mark.parametrize(("x", "words"), [(0.2, "looking to the right"), (-0.2, "looking to the left")])
def test_where_the_head_turns(x: float, words: str) -> None:
    points = FACE.clone()
    points[2, 0] += x
    assert words in describe(still(points))


def test_what_the_face_does() -> None:
    closed = FACE.clone()
    closed[6] = closed[5]
    assert "mouth closed, eyes closed" in describe(still(closed, eyes=0.1))
    talking = still()
    moved = talking.motion.points.clone()
    moved[::2, 6, 1] += 0.2
    assert "talking" in describe(dataclasses.replace(talking, motion=Motion(moved, talking.motion.eye_open)))


@pytest.mark.parametrize(("light", "words"), [(20, "dim"), (128, "even"), (240, "bright")])
def test_how_light_it_is(light: int, words: str) -> None:
    assert f"in {words} light" in describe(still(light=light))


def test_nothing_of_who_it_is() -> None:
    for footage in rendered_footage(8, 64):
        words = describe(footage).replace(",", "").split()
        assert not set(words) & set(TRAITS)
        assert describe(footage) == describe(footage)
