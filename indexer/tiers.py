"""What does each tier find for a question: the chunks that may answer, best first?

Covers the three lists (words in the full text, the static table's vectors, the models' vectors) over what the filters
allow, each with its own scores, and how often words occur. Leaves the filters to `filters.py`, the order of all to
`ranking.py`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.database import Database
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.filters import Allowed
from ctx42d.indexer.question import MOST_TERMS, Question, full_text_query
from ctx42d.indexer.question_vectors import question_vectors
from ctx42d.indexer.relevance import FEW, relevance
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.vectors import VectorIndex

CANDIDATES = 150
FREQUENCY_SECONDS = 30.0
MOST_FREQUENCIES = 10_000
BATCH = 500
BM25 = "bm25(chunks_fts, 1.0, 3.0, 1.5)"
FIND = f"SELECT rowid, {BM25} AS score FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY score LIMIT ?"  # noqa: S608 constants
Scored = list[tuple[int, float]]
"""Chunks with what the tier thinks of each, the better the higher, best first."""


class Tiers:
    """Asks the tiers. Thread-safe."""

    def __init__(
        self,
        database: Database,
        vectors: VectorIndex,
        table: StaticTable,
        services: Callable[[], Mapping[str, EmbeddingService]],
    ) -> None:
        """`services`: those of the models that can be used; none when there is no deep tier."""
        self._database, self._vectors, self.table, self._services = database, vectors, table, services
        self._frequencies: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def lexical(self, question: Question, allowed: Allowed) -> Scored:
        """Chunks that have the question's rare words, by BM25."""
        with self._database.reading() as connection:
            match = full_text_query(question, self._vectors.chunks, lambda term: self._frequency(connection, term))
            if match is None:
                return []
            ids = self._vectors.chunk_ids(allowed.files, allowed.chunks)
            # SQLite's bm25() is the lower the better.
            if ids is None:
                return [(chunk_id, -score) for chunk_id, score in connection.execute(FIND, (match, CANDIDATES))]
            return list(islice(_among(connection.execute(FIND, (match, -1)), ids), CANDIDATES))

    def static(self, question: Question, allowed: Allowed) -> Scored:
        """Chunks whose words resemble the question's."""
        vector = self.table.vector(question.words)
        if not vector.any():
            return []
        return self._vectors.nearest("static", vector, CANDIDATES, allowed.files, chunks=allowed.chunks)

    def deep(self, text: str, models: Iterable[str], allowed: Allowed, wait_s: float) -> dict[str, Scored | None]:
        """Chunks by model, for each of these models; None: it gave no vector in time."""
        found: dict[str, Scored | None] = dict.fromkeys(models)
        if wait_s <= 0:
            return found
        text = text.encode("utf-8", "replace").decode("utf-8")  # an argument that wasn't UTF-8 holds surrogates
        services = {model: service for model, service in self._services().items() if model in found}
        for model, vector in question_vectors(services, text, wait_s=wait_s).items():
            found[model] = self._vectors.nearest(
                "deep", vector, CANDIDATES, allowed.files, model, chunks=allowed.chunks
            )
        return found

    def relevance(self, question: Question, nearest: float) -> float:
        """How much of an answer there may be to a question whose nearest chunk has this cosine."""
        with self._database.reading() as connection:
            count = self._vectors.chunks
            return relevance(nearest, question.terms, count, lambda term: self._frequency(connection, term))

    def with_rare_word(self, question: Question, found: Scored) -> Scored:
        """Those of the chunks found that have a word of the question which few chunks have."""
        with self._database.reading() as connection:
            rare = [term for term in question.terms if 0 < self._frequency(connection, term) <= FEW]
            match = " OR ".join(f'"{term}"' for term in rare[:MOST_TERMS])
            having = {row[0] for row in connection.execute(FIND, (match, -1))} if match else set()
        return [(chunk_id, score) for chunk_id, score in found if chunk_id in having]

    def release(self) -> None:
        """Let go of the memory that questions brought in."""
        self._vectors.release()
        self.table.release()
        with self._lock:
            self._frequencies.clear()

    def _frequency(self, connection: sqlite3.Connection, term: str) -> int:
        """In how many chunks a term occurs; remembered for a while: counting a frequent one takes a millisecond."""
        now = time.monotonic()
        until, count = self._frequencies.get(term, (0.0, 0))
        if until < now or not count:
            row = connection.execute("SELECT doc FROM chunks_terms WHERE term = ?", (term,)).fetchone()
            count = row[0] if row else 0
            with self._lock:
                if len(self._frequencies) > MOST_FREQUENCIES:
                    self._frequencies.clear()
                self._frequencies[term] = now + FREQUENCY_SECONDS, count
        return count


def _among(rows: sqlite3.Cursor, ids: NDArray[np.int64]) -> Iterator[tuple[int, float]]:
    """Those of the rows, in their order, that are among sorted ids."""
    while batch := rows.fetchmany(BATCH):
        found = np.array([row[0] for row in batch], dtype=np.int64)
        at = np.minimum(np.searchsorted(ids, found), len(ids) - 1)
        yield from ((batch[i][0], -batch[i][1]) for i in np.flatnonzero(ids[at] == found))
