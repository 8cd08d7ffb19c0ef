"""Nearest neighbours: quantized rows in memory-mapped files, and which chunk has which row.

SQLite holds the truth (table `vectors`); the files are a copy that numpy can scan: 45,000 rows of 256 dimensions take
about 4 ms. Of very many rows only likely ones are looked at (`signs.py`). One file holds the static rows, in the order
of `vectors.id`, and one for each model its deep rows, in the order of `vectors.deep_row`: another model has other
dimensions, and a question to it looks at its own rows only. A copy that wasn't closed cleanly is made again. Filters
apply before ranking. Leaves quantization to `quantize.py`, files to `matrix.py`, what is stored to `store.py`.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.arrays import ChunkArrays, OfFiles, Places, allowed_rows, of_files
from ctx42d.indexer.damage import checksum
from ctx42d.indexer.database import Database
from ctx42d.indexer.matrix import Matrix
from ctx42d.indexer.quantize import SCALE_BYTES, row_dtype
from ctx42d.indexer.signs import likely

Tier = Literal["static", "deep"]
OWN = ""  # the shipped model
DEEP_ROWS = "SELECT deep_row, deep FROM vectors WHERE model = ? AND deep IS NOT NULL"
NO_DEEP_ROWS = "SELECT deep_row FROM vectors WHERE model = ? AND deep IS NULL"
ANY_DEEP_BYTES = "SELECT length(deep) FROM vectors WHERE model = ? AND deep IS NOT NULL LIMIT 1"

SCANNED_ROWS = 20_000
"""Above so many rows only those are looked at whose signs are likely ones."""
LOOKED_AT = 256
"""Of so many rows it is seen whether there is a vector yet: a millisecond, and right within three in a hundred."""
LIKELY = 4000
LIKELY_SHARE = 0.01
"""How many chunks are looked at exactly then, and which share of them if that is more: see bench/RESULTS.md for how
many of the nearest ten they hold."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What one commit changed.

    Chunks as (id, vector id, file id), static rows by vector id, new vectors' places as (vector id, model, deep row),
    and deep rows as (model, deep row, bytes): b"" where there is none yet.
    """

    added: list[tuple[int, int, int]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    static: list[tuple[int, bytes]] = field(default_factory=list)
    places: list[tuple[int, str, int]] = field(default_factory=list)
    deep: list[tuple[str, int, bytes]] = field(default_factory=list)


class Read(NamedTuple):
    """How many chunks a model is to read, and about which share of them, 0 to 1, it has read."""

    chunks: int
    share: float


class VectorIndex:
    """All matrices and the chunks that point into them. Thread-safe: one writer, any number of readers."""

    def __init__(self, folder: Path, database: Database, dims: dict[Tier, int]) -> None:
        """`dims`: of the static table and of the shipped model; another model's are those of its rows."""
        self._folder, self._database = folder, database
        self._lock = threading.Lock()
        self._chunks, self._places = ChunkArrays(), Places()
        self._static = Matrix(folder / "vectors.static", dims["static"])
        self._deep = {OWN: Matrix(self._deep_file(OWN), dims["deep"])}
        self.rows = 0
        self._behind = False  # a commit could not be followed: there was no room for its rows
        self._load()

    @property
    def chunks(self) -> int:
        """How many chunks there are: counting them in the table would read it all."""
        with self._lock:
            return self._chunks.count - self._chunks.removed

    def deep_rows(self, model: str = OWN) -> int:
        """How many vectors a model has, or is to have."""
        with self._lock:
            return self._places.end(model)

    @property
    def behind(self) -> bool:
        """Whether a commit could not be followed yet."""
        return self._behind

    def new_deep_rows(self, model: str, count: int = 1) -> int:
        """The first of so many rows for new vectors of a model."""
        with self._lock:
            return self._places.reserve(model, count)

    def outdate(self) -> None:
        """More than a delta can say is being changed: the next `apply` makes the copy again."""
        self._behind = True

    def apply(self, delta: Delta) -> None:
        """Follow a commit. Raises OSError when there is no room for its rows: `catch_up` does it later."""
        if self.catch_up():
            return
        self._behind = True
        self._static.write(delta.static)
        for model in {model for model, _, _ in delta.deep}:
            self._write_deep(model, [(number, row) for name, number, row in delta.deep if name == model])
        with self._lock:
            for model in {model for _, model, _ in delta.places}:
                self._places.put(model, [(number, row) for number, name, row in delta.places if name == model])
            self._chunks.remove(delta.removed)
            self._chunks.add(delta.added)
            self.rows = max(self.rows, *(number + 1 for number, _ in delta.static), 0)
        self._behind = False

    def catch_up(self) -> bool:
        """Make the copy again if a commit could not be followed; True: it was made. Raises OSError."""
        if not self._behind:
            return False
        self.reload()
        self._behind = False
        return True

    def nearest(
        self,
        tier: Tier,
        query: NDArray[np.float32],
        k: int,
        files: NDArray[np.int32] | None,
        model: str = OWN,
        *,
        chunks: NDArray[np.int64] | None = None,
    ) -> list[tuple[int, float]]:
        """Best chunks as (id, cosine), best first, among those of `files` and `chunks` (sorted ids; None: all).

        In the deep tier among those that `model` has read, whose question vector it has to be.
        """
        with self._lock:
            ids, vectors, owners = self._chunks.live()
            if tier == "deep":
                matrix, count, rows = self._deep.get(model), self._places.end(model), self._places.rows(model, vectors)
            else:
                matrix, count, rows = self._static, self.rows, vectors
        if not len(ids) or not count or matrix is None:
            return []
        rows = allowed_rows(rows, (owners, files), (ids, chunks))
        wanted = max(LIKELY, int(LIKELY_SHARE * len(ids)), 4 * k)
        at = None if count <= SCANNED_ROWS else likely(matrix.distances(query, count), rows, wanted)
        if at is None:
            scores = np.where(rows >= 0, matrix.scores(query, count)[np.maximum(rows, 0)], -np.inf)
        else:
            ids, scores = ids[at], matrix.scores_of(query, rows[at])
        if not len(scores):
            return []
        best = np.argpartition(-scores, min(k, len(scores)) - 1)[:k]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [(int(ids[i]), float(scores[i])) for i in best if scores[i] > -np.inf]

    def of_files(
        self, query: NDArray[np.float32], files: Iterable[int], chunks: NDArray[np.int64] | None
    ) -> tuple[OfFiles, NDArray[np.float32]]:
        """Chunks of a few files that are among `chunks` (sorted ids; None: all), and how near to a static vector."""
        with self._lock:
            live = self._chunks.live()
        found = of_files(*live, files, chunks)
        return found, np.maximum(self._static.scores_of(query, found.vectors), -1.0)

    def read(self, model: str, files: NDArray[np.int32] | None, chunks: NDArray[np.int64] | None) -> Read:
        """How much a model has read of its own chunks among `files` and `chunks` (as in `nearest`)."""
        with self._lock:
            ids, vectors, owners = self._chunks.live()
            matrix, rows = self._deep.get(model), self._places.rows(model, vectors)
        rows = allowed_rows(rows, (owners, files), (ids, chunks))
        rows = rows[rows >= 0]
        return Read(len(rows), matrix.share_there(rows[:: max(1, len(rows) // LOOKED_AT)]) if matrix else 0.0)

    def chunk_ids(self, files: NDArray[np.int32] | None, chunks: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        """Sorted ids of the chunks of `files` that are among `chunks` (None: all); None: all chunks there are."""
        if files is None:
            return chunks
        with self._lock:
            ids, _, owners = self._chunks.live()
        found = ids[np.isin(owners, files)]
        return found if chunks is None else np.intersect1d(found, chunks, assume_unique=True)

    def live_ids(self) -> NDArray[np.int64]:
        """Sorted ids of the chunks that there are."""
        with self._lock:
            ids, vectors, _ = self._chunks.live()
        return ids[vectors >= 0]

    def differing(self, tier: Tier, rows: Iterable[tuple[int, bytes | None]], model: str = OWN) -> Iterator[int]:
        """Numbers of rows (None: none yet), in order, that are not what the file of a tier, or model, holds."""
        matrix = self._static if tier == "static" else self._deep.get(model)
        return matrix.differing(rows) if matrix else (number for number, row in rows if row is not None)

    def release(self) -> None:
        """Let go of the memory that queries brought in."""
        for matrix in self._matrices():
            matrix.release()

    def reload(self) -> None:
        """Make the copy again from the database (its contents were replaced)."""
        self._rebuild()
        self._load_arrays()

    def close(self) -> None:
        """Close the files; what is on disk is marked as a whole copy of the database."""
        with contextlib.suppress(OSError, sqlite3.Error):  # without the mark the copy is made again: nothing is lost
            if not self._behind:
                token = f"{secrets.token_hex(8)} {self._checksums()}"
                with self._database.transaction() as connection:
                    connection.execute("INSERT OR REPLACE INTO meta VALUES ('vectors', ?)", (token,))
                self._mark.write_text(token)
        for matrix in self._matrices():
            matrix.close()

    @property
    def _mark(self) -> Path:
        return self._folder / "vectors.clean"

    def _deep_file(self, model: str) -> Path:
        return self._folder / ("vectors.deep." + model if model else "vectors.deep")

    def _matrices(self) -> list[Matrix]:
        return [self._static, *self._deep.values()]

    def _write_deep(self, model: str, rows: Iterable[tuple[int, bytes]]) -> None:
        # An empty row says: no vector yet. It only has to be written where the number was somebody else's in an earlier
        # run: in this one none is given twice.
        for number, row in rows:
            if row and model not in self._deep:
                self._deep[model] = Matrix(self._deep_file(model), len(row) - SCALE_BYTES)
            if (matrix := self._deep.get(model)) and (row or number < matrix.rows_found):
                matrix.write([(number, row or bytes(row_dtype(matrix.dims).itemsize))])

    def _load(self) -> None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'vectors'").fetchone()
            for model in self._models(connection):
                self._open(connection, model)
        marked = row is not None and self._mark.exists() and self._mark.read_bytes() == row[0].encode()
        clean = marked and row[0].partition(" ")[2] == self._checksums()
        self._mark.unlink(missing_ok=True)
        self._forget_others()
        if not clean:
            self._rebuild()
        self._load_arrays()

    def _open(self, connection: sqlite3.Connection, model: str) -> None:
        if model not in self._deep and (found := connection.execute(ANY_DEEP_BYTES, (model,)).fetchone()):
            self._deep[model] = Matrix(self._deep_file(model), found[0] - SCALE_BYTES)

    def _forget_others(self) -> None:
        """Delete the files of models that no text has a vector of any more."""
        kept = {self._deep_file(model).suffixes[-1] for model in self._deep if model}
        for file in (*self._folder.glob("vectors.deep.*"), *self._folder.glob("signs.deep.*")):
            if file.suffix not in kept:
                file.unlink()

    def _checksums(self) -> str:
        files = [self._folder / f"{kind}.static" for kind in ("vectors", "signs")]
        files += sorted(self._folder.glob("vectors.deep*")) + sorted(self._folder.glob("signs.deep*"))
        return " ".join(checksum(file) for file in files)

    def _load_arrays(self) -> None:
        with self._database.reading() as connection, self._lock:
            self._chunks.load(connection.execute("SELECT id, vector_id, file_id FROM chunks ORDER BY id"))
            for model in self._models(connection):
                places = connection.execute("SELECT id, deep_row FROM vectors WHERE model = ?", (model,))
                self._places.put(model, places)
            self.rows = (connection.execute("SELECT max(id) FROM vectors").fetchone()[0] or 0) + 1

    def _rebuild(self) -> None:
        with self._database.reading() as connection:
            self._static.write(connection.execute("SELECT id, static FROM vectors"))
            for model in self._models(connection):
                self._open(connection, model)
            for model, matrix in self._deep.items():
                matrix.write(connection.execute(DEEP_ROWS, (model,)))
                empty = bytes(row_dtype(matrix.dims).itemsize)
                matrix.write((number, empty) for (number,) in connection.execute(NO_DEEP_ROWS, (model,)))

    def _models(self, connection: sqlite3.Connection) -> Iterator[str]:
        """The models that any text has a row of: one look into the index for each."""
        model = connection.execute("SELECT min(model) FROM vectors").fetchone()[0]
        while model is not None:
            yield model
            model = connection.execute("SELECT min(model) FROM vectors WHERE model > ?", (model,)).fetchone()[0]
