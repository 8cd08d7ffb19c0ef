"""Which chunks define a name, however it is written: `getUser`, `get_user` and `GET_USER` are one here.

Covers the table `definitions`: following the chunks, and looking a name up. A common word stands in thousands of
symbols and is defined in a few places: without this table asking for it meant reading them all. Leaves which of the
chunks is meant to `symbols.py`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator

from ctx42d.indexer.question import flat

CREATE = """
CREATE TABLE definitions (name TEXT NOT NULL, chunk_id INTEGER NOT NULL, PRIMARY KEY (name, chunk_id)) WITHOUT ROWID
"""
COUNT = """
SELECT d.name, count(*) FROM json_each(?) asked JOIN definitions d ON d.name = asked.value GROUP BY d.name
"""


def create(connection: sqlite3.Connection) -> None:
    """Make the table, with what the chunks that are there define."""
    connection.execute(CREATE)
    add(connection, connection.execute("SELECT id, defines FROM chunks WHERE defines <> ''"))


def add(connection: sqlite3.Connection, chunks: Iterable[tuple[int, str]]) -> None:
    """Note chunks by id and what they define, as `chunks.defines` has it."""
    connection.executemany("INSERT OR IGNORE INTO definitions VALUES (?, ?)", _rows(chunks))


def drop(connection: sqlite3.Connection, chunks: Iterable[tuple[int, str]]) -> None:
    """Forget chunks, given as to `add`."""
    connection.executemany("DELETE FROM definitions WHERE name = ? AND chunk_id = ?", _rows(chunks))


def how_many(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, int]:
    """How many chunks define each of these names, in whatever style."""
    asked = {name: flat(name) for name in names}
    counts = dict(connection.execute(COUNT, (json.dumps(list(set(asked.values()))),)).fetchall())
    return {name: counts.get(written, 0) for name, written in asked.items()}


def _rows(chunks: Iterable[tuple[int, str]]) -> Iterator[tuple[str, int]]:
    for chunk_id, defines in chunks:
        for name in set(map(flat, defines.split())):
            yield name, chunk_id
