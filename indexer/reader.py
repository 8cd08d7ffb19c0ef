"""How does a Python program read the index without a daemon, or beside it?

Covers opening it read-only: searching by the lexical and the static tier, and counting. Nothing is written, neither to
the database nor to its copies: the vectors are read into files of a temporary folder that nobody else sees. There is no
deep tier: a question's own deep vector needs a worker, which the daemon has (`ctx42d.daemon.api`). See docs/api.md.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ctx42d.indexer import bundle
from ctx42d.indexer.database import READERS, Database, open_connection
from ctx42d.indexer.embedding import EmbeddingService
from ctx42d.indexer.filters import KINDS, Filters
from ctx42d.indexer.hits import Hit as Hit
from ctx42d.indexer.named_languages import language_called
from ctx42d.indexer.roots import Root
from ctx42d.indexer.search import Query, Search
from ctx42d.indexer.signature import TOKENS
from ctx42d.indexer.static import STATIC_DIMS, StaticTable
from ctx42d.indexer.vectors import VectorIndex

COUNTS = """
SELECT count(DISTINCT f.id), count(c.id), count(v.deep) FROM files f LEFT JOIN chunks c ON c.file_id = f.id
LEFT JOIN vectors v ON v.id = c.vector_id WHERE f.root_id = ? AND f.outcome = 'indexed'
"""


class CannotRead(Exception):
    """There is no index to read, or one that this version doesn't understand; the message says which."""


@dataclass(frozen=True, slots=True)
class RootCounts:
    """What the index holds of a root; `deep`: chunks that have a deep vector."""

    path: str
    files: int
    chunks: int
    deep: int


class Index:
    """An index that was opened read-only. Each question sees the last commit that was made before the opening."""

    def __init__(self, folder: Path) -> None:
        """Open the index in a folder (`ctx42d.daemon.paths`: data_dir). Raises CannotRead, BundleError."""
        self._database = _ReadOnly(folder / "index.db")
        self._copies = tempfile.TemporaryDirectory(prefix="ctx42d-")
        try:
            table = StaticTable.load(bundle.DEFAULT_BUNDLE)
            _check_version(self._database, table)
            dims = bundle.read_manifest(bundle.DEFAULT_BUNDLE).dims
            self._vectors = VectorIndex(Path(self._copies.name), self._database, {"static": STATIC_DIMS, "deep": dims})
        except BaseException:
            self._let_go()
            raise
        self._search = Search(self._database, self._vectors, table, _no_models)

    def search(
        self,
        question: str,
        *,
        k: int = 10,
        root: str | Path | None = None,
        lang: str | None = None,
        path: str | None = None,
        kind: str | None = None,
    ) -> list[Hit]:
        """Hits, best first; paths in them are bytes. `root`: only below this folder; `path`: a glob.

        Raises ValueError where there is no such language or kind, or k is below 1.
        """
        language = None if lang is None else language_called(lang)
        for name, value, known in (("lang", lang, lang is None or language), ("kind", kind, kind in {None, *KINDS})):
            if not known:
                raise ValueError(f"there is no {name} {value!r}")
        if k < 1:
            raise ValueError(f"k is {k}, it has to be 1 or more")
        folder = None if root is None else os.fsencode(os.path.realpath(root))
        return self._search.ask(Query(question, k, Filters(folder, language, path, kind)), self._roots()).hits

    def status(self) -> list[RootCounts]:
        """What there is of each root."""
        with self._database.reading() as connection:
            return [
                RootCounts(os.fsdecode(root.path), *connection.execute(COUNTS, (root.root_id,)).fetchone())
                for root in self._roots().values()
            ]

    def close(self) -> None:
        """Close everything, and delete the copies."""
        self._vectors.close()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _let_go(self) -> None:
        self._database.close()
        self._copies.cleanup()

    def _roots(self) -> Mapping[int, Root]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT id, path, scanned_at, coalesce(note, ''), bundle, model FROM roots")
            return {row[0]: Root(*row) for row in rows}


class _ReadOnly(Database):
    """A database with readers only: nothing is checked, brought up to date, sealed or written."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise CannotRead(f"there is no index at {path}: `ctx42d up FOLDER` makes one")
        self.path = path
        self._readers = queue.SimpleQueue()
        try:
            for _ in range(READERS):
                self._readers.put(open_connection(path, read_only=True))
        except sqlite3.Error as error:
            raise CannotRead(f"{path} can't be read: {error}") from error

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:  # noqa: ARG002 as it is called
        """A reader: SQLite refuses what is written through it."""
        with self.reading() as connection:
            yield connection

    def close(self) -> None:
        for _ in range(READERS):
            self._readers.get().close()


def open_index(folder: str | Path) -> Index:
    """Open the index in a folder read-only. Raises CannotRead, BundleError."""
    return Index(Path(folder))


def _check_version(database: Database, table: StaticTable) -> None:
    """Raise CannotRead unless questions can be put to the index in the way in which it was made."""
    wanted = {"made.tokens": TOKENS, "made.static": table.digest}
    try:
        with database.reading() as connection:
            made = dict(connection.execute("SELECT key, value FROM meta WHERE key LIKE 'made.%'").fetchall())
    except sqlite3.Error as error:
        raise CannotRead(f"{database.path} can't be read: {error}") from error
    if any(made.get(key) != value for key, value in wanted.items()):
        raise CannotRead(f"{database.path} was made by another version of ctx42d: `ctx42d restart` makes it again")


def _no_models() -> Mapping[str, EmbeddingService]:
    return {}
