"""Which rows does a chunk have, and how do they come and go?

Covers the rows of `chunks`, of the full text and of `vectors`, written and deleted within a transaction of the store's,
and a chunk's text as it is stored. Leaves which chunks of a file are new to `kept_chunks.py`, the row of the file to
`store.py`, what is in the full text to `passages.py`.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Sequence
from itertools import count

from ctx42d.indexer import definitions
from ctx42d.indexer.passages import full_text, path_tokens, vectors_name
from ctx42d.indexer.vectors import Delta
from ctx42d.indexer.wire import ParsedChunk
from ctx42d.indexer.words import tokens

INSERT_CHUNK = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_FULL_TEXT = "INSERT INTO chunks_fts(rowid, body, symbol, path) VALUES (?, ?, ?, ?)"
DELETE_FULL_TEXT = "INSERT INTO chunks_fts(chunks_fts, rowid, body, symbol, path) VALUES ('delete', ?, ?, ?, ?)"
INSERT_VECTOR = "INSERT INTO vectors (id, hash, static, wanted_at, model, deep_row) VALUES (?, ?, ?, ?, ?, ?)"
WANTED = "UPDATE vectors SET wanted_at=? WHERE id=?"
AMONG = "id IN (SELECT value FROM json_each(?))"
WANTED_WITHIN_S = 24 * 3600.0  # how exactly it is known when a vector was last wanted: fewer writes


class ChunkRows:
    """The rows of chunks in one transaction; what the vector index has to follow is noted in `delta`."""

    def __init__(self, connection: sqlite3.Connection, delta: Delta, new_deep_rows: Callable[[str, int], int]) -> None:
        """`new_deep_rows` gives away so many deep rows of a model, and returns the first of them."""
        self._connection, self._delta, self._new_deep_rows = connection, delta, new_deep_rows

    def add(self, file_id: int, relpath: bytes, pieces: Sequence[ParsedChunk], wanted_at: float, model: str) -> None:
        """Write new chunks of a file, whose vectors are wanted since that time (seconds since 1970), by a model."""
        if not pieces:
            return
        next_id = _next_chunk_id(self._connection)
        vector_ids = self._vector_ids(pieces, wanted_at, model)
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
            texts.append((chunk_id, piece.body_tokens, piece.symbol_tokens, path))
            self._delta.added.append((chunk_id, vector_id, file_id))
        self._connection.executemany(INSERT_CHUNK, chunks)
        self._connection.executemany(INSERT_FULL_TEXT, texts)
        definitions.add(self._connection, [(row[0], row[7]) for row in chunks])

    def _vector_ids(self, pieces: Sequence[ParsedChunk], wanted_at: float, model: str) -> list[int]:
        """Where the vectors of chunks are: those of a text that was there before, or new ones."""
        found: dict[bytes, int] = {}
        new: dict[bytes, bytes] = {}
        names = [vectors_name(piece.content_hash, model) for piece in pieces]
        for name, piece in zip(names, pieces, strict=True):
            if name in found or name in new:
                continue
            row = self._connection.execute("SELECT id, wanted_at FROM vectors WHERE hash=?", (name,)).fetchone()
            if row is None:
                new[name] = piece.static
                continue
            found[name] = row[0]
            if row[1] < wanted_at:
                self._connection.execute(WANTED, (wanted_at, row[0]))
        if new:
            found.update(self._add_vectors(new, wanted_at, model))
        return [found[name] for name in names]

    def _add_vectors(self, static: dict[bytes, bytes], wanted_at: float, model: str) -> dict[bytes, int]:
        first = self._connection.execute("SELECT coalesce(max(id), 0) + 1 FROM vectors").fetchone()[0]
        first_deep = self._new_deep_rows(model, len(static))
        rows = [
            (number, name, row, wanted_at, model, deep_row)
            for number, deep_row, (name, row) in zip(count(first), count(first_deep), static.items(), strict=False)
        ]
        self._connection.executemany(INSERT_VECTOR, rows)
        self._delta.static.extend((row[0], row[2]) for row in rows)
        self._delta.places.extend((row[0], model, row[5]) for row in rows)
        self._delta.deep.extend((model, row[5], b"") for row in rows)
        return {row[1]: row[0] for row in rows}

    def drop(self, ids: Sequence[int], relpath: bytes) -> None:
        """Delete chunks of a file."""
        if not ids:
            return
        wanted, path = json.dumps(list(ids)), path_tokens(relpath)
        query = f"SELECT id, symbol, defines, text FROM chunks WHERE {AMONG}"  # noqa: S608 a constant
        rows = self._connection.execute(query, (wanted,)).fetchall()
        self._connection.executemany(
            DELETE_FULL_TEXT,
            [(number, *stored_full_text(symbol, names, text, path)) for number, symbol, names, text in rows],
        )
        # A vector is kept for a while after its last chunk went: counted from now, not from the file's time.
        now = time.time()
        query = f"SELECT id FROM vectors WHERE wanted_at < ? AND id IN (SELECT vector_id FROM chunks WHERE {AMONG})"  # noqa: S608 a constant
        idle = self._connection.execute(query, (now - WANTED_WITHIN_S, wanted)).fetchall()
        self._connection.executemany(WANTED, [(now, number) for (number,) in idle])  # one by one: see `store.py`
        definitions.drop(self._connection, [(number, names) for number, _, names, _ in rows])
        self._connection.execute(f"DELETE FROM chunks WHERE {AMONG}", (wanted,))  # noqa: S608 a constant
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


def _next_chunk_id(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='chunks'").fetchone()
    return (row[0] if row else 0) + 1
