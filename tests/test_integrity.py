"""Damage in each of the index's parts is found and named by the check; a sound index, however used, has none."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from index_kit import Index, index

from ctx42d.indexer.damage import CorruptDatabase
from ctx42d.indexer.database import Database
from ctx42d.indexer.integrity import check_index, check_references, check_vectors

TEXTS = [f"def step_{i}(value):\n    return value + {i}" for i in range(40)]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Index]:
    with index(tmp_path / "data") as opened:
        for i in range(0, len(TEXTS), 4):
            opened.put(b"pack/mod%d.py" % i, *TEXTS[i : i + 4])
        yield opened


def spoil(opened: Index, sql: str, *values: object) -> None:
    with opened.database.transaction() as connection:
        connection.execute(sql, values)


def test_an_index_that_was_written_changed_and_emptied_is_sound(opened: Index) -> None:
    opened.put(b"pack/mod0.py", TEXTS[1], "def other(): pass")
    opened.remove(b"pack/mod4.py")
    opened.put(b"\xff\xfe name.py", "naïve = 'Straße'\nHTTPServer2 = snake_case_name\n", "")
    assert check_index(opened.database) == []
    assert check_vectors(opened.database, opened.store.vectors) == []


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE chunks SET file_id = 999 WHERE id = 3", "1 chunks without their file"),
        ("UPDATE chunks SET vector_id = 999 WHERE id = 3", "1 chunks without their vector"),
        ("DELETE FROM chunks_fts_docsize WHERE id = 3", "1 chunks without full text"),
        ("DELETE FROM chunks WHERE id = 3", "1 full text without its chunk"),
        ("DELETE FROM chunks WHERE id = 3", "1 files with chunks that are missing or there twice"),
        ("INSERT INTO queue (root_id, relpath, generation, seq, enqueued_at) VALUES (9, x'61', 1, 1, 0)", "1 queued"),
        ("INSERT INTO rescans VALUES (9, 1, 'r', 0)", "1 scans without their root"),
        ("UPDATE files SET root_id = 9 WHERE id = 1", "1 files without their root"),
        ("INSERT INTO definitions VALUES ('step', 999)", "1 defined names without their chunk"),
        ("UPDATE chunks SET defines = 'step' WHERE id = 3", "1 chunks whose names are not looked up"),
    ],
)
def test_references_that_lead_nowhere_are_counted(opened: Index, sql: str, says: str) -> None:
    spoil(opened, sql)
    assert any(found.startswith(says) for found in check_references(opened.database))


def test_a_chunk_that_is_there_twice_is_counted(opened: Index) -> None:
    spoil(opened, "INSERT INTO chunks SELECT 999, file_id, vector_id, 1, 2, '', '', '', text FROM chunks WHERE id = 3")
    assert "1 files with chunks that are missing or there twice" in check_references(opened.database)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE chunks SET text = (SELECT text FROM chunks WHERE id = 5) WHERE id = 6",  # another text, whole
        "UPDATE chunks SET text = x'00112233' WHERE id = 6",  # no text at all
        "UPDATE chunks SET symbol = 'step_99' WHERE id = 6",
        "UPDATE chunks SET vector_id = (SELECT vector_id FROM chunks WHERE id = 5) WHERE id = 6",
    ],
)
def test_a_text_that_is_not_what_was_indexed_is_counted(opened: Index, sql: str) -> None:
    spoil(opened, sql)
    assert check_references(opened.database) == []
    assert "1 chunks with a text that isn't what was indexed" in check_index(opened.database)


def test_full_text_that_is_another_chunks_is_counted_though_its_structure_is_sound(opened: Index) -> None:
    with opened.database.transaction() as connection:  # what a 'delete' with the wrong old words does
        connection.execute(
            "INSERT INTO chunks_fts(chunks_fts, rowid, body, symbol, path) VALUES ('delete', 6, 'step_5', '', '')"
        )
        connection.execute("INSERT INTO chunks_fts(rowid, body, symbol, path) VALUES (6, 'step_77', '', '')")
    assert check_index(opened.database) == ["1 chunks with a full text that isn't their text's"]


def test_words_of_a_chunk_that_is_gone_are_counted(opened: Index) -> None:
    spoil(opened, "INSERT INTO chunks_fts(rowid, body, symbol, path) VALUES (500, 'ghost words', '', '')")
    assert "2 words in the full text that belong to no chunk" in check_index(opened.database)


def test_full_text_whose_own_structure_is_broken_is_named(opened: Index) -> None:
    spoil(opened, "UPDATE chunks_fts_data SET block = x'ff' || substr(block, 2) WHERE id > 10")
    assert "database disk image is malformed" in check_index(opened.database)


def test_an_index_of_sqlite_that_lost_a_row_is_named(tmp_path: Path) -> None:
    with index(tmp_path / "data") as opened:
        opened.put(b"a.py", *TEXTS[:4])
        path = opened.database.path
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute(
            "UPDATE sqlite_master SET sql = replace(sql, '(file_id)', '(start_line)') WHERE name = 'chunks_by_file'"
        )
    path.with_name("index.db.seal").unlink()
    with pytest.raises(CorruptDatabase, match=r"index\.db is damaged \(row 2 missing from index chunks_by_file\)"):
        Database(path)


def test_a_changed_row_in_a_vector_file_is_counted_and_a_copy_made_again_is_sound(opened: Index) -> None:
    vectors = opened.store.vectors
    with (opened.database.path.with_name("vectors.static")).open("r+b") as file:
        file.seek(260 * 7)
        file.write(b"\x55" * 260)
    assert check_vectors(opened.database, vectors) == ["1 rows of the static vectors' file differ from the table"]
    vectors.reload()
    assert check_vectors(opened.database, vectors) == []


def test_a_deep_vector_where_the_table_has_none_is_counted(opened: Index) -> None:
    with (opened.database.path.with_name("vectors.deep")).open("r+b") as file:
        file.write(b"\x55" * 36 * 6)
    found = check_vectors(opened.database, opened.store.vectors)
    assert found == ["6 rows of the deep vectors' file differ from the table"]
