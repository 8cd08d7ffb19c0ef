"""Which chunks have these words, and which of them have most of them? BM25, as the full text's own, only sooner.

FTS5 looks up the length of every chunk that has a word, for every question: 13.7 ms for a word in 4,600 of 67,000
chunks. Here the places of a word are read once (5 ms), and remembered while nobody adds a chunk that has it; lengths
are read once. Chunks never change and their ids are never given twice, so that only new ones have to be looked for.
Leaves which words to ask for to `question.py`, what may answer to `tiers.py`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_REMEMBERED = 1_500_000
"""Places of words in chunks, 6 bytes each: 500 questions to 67,000 chunks have some 2 million."""
K1, B = 1.2, 0.75  # FTS5's own
LEAST_IDF = 1e-6
COLUMNS = ("body", "symbol", "path")
WEIGHTS = np.array([1.0, 3.0, 1.5], dtype=np.float32)
PLACES = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.places USING fts5vocab(main, chunks_fts, instance)"
FIND = """
SELECT group_concat(doc * 4 + CASE col WHEN 'body' THEN 0 WHEN 'symbol' THEN 1 ELSE 2 END)
FROM temp.places WHERE term = ?
"""
NEWER = "SELECT 1 FROM chunks_fts WHERE chunks_fts MATCH ? AND rowid > ? LIMIT 1"
AMONG = "SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? AND rowid BETWEEN ? AND ?"
NEWEST = "SELECT max(id) FROM chunks_fts_docsize"
LENGTHS = "SELECT id, sz FROM chunks_fts_docsize WHERE id > ? ORDER BY id"
AVERAGES = "SELECT block FROM chunks_fts_data WHERE id = 1"  # how many rows, and the tokens of each column


class Found(NamedTuple):
    """Chunk ids, ascending, and how well each answers, the better the higher."""

    ids: NDArray[np.int64]
    scores: NDArray[np.float64]


class Within(NamedTuple):
    """How often terms are in chunks (terms, chunks), and the chunks' lengths in tokens."""

    frequency: NDArray[np.float32]
    lengths: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Posting:
    """A word's chunks, as places in the table of lengths, its weighted frequency there, and the newest chunk then."""

    at: NDArray[np.int32]
    frequency: NDArray[np.float16]  # halves: exact
    newest: int


@dataclass(slots=True)
class _Table:
    """All chunks that were ever seen, in order, with their lengths in tokens; and the words remembered."""

    ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    lengths: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    known: OrderedDict[str, _Posting] = field(default_factory=OrderedDict)
    remembered: int = 0


class Postings:
    """The words of questions and where they are. Thread-safe."""

    def __init__(self) -> None:
        self._table = _Table()
        self._lock = threading.Lock()

    def find(self, connection: sqlite3.Connection, terms: Sequence[str]) -> Found:
        """All chunks that have any of the terms. Raises sqlite3.Error."""
        connection.execute(PLACES)
        connection.execute("BEGIN")
        try:
            newest = connection.execute(NEWEST).fetchone()[0] or 0  # that this connection sees: another may see more
            table = self._up_to_date(connection, newest)
            postings = [self._posting(connection, table, term, newest) for term in terms]
            rows, tokens = _averages(connection)
        finally:
            connection.execute("COMMIT")
        return _scored(table, postings, rows, tokens / max(rows, 1))

    def within(self, connection: sqlite3.Connection, terms: Sequence[str], ids: Sequence[NDArray[np.int64]]) -> Within:
        """How often the terms are in chunks, given by file, ascending; 1 where a term isn't remembered.

        Those that aren't are frequent: to read all their places takes 20 ms, a file's 0.1.
        """
        table, every = self._table, np.concatenate(ids)
        found = np.zeros((len(terms), len(every)), dtype=np.float32)
        at = _places(table.ids, every)
        for row, term in zip(found, terms, strict=True):
            if (known := table.known.get(term)) is not None:
                where = _places(known.at, at)
                row[where >= 0] = known.frequency[where[where >= 0]]
            else:
                having = sorted([number for some in ids for number in _having(connection, term, some)])
                row[:] = _places(np.array(having, dtype=np.int64), every) >= 0
        lengths = table.lengths[at] if len(table.ids) else np.zeros(len(at), dtype=np.float32)
        return Within(found, np.where(at >= 0, lengths, np.float32(0)))

    def frequency(self, term: str) -> int | None:
        """In how many chunks a term occurs, if that is remembered; of one that occurs in none it isn't."""
        known = self._table.known.get(term)
        return len(known.at) or None if known is not None else None

    def release(self, live: int) -> None:
        """Let go of the words; of the lengths only where chunks that are gone have more of them than `live` ones."""
        with self._lock:
            gone = len(self._table.ids) > 2 * live
            self._table = _Table() if gone else _Table(self._table.ids, self._table.lengths)

    def _up_to_date(self, connection: sqlite3.Connection, newest: int) -> _Table:
        """The table with all chunks that this connection sees."""
        with self._lock:
            table = self._table
            last = int(table.ids[-1]) if len(table.ids) else 0
            if newest > last:
                ids, lengths = _lengths(connection.execute(LENGTHS, (last,)).fetchall())
                table.lengths = np.concatenate([table.lengths, lengths])  # first: ids say how far the table goes
                table.ids = np.concatenate([table.ids, ids])
            return table

    def _posting(self, connection: sqlite3.Connection, table: _Table, term: str, newest: int) -> _Posting:
        known = table.known.get(term)
        if known is not None and known.newest >= newest:
            return known
        if known is not None and connection.execute(NEWER, (f'"{term}"', known.newest)).fetchone() is None:
            found = _Posting(known.at, known.frequency, newest)
        else:
            found = _read(connection, table, term, newest)
        self._remember(table, term, found)
        return found

    def _remember(self, table: _Table, term: str, found: _Posting) -> None:
        with self._lock:
            before = table.known.pop(term, None)
            table.known[term] = found
            table.remembered += len(found.at) - (0 if before is None else len(before.at))
            while table.remembered > MOST_REMEMBERED and len(table.known) > 1:
                table.remembered -= len(table.known.popitem(last=False)[1].at)


def _read(connection: sqlite3.Connection, table: _Table, term: str, newest: int) -> _Posting:
    """Where a word is, as one row: a row for each place would let go of the interpreter, and wait for it, each time."""
    listed = connection.execute(FIND, (term,)).fetchone()[0]
    codes = np.fromstring(listed or "", dtype=np.int64, sep=",")
    if not len(codes):
        return _Posting(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float16), newest)
    ids = codes >> 2
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    frequency = np.add.reduceat(WEIGHTS[codes & 3], starts)
    at = np.searchsorted(table.ids, ids[starts])
    return _Posting(at.astype(np.int32), frequency.astype(np.float16), newest)


def _places(ascending: NDArray[np.integer], wanted: NDArray[np.integer]) -> NDArray[np.intp]:
    """Where each of the wanted numbers is, -1 where it isn't."""
    if not len(ascending):
        return np.full(len(wanted), -1, dtype=np.intp)
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[at] == wanted, at, -1)


def _having(connection: sqlite3.Connection, term: str, ids: NDArray[np.int64]) -> list[int]:
    """Chunks from the first to the last of these that have a term."""
    return [row[0] for row in connection.execute(AMONG, (f'"{term}"', int(ids[0]), int(ids[-1])))] if len(ids) else []


def _scored(table: _Table, postings: Sequence[_Posting], rows: int, average: float) -> Found:
    """BM25 with the weights of columns: fts5_aux.c, `fts5Bm25Function`."""
    total = np.zeros(len(table.ids))
    for posting in postings:
        count = len(posting.at)
        idf = max(float(np.log((rows - count + 0.5) / (count + 0.5))) if count <= rows else 0.0, LEAST_IDF)
        long = table.lengths[posting.at].astype(np.float64) / max(average, 1e-9)
        frequency = posting.frequency.astype(np.float64)
        total[posting.at] += idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * long))
    at = np.flatnonzero(total)
    return Found(table.ids[at], total[at])


def _averages(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many rows the full text has, and how many tokens in all."""
    row = connection.execute(AVERAGES).fetchone()
    numbers = _varints(row[0]) if row and row[0] else np.zeros(1, dtype=np.int64)
    return int(numbers[0]), int(numbers[1:].sum())


def _lengths(rows: Sequence[tuple[int, bytes]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    sizes = _varints(b"".join([row[1] for row in rows])).reshape(len(rows), len(COLUMNS))
    return ids, sizes.sum(axis=1).astype(np.float32)


def _varints(stored: bytes) -> NDArray[np.int64]:
    """Numbers as SQLite packs them: seven bits a byte, the highest first, and the eighth says that more follow."""
    parts = np.frombuffer(stored, dtype=np.uint8).astype(np.int64)
    ends = np.flatnonzero(parts < 128)
    if not len(ends):
        return np.empty(0, dtype=np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    left = np.repeat(ends, ends - starts + 1) - np.arange(ends[-1] + 1)
    numbers: NDArray[np.int64] = np.add.reduceat((parts[: ends[-1] + 1] & 127) << (7 * left), starts)
    return numbers
