"""Words are found as the full text itself finds and weighs them, while chunks come and go."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from index_kit import Index

from ctx42d.indexer.postings import MOST_REMEMBERED, Found, Postings

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
FTS = "SELECT rowid, -bm25(chunks_fts, 1.0, 3.0, 1.5) FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY rowid"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "root").mkdir()
    index = Index(tmp_path / "index", tmp_path / "root")
    rng = np.random.default_rng(5)
    for number in range(30):
        text = " ".join(rng.choice(WORDS, size=int(rng.integers(3, 200))))
        index.put(f"{WORDS[number % 5]}/{number}.py".encode(), f"def {WORDS[number % 4]}(): {text}")
    with closing(index.database), closing(index.store):
        yield index


class Unbegun:
    """A connection in the middle of a transaction, which it leaves open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._connection.execute("SELECT 1" if sql == "BEGIN" else sql, values)


def find(index: Index, postings: Postings, *terms: str) -> Found:
    with index.database.reading() as connection:
        return postings.find(connection, terms)


def agrees(index: Index, postings: Postings, *terms: str) -> None:
    found = find(index, postings, *terms)
    with index.database.reading() as connection:
        rows = connection.execute(FTS, (" OR ".join(f'"{term}"' for term in terms),)).fetchall()
    alive = np.isin(found.ids, [row[0] for row in rows])
    assert found.ids[alive].tolist() == [row[0] for row in rows]
    assert found.scores[alive] == pytest.approx([row[1] for row in rows])


def test_scores_are_those_of_the_full_text(opened: Index) -> None:
    postings = Postings()
    for terms in (("alpha",), ("beta", "gamma"), tuple(WORDS), ("nowhere",), ("py",)):
        agrees(opened, postings, *terms)
        agrees(opened, postings, *terms)  # as remembered


def test_a_chunk_that_came_since_is_found(opened: Index) -> None:
    postings = Postings()
    agrees(opened, postings, "alpha", "omega")
    opened.put(b"new.py", "omega omega alpha")
    agrees(opened, postings, "alpha", "omega")
    assert postings.frequency("omega") == 1


def test_a_question_that_sees_an_older_index_hides_nothing_from_later_ones(opened: Index) -> None:
    postings = Postings()
    find(opened, postings, "alpha")
    with opened.database.reading() as older:
        older.execute("BEGIN")
        older.execute("SELECT count(*) FROM chunks_fts_docsize").fetchone()
        opened.put(b"new.py", "omega alpha")
        agrees(opened, postings, "alpha")  # another connection, which sees the new chunk
        postings.find(Unbegun(older), ["omega"])  # type: ignore[arg-type]
    agrees(opened, postings, "omega")


def test_a_chunk_that_went_is_known_to_the_full_text_only(opened: Index) -> None:
    postings = Postings()
    before = find(opened, postings, "beta")
    opened.remove(b"beta/1.py")
    assert len(find(opened, postings, "beta").ids) == len(before.ids)  # live_ids tells
    postings.release(live=100)
    agrees(opened, postings, "beta")


def test_lengths_of_chunks_that_are_gone_are_let_go_of(opened: Index) -> None:
    postings = Postings()
    find(opened, postings, "alpha")
    for number in range(20):
        opened.remove(f"{WORDS[number % 5]}/{number}.py".encode())
    postings.release(live=10)
    agrees(opened, postings, "alpha", "beta")


def test_only_so_much_is_remembered(opened: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_REMEMBERED * 6 < 10_000_000
    monkeypatch.setattr("ctx42d.indexer.postings.MOST_REMEMBERED", 40)
    postings = Postings()
    for word in WORDS:
        agrees(opened, postings, word)
    assert [postings.frequency(word) is None for word in WORDS] == [True] * 5 + [False]
