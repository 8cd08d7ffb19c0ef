"""A question is taken apart without ever becoming syntax: the full text can look up what is made of any string."""

import sqlite3
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ctx42d.indexer.question import MOST_TERMS, flat, rare_terms, understand
from ctx42d.indexer.words import tokens

TEXTS = [
    "def get_user(user_id): return users[user_id]",
    "class HTTPClient: near and or not",
    "Straße naïve 日本語 🦊",
    "open close read write",
]
HOSTILE = [
    *("", " ", "\0", "a\0b", '"', '""', '"""', "'", "*", "a*", "^a", "-a", "a--", "(a", ")", "\\", "a + b", "{a b}: c"),
    *(
        "a AND b",
        "AND",
        "OR OR",
        "NOT",
        "NEAR",
        "NEAR(a b, 2)",
        "body:x",
        "body : x",
        "; DROP TABLE meta; --",
        "%s {0}",
    ),
    *(
        "🦊",
        "👩\u200d👩\u200d👧 family",
        "\ufb01 \u1e9e \u0130 \u0131",
        "\u202e right to left",
        "\ud800",
        "a\udcffb",
        "\ufeff",
    ),
    *(
        "\x7f\x1b[31m",
        "x" * 10_000,
        "_" * 5000,
        "a_b__c___",
        "1 2 3",
        "0x1F",
        "NULL",
        "rowid",
        "chunks_fts",
        "日本語の質問",
    ),
]


class FullText:
    """A real FTS5 table as in schema.py."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connection.execute(
            "CREATE VIRTUAL TABLE t USING fts5(body, symbol, path, content='',"
            ' tokenize="unicode61 remove_diacritics 0")'
        )
        self.connection.execute("CREATE VIRTUAL TABLE terms USING fts5vocab(t, row)")
        rows = [(tokens(text).lexical, "", "") for text in TEXTS]
        self.connection.executemany("INSERT INTO t(body, symbol, path) VALUES (?, ?, ?)", rows)

    def frequency(self, term: str) -> int:
        row = self.connection.execute("SELECT doc FROM terms WHERE term = ?", (term,)).fetchone()
        return row[0] if row else 0

    def match(self, expression: str) -> list[int]:
        return [row[0] for row in self.connection.execute("SELECT rowid FROM t WHERE t MATCH ?", (expression,))]

    def ask(self, text: str, frequency: Callable[[str], int] | None = None) -> list[int]:
        terms = rare_terms(understand(text), len(TEXTS), frequency or self.frequency)
        return self.match(" OR ".join(f'"{term}"' for term in terms)) if terms else []


@pytest.fixture(scope="module")
def full_text() -> Iterator[FullText]:
    table = FullText()
    yield table
    table.connection.close()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_question_is_only_words(full_text: FullText, text: str) -> None:
    assert len(full_text.ask(text, lambda _: 1)) <= len(TEXTS)
    question = understand(text)
    assert all(term and '"' not in term for term in question.terms)
    assert rare_terms(question, 4, lambda _: 0) == []


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(), max_size=60))
@example('NEAR("a" "b", 5) OR body:*')
def test_any_string_makes_an_expression_that_the_full_text_accepts(full_text: FullText, text: str) -> None:
    assert isinstance(full_text.ask(text, lambda _: 1), list)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["AND", "OR", "NOT", "NEAR", "(", ")", '"', "*", "^", ":", "a", "b_c", "-", "+", "\0"])
    ).map(" ".join)
)
def test_operators_are_words_like_others(text: str) -> None:
    assert all(term.isalnum() for term in rare_terms(understand(text), 1, lambda _: 1))


def test_a_question_of_a_megabyte_is_answered(full_text: FullText) -> None:
    for text in ("get_user " * 116_000, "x" * 2**20, "🦊" * 2**18, '"' * 2**20, "a_" * 2**19):
        assert isinstance(full_text.ask(text, lambda _: 1), list)
        assert len(understand(text).text) <= 4000


def test_an_expression_has_a_bounded_number_of_terms() -> None:
    many = " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(300))
    assert len(rare_terms(understand(many), 10, lambda _: 1)) == MOST_TERMS


def test_questions_find_what_they_mean(full_text: FullText) -> None:
    assert full_text.ask("where is getUser defined?") == [1]
    assert full_text.ask("http client") == [2]
    assert full_text.ask("STRASSE or Straße") == [3]
    assert full_text.ask("日本語") == [3]
    assert full_text.ask("nothing of the kind") == []


def test_words_of_asking_are_left_out_unless_there_is_nothing_else() -> None:
    assert understand("how do I open the file").words == ("open", "file")
    assert understand("what is this").words == ("what", "is", "this")
    assert understand("").words == ()


def test_identifiers_are_names_whatever_their_style() -> None:
    for text in (
        "get_user",
        "getUser",
        "GET_USER",
        "where is GetUser?",
        "api.get_user()",
        "Api::getUser",
        "api->getUser",
    ):
        assert "getuser" in understand(text).names, text
    assert flat("__init__") == "init"
    assert "the" not in understand("the client").names


@pytest.mark.parametrize(
    ("text", "tests", "docs"),
    [
        ("tests of the parser", True, False),
        ("mock http client", True, False),
        ("tutorial for sessions", False, True),
        ("parse a date", False, False),
        ("latest greatest contest", False, False),
    ],
)
def test_a_question_about_tests_or_documentation_is_known_as_such(text: str, tests: bool, docs: bool) -> None:
    question = understand(text)
    assert (question.about_tests, question.about_docs) == (tests, docs)


def test_rare_words_are_asked_and_common_ones_left_to_the_vectors() -> None:
    frequencies = {"self": 9000, "pars": 200, "rfc": 3, "unknown": 0}
    question = understand("self parse rfc unknown")
    assert rare_terms(question, 10_000, frequencies.__getitem__) == ["rfc", "pars"]


def test_when_all_words_are_common_the_rarest_two_are_asked() -> None:
    frequencies = {"self": 9000, "valu": 8000, "name": 7000}
    assert rare_terms(understand("self value name"), 10_000, frequencies.__getitem__) == ["name", "valu"]


def test_however_large_the_index_only_so_many_places_are_read() -> None:
    frequencies = {"pars": 15_000, "rfc": 20_000, "date": 30_000, "zone": 90_000}
    question = understand("parse rfc date zone")
    assert rare_terms(question, 1_000_000, frequencies.__getitem__) == ["pars", "rfc"]
    common = {"valu": 300_000, "name": 200_000}
    assert rare_terms(understand("value name"), 1_000_000, common.__getitem__) == ["name", "valu"]
