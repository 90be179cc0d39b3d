"""Recipes by family."""

from __future__ import annotations

import pytest

from cameo.adapt.recipe import Recipe


@pytest.mark.parametrize("generator", ["reference", "unheard-of"])
def test_the_reference_has_the_defaults(generator: str) -> None:
    assert Recipe.for_generator(generator) == Recipe()


@pytest.mark.parametrize(("generator", "rate"), [("wan", 2e-4), ("wan2.1-t2v-1.3b", 2e-4), ("ltx2", 1e-4)])
def test_large_families_have_their_own(generator: str, rate: float) -> None:
    recipe = Recipe.for_generator(generator)
    assert recipe.learning_rate == rate
    assert (recipe.rank, recipe.batch, recipe.precision, recipe.checkpointing) == (32, 1, "bfloat16", True)
