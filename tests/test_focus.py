"""focus and folding: which lines of a hit matter, and which hits say the same again."""

import pytest

from ctx42d.indexer.focus import MOST_LINES, Focus
from ctx42d.indexer.folding import Said, first_like
from ctx42d.indexer.question import understand

FILLER = [f"line {i}" for i in range(30)]


def lines_with(said: dict[int, str]) -> str:
    return "\n".join(said.get(i, line) for i, line in enumerate(FILLER))


def test_a_short_chunk_matters_as_a_whole() -> None:
    assert Focus(understand("pool")).of("a\nb\nthe pool\nd") == (0, 3)


def test_the_line_with_most_of_the_question_and_its_neighbours_matter() -> None:
    said = {5: "the pool", 18: "connections of the pool", 20: "a connection", 21: "close", 29: "pooled"}
    assert Focus(understand("connection pool")).of(lines_with(said)) == (18, 20)


def test_a_name_in_the_question_is_worth_more_than_its_words() -> None:
    said = {4: "get the user by name", 15: "get_user_name(row)"}
    assert Focus(understand("get_user_name")).of(lines_with(said)) == (15, 15)


def test_a_name_with_an_underscore_before_it_counts_whatever_script_stands_elsewhere() -> None:
    said = {15: "_drain_pool()", 25: "# \u00fcber"}
    assert Focus(understand("drain pool")).of(lines_with(said)) == (15, 15)


def test_where_no_line_says_anything_the_first_ones_matter() -> None:
    assert Focus(understand("zygote")).of(lines_with({})) == (0, MOST_LINES - 1)


@pytest.mark.parametrize("question", ["", "\0", "pool"])
def test_never_more_lines_than_there_are(question: str) -> None:
    for text in ("", "\n", "pool\n" * 40):
        first, last = Focus(understand(question)).of(text)
        assert 0 <= first <= last < len(text.split("\n"))
        assert last - first < 2 * MOST_LINES


def said(symbol: str, *lines: str) -> Said:
    return Said.of(symbol, "\n".join(lines))


def test_the_same_lines_with_other_space_say_the_same() -> None:
    assert first_like(said("a", "x = 1", "y  = 2", ""), [said("", "z"), said("b", "  x = 1", "y = 2")]) == 1


def test_nine_of_ten_lines_under_one_name_say_the_same() -> None:
    lines = [f"line {i}" for i in range(20)]
    assert first_like(said("New.load", *lines, "one more"), [said("Old.load", *lines)]) == 0
    assert first_like(said("New.load", *lines, "one more"), [said("Old.save", *lines)]) is None
    assert first_like(said("New.load", *lines[:10]), [said("Old.load", *lines)]) is None
    assert first_like(said("", *lines, "one more"), [said("", *lines)]) is None
