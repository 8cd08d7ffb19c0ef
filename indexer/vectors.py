"""Nearest neighbours: quantized rows in memory-mapped files, and which chunk has which row.

SQLite holds the truth (table `vectors`); the files are a copy in the order of `vectors.id` that numpy can scan: 45,000
rows of 256 dimensions take about 4 ms. A copy that wasn't closed cleanly is made again. Filters apply before ranking.
Leaves quantization to `quantize.py`, what is stored to `store.py`.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.damage import checksum
from ctx42d.indexer.database import Database
from ctx42d.indexer.quantize import row_dtype

Tier = Literal["static", "deep"]
TIERS: tuple[Tier, ...] = ("static", "deep")
BLOCK_ROWS = 2048
GROWTH_ROWS = 16384


class Matrix:
    """A file of quantized rows, addressed by number."""

    def __init__(self, path: Path, dims: int) -> None:
        self.dims = dims
        self._dtype = row_dtype(dims)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None
        self._capacity = 0
        self._map_rows(os.fstat(self._handle).st_size // self._dtype.itemsize)
        self.rows_found = self._capacity  # of an earlier time: they may hold vectors of texts that are gone

    def write(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Store rows by number. Written with pwrite: the pages stay the kernel's, not ours. Raises OSError."""
        size = self._dtype.itemsize
        for number, row in rows:
            if number >= self._capacity:
                self._grow(number + 1)
            if os.pwrite(self._handle, row, number * size) < len(row):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def scores(self, query: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Dot products (count,) of a float32 query (dims,) with the first rows; -inf where there is no row."""
        out = np.full(count, -np.inf, dtype=np.float32)
        with self._lock:
            if self._map is None:
                return out
            table = np.frombuffer(self._map, dtype=self._dtype, count=min(count, self._capacity))
        buffer = np.empty((min(BLOCK_ROWS, len(table)), self.dims), dtype=np.float32)
        for start in range(0, len(table), BLOCK_ROWS):
            block = table[start : start + BLOCK_ROWS]
            part = buffer[: len(block)]
            part[...] = block["v"]
            scale = block["s"]
            np.multiply(part @ query, scale, out=out[start : start + len(block)])
            out[start : start + len(block)][scale == 0] = -np.inf
        return out

    def differing(self, rows: Iterable[tuple[int, bytes | None]]) -> Iterator[int]:
        """Numbers of the rows (ordered by number; None: no row) that are not what the file holds."""
        size, start, block = self._dtype.itemsize, -1, b""
        for number, row in rows:
            if number - number % BLOCK_ROWS != start:
                start = number - number % BLOCK_ROWS
                block = os.pread(self._handle, BLOCK_ROWS * size, start * size)
            have = block[(number - start) * size : (number - start + 1) * size]
            absent = len(have) < size or not np.frombuffer(have, dtype=self._dtype)["s"][0]
            if not absent if row is None else have != row:
                yield number

    def release(self) -> None:
        """Let go of the pages that queries brought in."""
        with self._lock:
            if self._map is not None:
                self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Close the file."""
        self._map = None
        os.close(self._handle)

    def _grow(self, rows: int) -> None:
        capacity = (rows // GROWTH_ROWS + 1) * GROWTH_ROWS
        os.ftruncate(self._handle, capacity * self._dtype.itemsize)
        self._map_rows(capacity)

    def _map_rows(self, rows: int) -> None:
        # A query may still scan the old mapping: dropping our reference leaves it alive until that query is done.
        with self._lock:
            self._capacity = rows
            if rows:
                self._map = mmap.mmap(self._handle, rows * self._dtype.itemsize, access=mmap.ACCESS_READ)


@dataclass(frozen=True, slots=True)
class Delta:
    """What one commit changed: chunks as (id, vector id, file id), and rows by vector id."""

    added: list[tuple[int, int, int]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    static: list[tuple[int, bytes]] = field(default_factory=list)
    deep: list[tuple[int, bytes]] = field(default_factory=list)


class ChunkArrays:
    """Parallel arrays over live and removed chunks, ordered by chunk id: vector id (-1: removed), file id."""

    def __init__(self) -> None:
        self.count = 0
        self.removed = 0
        self._ids = np.empty(0, dtype=np.int64)
        self._vectors = np.empty(0, dtype=np.int32)
        self._files = np.empty(0, dtype=np.int32)

    def load(self, rows: Iterable[tuple[int, int, int]]) -> None:
        """Replace everything by rows (chunk id, vector id, file id) in order of chunk id."""
        table = np.fromiter((number for row in rows for number in row), dtype=np.int64).reshape(-1, 3)
        self._ids, self.count, self.removed = table[:, 0].copy(), len(table), 0
        self._vectors, self._files = table[:, 1].astype(np.int32), table[:, 2].astype(np.int32)

    def add(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Append chunks; their ids are above all earlier ones."""
        if not rows:
            return
        end = self.count + len(rows)
        if end > len(self._ids):
            self._compact_or_grow(end)
            end = self.count + len(rows)
        table = np.array(rows, dtype=np.int64)
        at = slice(self.count, end)
        self._ids[at], self._vectors[at], self._files[at] = table[:, 0], table[:, 1], table[:, 2]
        self.count = end

    def remove(self, ids: Sequence[int]) -> None:
        """Mark chunks as removed; unknown ids are passed over."""
        if not ids:
            return
        wanted = np.asarray(ids, dtype=np.int64)
        at = np.searchsorted(self._ids[: self.count], wanted)
        at = at[at < self.count]
        at = at[np.isin(self._ids[at], wanted)]
        self._vectors[at] = -1
        self.removed += len(at)

    def live(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """Ids, vector ids and file ids as they are now."""
        end = self.count
        return self._ids[:end], self._vectors[:end].copy(), self._files[:end]

    def _compact_or_grow(self, needed: int) -> None:
        keep = self._vectors[: self.count] >= 0 if self.removed > self.count // 4 else slice(0, self.count)
        arrays = [array[: self.count][keep] for array in (self._ids, self._vectors, self._files)]
        if not isinstance(keep, slice):
            needed, self.removed = needed - self.count + len(arrays[0]), 0
        self.count = len(arrays[0])
        capacity = max(needed + needed // 4, 1024)
        grown = [np.concatenate([array, np.zeros(capacity - len(array), dtype=array.dtype)]) for array in arrays]
        self._ids, self._vectors, self._files = grown


class VectorIndex:
    """Both tiers' matrices and the chunks that point into them. Thread-safe: one writer, any number of readers."""

    def __init__(self, folder: Path, database: Database, dims: dict[Tier, int]) -> None:
        self._folder, self._database = folder, database
        self._lock = threading.Lock()
        self._chunks = ChunkArrays()
        self._matrices = {tier: Matrix(folder / f"vectors.{tier}", dims[tier]) for tier in TIERS}
        self.rows = 0
        self._behind = False  # a commit could not be followed: there was no room for its rows
        self._load()

    def apply(self, delta: Delta) -> None:
        """Follow a commit. Raises OSError when there is no room for its rows: `catch_up` does it later."""
        if self.catch_up():
            return
        self._behind = True
        self._matrices["static"].write(delta.static)
        self._matrices["deep"].write(self._cleared(delta.deep))
        with self._lock:
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

    def _cleared(self, rows: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, bytes]]:
        # An empty row says: no vector yet. It only has to be written where the number was somebody else's before: in
        # this run, or in an earlier one, since SQLite gives the highest numbers again after they were deleted.
        empty = bytes(row_dtype(self._matrices["deep"].dims).itemsize)
        used = max(self.rows, self._matrices["deep"].rows_found)
        return ((number, row or empty) for number, row in rows if row or number < used)

    def nearest(
        self, tier: Tier, query: NDArray[np.float32], k: int, files: NDArray[np.int32] | None
    ) -> list[tuple[int, float]]:
        """Best chunks as (id, cosine), best first, among those of `files` (sorted file ids; None: all)."""
        with self._lock:
            ids, vectors, owners = self._chunks.live()
            rows = self.rows
        if not len(ids):
            return []
        by_row = self._matrices[tier].scores(query, rows)
        scores = np.where(vectors >= 0, by_row[np.maximum(vectors, 0)], -np.inf)
        if files is not None:
            scores[~np.isin(owners, files)] = -np.inf
        best = np.argpartition(-scores, min(k, len(scores)) - 1)[:k]
        best = best[np.argsort(-scores[best], kind="stable")]
        return [(int(ids[i]), float(scores[i])) for i in best if scores[i] > -np.inf]

    def differing(self, tier: Tier, rows: Iterable[tuple[int, bytes | None]]) -> Iterator[int]:
        """Vector ids whose row (None: none yet), ordered by id, is not what the tier's file holds."""
        return self._matrices[tier].differing(rows)

    def release(self) -> None:
        """Let go of the memory that queries brought in."""
        for matrix in self._matrices.values():
            matrix.release()

    def reload(self) -> None:
        """Make the copy again from the database (its contents were replaced)."""
        self._rebuild()
        self._load_chunks()

    def close(self) -> None:
        """Close the files; what is on disk is marked as a whole copy of the database."""
        with contextlib.suppress(OSError, sqlite3.Error):  # without the mark the copy is made again: nothing is lost
            if not self._behind:
                token = f"{secrets.token_hex(8)} {self._checksums()}"
                with self._database.transaction() as connection:
                    connection.execute("INSERT OR REPLACE INTO meta VALUES ('vectors', ?)", (token,))
                self._mark.write_text(token)
        for matrix in self._matrices.values():
            matrix.close()

    @property
    def _mark(self) -> Path:
        return self._folder / "vectors.clean"

    def _load(self) -> None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'vectors'").fetchone()
        marked = row is not None and self._mark.exists() and self._mark.read_bytes() == row[0].encode()
        clean = marked and row[0].partition(" ")[2] == self._checksums()
        self._mark.unlink(missing_ok=True)
        if not clean:
            self._rebuild()
        self._load_chunks()

    def _checksums(self) -> str:
        return " ".join(checksum(self._folder / f"vectors.{tier}") for tier in TIERS)

    def _load_chunks(self) -> None:
        with self._database.reading() as connection, self._lock:
            self._chunks.load(connection.execute("SELECT id, vector_id, file_id FROM chunks ORDER BY id"))
            self.rows = (connection.execute("SELECT max(id) FROM vectors").fetchone()[0] or 0) + 1

    def _rebuild(self) -> None:
        with self._database.reading() as connection:
            for tier, matrix in self._matrices.items():
                matrix.write(
                    connection.execute(f"SELECT id, {tier} FROM vectors WHERE {tier} IS NOT NULL")  # noqa: S608 a constant
                )
                self._clear_absent(connection, tier, matrix)

    def _clear_absent(self, connection: sqlite3.Connection, tier: Tier, matrix: Matrix) -> None:
        if tier == "deep":
            empty = bytes(row_dtype(matrix.dims).itemsize)
            absent = connection.execute("SELECT id FROM vectors WHERE deep IS NULL")
            matrix.write((number, empty) for (number,) in absent)
