"""The SQLite file: one writing connection, and readers that can't write.

The system's SQLite may be inside the WAL-reset corruption range (3.7.0 to 3.51.2), which needs two connections that
write or checkpoint: here exactly one does. WAL with synchronous=NORMAL survives the death of the process; what a power
cut takes is whole transactions, the last ones, which are done again: the queue went back with them, and every start
compares the disk with the index. What nothing could find again (a root that was added) commits with `durable`.
Covers opening and checking; leaves what becomes of a damaged file to `damage.py`, the tables to `schema.py`.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import sqlite_utils

from ctx42d.indexer import damage
from ctx42d.indexer.damage import CorruptDatabase, NewerDatabase
from ctx42d.indexer.schema import migrations

READERS = 4
STEPS_A_BEAT = 1_000_000  # of SQLite's machine: some 20 ms


class Database:
    """An open index database."""

    def __init__(self, path: Path) -> None:
        """Open or create it, and bring its tables up to date. Raises CorruptDatabase, sqlite3.OperationalError."""
        self.path = path
        self.lock = threading.RLock()  # held while the writing connection is used
        self._depth = self._beats = 0
        self.commits = 0  # so far: as long as it stays the same, so does what is read
        self.migrated: list[str] = []  # what an older version's tables lacked
        # A large file is looked at while it is used already (`check`): 277 MB took 0.7 s from memory (EPYC, 2026-11),
        # and from a slow disk as long as that needs.
        self.check_owed = damage.is_large(path)
        if reason := damage.unreadable(path) or damage.distrusted(path):
            raise self._damaged(reason)
        state = damage.take_seal(path)
        if state == "broken":
            raise self._damaged("it is not what it was when it was closed")
        with self._telling_damage():
            self._writer = open_connection(path)
            self._writer.set_progress_handler(self._beat, STEPS_A_BEAT)
            try:
                self._prepare(check=state == "none" and not self.check_owed)
            except BaseException:
                self._writer.close()
                raise
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(READERS):
            self._readers.put(open_connection(path, read_only=True))

    def check(self) -> None:
        """Compare all pages and indexes with each other, while others work. Raises CorruptDatabase."""
        with self._telling_damage(), self.reading() as connection:
            _check(connection)
        self.check_owed = False

    def _prepare(self, *, check: bool) -> None:
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=NORMAL")
        # With the default of 1000 pages the log is copied back during a burst again and again; 16 MB still recovers in
        # no time.
        self._writer.execute("PRAGMA wal_autocheckpoint=4000")
        self._writer.execute("PRAGMA journal_size_limit=67108864")
        if check:
            _check(self._writer)
        self._migrate(sqlite_utils.Database(self._writer))

    def _migrate(self, tables: sqlite_utils.Database) -> None:
        """Bring the tables up to date. Raises NewerDatabase."""
        done = {step.name for step in migrations.applied(tables)}
        known = {step.name for step in migrations._migrations}  # no public name tells
        if newer := sorted(done - known):
            raise NewerDatabase(f"{self.path} was made by a newer version of ctx42d ({', '.join(newer)})")
        self.migrated = sorted(known - done) if done else []
        migrations.apply(tables)

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """One write transaction; joins the one that this thread is already in. Rolled back on any exception.

        durable: it survives a power cut, with all that were before it (counts for the outermost one).
        """
        with self.lock:
            if self._depth:
                yield self._writer
                return
            self._writer.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield self._writer
                self._writer.execute("COMMIT")
                self.commits += 1
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            finally:
                self._depth = 0

    @contextlib.contextmanager
    def reading(self, *, from_disk: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection that sees the last commit; from_disk: and remembers nothing of what it read before.

        Fetch everything inside: an open cursor would keep the log from being reset.
        """
        connection = self._readers.get()
        try:
            if from_disk:
                connection.execute("PRAGMA shrink_memory")
            yield connection
        finally:
            self._readers.put(connection)

    def pulse(self) -> tuple[int, int]:
        """What differs whenever something was written, or a long statement has got on."""
        return self._writer.total_changes, self._beats

    def _beat(self) -> int:
        self._beats += 1
        return 0  # go on

    def checkpoint(self) -> None:
        """Copy the log back into the database and empty it."""
        with self.lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum(self) -> None:
        """Write all rows anew, without free pages between them. Raises sqlite3.Error: then all is as it was."""
        with self.lock:
            self._writer.execute("PRAGMA temp_store=FILE")  # the copy is as large as the rows
            try:
                self._writer.execute("VACUUM")
            finally:
                self._writer.execute("PRAGMA temp_store=MEMORY")

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
        with contextlib.suppress(OSError):  # without a seal the next start checks the pages instead
            damage.seal(self.path)

    @contextlib.contextmanager
    def _telling_damage(self) -> Iterator[None]:
        """Say CorruptDatabase where SQLite says so in one of its own ways."""
        try:
            yield
        except sqlite3.Error as error:
            if damage.is_damage(error):
                raise self._damaged(" ".join(str(error).split())) from error
            raise

    def _damaged(self, reason: str) -> CorruptDatabase:
        return CorruptDatabase(f"{self.path} is damaged ({reason})")


def open_connection(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection as all of ours are. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA mmap_size=0")
    connection.execute("PRAGMA cell_size_check=ON")
    connection.execute(f"PRAGMA cache_size=-{2048 if read_only else 8192}")
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if pages or indexes contradict each other: twice the time of quick_check."""
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
