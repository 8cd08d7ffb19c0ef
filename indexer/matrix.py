"""A file of quantized rows, memory-mapped, and how near each of them, or some of them, is to a question.

Of many rows some are read, not mapped: a page fault maps the pages around it, and 4,000 here and there would be the
whole file. Leaves which of them to `signs.py`, whose file is written with this one; which rows there are, and whose
they are, to `vectors.py`; the layout of a row is `quantize.py`'s.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.quantize import row_dtype
from ctx42d.indexer.signs import Signs

BLOCK_ROWS = 512
"""Of 2,048 rows BLAS gives each of its threads a share, and they wait for each other: 92 ms of processor time for
67,000 rows on a busy machine, 6.6 so (EPYC, 2026-11). The daemon has one thread, a program that opens an index has not.
"""
GROWTH_ROWS = 16384
MAPPED_ROWS = 131_072
"""Above so many rows single ones are read, not mapped: 4,000 of 67,000 take 1 ms of processor time so, 8 if read."""
RUN_BYTES = 2**18


class Matrix:
    """A file of quantized rows, addressed by number."""

    def __init__(self, path: Path, dims: int) -> None:
        self.dims = dims
        self._dtype = row_dtype(dims)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._signs = Signs(path.with_name(path.name.replace("vectors", "signs", 1)), dims)
        self._lock = threading.Lock()
        self._map: mmap.mmap | None = None
        self._capacity = 0
        self._map_rows(os.fstat(self._handle).st_size // self._dtype.itemsize)
        self.rows_found = self._capacity  # of an earlier time: they may hold vectors of texts that are gone

    def write(self, rows: Iterable[tuple[int, bytes]]) -> None:
        """Store rows by number. Written with pwrite: the pages stay the kernel's, not ours. Raises OSError."""
        first, run = 0, bytearray()
        for number, row in rows:
            if run and (number * len(row) != first * len(row) + len(run) or len(run) >= RUN_BYTES):
                self._write_run(first, bytes(run))
                run.clear()
            first = first if run else number
            run += row
        if run:
            self._write_run(first, bytes(run))

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

    def distances(self, query: NDArray[np.float32], count: int) -> NDArray[np.uint16]:
        """In how many signs each of the first rows differs from a query: the less, the nearer, as a rule."""
        return self._signs.distances(query, count)

    def scores_of(self, query: NDArray[np.float32], numbers: NDArray[np.int32]) -> NDArray[np.float32]:
        """Dot products of a float32 query (dims,) with rows of these numbers; -inf where there is no row."""
        table = self._rows(numbers)
        scores = np.empty(len(table), dtype=np.float32)
        for start in range(0, len(table), BLOCK_ROWS):
            block = table[start : start + BLOCK_ROWS]
            scores[start : start + len(block)] = block["v"].astype(np.float32) @ query
        scores *= table["s"]
        scores[table["s"] == 0] = -np.inf
        return scores

    def share_there(self, numbers: NDArray[np.int32]) -> float:
        """Which share of these rows, 0 to 1, holds a vector."""
        return float(np.count_nonzero(self._rows(numbers)["s"])) / max(1, len(numbers))

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
        self._signs.close()

    def _rows(self, numbers: NDArray[np.int32]) -> NDArray[np.void]:
        """Copies of the rows of these numbers; zeros where there is none."""
        with self._lock:
            if self._map is not None and self._capacity <= MAPPED_ROWS:
                table = np.frombuffer(self._map, dtype=self._dtype, count=self._capacity)
                found = table.take(numbers, mode="clip")  # indexing with them takes four times as long
                found["s"][numbers >= self._capacity] = 0
                return found
        size = self._dtype.itemsize
        read = [os.pread(self._handle, size, number * size) for number in numbers.tolist()]
        return np.frombuffer(b"".join(row.ljust(size, b"\0") for row in read), dtype=self._dtype)

    def _write_run(self, first: int, rows: bytes) -> None:
        size = self._dtype.itemsize
        if (end := first + len(rows) // size) > self._capacity:
            self._grow(end)
        if os.pwrite(self._handle, rows, first * size) < len(rows):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._signs.write(first, rows)

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
