"""From a question to hits.

Lexical, static and deep candidates, filtered before they are ranked, fused by `ranking.py`, then read by `hits.py`. A
question's own deep vector is waited for at most so long; the answer says which tiers took part.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import lru_cache
from re import Pattern
from re import compile as compile_regex

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.database import Database
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.hits import Chosen, Hit, read_hits
from ctx42d.indexer.known_files import ABOVE_ALL_PATHS
from ctx42d.indexer.question import Question, full_text_query, understand
from ctx42d.indexer.question_vectors import question_vectors
from ctx42d.indexer.ranking import Candidate, forget, rank
from ctx42d.indexer.roots import Root, touched
from ctx42d.indexer.static import StaticTable
from ctx42d.indexer.vectors import VectorIndex

CANDIDATES = 150
FREQUENCY_SECONDS = 30.0
BM25 = "bm25(chunks_fts, 1.0, 3.0, 1.5)"
CANDIDATE_COLUMNS = "c.id, c.file_id, f.relpath, f.language, c.symbol, c.kind, c.defines"


@dataclass(frozen=True, slots=True)
class Query:
    """A question and its filters: only what lies in a folder (absolute), has a language, a path that matches a glob."""

    text: str
    k: int
    folder: bytes | None = None
    language: str | None = None
    path: str | None = None
    wait_deep_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and the tiers that took part; of each model that read what was asked, whether it took part."""

    hits: list[Hit]
    tiers: list[str]
    models: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What the tiers found: the question taken apart, the candidates, tiers and models as in `Answer`."""

    question: Question
    candidates: list[Candidate] = field(default_factory=list)
    tiers: list[str] = field(default_factory=list)
    models: dict[str, bool] = field(default_factory=dict)


class Search:
    """Answers questions. Thread-safe."""

    def __init__(
        self,
        database: Database,
        vectors: VectorIndex,
        table: StaticTable,
        services: Callable[[], Mapping[str, EmbeddingService]],
    ) -> None:
        """`services`: those of the models that can be used; none when there is no deep tier."""
        self._database, self._vectors, self._table, self._services = database, vectors, table, services
        self._frequencies: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()
        self.last_asked = 0.0

    def ask(self, query: Query, roots: Mapping[int, Root]) -> Answer:
        """Return the best hits for a query."""
        self.last_asked = time.monotonic()
        found = self.find(query, roots)
        ranked = rank(found.question, found.candidates)
        chosen = [Chosen(best.candidate.chunk_id, best.score, best.shares) for best in ranked[: query.k]]
        return Answer(read_hits(self._database, chosen, roots), found.tiers, found.models)

    def find(self, query: Query, roots: Mapping[int, Root]) -> Found:
        """Return what the tiers found, before it is ranked."""
        question = understand(query.text)
        if not question.terms:
            return Found(question)
        question = replace(question, unheard_of=not all(map(self._table.knows, question.words)))
        files = self._allowed(query, roots)
        if files is not None and not len(files):
            return Found(question, [], ["lexical", "static"])
        found = [("lexical", self._lexical(question, files)), ("static", self._static(question, files))]
        deep = self._deep(query, files, roots)
        # Cosines of different models can't be compared: each has ranks of its own, and each chunk is one model's.
        found += [("deep", ids) for ids in deep.values() if ids is not None]
        tiers = list(dict.fromkeys(tier for tier, _ in found))
        took_part = {model: ids is not None for model, ids in deep.items()}
        return Found(question, self._candidates(found), tiers, took_part)

    def release(self) -> None:
        """Let go of the memory that questions brought in."""
        self._vectors.release()
        self._table.release()
        forget()
        with self._lock:
            self._frequencies.clear()

    def _lexical(self, question: Question, files: NDArray[np.int32] | None) -> list[int]:
        with self._database.reading() as connection:
            chunks = connection.execute("SELECT count(*) FROM chunks_fts_docsize").fetchone()[0]
            match = full_text_query(question, chunks, lambda term: self._frequency(connection, term))
            if match is None:
                return []
            if files is None:
                sql = f"SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ? ORDER BY {BM25} LIMIT ?"  # noqa: S608 constants
                return [row[0] for row in connection.execute(sql, (match, CANDIDATES))]
            sql = (
                "SELECT c.id, c.file_id FROM chunks_fts JOIN chunks c ON c.id = chunks_fts.rowid"  # noqa: S608 constants
                f" WHERE chunks_fts MATCH ? ORDER BY {BM25}"
            )
            allowed = set(files.tolist())
            found = (row[0] for row in connection.execute(sql, (match,)) if row[1] in allowed)
            return [chunk_id for chunk_id, _ in zip(found, range(CANDIDATES), strict=False)]

    def _static(self, question: Question, files: NDArray[np.int32] | None) -> list[int]:
        vector = self._table.vector(question.words)
        if not vector.any():
            return []
        return [chunk_id for chunk_id, _ in self._vectors.nearest("static", vector, CANDIDATES, files)]

    def _deep(
        self, query: Query, files: NDArray[np.int32] | None, roots: Mapping[int, Root]
    ) -> dict[str, list[int] | None]:
        """Chunks by model, for all models of the folders that are asked; None: it gave no vector in time."""
        models = dict.fromkeys(roots[root_id].model for root_id in touched(query.folder, roots))
        found: dict[str, list[int] | None] = dict.fromkeys(models)
        if query.wait_deep_s <= 0:
            return found
        text = query.text.encode("utf-8", "replace").decode("utf-8")  # an argument that wasn't UTF-8 holds surrogates
        services = {model: service for model, service in self._services().items() if model in models}
        for model, vector in question_vectors(services, text, wait_s=query.wait_deep_s).items():
            nearest = self._vectors.nearest("deep", vector, CANDIDATES, files, model)
            found[model] = [chunk_id for chunk_id, _ in nearest]
        return found

    def _frequency(self, connection: sqlite3.Connection, term: str) -> int:
        """In how many chunks a term occurs; remembered for a while: counting a frequent one takes a millisecond."""
        now = time.monotonic()
        until, count = self._frequencies.get(term, (0.0, 0))
        if until < now or not count:
            row = connection.execute("SELECT doc FROM chunks_terms WHERE term = ?", (term,)).fetchone()
            count = row[0] if row else 0
            with self._lock:
                if len(self._frequencies) > 10_000:
                    self._frequencies.clear()
                self._frequencies[term] = now + FREQUENCY_SECONDS, count
        return count

    def _allowed(self, query: Query, roots: Mapping[int, Root]) -> NDArray[np.int32] | None:
        """Ids of the files that the filters let in, sorted, or None for all."""
        scopes = touched(query.folder, roots)
        if not (query.language or query.path) and scopes == dict.fromkeys(roots, b""):
            return None
        found = [row for root_id, below in scopes.items() for row in self._files_of(root_id, below, query.language)]
        if query.path:
            pattern = path_pattern(query.path)
            found = [row for row in found if pattern.match(os.fsdecode(row[1]))]
        return np.array(sorted(row[0] for row in found), dtype=np.int32)

    def _files_of(self, root_id: int, below: bytes, language: str | None) -> list[tuple[int, bytes]]:
        low, high = (below + b"/", below + b"0") if below else (b"", ABOVE_ALL_PATHS)
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT id, relpath FROM files WHERE root_id = ?1 AND (relpath >= ?2 AND relpath < ?3 OR relpath = ?5)"
                " AND (?4 IS NULL OR language = ?4)",
                (root_id, low, high, language, below),
            ).fetchall()

    def _candidates(self, ranks: Sequence[tuple[str, list[int]]]) -> list[Candidate]:
        places: dict[int, dict[str, int]] = {}
        for tier, ids in ranks:
            for at, chunk_id in enumerate(ids, 1):
                places.setdefault(chunk_id, {})[tier] = at
        # One statement whatever their number: a connection keeps 128, and one of 450 question marks takes 40 KB.
        tables = "json_each(?) wanted JOIN chunks c ON c.id = wanted.value JOIN files f ON f.id = c.file_id"
        sql = f"SELECT {CANDIDATE_COLUMNS} FROM {tables}"  # noqa: S608 constants
        with self._database.reading() as connection:
            rows = connection.execute(sql, (json.dumps(list(places)),)).fetchall()
        return [
            Candidate(
                row[0], row[1], os.fsdecode(row[2]), row[3], row[4], row[5], tuple(row[6].split()), places[row[0]]
            )
            for row in rows
        ]


@lru_cache(maxsize=64)
def path_pattern(glob: str) -> Pattern[str]:
    """Glob over a relative path: `*` and `**` cross folders; one without a slash matches names in any folder."""
    glob = glob.replace("**", "*")
    return compile_regex(
        translate(glob if "/" in glob else f"*/{glob}") + ("" if "/" in glob else f"|{translate(glob)}")
    )
