"""What does each tier find for a question: the chunks that may answer, best first?

Covers the three lists (words in the full text, the static table's vectors, the models' vectors) over what the filters
allow, each with its own scores, and how often words occur. Leaves the filters to `filters.py`, the order of all to
`ranking.py`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.database import Database
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.filters import Allowed
from ctx42d.indexer.postings import Found, Postings
from ctx42d.indexer.question import MOST_TERMS, Question, rare_terms
from ctx42d.indexer.question_vectors import ask_ahead, question_vectors
from ctx42d.indexer.relevance import FEW, relevance
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.vectors import Read, VectorIndex
from ctx42d.indexer.within import say

CANDIDATES = 150
MOST_PLACES = 32  # of a file
FREQUENCY_SECONDS = 300.0
MOST_FREQUENCIES = 10_000
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
        self._postings = Postings()
        self._last: tuple[tuple[str, ...], NDArray[np.float32]] = (), table.vector(())
        self._frequencies: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def lexical(self, question: Question, allowed: Allowed) -> Scored:
        """Chunks that have the question's rare words, by BM25."""
        with self._database.reading() as connection:
            terms = rare_terms(question, self._vectors.chunks, lambda term: self._frequency(connection, term))
            found = self._postings.find(connection, terms)
        return self._best(found, self._vectors.chunk_ids(allowed.files, allowed.chunks))

    def _best(self, found: Found, allowed: NDArray[np.int64] | None) -> Scored:
        """The best of what was found, without what may not answer, and what was removed since it was remembered."""
        if not len(found.ids):
            return []
        live = self._vectors.live_ids()
        order = _descending(found.scores, 2 * CANDIDATES if allowed is None else len(found.ids))
        kept = order[_answering(found.ids[order], allowed, live)][:CANDIDATES]
        if len(kept) < CANDIDATES and len(order) < len(found.ids):  # much was removed
            order = _descending(found.scores, len(found.ids))
            kept = order[_answering(found.ids[order], allowed, live)][:CANDIDATES]
        return list(zip(found.ids[kept].tolist(), found.scores[kept].tolist(), strict=True))

    def static(self, question: Question, allowed: Allowed) -> Scored:
        """Chunks whose words resemble the question's."""
        vector = self._vector(question.words)
        if not vector.any():
            return []
        return self._vectors.nearest("static", vector, CANDIDATES, allowed.files, chunks=allowed.chunks)

    def within(self, question: Question, files: Iterable[int], allowed: Allowed) -> dict[int, Scored]:
        """Of a few files the chunks that say most beside the others of their file, and may answer, best first."""
        terms = question.terms[:MOST_TERMS]
        of, cosines = self._vectors.of_files(self._vector(question.words), files, allowed.chunks)
        if not len(of.ids):
            return {}
        with self._database.reading() as connection:
            has = self._postings.within(connection, terms, np.split(of.ids, np.cumsum(of.counts)[:-1]))
            frequencies = [self._frequency(connection, term) for term in terms]
        weights = np.log((self._vectors.chunks + 1) / (np.array(frequencies, dtype=np.float32) + 1))
        said = say(has.frequency, weights, has.lengths, cosines, of.counts)
        order = np.lexsort((-said, np.repeat(np.arange(len(of.counts)), of.counts)))
        found, first = dict[int, Scored](), 0
        for file_id, count in zip(of.files, of.counts.tolist(), strict=True):
            best = order[first : first + min(count, MOST_PLACES)]
            found[file_id] = list(zip(of.ids[best].tolist(), said[best].tolist(), strict=True))
            first += count
        return found

    def _vector(self, words: tuple[str, ...]) -> NDArray[np.float32]:
        """The static vector of a question: it is wanted twice, of the one asked last."""
        known = self._last
        if known[0] != words:
            known = self._last = words, self.table.vector(words)
        return known[1]

    def ask_ahead(self, text: str, models: Iterable[str]) -> None:
        """Have the models that are there read a question while the other tiers answer it."""
        ask_ahead(self._services_of(models), as_utf8(text))

    def deep(self, text: str, models: Iterable[str], allowed: Allowed, wait_s: float) -> dict[str, Scored]:
        """Chunks by model, for those of these models that give a vector in time."""
        vectors = question_vectors(self._services_of(models), as_utf8(text), wait_s=wait_s)
        return {
            model: self._vectors.nearest("deep", vector, CANDIDATES, allowed.files, model, chunks=allowed.chunks)
            for model, vector in vectors.items()
        }

    def read(self, models: Iterable[str], allowed: Allowed) -> dict[str, Read]:
        """What each of these models has read of what may answer."""
        return {model: self._vectors.read(model, allowed.files, allowed.chunks) for model in models}

    def _services_of(self, models: Iterable[str]) -> dict[str, EmbeddingService]:
        wanted = set(models)
        return {model: service for model, service in self._services().items() if model in wanted}

    def relevance(self, question: Question, nearest: float) -> float:
        """How much of an answer there may be to a question whose nearest chunk has this cosine."""
        with self._database.reading() as connection:
            count = self._vectors.chunks
            return relevance(nearest, question.terms, count, lambda term: self._frequency(connection, term))

    def with_rare_word(self, question: Question, found: Scored) -> Scored:
        """Those of the chunks found that have a word of the question which few chunks have."""
        with self._database.reading() as connection:
            rare = [term for term in question.terms if 0 < self._frequency(connection, term) <= FEW]
            having = set(self._postings.find(connection, rare[:MOST_TERMS]).ids.tolist())
        return [(chunk_id, score) for chunk_id, score in found if chunk_id in having]

    def release(self) -> None:
        """Let go of the memory that questions brought in."""
        self._vectors.release()
        self.table.release()
        self._postings.release(self._vectors.chunks)
        with self._lock:
            self._frequencies.clear()

    def _frequency(self, connection: sqlite3.Connection, term: str) -> int:
        """In how many chunks a term occurs; remembered for a while: counting a frequent one takes a millisecond."""
        now = time.monotonic()
        if (known := self._postings.frequency(term)) is not None:
            return known
        until, count = self._frequencies.get(term, (0.0, 0))
        if until < now or not count:
            row = connection.execute("SELECT doc FROM chunks_terms WHERE term = ?", (term,)).fetchone()
            count = row[0] if row else 0
            with self._lock:
                if len(self._frequencies) > MOST_FREQUENCIES:
                    self._frequencies.clear()
                self._frequencies[term] = now + FREQUENCY_SECONDS, count
        return count


def as_utf8(text: str) -> str:
    """A question as models take it: an argument that wasn't UTF-8 holds surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _descending(scores: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Where the highest scores are, the highest first, ties in order."""
    if most < len(scores):
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        at = np.flatnonzero(scores >= least)
        return at[np.argsort(-scores[at], kind="stable")]
    return np.argsort(-scores, kind="stable")


def _answering(ids: NDArray[np.int64], allowed: NDArray[np.int64] | None, live: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which chunks may answer and are still there. One newer than all that are known was added a moment ago."""
    there = _among(ids, live) | (ids > (live[-1] if len(live) else -1))
    return there if allowed is None else there & _among(ids, allowed)


def _among(ids: NDArray[np.int64], sorted_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(sorted_ids):
        return np.zeros(len(ids), dtype=np.bool_)
    at = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    among: NDArray[np.bool_] = sorted_ids[at] == ids
    return among
