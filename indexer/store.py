"""The index: files, chunks, full text and vectors, changed together or not at all.

Every change of a file is one call inside one transaction, which may hold several files; the queue's acknowledgement
joins the same transaction (`Database.transaction` nests). After the commit the vector index follows. Looking
at the files it has is `known_files.py`, the order of things `pipeline.py`, questions `search.py`, roots `roots.py`.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ctx42d.indexer.database import Database
from ctx42d.indexer.deep_order import AskedFiles, next_rows
from ctx42d.indexer.kept_chunks import keep
from ctx42d.indexer.known_files import KnownFiles
from ctx42d.indexer.passages import embedded_text, full_text, path_tokens, vectors_name
from ctx42d.indexer.remodel import read_anew
from ctx42d.indexer.signature import agree
from ctx42d.indexer.vectors import OWN, Delta, Tier, VectorIndex
from ctx42d.indexer.wire import FileStamp, ParsedChunk, ParsedFile
from ctx42d.indexer.words import tokens

INSERT_CHUNK = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_FULL_TEXT = "INSERT INTO chunks_fts(rowid, body, symbol, path) VALUES (?, ?, ?, ?)"
DELETE_FULL_TEXT = "INSERT INTO chunks_fts(chunks_fts, rowid, body, symbol, path) VALUES ('delete', ?, ?, ?, ?)"
UPSERT_FILE = """
INSERT INTO files
  (root_id, relpath, dev, inode, size, mtime_ns, ctime_ns, looked_ns, hash, language, lines, chunks, outcome, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (root_id, relpath) DO UPDATE SET dev=excluded.dev, inode=excluded.inode, size=excluded.size,
  mtime_ns=excluded.mtime_ns, ctime_ns=excluded.ctime_ns, looked_ns=excluded.looked_ns, hash=excluded.hash,
  language=excluded.language, lines=excluded.lines, chunks=excluded.chunks, outcome=excluded.outcome,
  reason=excluded.reason
RETURNING id
"""
INSERT_VECTOR = "INSERT INTO vectors (id, hash, static, wanted_at, model, deep_row) VALUES (?, ?, ?, ?, ?, ?)"
AMONG = "id IN (SELECT value FROM json_each(?))"
PUT_DEEP = "UPDATE vectors SET deep=?2 WHERE id=?1 RETURNING model, deep_row"
WANTED_WITHIN_S = 24 * 3600.0  # how exactly it is known when a vector was last wanted: fewer writes


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

    def put(self, root_id: int, relpath: bytes, parsed: ParsedFile) -> int:
        """Replace what the index holds of a file by what a worker found. Returns the file's id."""
        with self.transaction() as connection:
            known = connection.execute(
                "SELECT hash FROM files WHERE root_id=? AND relpath=?", (root_id, relpath)
            ).fetchone()
            file_id, model = self._put_file(connection, root_id, relpath, parsed), _model_of(connection, root_id)
            new: Sequence[ParsedChunk] = parsed.chunks
            if known and known[0]:
                new, gone = keep(connection, file_id, parsed.chunks, model)
                self._drop_chunks(connection, gone, relpath)
            elif known:  # it is distrusted, and so is what was made of it
                self._drop_chunks(connection, _chunks_of(connection, file_id), relpath)
            wanted_at = parsed.stamp.mtime_ns / 1e9 if parsed.stamp else time.time()
            self._add_chunks(connection, file_id, relpath, new, wanted_at, model)
            return file_id

    def read_anew(self, root_id: int, model: str) -> None:
        """Have a root's texts read by another model from now on; what it has read before is not read again."""
        with self.transaction() as connection:
            read_anew(connection, root_id, model, self.vectors.new_deep_rows)
            self.vectors.outdate()

    def touch(self, root_id: int, relpath: bytes, stamp: FileStamp) -> None:
        """Note a new stamp of a file whose contents are as indexed."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE files SET dev=?, inode=?, size=?, mtime_ns=?, ctime_ns=?, looked_ns=?"
                " WHERE root_id=? AND relpath=?",
                (stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns, time.time_ns(), root_id, relpath),
            )

    def remove(self, root_id: int, relpath: bytes) -> None:
        """Forget a file."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT id FROM files WHERE root_id=? AND relpath=?", (root_id, relpath)
            ).fetchone()
            if row is not None:
                self._drop_chunks(connection, _chunks_of(connection, row[0]), relpath)
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

    def _put_file(self, connection: sqlite3.Connection, root_id: int, relpath: bytes, parsed: ParsedFile) -> int:
        stamp = parsed.stamp or FileStamp(0, 0, 0, 0, 0)
        outcome = "indexed" if parsed.outcome == "indexed" else "skipped"
        row = connection.execute(
            UPSERT_FILE,
            (
                *(root_id, relpath, stamp.dev, stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns, time.time_ns()),
                *(parsed.file_hash, parsed.language, parsed.lines, len(parsed.chunks), outcome, parsed.reason),
            ),
        ).fetchone()
        return int(row[0])

    def _add_chunks(
        self,
        connection: sqlite3.Connection,
        file_id: int,
        relpath: bytes,
        pieces: Sequence[ParsedChunk],
        wanted_at: float,
        model: str,
    ) -> None:
        if not pieces:
            return
        next_id = _next_chunk_id(connection)
        vector_ids = self._vector_ids(connection, pieces, wanted_at, model)
        path = path_tokens(relpath)
        chunks, texts = [], []
        for chunk_id, piece, vector_id in zip(count(next_id), pieces, vector_ids, strict=False):
            defines = " ".join(piece.defines)
            chunks.append(
                (
                    *(chunk_id, file_id, vector_id, piece.start_line, piece.end_line, piece.symbol, piece.kind),
                    *(defines, piece.text_z),
                )
            )
            texts.append((chunk_id, *full_text(piece.body_tokens, piece.symbol, piece.defines, path)))
            self._delta.added.append((chunk_id, vector_id, file_id))
        connection.executemany(INSERT_CHUNK, chunks)
        connection.executemany(INSERT_FULL_TEXT, texts)

    def _vector_ids(
        self, connection: sqlite3.Connection, pieces: Sequence[ParsedChunk], wanted_at: float, model: str
    ) -> list[int]:
        """Where the vectors of chunks are: those of a text that was there before, or new ones."""
        found: dict[bytes, int] = {}
        new: dict[bytes, bytes] = {}
        names = [vectors_name(piece.content_hash, model) for piece in pieces]
        for name, piece in zip(names, pieces, strict=True):
            if name in found or name in new:
                continue
            row = connection.execute("SELECT id, wanted_at FROM vectors WHERE hash=?", (name,)).fetchone()
            if row is None:
                new[name] = piece.static
                continue
            found[name] = row[0]
            if row[1] < wanted_at:
                connection.execute("UPDATE vectors SET wanted_at=? WHERE id=?", (wanted_at, row[0]))
        if new:
            found.update(self._add_vectors(connection, new, wanted_at, model))
        return [found[name] for name in names]

    def _add_vectors(
        self, connection: sqlite3.Connection, static: dict[bytes, bytes], wanted_at: float, model: str
    ) -> dict[bytes, int]:
        first = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM vectors").fetchone()[0]
        first_deep = self.vectors.new_deep_rows(model, len(static))
        rows = [
            (number, name, row, wanted_at, model, deep_row)
            for number, deep_row, (name, row) in zip(count(first), count(first_deep), static.items(), strict=False)
        ]
        connection.executemany(INSERT_VECTOR, rows)
        self._delta.static.extend((row[0], row[2]) for row in rows)
        self._delta.places.extend((row[0], model, row[5]) for row in rows)
        self._delta.deep.extend((model, row[5], b"") for row in rows)
        return {row[1]: row[0] for row in rows}

    def _drop_chunks(self, connection: sqlite3.Connection, ids: Sequence[int], relpath: bytes) -> None:
        if not ids:
            return
        wanted, path = json.dumps(list(ids)), path_tokens(relpath)
        rows = connection.execute(f"SELECT id, symbol, defines, text FROM chunks WHERE {AMONG}", (wanted,)).fetchall()  # noqa: S608 a constant
        connection.executemany(
            DELETE_FULL_TEXT,
            [(number, *stored_full_text(symbol, names, text, path)) for number, symbol, names, text in rows],
        )
        # A vector is kept for a while after its last chunk went: counted from now, not from the file's time.
        now = time.time()
        connection.execute(
            "UPDATE vectors SET wanted_at = ?1 WHERE wanted_at < ?2"  # noqa: S608 a constant
            f" AND id IN (SELECT vector_id FROM chunks WHERE {AMONG.replace('?', '?3')})",
            (now, now - WANTED_WITHIN_S, wanted),
        )
        connection.execute(f"DELETE FROM chunks WHERE {AMONG}", (wanted,))  # noqa: S608 a constant
        self._delta.removed.extend(ids)


def chunk_text(stored: bytes) -> str:
    """Text of a chunk as stored. Raises sqlite3.DatabaseError if that is damaged."""
    try:
        return zlib.decompress(stored).decode("utf-8")
    except (zlib.error, UnicodeDecodeError, TypeError) as error:
        raise sqlite3.DatabaseError(f"the text of a chunk is damaged: {error}") from error


def stored_full_text(symbol: str, defines: str, text: bytes, path: str) -> tuple[str, str, str]:
    """The tokens that a stored chunk was indexed under; `path`: those of its file's path."""
    return full_text(tokens(chunk_text(text)).lexical, symbol, defines.split(), path)


def _chunks_of(connection: sqlite3.Connection, file_id: int) -> list[int]:
    return [row[0] for row in connection.execute("SELECT id FROM chunks WHERE file_id=?", (file_id,))]


def _model_of(connection: sqlite3.Connection, root_id: int) -> str:
    row = connection.execute("SELECT model FROM roots WHERE id=?", (root_id,)).fetchone()
    return row[0] if row else OWN


def _next_chunk_id(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='chunks'").fetchone()
    return (row[0] if row else 0) + 1
