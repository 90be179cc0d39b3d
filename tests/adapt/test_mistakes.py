"""The book of mistakes: what is told badly comes up more often, nothing is forgotten, chance can be continued."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameo.adapt.mistakes import MOST, SHOWN, Book

TAKE = np.zeros((4, 4, 3), np.uint8)


def entered(likeness: list[float], replay: float = 0.5) -> Book:
    book = Book(len(likeness), replay, 0)
    book.enter(list(range(len(likeness))), likeness, [TAKE] * len(likeness))
    return book


def test_an_empty_book_draws_alike() -> None:
    assert torch.allclose(Book(5, 0.5, 0).chances(), torch.full((5,), 0.2, dtype=torch.float64))


def test_what_is_told_badly_is_drawn_more_often() -> None:
    chances = entered([0.9, 0.8, 0.2, 0.85]).chances()
    assert chances.argsort(descending=True).tolist() == [2, 1, 3, 0]
    drawn = torch.bincount(entered([0.9, 0.8, 0.2, 0.85]).draw(4000), minlength=4) / 4000
    assert torch.allclose(drawn.double(), chances, atol=0.03)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30), st.floats(0, 1))
def test_chances_are_chances_and_bounded(likeness: list[float], replay: float) -> None:
    chances, n = entered(likeness, replay).chances(), len(likeness)
    assert abs(float(chances.sum()) - 1) < 1e-9
    assert float(chances.min()) >= (1 - replay) / n - 1e-12


def test_one_window_is_not_all_there_is() -> None:
    chances = entered([0.9] * 40 + [0.0] * 10).chances()
    assert float(chances.max()) <= MOST / 50
    alone = entered([0.9] * 49 + [0.89]).chances()
    assert float(alone.min()) >= 0.5 / 50


def test_between_two_windows_the_likeness_is_guessed() -> None:
    book = Book(5, 1.0, 0)
    book.enter([0, 4], [0.8, 0.4], [TAKE] * 2)
    assert (book.chances().diff() > 0).all()


def test_every_window_comes_up_to_be_looked_at() -> None:
    book = Book(30, 0.5, 0)
    seen: set[int] = set()
    for _ in range(12):
        chosen = book.choose(8)
        assert len(set(chosen)) == 8
        seen.update(chosen)
        book.enter(chosen, [0.5] * 8, [TAKE] * 8)
    assert seen == set(range(30))


def test_the_likeness_is_a_running_one() -> None:
    book = entered([0.2, 0.8])
    book.enter([0], [0.6], [TAKE])
    assert book.likeness.tolist() == [0.4, 0.8]


def test_the_worst_at_first_are_remembered() -> None:
    book = entered([0.9, 0.1, 0.5, 0.3, 0.2, 0.7])
    book.enter([0], [0.0], [TAKE])
    assert [look.window for look in book.first] == [1, 4, 3, 2]
    assert len(book.first) == SHOWN


def test_it_goes_on_from_a_checkpoint() -> None:
    book = entered([0.9, 0.1, 0.5])
    book.draw(3)
    again = Book(3, 0.5, 99)
    again.restore(book.state())
    assert torch.equal(again.draw(20), book.draw(20))
    assert again.choose(2) == book.choose(2)
    assert again.first[0].likeness == 0.1
