"""What does an answer show of a chunk?

Covers reading chunks that were chosen, in the order they were given: where they are, their text as it was indexed, and
whether the file is still that. Leaves choosing to `search.py`, `related.py` and `symbols.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ctx42d.indexer.damage import CorruptDatabase
from ctx42d.indexer.database import Database
from ctx42d.indexer.passages import HASH_BYTES, content_hash
from ctx42d.indexer.roots import Root
from ctx42d.indexer.store import chunk_text
from ctx42d.indexer.wire import FileStamp, stamp_of

CHUNKS = """
SELECT f.root_id, f.relpath, f.dev, f.inode, f.size, f.mtime_ns, f.ctime_ns,
       c.start_line, c.end_line, f.language, c.symbol, c.kind, c.text, v.hash, f.id, c.id
FROM json_each(?) wanted JOIN chunks c ON c.id = wanted.value
JOIN files f ON f.id = c.file_id JOIN vectors v ON v.id = c.vector_id
"""
PASSAGES = """
SELECT c.id, c.start_line, c.end_line, c.symbol, c.text, v.hash
FROM json_each(?) wanted JOIN chunks c ON c.id = wanted.value JOIN vectors v ON v.id = c.vector_id
"""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A chunk that is to be shown, its score, and the share that each signal has in it."""

    chunk_id: int
    score: float
    shares: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a file, from 1, inclusive, and the definition that they are, or lie in ("" where there is none)."""

    start_line: int
    end_line: int
    symbol: str
    text: str

    def part(self, first: int, last: int) -> Passage:
        """The lines from `first` to `last`, both from 0."""
        lines = "\n".join(self.text.split("\n")[first : last + 1])
        return Passage(self.start_line + first, self.start_line + last, self.symbol, lines)


@dataclass(frozen=True, slots=True)
class Hit:
    """Lines that answer.

    `focus`: the first and last of its lines that matter, from 0. `also`: places (path, line) that say the same again.
    `further`: other places of the file that say something about the question, best first.
    `context`: the number of a line of the file, from 1, and the lines from there that were asked for around the focus.
    """

    path: bytes
    root: bytes
    relpath: bytes
    start_line: int
    end_line: int
    language: str
    symbol: str
    kind: str
    score: float
    fresh: bool
    text: str
    shares: dict[str, float] = field(default_factory=dict)
    focus: tuple[int, int] | None = None
    also: tuple[tuple[bytes, int], ...] = ()
    further: tuple[Passage, ...] = ()
    context: tuple[int, tuple[str, ...]] | None = None
    file_id: int = 0
    chunk_id: int = 0

    def joined(self, other: Hit) -> Hit:
        """This hit, and the lines of one right before or behind it."""
        first, last = sorted((self, other), key=lambda hit: hit.start_line)
        text, fresh = f"{first.text}\n{last.text}", self.fresh and other.fresh
        return replace(self, start_line=first.start_line, end_line=last.end_line, text=text, fresh=fresh)

    def holds(self, file_id: int, place: Passage) -> bool:
        """Whether the lines of a place of that file are among its own."""
        return self.file_id == file_id and self.start_line <= place.start_line <= place.end_line <= self.end_line


def read_hits(database: Database, chosen: Iterable[Chosen], roots: Mapping[int, Root]) -> list[Hit]:
    """Read chunks; one that was deleted since it was chosen is left out. Raises CorruptDatabase."""
    chosen = list(chosen)
    with database.reading() as connection:
        rows = connection.execute(CHUNKS, (json.dumps([one.chunk_id for one in chosen]),)).fetchall()
    found = {row[-1]: row for row in rows if row[0] in roots}
    return [_hit(one, found[one.chunk_id], roots) for one in chosen if one.chunk_id in found]


def read_passages(database: Database, chunk_ids: Iterable[int]) -> dict[int, Passage]:
    """Chunks as places, by id, whole; one that was deleted is left out. Raises CorruptDatabase."""
    with database.reading() as connection:
        rows = connection.execute(PASSAGES, (json.dumps(list(chunk_ids)),)).fetchall()
    return {
        number: Passage(first, last, symbol, whole_text(symbol, stored, name))
        for number, first, last, symbol, stored, name in rows
    }


def is_fresh(path: bytes, stamp: FileStamp) -> bool:
    """Whether a file is still as it was when it was indexed."""
    try:
        return stamp_of(os.lstat(path)) == stamp
    except OSError:
        return False


def whole_text(symbol: str, stored: bytes, name: bytes) -> str:
    """Text of a chunk as stored. Raises CorruptDatabase if it isn't what was indexed, sqlite3.DatabaseError likewise.

    `name`: its vectors' hash. The comparison takes 4 us: a damaged page is never served as an answer.
    """
    text = chunk_text(stored)
    if content_hash(symbol, text) != name[:HASH_BYTES]:
        raise CorruptDatabase("a chunk is not what was indexed")
    return text


def _hit(one: Chosen, row: tuple[Any, ...], roots: Mapping[int, Root]) -> Hit:
    root_id, relpath, *stamp, start, end, language, symbol, kind, stored, name, file_id, _ = row
    root = roots[root_id]
    path = root.absolute(relpath)
    text = whole_text(symbol, stored, name)
    fresh = is_fresh(path, FileStamp(*stamp))
    return Hit(
        *(path, root.path, relpath, start, end, language, symbol, kind, one.score, fresh, text, one.shares),
        file_id=file_id,
        chunk_id=one.chunk_id,
    )
