"""Where is a name defined, and where is it mentioned?

From the index alone: the names that each chunk defines, and its text. A mention is the name as a whole word, so a call,
an import, a subclass or a comment; which of two things of one name is meant is known only where the question says it
(`Session.execute`) and the chunk does. Leaves what resembles a piece of code to `related.py`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from ctx42d.indexer.chunk_rows import chunk_text
from ctx42d.indexer.database import Database
from ctx42d.indexer.question import flat
from ctx42d.indexer.ranking import is_aside
from ctx42d.indexer.words import tokens

MOST_LOOKED_AT = 2000
MOST_DEFINING = 20_000
MOST_LINES = 20
_SEPARATOR = re.compile(r"\.|::|#|->|/")
_COLUMNS = "c.id, f.root_id, f.relpath, f.language, c.symbol, c.kind, c.start_line, c.defines"
_FOUND = "chunks_fts t JOIN chunks c ON c.id = t.rowid JOIN files f ON f.id = c.file_id WHERE chunks_fts MATCH ?"
DEFINING = f"SELECT {_COLUMNS} FROM {_FOUND} LIMIT {MOST_DEFINING}"  # noqa: S608 constants
MENTIONING = f"SELECT {_COLUMNS}, c.text FROM {_FOUND} ORDER BY bm25(chunks_fts)"  # noqa: S608 constants


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
        rows = [_Row(*row) for row in connection.execute(DEFINING, (f'symbol : "{name.term}"',))]
        rows = [row for row in rows if scope.has(row.root_id, row.relpath, row.language)]
        found = [row for row in rows if name.own in row.defines.split()]
        found = found or [row for row in rows if flat(name.own) in map(flat, row.defines.split())]
        qualified = [row for row in found if set(name.qualifiers) <= set(_SEPARATOR.split(row.symbol))]
        best = sorted(qualified or found, key=lambda row: _definition_order(row, name, scope))[:k]
        return [Place(row.chunk_id, _lines(connection, row, name)[:1]) for row in best]


def mentions(database: Database, name: Name, scope: Scope, k: int) -> list[Place]:
    """Chunks that have a name in their text and don't define it, best first."""
    if not name.term:
        return []
    found: list[tuple[tuple[bool, ...], Place]] = []
    with database.reading() as connection:
        rows = connection.execute(MENTIONING, (f'body : "{name.term}"',))
        for *columns, stored in islice(rows, MOST_LOOKED_AT):
            row = _Row(*columns)
            if not scope.has(row.root_id, row.relpath, row.language) or name.own in row.defines.split():
                continue
            text = chunk_text(stored)
            if lines := _lines_in(text, row.start_line, name):
                found.append((_mention_order(row, text, name, scope), Place(row.chunk_id, lines)))
            if len(found) >= 4 * k:
                break
    return [place for _, place in sorted(found, key=lambda one: one[0])[:k]]


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
