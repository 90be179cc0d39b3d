"""A second generator, for tests of what takes two: the reference generator's network with weights drawn by chance."""

from __future__ import annotations

from functools import cache

from cameo.generators.reference import ReferenceGenerator
from tests.conftest import chance_weights

PLACE = "tests.second:load_second"


class SecondGenerator(ReferenceGenerator):
    """Answer to another name, with other base weights."""

    id = "second"


@cache
def load_second() -> SecondGenerator:
    """Make it once."""
    return SecondGenerator(chance_weights(1))
