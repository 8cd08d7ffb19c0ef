"""The name of the language that most code is in says nothing about what is looked for; any other one does."""

import sqlite3
from collections.abc import Iterator

import pytest

from ctx42d.indexer.named_languages import language_called, most_used, named, without

FILES = [("python", 60, 1), ("go", 30, 1), ("markdown", 500, 1), ("typescript", 20, 2), ("javascript", 15, 2)]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE files (language, chunks, root_id, outcome)")
    connection.executemany("INSERT INTO files VALUES (?, ?, ?, 'indexed')", FILES)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("sort a dict in python", "sort a dict in"),
        ("Python 3 sort a dict", "sort a dict"),
        ("sort a dict, python3.11", "sort a dict,"),
        ("write C++ templates", "write templates"),
        ("a golang channel", "a channel"),
        ("python", "python"),
        ("the rust parser", "the rust parser"),
        ("python_version and python-dateutil and setup.py", "python_version and python-dateutil and setup.py"),
    ],
)
def test_a_language_is_left_out_with_its_version_and_nothing_else_is(text: str, left: str) -> None:
    assert " ".join(without(text, {"python", "cpp", "go"}).split()) == left


def test_only_the_language_of_most_code_is_left_out(connection: sqlite3.Connection) -> None:
    assert most_used(connection, [1]) == {"python"}
    assert "typescript" in most_used(connection, [2])
    assert "go" not in most_used(connection, [1, 2])


def test_related_languages_count_for_one_another(connection: sqlite3.Connection) -> None:
    assert "javascript" in most_used(connection, [2])


def test_an_index_without_code_has_no_language(connection: sqlite3.Connection) -> None:
    assert not most_used(connection, [3])


def test_a_question_that_names_no_language_is_known_as_such() -> None:
    assert named("lists in Python")
    assert not named("how are connections reused")


def test_a_language_is_called_by_its_name_another_one_or_an_extension() -> None:
    typed = ["Python", "C++", "c#", "golang", "js", "ts", "TSX", "rs", "shell", "yml", "klingon", "", "\udce9"]
    called = [
        "python",
        "cpp",
        "csharp",
        "go",
        "javascript",
        "typescript",
        "tsx",
        "rust",
        "bash",
        "yaml",
        None,
        None,
        None,
    ]
    assert [language_called(one) for one in typed] == called
