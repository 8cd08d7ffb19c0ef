"""One writing connection whose transactions nest, readers that can't write, damage that is noticed and moved aside."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctx42d.indexer.damage import CorruptDatabase, move_aside
from ctx42d.indexer.database import READERS, Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "index.db")
    yield opened
    opened.close()


def put(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("INSERT INTO meta VALUES (?, 1)", (key,))


def keys(database: Database) -> set[str]:
    with database.reading() as connection:
        return {row[0] for row in connection.execute("SELECT key FROM meta")}


def test_an_inner_transaction_commits_with_the_outer_one(database: Database) -> None:
    with database.transaction() as outer:
        put(outer, "outer")
        with database.transaction() as inner:
            put(inner, "inner")
        assert keys(database) == set()
    assert keys(database) == {"outer", "inner"}


def test_an_exception_takes_back_the_outer_and_the_inner_changes(database: Database) -> None:
    def both() -> None:
        with database.transaction() as outer:
            put(outer, "outer")
            with database.transaction() as inner:
                put(inner, "inner")
            raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        both()
    assert keys(database) == set()


def test_after_a_rollback_the_next_transaction_works(database: Database) -> None:
    def twice() -> None:
        with database.transaction() as connection:
            put(connection, "a")
            put(connection, "a")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    with database.transaction() as connection:
        put(connection, "a")
    assert keys(database) == {"a"}


def test_a_statement_that_ends_the_transaction_itself_is_survived(database: Database) -> None:
    def rolled_back() -> None:
        with database.transaction() as connection:
            put(connection, "a")
            connection.execute("INSERT OR ROLLBACK INTO meta VALUES ('a', 1)")

    with pytest.raises(sqlite3.IntegrityError):
        rolled_back()
    with database.transaction() as connection:
        put(connection, "b")
    assert keys(database) == {"b"}


def test_transactions_of_two_threads_do_not_mix(database: Database) -> None:
    inside, finish = threading.Event(), threading.Event()

    def hold() -> None:
        with database.transaction() as connection:
            put(connection, "first")
            inside.set()
            finish.wait(20)

    def follow() -> None:
        with database.transaction() as connection:
            put(connection, f"after {sorted(keys(database))}")

    threads = [threading.Thread(target=hold), threading.Thread(target=follow)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    assert keys(database) == set()
    finish.set()
    for thread in threads:
        thread.join(20)
    assert keys(database) == {"first", "after ['first']"}


def test_readers_cannot_write(database: Database) -> None:
    for _ in range(READERS):
        with database.reading() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
            put(connection, "reader")


def test_a_reader_sees_the_last_commit_while_a_write_is_under_way(database: Database) -> None:
    with database.transaction() as connection:
        put(connection, "old")
    with database.transaction() as connection:
        put(connection, "new")
        assert keys(database) == {"old"}


def test_a_reader_that_looks_at_the_disk_sees_what_was_changed_behind_its_back(database: Database) -> None:
    with database.transaction() as connection:
        put(connection, "remembered")
    database.checkpoint()
    for _ in range(READERS):
        assert keys(database) == {"remembered"}
    database.path.write_bytes(database.path.read_bytes().replace(b"remembered", b"overwritte"))
    for _ in range(READERS):
        assert keys(database) == {"remembered"}
    for _ in range(READERS):
        with database.reading(from_disk=True) as connection:
            assert connection.execute("SELECT key FROM meta").fetchone()[0] == "overwritte"


def test_more_readers_than_connections_take_turns(database: Database) -> None:
    barrier = threading.Barrier(READERS)
    seen: list[set[str]] = []

    def read(wait: bool) -> None:
        with database.reading():
            if wait:
                barrier.wait(20)
        seen.append(keys(database))

    threads = [threading.Thread(target=read, args=(i < READERS,)) for i in range(READERS * 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == [set()] * READERS * 3


def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    first = Database(tmp_path / "index.db")
    with first.transaction() as connection:
        put(connection, "kept")
    first.close()
    second = Database(tmp_path / "index.db")
    assert keys(second) == {"kept"}
    second.close()


def test_a_checkpoint_empties_the_log(database: Database) -> None:
    with database.transaction() as connection:
        put(connection, "a")
    log = database.path.with_name("index.db-wal")
    assert log.stat().st_size > 0
    database.checkpoint()
    assert log.stat().st_size == 0


@pytest.mark.parametrize("contents", [b"this is no database " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_database_is_told_from_other_troubles(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(contents)
    with pytest.raises(CorruptDatabase, match=r"index\.db is damaged"):
        Database(path)


def test_a_database_with_a_page_torn_out_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    database = Database(path)
    with database.transaction() as connection:
        connection.executemany("INSERT INTO meta VALUES (?, ?)", [(f"key {i}", "x" * 500) for i in range(500)])
    database.checkpoint()
    database.close()
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xaa" * 4096 * 30)
    with pytest.raises(CorruptDatabase, match="damaged"):
        Database(path)


def test_a_folder_that_is_missing_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        Database(tmp_path / "missing" / "index.db")


def test_a_damaged_database_is_moved_aside_with_its_log_and_a_new_one_begins(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"garbage" * 1000)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).write_bytes(b"log")
    aside = move_aside(path)
    assert aside.read_bytes() == b"garbage" * 1000
    assert aside.with_name(aside.name + "-wal").read_bytes() == b"log"
    assert not list(tmp_path.glob("index.db")) + list(tmp_path.glob("index.db-*"))
    fresh = Database(path)
    assert keys(fresh) == set()
    fresh.close()
