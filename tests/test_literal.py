"""What was asked word for word is told from what only shares words with it."""

import pytest

from ctx42d.indexer.literal import share_said, wanted

RAISE = 'if not rows:\n    raise ValueError(f"no row of table {name} has the key {key}, nothing to delete")\n'
ELSE = "def delete(rows, key):\n    # nothing to do for a table with no row\n    return key in rows\n"


def said(question: str, text: str) -> float:
    asked = wanted(question)
    return share_said(asked, text) if asked else 0.0


@pytest.mark.parametrize(
    "question",
    [
        'ValueError: "no row of table users has the key 42, nothing to delete"',
        "no row of table users has the key 42, nothing to delete",
        "if not rows:\n  raise ValueError",
        "raise ValueError(f'no row of table",
    ],
)
def test_a_message_or_a_piece_of_code_is_found_where_it_stands(question: str) -> None:
    assert said(question, RAISE) > 0
    assert said(question, ELSE) == 0


@pytest.mark.parametrize("question", ["delete rows", "how does one raise an error when no row of a table is there", ""])
def test_a_question_in_words_of_its_own_is_looked_for_nowhere(question: str) -> None:
    assert wanted(question) is None


def test_a_few_words_in_a_row_of_a_longer_sentence_are_an_accident() -> None:
    assert said("delete what is there, nothing to do for those who are left", ELSE) == 0


def test_the_more_is_said_the_larger_is_the_share() -> None:
    assert (
        said("raise ValueError(f'no row of table", RAISE) > said("raise ValueError(f'no row of many others", RAISE) > 0
    )
