"""The index: files, chunks, full text and vectors, changed together or not at all.

Every change of a file is one call inside one transaction, which may hold several files; the queue's acknowledgement
joins the same transaction (`Database.transaction` nests). After the commit the vector index follows. The rows of chunks
are `chunk_rows.py`, looking at the files it has `known_files.py`, the order of things `pipeline.py`, questions
`search.py`, roots `roots.py`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctx42d.indexer.chunk_rows import ChunkRows
from ctx42d.indexer.chunk_rows import chunk_text as chunk_text
from ctx42d.indexer.database import Database
from ctx42d.indexer.deep_order import AskedFiles, next_rows
from ctx42d.indexer.kept_chunks import keep
from ctx42d.indexer.known_files import KnownFiles
from ctx42d.indexer.passages import embedded_text
from ctx42d.indexer.remodel import read_anew
from ctx42d.indexer.signature import agree
from ctx42d.indexer.vectors import OWN, Delta, Tier, VectorIndex
from ctx42d.indexer.wire import FileStamp, ParsedChunk, ParsedFile

# Not one statement with ON CONFLICT: that is one with a savepoint, at which FTS5 writes down what it has gathered, for
# every file instead of for every transaction (and merges it all: a third of the time that writing a file took).
INSERT_FILE = """
INSERT INTO files
  (root_id, relpath, dev, inode, size, mtime_ns, ctime_ns, looked_ns, hash, language, lines, chunks, outcome, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE_FILE = """
UPDATE files SET dev=?, inode=?, size=?, mtime_ns=?, ctime_ns=?, looked_ns=?, hash=?, language=?, lines=?, chunks=?,
  outcome=?, reason=?
WHERE id=?
"""
PUT_DEEP = "UPDATE vectors SET deep=?2 WHERE id=?1 RETURNING model, deep_row"


@dataclass(frozen=True, slots=True)
class Pending:
    """A text that has no deep vector yet."""

    vector_id: int
    text: str


class Store(KnownFiles):
    """Writes the index, and knows its files."""

    def __init__(self, database: Database, folder: Path, dims: dict[Tier, int], signature: dict[str, str]) -> None:
        """Open the index over its database. `signature` names what the stored rows were made with (`signature.py`)."""
        super().__init__(database)
        self.wiped = agree(database, signature)
        self.vectors = VectorIndex(folder, database, dims)
        self._pending_delta: Delta | None = None
        self.asked = AskedFiles()

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Changes that commit together; the vector index follows, before anybody else may write."""
        with self.database.lock:
            with self.database.transaction(durable=durable) as connection:
                if self._pending_delta is not None:
                    yield connection
                    return
                self._pending_delta = delta = Delta()
                try:
                    yield connection
                finally:
                    self._pending_delta = None
            self.vectors.apply(delta)

    def followed(self) -> bool:
        """Whether the vectors have followed all commits; waits for one that is under way."""
        with self.database.lock:
            return not self.vectors.behind

    def put(self, root_id: int, relpath: bytes, parsed: ParsedFile, looked_ns: int = 0) -> int:
        """Replace what the index holds of a file by what a worker found. Returns the file's id.

        looked_ns: the wall clock before the file was read: what was written since may have left the same times. 0: not
        known, so that a scan has it looked at again.
        """
        with self.transaction() as connection:
            known = connection.execute(
                "SELECT id, hash FROM files WHERE root_id=? AND relpath=?", (root_id, relpath)
            ).fetchone()
            columns, model = _columns_of(parsed, looked_ns), _model_of(connection, root_id)
            if known:
                file_id: int = known[0]
                connection.execute(UPDATE_FILE, (*columns, file_id))
            else:
                file_id = connection.execute(INSERT_FILE, (root_id, relpath, *columns)).lastrowid or 0
            rows = self._rows(connection)
            new: Sequence[ParsedChunk] = parsed.chunks
            if known and known[1]:
                new, gone = keep(connection, file_id, parsed.chunks, model)
                rows.drop(gone, relpath)
            elif known:  # it is distrusted, and so is what was made of it
                rows.drop(_chunks_of(connection, file_id), relpath)
            wanted_at = parsed.stamp.mtime_ns / 1e9 if parsed.stamp else time.time()
            rows.add(file_id, relpath, new, wanted_at, model)
            return file_id

    def read_anew(self, root_id: int, model: str) -> None:
        """Have a root's texts read by another model from now on; what it has read before is not read again."""
        with self.transaction() as connection:
            read_anew(connection, root_id, model, self.vectors.new_deep_rows)
            self.vectors.outdate()

    def touch(self, root_id: int, relpath: bytes, stamp: FileStamp, looked_ns: int = 0) -> None:
        """Note a new stamp of a file whose contents are as indexed; looked_ns: as in `put`."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE files SET dev=?, inode=?, size=?, mtime_ns=?, ctime_ns=?, looked_ns=?"
                " WHERE root_id=? AND relpath=?",
                (stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns, looked_ns, root_id, relpath),
            )

    def remove(self, root_id: int, relpath: bytes) -> None:
        """Forget a file."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT id FROM files WHERE root_id=? AND relpath=?", (root_id, relpath)
            ).fetchone()
            if row is not None:
                self._rows(connection).drop(_chunks_of(connection, row[0]), relpath)
                connection.execute("DELETE FROM files WHERE id=?", row)

    def distrust(self, root_id: int, relpaths: Sequence[bytes]) -> None:
        """Forget hash and stamp of files: they are indexed again even if nothing changed."""
        with self.transaction() as connection:
            connection.executemany(
                "UPDATE files SET hash=NULL, size=NULL, inode=NULL WHERE root_id=? AND relpath=?",
                [(root_id, relpath) for relpath in relpaths],
            )

    def want(self, root_id: int, relpath: bytes) -> None:
        """Have what a file's chunks still lack embedded next."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE vectors SET wanted_at = ?1 WHERE deep IS NULL AND id IN (SELECT c.vector_id FROM chunks c"
                " JOIN files f ON f.id = c.file_id WHERE f.root_id = ?2 AND f.relpath = ?3)",
                (time.time(), root_id, relpath),
            )

    def without_deep(self, limit: int, model: str = OWN) -> list[Pending]:
        """Texts that wait for their deep vector by a model, those of most value first (`deep_order.py`)."""
        with self.database.reading() as connection:
            rows = next_rows(connection, limit, model, self.asked.latest())
        return [Pending(number, embedded_text(symbol, chunk_text(text))) for number, symbol, text in rows]

    def put_deep(self, rows: Sequence[tuple[int, bytes]], errors: Sequence[tuple[int, str, bool]] = ()) -> None:
        """Store deep vectors by vector id; errors are (vector id, reason, final)."""
        with self.transaction() as connection:
            for number, row in rows:
                found = connection.execute(PUT_DEEP, (number, row)).fetchone()
                if found is not None:
                    self._delta.deep.append((*found, row))
            connection.executemany(
                "UPDATE vectors SET deep_attempts = deep_attempts + 1, deep_error = CASE WHEN ?3 THEN ?2 END"
                " WHERE id = ?1",
                errors,
            )

    def deep_attempts(self, vector_id: int) -> int:
        """How often a text has killed a worker on its own."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT deep_attempts FROM vectors WHERE id=?", (vector_id,)).fetchone()
        return int(row[0]) if row else 0

    def collect_unused(self, older_than: float) -> int:
        """Delete vectors that no chunk has, last wanted before that time (seconds since 1970); return how many."""
        with self.transaction() as connection:
            return connection.execute(
                "DELETE FROM vectors"
                " WHERE wanted_at < ? AND NOT EXISTS (SELECT 1 FROM chunks WHERE vector_id = vectors.id)",
                (older_than,),
            ).rowcount

    def collect_embedded(self) -> int:
        """Delete vectors that no chunk has, however lately, and whose deep row is done; return how many.

        One that isn't may be on its way from a worker: `collect_unembedded` deletes it when nothing is.
        """
        with self.transaction() as connection:
            return connection.execute(
                "DELETE FROM vectors WHERE (deep IS NOT NULL OR deep_error IS NOT NULL)"
                " AND NOT EXISTS (SELECT 1 FROM chunks WHERE vector_id = vectors.id)"
            ).rowcount

    def collect_unembedded(self) -> int:
        """Delete vectors that no chunk has and that have no deep row: nobody will ever make it. Returns how many."""
        orphans = (
            "deep IS NULL AND deep_error IS NULL AND NOT EXISTS (SELECT 1 FROM chunks WHERE vector_id = vectors.id)"
        )
        with self.database.reading() as connection:
            if connection.execute(f"SELECT 1 FROM vectors WHERE {orphans} LIMIT 1").fetchone() is None:  # noqa: S608 a constant
                return 0
        with self.transaction() as connection:
            return connection.execute(f"DELETE FROM vectors WHERE {orphans}").rowcount  # noqa: S608 a constant

    def close(self) -> None:
        """Close the vector files; the database is its owner's to close."""
        self.vectors.close()

    @property
    def _delta(self) -> Delta:
        if self._pending_delta is None:
            raise RuntimeError("a change of the index outside of a transaction")
        return self._pending_delta

    def _rows(self, connection: sqlite3.Connection) -> ChunkRows:
        return ChunkRows(connection, self._delta, self.vectors.new_deep_rows)


def _columns_of(parsed: ParsedFile, looked_ns: int) -> tuple[object, ...]:
    """What a file's row holds but for its root and path, in the order of the statements above."""
    stamp = parsed.stamp or FileStamp(0, 0, 0, 0, 0)
    outcome = "indexed" if parsed.outcome == "indexed" else "skipped"
    return (
        *(stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns, looked_ns),
        *(parsed.file_hash, parsed.language, parsed.lines, len(parsed.chunks), outcome, parsed.reason),
    )


def _chunks_of(connection: sqlite3.Connection, file_id: int) -> list[int]:
    return [row[0] for row in connection.execute("SELECT id FROM chunks WHERE file_id=?", (file_id,))]


def _model_of(connection: sqlite3.Connection, root_id: int) -> str:
    row = connection.execute("SELECT model FROM roots WHERE id=?", (root_id,)).fetchone()
    return row[0] if row else OWN
