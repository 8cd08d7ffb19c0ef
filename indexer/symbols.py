"""Where is a name defined, and where is it mentioned?

From the index alone: the names that each chunk defines (`definitions.py`), and its text. A mention is the name as a
whole word, so a call, an import, a subclass or a comment; which of two things of one name is meant is known only where
the question says it (`Session.execute`) and the chunk does. Leaves what resembles a piece of code to `related.py`.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.database import Database
from ctx42d.indexer.definitions import how_many
from ctx42d.indexer.question import flat
from ctx42d.indexer.ranking import is_aside
from ctx42d.indexer.words import tokens

MOST_LOOKED_AT = 2000
MOST_DEFINING = 20_000
MOST_LINES = 20
READ_AT_ONCE = 50
_SEPARATOR = re.compile(r"\.|::|#|->|/")
_COLUMNS = "c.id, f.root_id, f.relpath, f.language, c.symbol, c.kind, c.start_line, c.defines"
_CHUNK = "JOIN chunks c ON c.id = found.id JOIN files f ON f.id = c.file_id"
_NAMED = f"SELECT chunk_id AS id FROM definitions WHERE name = ? LIMIT {MOST_DEFINING}"  # noqa: S608 constants
DEFINING = f"SELECT {_COLUMNS} FROM ({_NAMED}) found {_CHUNK}"  # noqa: S608 constants
MENTIONING = "SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY bm25(chunks_fts) LIMIT ?"
# In the order in which they are asked for: what is read of a chunk isn't sorted with it.
READ = f"SELECT {_COLUMNS}, c.text FROM (SELECT key, value AS id FROM json_each(?)) found {_CHUNK} ORDER BY found.key"  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it was asked for: `Session.execute()` is `execute` in `Session`."""

    own: str
    qualifiers: tuple[str, ...]
    term: str  # as the full text has it; "": no word that it could have

    @classmethod
    def parse(cls, text: str) -> Name:
        """Take a name apart; any string will do."""
        parts = [part for part in _SEPARATOR.split(text.strip().removesuffix("()")) if part]
        own = parts[-1] if parts else ""
        words = tokens(own).lexical.split()
        return cls(own, tuple(parts[:-1]), words[-1] if words and len(own.split()) == 1 else "")

    @property
    def word(self) -> re.Pattern[str]:
        """Matches the name as a whole word."""
        return re.compile(rf"(?<!\w){re.escape(self.own)}(?!\w)")


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk that defines or mentions a name, and the lines in which it stands (from 1)."""

    chunk_id: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: for each root the folder in it that counts (b"": all of it), one language or any.

    `first`: the root whose places come first.
    """

    folders: Mapping[int, bytes]
    language: str | None = None
    first: int | None = None

    def has(self, root_id: int, relpath: bytes, language: str) -> bool:
        """Whether a file is in it."""
        below = self.folders.get(root_id)
        inside = below is not None and (not below or relpath == below or relpath.startswith(below + b"/"))
        return inside and self.language in (None, language)


@dataclass(frozen=True, slots=True)
class _Row:
    chunk_id: int
    root_id: int
    relpath: bytes
    language: str
    symbol: str
    kind: str
    start_line: int
    defines: str


def definitions(database: Database, name: Name, scope: Scope, k: int) -> list[Place]:
    """Chunks that define a name, best first. One of that very spelling beats one that only sounds the same."""
    if not name.term:
        return []
    with database.reading() as connection:
        best = _defining(connection, name, scope)[:k]
        return [Place(row.chunk_id, _lines(connection, row, name)[:1]) for row in best]


def definers(database: Database, names: Sequence[Name], scope: Scope, most: int) -> list[list[int]]:
    """Chunks that define each of these names, for those that at most so many chunks define, in whatever style."""
    with database.reading() as connection:
        counts = how_many(connection, [name.own for name in names if name.term])
        telling = [name for name in names if 0 < counts.get(name.own, 0) <= most]
        return [[row.chunk_id for row in _defining(connection, name, scope)] for name in telling]


def mentions(
    database: Database, name: Name, scope: Scope, k: int, most: int = MOST_LOOKED_AT, compared: int | None = None
) -> list[Place]:
    """Chunks that have a name in their text and don't define it, best first, of the `most` likeliest.

    `compared`: of how many the best are taken, four times k unless it is said: as many for each page of an answer.
    """
    compared = compared or 4 * k
    if not name.term:
        return []
    found: list[tuple[tuple[bool, ...], Place]] = []
    with database.reading() as connection:
        for row, stored in _mentioning(connection, name, most):
            if not scope.has(row.root_id, row.relpath, row.language) or name.own in row.defines.split():
                continue
            text = chunk_text(stored)
            if lines := _lines_in(text, row.start_line, name):
                found.append((_mention_order(row, text, name, scope), Place(row.chunk_id, lines)))
            if len(found) >= compared:
                break
    return [place for _, place in sorted(found, key=lambda one: one[0])[:k]]


def _defining(connection: sqlite3.Connection, name: Name, scope: Scope) -> list[_Row]:
    rows = [_Row(*row) for row in connection.execute(DEFINING, (flat(name.own),))]
    rows = [row for row in rows if scope.has(row.root_id, row.relpath, row.language)]
    found = [row for row in rows if name.own in row.defines.split()] or rows
    qualified = [row for row in found if set(name.qualifiers) <= set(_SEPARATOR.split(row.symbol))]
    return sorted(qualified or found, key=lambda row: _definition_order(row, name, scope))


def _mentioning(connection: sqlite3.Connection, name: Name, most: int) -> Iterator[tuple[_Row, bytes]]:
    """Chunks with a name's words and their text as stored, likeliest first."""
    ids = [row[0] for row in connection.execute(MENTIONING, (f'body : "{name.term}"', most))]
    for start in range(0, len(ids), READ_AT_ONCE):
        rows = connection.execute(READ, (json.dumps(ids[start : start + READ_AT_ONCE]),)).fetchall()
        yield from ((_Row(*columns), stored) for *columns, stored in rows)


def _definition_order(row: _Row, name: Name, scope: Scope) -> tuple[object, ...]:
    is_main = _SEPARATOR.split(row.symbol)[-1] == name.own
    return (row.root_id != scope.first, is_aside(row.kind, os.fsdecode(row.relpath)), not is_main, row.relpath)


def _mention_order(row: _Row, text: str, name: Name, scope: Scope) -> tuple[bool, ...]:
    elsewhere = scope.first is not None and row.root_id != scope.first
    said = all(part in text for part in name.qualifiers)
    return (elsewhere, not said, is_aside(row.kind, os.fsdecode(row.relpath)))


def _lines(connection: sqlite3.Connection, row: _Row, name: Name) -> tuple[int, ...]:
    stored = connection.execute("SELECT text FROM chunks WHERE id = ?", (row.chunk_id,)).fetchone()
    return _lines_in(chunk_text(stored[0]), row.start_line, name) if stored else ()


def _lines_in(text: str, start_line: int, name: Name) -> tuple[int, ...]:
    found = (number for number, line in enumerate(text.split("\n"), start_line) if name.word.search(line))
    return tuple(islice(found, MOST_LINES))
