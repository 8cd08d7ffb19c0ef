"""Padding is told from an answer by the nearest chunk and by the words that the index has."""

import pytest

from ctx42d.indexer.relevance import FLOOR, relevance

COUNTS = {"connection": 400, "pool": 40, "frobnicator": 1}


def of(nearest: float, *terms: str) -> float:
    return relevance(nearest, terms, 5000, lambda term: COUNTS.get(term, 0))


@pytest.mark.parametrize(
    ("nearest", "terms"),
    [
        (0.45, ("connection", "pool")),
        (0.0, ("frobnicator",)),
        (-0.2, ("connection", "pool")),
        (0.6, ("unheard", "of")),
        (0.3, ("connection", "pool", "unheard")),
    ],
)
def test_a_question_about_the_code_is_above_the_floor(nearest: float, terms: tuple[str, ...]) -> None:
    assert of(nearest, *terms) >= FLOOR


@pytest.mark.parametrize(
    ("nearest", "terms"),
    [(0.2, ("roast", "chicken")), (0.3, ("roast", "connection", "chicken")), (0.0, ()), (0, ("x",))],
)
def test_a_question_about_something_else_is_below_it(nearest: float, terms: tuple[str, ...]) -> None:
    assert of(nearest, *terms) < FLOOR


def test_a_rare_word_that_is_there_says_more_than_a_common_one() -> None:
    assert of(0, "frobnicator", "unheard") > of(0, "connection", "unheard")


def test_a_count_beyond_all_chunks_is_no_error() -> None:
    assert relevance(0.1, ["connection"], 3, COUNTS.__getitem__) == pytest.approx(0.6)
