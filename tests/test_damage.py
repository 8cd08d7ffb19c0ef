"""A changed byte of a closed database breaks its seal; a mark keeps it from use; copies moved aside stay few."""

import os
import sqlite3
import time
from pathlib import Path

import pytest

from ctx42d.indexer import damage
from ctx42d.indexer.damage import CorruptDatabase, distrust, distrusted, is_damage, move_aside, moved_within
from ctx42d.indexer.database import Database


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    database = Database(tmp_path / "index.db")
    with database.transaction() as connection:
        connection.executemany("INSERT INTO meta VALUES (?, ?)", [(f"key {i}", "x" * 500) for i in range(100)])
    database.close()
    return database.path


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_one_flipped_bit_of_a_closed_database_is_noticed(closed: Path, share: float) -> None:
    flip(closed, int(closed.stat().st_size * share))
    with pytest.raises(CorruptDatabase, match="it is not what it was when it was closed"):
        Database(closed)


def test_a_database_that_was_cut_short_is_noticed(closed: Path) -> None:
    os.truncate(closed, 0)
    with pytest.raises(CorruptDatabase, match="not what it was"):
        Database(closed)


def test_the_seal_is_off_while_the_database_is_open_and_an_untouched_one_opens_again(closed: Path) -> None:
    for _ in range(2):
        database = Database(closed)
        assert not closed.with_name("index.db.seal").exists()
        database.close()
        assert closed.with_name("index.db.seal").exists()


@pytest.mark.parametrize("left", [b"", b"\0" * 17, b"0123"])
def test_a_seal_of_which_a_power_cut_left_only_the_name_says_nothing(closed: Path, left: bytes) -> None:
    closed.with_name("index.db.seal").write_bytes(left)
    Database(closed).close()
    assert not list(closed.parent.glob("*.damaged-*"))


def test_without_its_seal_a_database_is_checked_page_by_page(closed: Path) -> None:
    closed.with_name("index.db.seal").unlink()
    with closed.open("r+b") as file:
        file.seek(4096 * 4)
        file.write(b"\xaa" * 4096 * 4)
    with pytest.raises(CorruptDatabase, match="is damaged"):
        Database(closed)


def test_a_large_database_opens_unread_and_is_checked_later(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "SEALED_BYTES", 1000)
    size = closed.stat().st_size
    with closed.open("r+b") as file:
        file.seek(size - 4096 * 3)
        file.write(b"\xaa" * 4096 * 3)
    database = Database(closed)
    assert database.check_owed
    with pytest.raises(CorruptDatabase, match="is damaged"):
        database.check()
    database.close()
    assert not closed.with_name("index.db.seal").exists()


def test_a_database_that_cannot_be_read_is_damaged_and_can_be_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.mkdir()
    with pytest.raises(CorruptDatabase, match=r"index\.db is damaged \(Is a directory\)"):
        Database(path)
    move_aside(path)
    Database(path).close()


def test_a_sector_that_cannot_be_read_is_damage_and_one_that_cannot_be_written_is_not() -> None:
    for name, expected in (("SQLITE_IOERR_READ", True), ("SQLITE_IOERR_WRITE", False)):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = name
        assert is_damage(error) == expected


def test_a_mark_of_distrust_keeps_a_database_from_use_until_it_is_moved_aside(closed: Path) -> None:
    distrust(closed, "a chunk is not what was indexed")
    for _ in range(2):
        with pytest.raises(CorruptDatabase, match="a chunk is not what was indexed"):
            Database(closed)
    move_aside(closed)
    assert distrusted(closed) is None
    Database(closed).close()


def test_copies_moved_aside_are_few_and_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    for number in range(5):
        path.write_text(f"damaged {number}")
        path.with_name("index.db-wal").write_text(f"log {number}")
        move_aside(path)
    copies = [copy for copy in tmp_path.glob("index.db.damaged-*") if not copy.name.endswith("-wal")]
    assert sorted(copy.read_text() for copy in copies) == ["damaged 3", "damaged 4"]
    assert sorted(log.read_text() for log in tmp_path.glob("*-wal")) == ["log 3", "log 4"]
    assert moved_within(path, 60)
    assert not moved_within(path, -60)
    assert not moved_within(tmp_path / "other.db", time.time())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (sqlite3.DatabaseError("database disk image is malformed"), True),
        (sqlite3.DatabaseError("file is not a database"), True),
        (sqlite3.OperationalError("Could not decode to UTF-8 column 'symbol' with text '\\ufffd'"), True),
        (sqlite3.OperationalError("no such table: files"), True),
        (sqlite3.IntegrityError("UNIQUE constraint failed: chunks.id"), True),
        (CorruptDatabase("x"), True),
        (sqlite3.OperationalError("database or disk is full"), False),
        (sqlite3.OperationalError("disk I/O error"), False),
        (sqlite3.OperationalError('fts5: syntax error near ""'), False),
        (sqlite3.ProgrammingError("Cannot operate on a closed database."), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_damage_is_told_from_a_full_disk_and_a_wrong_statement(error: Exception, expected: bool) -> None:
    assert is_damage(error) == expected
