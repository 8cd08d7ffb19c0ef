"""The SQLite file: one writing connection, and readers that can't write.

The system's SQLite may be inside the WAL-reset corruption range (3.7.0 to 3.51.2), which needs two connections that
write or checkpoint: here exactly one does. WAL with synchronous=NORMAL survives the death of the process; what a power
cut takes is whole transactions, which are done again because the queue went back with them. Leaves the tables to
`schema.py`.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import sqlite_utils

from ctx42d.indexer.schema import migrations

READERS = 4


class CorruptDatabase(Exception):
    """The file is no database of ours, or a damaged one."""


class Database:
    """An open index database."""

    def __init__(self, path: Path) -> None:
        """Open or create it, and bring its tables up to date. Raises CorruptDatabase, sqlite3.OperationalError."""
        self.path = path
        self.lock = threading.RLock()  # held while the writing connection is used
        self._depth = 0
        try:
            self._writer = _connect(path)
            self._prepare()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise CorruptDatabase(f"{path} is damaged ({' '.join(str(error).split())})") from error
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(READERS):
            self._readers.put(_connect(path, read_only=True))

    def _prepare(self) -> None:
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=NORMAL")
        # With the default of 1000 pages the log is copied back during a burst again and again; 16 MB still recovers in
        # no time.
        self._writer.execute("PRAGMA wal_autocheckpoint=4000")
        self._writer.execute("PRAGMA journal_size_limit=67108864")
        verdict = self._writer.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        migrations.apply(sqlite_utils.Database(self._writer))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One write transaction; joins the one that this thread is already in. Rolled back on any exception."""
        with self.lock:
            if self._depth:
                yield self._writer
                return
            self._writer.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees the last commit.

        Fetch everything inside: an open cursor would keep the log from being reset.
        """
        connection = self._readers.get()
        try:
            yield connection
        finally:
            self._readers.put(connection)

    def checkpoint(self) -> None:
        """Copy the log back into the database and empty it."""
        with self.lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def shrink(self) -> None:
        """Let go of cached pages."""
        with self.lock:
            self._writer.execute("PRAGMA shrink_memory")
        for _ in range(READERS):
            with self.reading() as connection:  # they go round: each comes up once, unless others use them now
                connection.execute("PRAGMA shrink_memory")

    def close(self) -> None:
        """Close all connections; waits for readers."""
        for _ in range(READERS):
            self._readers.get().close()
        with self.lock:
            self._writer.close()


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA mmap_size=0")
    connection.execute(f"PRAGMA cache_size=-{2048 if read_only else 8192}")
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection


def move_aside(path: Path) -> Path:
    """Rename a damaged database and its log; return its new name."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
